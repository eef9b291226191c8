"""How far a test is: customers counted, of those that a verdict takes."""

from markupsafe import Markup

from foretouch.experiments.report import numbers
from foretouch.experiments.report.labels import label
from foretouch.experiments.results import MetricResult, Results

BAR = Markup(
    '<div class="left"><label for="left-{name}">{text}</label>'
    '<progress id="left-{name}" max="{most}" value="{done}">{share}</progress></div>'
)


def sample_left(results: Results, row: MetricResult, language: str, *, name: str) -> Markup:
    """A bar of the customers so far beside those needed, with the same in words; nothing where that is not known.

    Args:
        results: Of the experiment.
        row: The metric.
        language: ``en`` or ``zh``.
        name: Makes ids in the document unique.
    """
    done = row.n_control + row.n_treatment
    if row.sample_left is not None:
        left, lift = row.sample_left.units_left, numbers.percent(row.sample_left.smallest_lift)
        text = label("left_for_lift", language, lift=lift, left=numbers.count(left), done=numbers.count(done))
    else:
        verdict = results.verdict
        if verdict.more_units is None or (verdict.metric, verdict.contrast) != (row.name, row.contrast):
            return Markup()
        left = verdict.more_units
        text = label("left", language, left=numbers.count(left), done=numbers.count(done))
    share = numbers.percents([done / (done + left)], sign=False)[0][language]
    return BAR.format(name=name, text=text, most=done + left, done=done, share=share)
