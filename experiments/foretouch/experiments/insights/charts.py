"""Charts of the insights, in the report's own drawing: bars, and a daily series with its band."""

from collections.abc import Sequence
from dataclasses import dataclass

from matplotlib.figure import Figure

from foretouch.experiments.report.charts import BLUE, GREY, NARROW, ORANGE, TONES, WIDTH, drawing, svg_of


@dataclass(frozen=True, kw_only=True)
class Bar:
    """One bar.

    Attributes:
        label: What it is.
        value: Its length.
        shown: Its value as text.
        tone: A key of the report's ``TONES``.
    """

    label: str
    value: float
    shown: str
    tone: str = "open"


def bar_plot(bars: Sequence[Bar], *, name: str, narrow: bool = False) -> str:
    """Lengths, one a line, their values written beside them.

    Args:
        bars: From top to bottom.
        name: Makes ids in the document unique.
        narrow: For a phone: labels stand above their bars.

    Returns:
        An ``<svg>`` element.
    """
    with drawing(name):
        height = 0.25 + (0.62 if narrow else 0.4) * len(bars)
        figure = Figure(figsize=(NARROW if narrow else WIDTH, height))
        left, width = (0.02, 0.82) if narrow else (0.36, 0.52)
        axes = figure.add_axes((left, 0.02, width, 0.96))
        longest = max((abs(bar.value) for bar in bars), default=0.0) or 1.0
        for position, bar in enumerate(reversed(bars)):
            thick = 0.42 if narrow else 0.62
            axes.barh([position], [bar.value], height=thick, color=TONES[bar.tone], left=0.0)
            axes.text(max(bar.value, 0.0) + 0.015 * longest, position, bar.shown, va="center", ha="left")
            if narrow:
                axes.text(0.0, position + 0.26, bar.label, va="bottom", ha="left")
        axes.set_xlim(min(0.0, *(bar.value for bar in bars), 0.0), 1.02 * longest)
        axes.set_ylim(-0.5, len(bars) - (0.2 if narrow else 0.5))
        if narrow:
            axes.set_yticks([])
        else:
            axes.set_yticks(range(len(bars)), [bar.label for bar in reversed(bars)])
        axes.tick_params(axis="y", length=0)
        axes.set_xticks([])
        for side in ("bottom", "left"):
            axes.spines[side].set_visible(side == "left")
        axes.spines["left"].set_color(GREY)
        return svg_of(figure, name)


def band_plot(
    days: Sequence[str],
    values: Sequence[float],
    bands: Sequence[tuple[float, float] | None],
    *,
    labels: Sequence[str],
    name: str,
    narrow: bool = False,
) -> str:
    """A daily series with the band that was expected; days outside it are marked.

    Args:
        days: ISO dates.
        values: Of each day.
        bands: Of each day, or nothing.
        labels: Texts for the figure, the band and the days outside.
        name: Makes ids in the document unique.
        narrow: For a phone.

    Returns:
        An ``<svg>`` element.
    """
    with drawing(name):
        figure = Figure(figsize=(NARROW, 3.6) if narrow else (WIDTH, 3.0))
        axes = figure.add_axes((0.14, 0.1, 0.84, 0.68) if narrow else (0.08, 0.12, 0.9, 0.72))
        x = list(range(len(days)))
        known = [(index, *ends) for index, ends in enumerate(bands) if ends is not None]
        if known:
            at, low, high = zip(*known, strict=True)
            axes.fill_between(at, low, high, color=BLUE, alpha=0.18, linewidth=0, label=labels[1])
        axes.plot(x, values, color=BLUE, linewidth=1.6, label=labels[0])
        odd = [index for index, low, high in known if not low <= values[index] <= high]
        if odd:
            points = [values[index] for index in odd]
            axes.plot(odd, points, "D", color=ORANGE, markersize=7, label=labels[2])
        most = 3 if narrow else 8
        step = max(1, (len(x) + most - 1) // most)
        axes.set_xticks(x[::step], [days[index][5:] for index in x[::step]])
        axes.set_ylim(bottom=0.0)
        axes.grid(axis="y", color="#e3e3e3", linewidth=0.8)
        axes.set_axisbelow(True)
        columns = 1 if narrow else 3
        axes.legend(loc="lower center", bbox_to_anchor=(0.5, 1.0), ncols=columns, frameon=False, fontsize=10)
        return svg_of(figure, name)


def bars_for_both(bars: Sequence[Bar], *, name: str) -> tuple[str, str]:
    """The chart for a page and the one for a phone; nothing where there is nothing to draw."""
    if not bars:
        return "", ""
    return bar_plot(bars, name=name), bar_plot(bars, name=f"{name}-narrow", narrow=True)
