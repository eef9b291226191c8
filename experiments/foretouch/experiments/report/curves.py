"""Curves over shares of people, and bars with intervals, in the report's own drawing."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from matplotlib.figure import Figure

from foretouch.experiments.report.charts import BLUE, GREEN, GREY, INK, NARROW, ORANGE, WIDTH, drawing, svg_of

Ticks = Callable[[float], str]


@dataclass(frozen=True, kw_only=True)
class Curve:
    """A line with its band over shares of people.

    Attributes:
        shares: 0 to 1.
        values: The line.
        low: Lower end of the band.
        high: Upper end of it.
        chord: A dashed line to compare with; empty without one.
        best: A share to mark.
        flat: From which share to which it does about as well.
    """

    shares: Sequence[float]
    values: Sequence[float]
    low: Sequence[float]
    high: Sequence[float]
    chord: Sequence[float] = ()
    best: float | None = None
    flat: tuple[float, float] | None = None


def curve_plot(
    curve: Curve,
    *,
    axes_texts: tuple[str, str],
    legend: Sequence[str],
    name: str,
    percent: Ticks,
    number: Ticks,
    title: str,
    narrow: bool = False,
) -> str:
    """The curve, its band, the chord and the best share.

    Args:
        curve: What to draw.
        axes_texts: Of the horizontal and of the vertical axis.
        legend: Texts for the line, the band, then for the chord, the best share and the flat range where there are any.
        name: Makes ids in the document unique.
        percent: How the reader writes a share.
        number: How the reader writes a value.
        title: What the chart shows, for those who do not see it.
        narrow: For a phone.
    """
    with drawing(name):
        figure = Figure(figsize=(NARROW, 4.2) if narrow else (WIDTH, 3.7))
        axes = figure.add_axes((0.19, 0.14, 0.74, 0.6) if narrow else (0.1, 0.15, 0.87, 0.7))
        rest = iter(legend[2:])
        axes.fill_between(
            list(curve.shares), list(curve.low), list(curve.high), color=BLUE, alpha=0.18, linewidth=0, label=legend[1]
        )
        axes.plot(list(curve.shares), list(curve.values), color=BLUE, linewidth=2, label=legend[0])
        if curve.chord:
            axes.plot(list(curve.shares), list(curve.chord), color=INK, linestyle="--", label=next(rest))
        axes.axhline(0.0, color=INK, linewidth=1.0)
        if curve.best is not None:
            at = min(range(len(curve.shares)), key=lambda index: abs(curve.shares[index] - (curve.best or 0.0)))
            axes.plot([curve.best], [curve.values[at]], "D", color=ORANGE, markersize=8, label=next(rest))
        if curve.flat is not None:
            axes.axvspan(*curve.flat, color=GREEN, alpha=0.12, linewidth=0, label=next(rest))
        axes.set_xlim(0.0, 1.0)
        ticks = (0.0, 0.25, 0.5, 0.75, 1.0) if narrow else (0.0, 0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 1.0)
        axes.set_xticks(ticks, [percent(tick) for tick in ticks])
        axes.yaxis.set_major_formatter(lambda value, _: number(value))
        axes.set_xlabel(axes_texts[0])
        axes.set_ylabel(axes_texts[1])
        axes.grid(axis="y", color="#e3e3e3", linewidth=0.8)
        axes.set_axisbelow(True)
        columns = 2 if narrow else 5
        axes.legend(loc="lower center", bbox_to_anchor=(0.46, 1.0), ncols=columns, frameon=False, fontsize=10)
        return svg_of(figure, name, title)


def interval_bars(
    values: Sequence[float],
    intervals: Sequence[tuple[float, float]],
    *,
    labels: Sequence[str],
    axes_texts: tuple[str, str],
    name: str,
    number: Ticks,
    title: str,
    narrow: bool = False,
) -> str:
    """Bars from zero with their intervals; one whose interval holds zero is grey.

    Args:
        values: Lengths.
        intervals: Their ends.
        labels: Under the bars.
        axes_texts: Of the horizontal and of the vertical axis.
        name: Makes ids in the document unique.
        number: How the reader writes a value.
        title: What the chart shows, for those who do not see it.
        narrow: For a phone.
    """
    with drawing(name):
        figure = Figure(figsize=(NARROW, 3.6) if narrow else (WIDTH, 3.2))
        axes = figure.add_axes((0.19, 0.16, 0.78, 0.8) if narrow else (0.1, 0.17, 0.87, 0.8))
        for place, (value, (low, high)) in enumerate(zip(values, intervals, strict=True)):
            colour = GREY if low <= 0.0 <= high else BLUE if value > 0.0 else ORANGE
            axes.bar([place], [value], width=0.7, color=colour, alpha=0.75)
            axes.plot([place, place], [low, high], color=INK, linewidth=1.4)
        axes.axhline(0.0, color=INK, linewidth=1.0)
        axes.set_xticks(range(len(values)), list(labels))
        axes.yaxis.set_major_formatter(lambda value, _: number(value))
        axes.set_xlabel(axes_texts[0])
        axes.set_ylabel(axes_texts[1])
        axes.grid(axis="y", color="#e3e3e3", linewidth=0.8)
        axes.set_axisbelow(True)
        return svg_of(figure, name, title)
