"""What readers call metrics, arms and their levels, by language."""

from collections.abc import Mapping, Sequence

from foretouch.experiments.report import numbers
from foretouch.experiments.report.texts import LANGUAGES, Phrase
from foretouch.experiments.results import MetricResult, Results


def title_of(results: Results, name: str) -> Phrase:
    """A metric's name for readers: its title in the spec, else its own name."""
    return named(results.metric_titles, name)


def arm_title(results: Results, arm: str) -> Phrase:
    """An arm's name for readers: its title in the spec, else its own name."""
    return named(results.arm_titles, arm)


def named(titles: Mapping[str, Mapping[str, str]], name: str) -> Phrase:
    """The title by language, the name in plain letters where there is none."""
    given = titles.get(name, {})
    return {code: given.get(code, name.replace("_", " ")) for code in LANGUAGES}


def levels(results: Results, row: MetricResult, values: Sequence[float]) -> list[Phrase]:
    """Means in the metric's own unit, shares with the same decimals."""
    if row.kind == "proportion":
        return numbers.percents(values, sign=False)
    if row.money is not None and row.money.kind == "revenue":
        return [numbers.money(value, results.currency, sign=False) for value in values]
    return [numbers.amount(value) for value in values]


def differences(results: Results, row: MetricResult, values: Sequence[float]) -> list[Phrase]:
    """Signed differences in the metric's own unit, proportions with the same decimals."""
    if row.kind == "proportion":
        return numbers.points(values, sign=True)
    if row.money is not None and row.money.kind == "revenue":
        return [numbers.money(value, results.currency) for value in values]
    return [numbers.amount(value, sign=True) for value in values]


def size(results: Results, row: MetricResult, value: float) -> Phrase:
    """An unsigned difference in the metric's own unit."""
    if row.kind == "proportion":
        return numbers.limit_points(value)
    return levels(results, row, [value])[0]
