"""What is measured for the gate while the later rows are at hand: beside the champion, calibration, groups.

It is kept on the card (``extras["gate"]``), so that a promotion needs no data and says the same whenever it is asked.
"""

from collections.abc import Mapping
from dataclasses import asdict, replace
from functools import partial
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from foretouch.core.bundle import Bundle, read_aliases, read_bundle
from foretouch.core.errors import BundleError, NotFoundError
from foretouch.training.gate.backtest import BACKTEST, backtest
from foretouch.training.gate.calibrated import Figure, Spread, error_beyond_chance, mean_ratio, slope
from foretouch.training.gate.groups import fairness_report, groups_of, segment_features
from foretouch.training.gate.scoring import (
    CHAMPION,
    champion_scores,
    compare_models,
    fitted_of,
    rows_of,
    score_part,
)
from foretouch.training.gate.words import say
from foretouch.training.refit import judged_store
from foretouch.training.task import Dataset, Evaluation, Fitted, FloatArray, ModelTask, Split, TrainingRun

GATE: Final = "gate"
CALIBRATED: Final = frozenset({"probability", "amount"})


def with_gate(run: TrainingRun, task: ModelTask, split: Split, fitted: Fitted, evaluation: Evaluation) -> Evaluation:
    """The evaluation with what the gate will ask about.

    Args:
        run: Of the training.
        task: The kind of model.
        split: Its test part is judged on.
        fitted: The model as it was judged.
        evaluation: Its figures.
    """
    run.say(f"{task.name}: beside the champion, in groups")
    kept = evaluation.scores.get("model")
    found: dict[str, Any] = {"rows": len(split.test), **beside_champion(run, task, split, fitted, kept)}
    if fitted.target in CALIBRATED:
        score = score_part(task.name, fitted, split.test) if kept is None else kept
        found |= _calibration(fitted, split.test, score)
        found |= _groups(run, split.test, score, amount=fitted.target == "amount")
    return replace(evaluation, extras={**evaluation.extras, GATE: found})


def beside_champion(
    run: TrainingRun, task: ModelTask, split: Split, fitted: Fitted, kept: FloatArray | None
) -> dict[str, Any]:
    """Paired differences to the champion on test rows that are later than its data; or why there are none.

    Like beside like: a champion that was fitted again with newer rows than the challenger is judged with would win for
    these rows alone, so it is taken as it was judged (``as_judged``). What it foretold (``backtest``) is told of the
    one that serves, where enough rows are later than its data.

    Args:
        run: Of the training.
        task: The kind of model.
        split: Its test part is judged on.
        fitted: The challenger as it is judged.
        kept: Its scores of the test part; None where its evaluation keeps none.
    """
    bundles = _champion(run, task.name)
    if not bundles:
        return {CHAMPION: None}
    least = run.workspace.config.promotion.min_rows
    served = bundles[0]
    order = bundles if served.card.trained_through <= split.trained_through else bundles[::-1]
    bundle = next((item for item in order if _later(split, item).sum() >= least), order[0])
    unseen = _later(split, bundle)
    found: dict[str, Any] = {
        CHAMPION: bundle.card.version,
        "champion_trained_through": bundle.card.trained_through.isoformat(),
        "as_judged": bundle is not served,
        "rows_later_than_champion": int(unseen.sum()),
    }
    if unseen.sum() < least:
        return found
    try:
        score = score_part(task.name, fitted, split.test) if kept is None else kept
        score_of = partial(champion_scores, run, task, split, mine=kept, fitted=fitted)
        theirs = score_of(champion=fitted_of(bundle))
        foretold = bundle if _later(split, served).sum() < least else served
        told = theirs if foretold is bundle else score_of(champion=fitted_of(foretold))
    except (KeyError, ValueError) as error:
        return {**found, "not_compared": say("cannot_score", error=error)}
    since = _later(split, foretold)
    found[BACKTEST] = backtest(foretold.card, rows_of(split.test, since), told[since], seed=run.seed)
    part = rows_of(split.test, unseen)
    if part.label.min() == part.label.max():
        return {**found, "not_compared": say("alike")}
    lines = compare_models(run, task.name, part, score[unseen], theirs[unseen], target=fitted.target)
    return {**found, "comparisons": [asdict(line) for line in lines]}


def _later(split: Split, champion: Bundle) -> NDArray[np.bool_]:
    """Test rows that are later than a champion's data, shape (n,)."""
    return np.asarray((split.test.as_of >= champion.card.trained_through).to_numpy(dtype=bool))


def _champion(run: TrainingRun, model: str) -> list[Bundle]:
    """The champion as it serves, and as it was judged: fitted without the rows that judged it, it has seen fewer."""
    version = read_aliases(run.workspace.bundles, model).get(CHAMPION)
    if version is None:
        return []
    stores = dict.fromkeys((run.workspace.bundles, judged_store(run.workspace, model, version)))
    try:
        return [read_bundle(store, model, version) for store in stores]
    except (BundleError, NotFoundError):
        return []  # a champion that cannot be loaded serves nobody


def _calibration(fitted: Fitted, part: Dataset, score: FloatArray) -> dict[str, Any]:
    cluster = part.customer_id
    found: dict[str, Any] = {"mean_ratio": _line(mean_ratio(part.label, score, cluster))}
    if fitted.target == "probability":
        error, chance = error_beyond_chance(part.label, score, cluster)
        found |= {"slope": _line(slope(part.label, score, cluster)), "ece": error, "ece_by_chance": chance}
    return found


def _groups(run: TrainingRun, part: Dataset, score: FloatArray, *, amount: bool) -> dict[str, Any]:
    spread = Spread.of(part.label, score, part.customer_id, amount=amount)
    section = run.workspace.config.promotion
    features = segment_features(run.workspace.config, part.frame)
    lines = []
    for feature in features:
        for group in groups_of(part, feature, least=section.min_rows):
            rows = group.rows
            figure = spread.mean_ratio(part.label[rows], score[rows], part.customer_id[rows])
            lines.append({"feature": feature, "group": group.name, "rows": len(group), "mean_ratio": _line(figure)})
    fair = tuple(name for name in section.fairness if name in part.frame.columns) or features
    return {"segments": lines, "fairness": fairness_report(part, score, fair, spread, least=section.min_rows)}


def _line(figure: Figure | None) -> list[float] | None:
    if figure is None or not np.isfinite([figure.value, figure.low, figure.high]).all():
        return None
    return [figure.value, figure.low, figure.high]


def figure_of(line: Any) -> Figure | None:
    """A figure as the card keeps it; None where there is none."""
    if not isinstance(line, (list, tuple)) or len(line) != 3:
        return None
    value, low, high = (float(part) for part in line)
    return Figure(value=value, low=low, high=high)


def gate_figures(extras: Mapping[str, Any]) -> Mapping[str, Any] | None:
    """What a card keeps for the gate; None for one that was made before there was any."""
    found = extras.get(GATE)
    return found if isinstance(found, Mapping) else None
