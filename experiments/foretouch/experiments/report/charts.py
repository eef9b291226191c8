"""Charts of the report as SVG with text as text: they scale, print, and use the reader's own fonts.

Colours are Okabe and Ito's, told apart by the colour-blind; shape and position always say the same as colour.
"""

import io
import re
import warnings
from collections.abc import Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import Any

import matplotlib as mpl
from markupsafe import escape
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

BLUE, ORANGE, GREY, GREEN, RED = "#0072B2", "#D55E00", "#767676", "#009E73", "#B3261E"
INK = "#222222"
TONES = {"good": GREEN, "bad": ORANGE, "open": BLUE, "faint": GREY}
SETTINGS: dict[str, Any] = {
    "svg.fonttype": "none",
    "font.size": 11.0,
    "axes.spines.top": False,
    "axes.spines.right": False,
}
WIDTH, NARROW = 8.6, 4.6
"""Inches of the figure on a page and on a phone."""


@dataclass(frozen=True, kw_only=True)
class Dot:
    """One line of an interval plot, in per cent.

    Attributes:
        label: What it is.
        value: The estimate.
        low: Lower end.
        high: Upper end.
        tone: A key of ``TONES``.
        margin: Where a guardrail's limit lies.
    """

    label: str
    value: float
    low: float
    high: float
    tone: str = "open"
    margin: float | None = None


@dataclass(frozen=True, kw_only=True)
class Series:
    """A cumulative effect in per cent, with both bands; one entry per look."""

    days: Sequence[str]
    values: Sequence[float]
    fixed: Sequence[tuple[float, float]]
    anytime: Sequence[tuple[float, float]]
    after: float | None = None
    """By how many looks the planned end lies after the last one; negative where it has passed."""


def interval_plot(
    dots: Sequence[Dot], *, axis: str, name: str, title: str = "", centre: float | None = None, narrow: bool = False
) -> str:
    """Estimates with their intervals, one a line, zero and limits drawn.

    Args:
        dots: From top to bottom.
        axis: What the numbers are.
        name: Makes ids in the document unique.
        title: What the chart shows, for those who do not see it.
        centre: A dashed line, such as the overall effect.
        narrow: For a phone: labels stand above their lines.

    Returns:
        An ``<svg>`` element.
    """
    with drawing(name):
        figure = Figure(figsize=(NARROW if narrow else WIDTH, 0.9 + (0.62 if narrow else 0.46) * len(dots)))
        left, width = (0.05, 0.9) if narrow else (0.34, 0.62)
        axes = figure.add_axes((left, 0.62 / figure.get_figheight(), width, 1.0 - 0.72 / figure.get_figheight()))
        for position, dot in enumerate(reversed(dots)):
            colour = TONES[dot.tone]
            axes.plot([dot.low, dot.high], [position, position], color=colour, linewidth=2.4, solid_capstyle="butt")
            axes.plot([dot.low, dot.high], [position, position], "|", color=colour, markersize=9)
            axes.plot([dot.value], [position], "o", color=colour, markersize=7)
            if dot.margin is not None:
                low, high = sorted((0.0, dot.margin))
                axes.fill_betweenx([position - 0.38, position + 0.38], low, high, color=ORANGE, alpha=0.16, linewidth=0)
                axes.plot([dot.margin] * 2, [position - 0.38, position + 0.38], color=RED, linewidth=2, linestyle=":")
        if not narrow:
            axes.axvline(0.0, color=INK, linewidth=1.1)
        if centre is not None:
            axes.axvline(centre, color=GREY, linewidth=1.1, linestyle="--")
        if narrow:
            axes.set_yticks([])
            for position, dot in enumerate(reversed(dots)):
                place = axes.get_yaxis_transform()
                axes.text(0.0, position + 0.28, dot.label, transform=place, va="bottom")
                axes.plot([0.0, 0.0], [position - 0.36, position + 0.24], color=INK, linewidth=1.1)
            axes.xaxis.set_major_locator(MaxNLocator(nbins=5))
        else:
            axes.set_yticks(range(len(dots)), [wrapped(dot.label) for dot in reversed(dots)])
        axes.set_ylim(-0.6, len(dots) - (0.2 if narrow else 0.4))
        axes.tick_params(axis="y", length=0)
        _finish(axes, axis)
        return svg_of(figure, name, title)


