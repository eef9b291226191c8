"""Skew on the card: a model that learnt from the log says whether the history would have told it the same.

It is measured once, while the model is trained, on a sample of the decisions up to the end of its data.
"""

from collections.abc import Mapping
from typing import Any, Final

from foretouch.core.bundle import ModelCard
from foretouch.core.errors import ForetouchError
from foretouch.training.log.contacts import LOG
from foretouch.training.log.kinds import Learner
from foretouch.training.log.skew import Skew, measure_skew
from foretouch.training.task import Split, TrainingRun

SKEW: Final = "skew"
SAMPLE: Final = 1_000
"""Decisions that are compared: a feature that differs in one row of two hundred is missed once in 150 trainings."""
NAMED: Final = 5
LEARNERS: Final[Mapping[str, Learner]] = {"offer": "offer", "uplift": "uplift"}
"""Models whose rows may come from the log itself, features and all."""


def learnt_from_log(model: str, split: Split) -> bool:
    """Whether rows of the log were among what a model learnt from, with the features that the service saw."""
    if model not in LEARNERS:
        return False
    return model == "uplift" or LOG in str(split.description.get("source", "")).split(" and ")


def skew_of(run: TrainingRun, model: str, split: Split) -> tuple[dict[str, Any], tuple[str, ...]]:
    """What the card keeps of the skew, and what it warns of; nothing for a model of past touches alone.

    Args:
        run: Of the training.
        model: Which model.
        split: What it learnt from.
    """
    if not learnt_from_log(model, split):
        return {}, ()
    run.say(f"{model}: logged features beside the history's")
    until = split.newest_through or split.trained_through
    try:
        found = measure_skew(run.workspace, LEARNERS[model], until=until, most=SAMPLE)
    except ForetouchError as error:
        return {SKEW: {"measured": False, "why": error.message}}, (f"Skew was not measured: {error.message}.",)
    warned = _warning(found)
    for text in warned:
        run.say(f"{model}: {text}")
    return {SKEW: {"measured": True, **found.as_json()}}, warned


def _warning(found: Skew) -> tuple[str, ...]:
    """One note that names the features whose logged and historical values no cause explains."""
    faults = found.features[found.features["different"] > 0.0].head(NAMED)
    if faults.empty:
        return ()
    named = ", ".join(f"{line['feature']} ({line['different']:.1%} of rows)" for line in faults.to_dict("records"))
    more = len(found.faults) - len(faults)
    named += f" and {more} more" if more else ""
    text = f"Training and service do not see the same: {named} differ between log and history without a cause"
    return (f"{text}; foretouch skew shows each.",)


def skew_page(card: ModelCard) -> list[str]:
    """Lines of the card's page; none where no skew was asked for."""
    found = card.extras.get(SKEW)
    if not isinstance(found, Mapping):
        return []
    lines = ["", "## Skew: the log's features beside the history's", ""]
    if not found.get("measured"):
        return [*lines, f"Not measured: {found.get('why')}."]
    lines.append(
        f"{found['decisions']} decisions, {found['features']} features, {found['differing']} with a difference;"
        f" {found['unjoined']} decisions without a snapshot."
        f" Without a cause: {', '.join(found['different']) or 'none'}."
    )
    worst = [line for line in found["worst"] if line["differs"] > 0.0]
    if worst:
        lines += ["", "| feature | differs | older snapshot | late event | no cause |", "|---|---|---|---|---|"]
        lines += [
            f"| {line['feature']} | {line['differs']:.1%} | {line['older']:.1%} | {line['late_event']:.1%}"
            f" | {line['different']:.1%} |"
            for line in worst
        ]
    return lines
