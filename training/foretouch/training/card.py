"""From a fitted and judged model to its card, and the card as a page for people."""

from collections.abc import Mapping
from dataclasses import asdict
from datetime import datetime
from typing import Any

from foretouch.core.bundle import ModelCard
from foretouch.core.models import ModelName
from foretouch.training.gate.backtest import BACKTEST, backtest_page
from foretouch.training.log.skew_card import skew_page
from foretouch.training.task import Comparison, Evaluation, Fitted, Split


def make_card(
    *,
    model: ModelName,
    version: str,
    feature_service: str,
    goal: Mapping[str, Any],
    split: Split,
    fitted: Fitted,
    evaluation: Evaluation,
    seed: int,
    created_at: datetime,
    run_id: str | None,
) -> ModelCard:
    """Everything the bundle says about a model."""
    baselines: dict[str, dict[str, Any]] = {
        name: {"metrics": dict(figures), "comparisons": []} for name, figures in evaluation.baselines.items()
    }
    for comparison in evaluation.comparisons:
        entry = baselines.setdefault(comparison.baseline, {"metrics": {}, "comparisons": []})
        entry["comparisons"].append({**asdict(comparison), "wins": comparison.wins})
    return ModelCard(
        model=model,
        version=version,
        target=fitted.target,
        feature_service=feature_service,
        inputs=fitted.inputs,
        calibration=fitted.calibration,
        intervals=fitted.intervals,
        bands=fitted.bands,
        trained_through=split.trained_through,
        created_at=created_at,
        goal=dict(goal),
        metrics=dict(evaluation.metrics),
        baselines=baselines,
        data_sha256=fitted.data_sha256,
        seed=seed,
        parameters=dict(fitted.parameters),
        extras={
            **fitted.extras,
            **evaluation.extras,
            "primary_metric": evaluation.primary,
            "split": dict(split.description),
        },
        mlflow_run_id=run_id,
        notes=(*fitted.notes, *evaluation.notes),
    )


def comparisons_of(card: ModelCard) -> list[Comparison]:
    """The paired differences on a card."""
    return [
        Comparison(**{key: value for key, value in line.items() if key != "wins"})
        for entry in card.baselines.values()
        for line in entry.get("comparisons", ())
    ]


def card_page(card: ModelCard) -> str:
    """The card in Markdown."""
    lines = [
        f"# {card.model} {card.version}",
        "",
        f"Target: {card.target}. Feature service: `{card.feature_service}`.",
        f"Trained through {card.trained_through.isoformat()}; made {card.created_at.isoformat()}.",
        "",
        *(f"- {key}: {value}" for key, value in card.goal.items()),
        "",
        "## Beside the baselines, on later data",
        "",
        "| baseline | metric | model | baseline's | difference | 95 % interval | wins |",
        "|---|---|---|---|---|---|---|",
        *(
            f"| {item.baseline} | {item.metric} | {item.model:.4f} | {item.reference:.4f} | {item.difference:+.4f}"
            f" | {item.low:+.4f} … {item.high:+.4f} | {'yes' if item.wins else 'no'} |"
            for item in comparisons_of(card)
        ),
        "",
        "Intervals: paired bootstrap, whole customers drawn unless a row says otherwise.",
        "",
        "## Figures on later data",
        "",
        "| metric | value |",
        "|---|---|",
        *(f"| {name} | {value:.5g} |" for name, value in card.metrics.items()),
        "",
        "## Parts of the data",
        "",
        *(f"- {key}: {value}" for key, value in card.extras.get("split", {}).items() if key != "log_kinds"),
        f"- data SHA-256: `{card.data_sha256}`; seed {card.seed}; MLflow run `{card.mlflow_run_id}`",
        *_log_kinds(card),
        *skew_page(card),
        *backtest_page(card.extras.get("gate", {}).get(BACKTEST)),
        "",
        "## Parameters",
        "",
        *(f"- {key}: {value}" for key, value in card.parameters.items()),
        "",
        f"Calibration: {card.calibration.method}.",
        f"Bands: {', '.join(f'{band.name} from {band.at_least:.4g}' for band in card.bands) or 'none'}.",
        "",
        f"## Inputs ({len(card.inputs)})",
        "",
        ", ".join(f"`{column.name}`" for column in card.inputs),
    ]
    if card.notes:
        lines += ["", "## Notes", "", *(f"- {note}" for note in card.notes)]
    return "\n".join(lines) + "\n"


def _log_kinds(card: ModelCard) -> list[str]:
    """Every kind of row of the log with what the model did with it; nothing where it did not look there."""
    kinds: Mapping[str, Mapping[str, Any]] = card.extras.get("split", {}).get("log_kinds", {})
    if not kinds:
        return []
    return [
        "",
        "## Rows of the log",
        "",
        "| kind | rows | use | why |",
        "|---|---|---|---|",
        *(f"| {kind} | {line['rows']} | {line['use']} | {line['why']} |" for kind, line in kinds.items()),
    ]