def cumulative_plot(
    series: Series, *, axis: str, labels: Sequence[str], name: str, title: str = "", narrow: bool = False
) -> str:
    """The effect on all units so far, with the anytime band (filled) and the fixed band (dotted).

    Args:
        series: By day.
        axis: What the numbers are.
        labels: Texts for the effect, the anytime band, the fixed band, and the planned end where there is one.
        name: Makes ids in the document unique.
        title: What the chart shows, for those who do not see it.
        narrow: For a phone.
    """
    with drawing(name):
        figure = Figure(figsize=(NARROW, 4.2) if narrow else (WIDTH, 3.3))
        axes = figure.add_axes((0.17, 0.08, 0.8, 0.66) if narrow else (0.09, 0.1, 0.88, 0.76))
        x = list(range(len(series.days)))
        axes.fill_between(
            x,
            [low for low, _ in series.anytime],
            [high for _, high in series.anytime],
            color=BLUE,
            alpha=0.18,
            linewidth=0,
            label=labels[1],
        )
        axes.plot(x, [low for low, _ in series.fixed], color=GREY, linestyle=":", label=labels[2])
        axes.plot(x, [high for _, high in series.fixed], color=GREY, linestyle=":")
        axes.plot(x, series.values, color=BLUE, linewidth=2, marker="o", markersize=3.5, label=labels[0])
        axes.axhline(0.0, color=INK, linewidth=1.1)
        if series.after is not None:
            far = x[-1] + min(series.after, 0.35 * len(x))
            beyond = " →" if series.after > 0.35 * len(x) else ""
            axes.axvline(far, color=ORANGE, linestyle="-.", linewidth=1.4, label=f"{labels[3]}{beyond}")
        most = 2 if narrow else 6
        step = max(1, (len(x) + most - 1) // most)
        axes.set_xticks(x[::step], [series.days[i] for i in x[::step]])
        settled = len(x) // 4
        ends = [0.0, *series.values, *(item for pair in series.anytime[settled:] for item in pair)]
        room = 0.08 * (max(ends) - min(ends))
        axes.set_ylim(min(ends) - room, max(ends) + room)
        axes.set_ylabel(axis)
        axes.grid(axis="y", color="#e3e3e3", linewidth=0.8)
        axes.set_axisbelow(True)
        columns = 1 if narrow else 4
        axes.legend(loc="lower center", bbox_to_anchor=(0.5, 1.0), ncols=columns, frameon=False, fontsize=10)
        return svg_of(figure, name, title)


def wrapped(text: str, most: int = 30) -> str:
    """A label on two lines where one would be too long; Chinese letters are twice as wide."""
    if sum(2 if ord(letter) > 0x2E80 else 1 for letter in text) <= most:
        return text
    middle = len(text) // 2
    breaks = [place for place, letter in enumerate(text) if letter in " ·，（"]
    if not breaks:
        return text
    place = min(breaks, key=lambda at: abs(at - middle))
    return f"{text[:place].rstrip()}\n{text[place:].lstrip()}"


def drawing(name: str) -> AbstractContextManager[None]:
    """The settings under which a chart is drawn: text stays text, ids are the same in every run.

    Args:
        name: Makes ids in the document unique.
    """
    settings: Any = {**SETTINGS, "svg.hashsalt": name}
    return mpl.rc_context(settings)


def _finish(axes: Axes, axis: str) -> None:
    axes.set_xlabel(axis)
    axes.grid(axis="x", color="#e3e3e3", linewidth=0.8)
    axes.set_axisbelow(True)
    axes.spines["left"].set_visible(False)


def svg_of(figure: Figure, name: str, title: str = "") -> str:
    """The figure as an element that can stand in an HTML page beside others: no remote address, ids of its own.

    Args:
        figure: Drawn under ``drawing``.
        name: Makes ids in the document unique.
        title: What the chart shows, read out in its place; the table under it has the numbers. Without a title the
            chart is hidden from those who listen.
    """
    buffer = io.StringIO()
    metadata: dict[str, Any] = {"Date": None, "Creator": None, "Format": None, "Type": None}
    with warnings.catch_warnings():
        # measuring text only: the glyphs that the reader sees come from the reader's fonts
        warnings.filterwarnings("ignore", message="Glyph .* missing from font", category=UserWarning)
        figure.savefig(buffer, format="svg", metadata=metadata, transparent=True)
    text = buffer.getvalue()
    text = text[text.index("<svg") :]
    text = re.sub(r"<metadata>.*?</metadata>\s*", "", text, flags=re.DOTALL)
    text = re.sub(r'\s+xmlns(:\w+)?="[^"]*"', "", text)
    text = text.replace("xlink:href", "href")
    text = re.sub(r'(\sid="|href="#|url\(#)', rf"\g<1>{name}-", text)
    text = re.sub(r"font: ([\d.]+px) [^;\"]*", r"font-size: \1; font-family: inherit", text)
    told = f'role="img" aria-label="{escape(title)}"' if title else 'aria-hidden="true"'
    box = re.search(r'viewBox="[^"]*"', text)
    text = text[text.index(">") + 1 :]
    return f"<svg {told} {box[0] if box else ''}>{text}".strip()
