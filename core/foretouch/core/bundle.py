"""A model as serving loads it: LightGBM text, a JSON card, golden rows and a manifest of hashes. No pickle.

Layout of a bundle store::

    bundles/<model>/<version>/model.txt       LightGBM's own text (absent for a model without trees)
    bundles/<model>/<version>/members.txt     the same of its bootstrap members, one output each (absent without any)
    bundles/<model>/<version>/card.json       ModelCard
    bundles/<model>/<version>/golden.json     GoldenRows: inputs and the exact outputs
    bundles/<model>/<version>/manifest.json   SHA-256 of the others
    bundles/<model>/aliases.json              {"champion": version, "challenger": …, "previous": …}
"""

import math
import os
import shutil
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import orjson
from pydantic import Field

from foretouch.core.canonical import canonical_json, file_hash
from foretouch.core.errors import BundleError, NotFoundError
from foretouch.core.models import ModelName
from foretouch.core.schema import Contract, Time

MODEL_FILE, CARD_FILE, GOLDEN_FILE, MANIFEST_FILE = "model.txt", "card.json", "golden.json", "manifest.json"
MEMBERS_FILE = "members.txt"


class ModelInput(Contract):
    """One column of the model's input vector."""

    name: str
    view: str
    """The feature view it comes from; ``cross`` for one computed from a customer's and an offer's features."""
    kind: Literal["number", "category"] = "number"
    levels: tuple[str, ...] = ()
    """For a category: level i is encoded as float(i); an unseen or missing level as NaN."""


class Calibration(Contract):
    """Maps a raw score to a calibrated one by linear interpolation between knots, constant outside."""

    method: Literal["none", "isotonic", "platt", "scale"] = "none"
    x: tuple[float, ...] = ()
    y: tuple[float, ...] = ()

    def apply(self, raw: float) -> float:
        """The calibrated score of one raw score."""
        if self.method == "none":
            return raw
        if self.method == "platt":
            slope, intercept = self.x[0], self.y[0]
            clipped = min(max(raw, 1e-12), 1.0 - 1e-12)
            return 1.0 / (1.0 + math.exp(-(slope * math.log(clipped / (1.0 - clipped)) + intercept)))
        if self.method == "scale":
            return raw * self.y[0]
        return _interpolate(raw, self.x, self.y)


def _interpolate(at: float, x: Sequence[float], y: Sequence[float]) -> float:
    if at <= x[0]:
        return y[0]
    if at >= x[-1]:
        return y[-1]
    low, high = 0, len(x) - 1
    while high - low > 1:
        middle = (low + high) // 2
        if x[middle] <= at:
            low = middle
        else:
            high = middle
    share = (at - x[low]) / (x[high] - x[low])
    return y[low] + share * (y[high] - y[low])


class Band(Contract):
    """A named range of scores: everything from ``at_least`` up to the next band."""

    name: str
    at_least: float


class ScoreIntervals(Contract):
    """An interval around a calibrated score, by bins of that score (from calibration data)."""

    upper_edges: tuple[float, ...]
    """Right edge of each bin of the calibrated score; the last bin is open."""
    low: tuple[float, ...]
    high: tuple[float, ...]
    level: float = 0.95

    def at(self, score: float) -> tuple[float, float]:
        """The interval of a calibrated score."""
        for index, edge in enumerate(self.upper_edges):
            if score <= edge:
                return self.low[index], self.high[index]
        return self.low[-1], self.high[-1]


class ModelCard(Contract):
    """What a model is, what it was trained on, how good it is, and how to call it."""

    schema_version: Literal[1] = 1
    model: ModelName
    version: str
    target: Literal["probability", "amount", "distribution", "difference"]
    """What a score means; ``difference``: of two probabilities, as the uplift over no contact."""
    feature_service: str
    """The Feast FeatureService that training and serving both name."""
    inputs: tuple[ModelInput, ...]
    calibration: Calibration = Calibration()
    intervals: ScoreIntervals | None = None
    bands: tuple[Band, ...] = ()
    trained_through: Time
    """No row or label of the training data is later than this."""
    created_at: Time
    goal: dict[str, Any] = Field(default_factory=dict)
    metrics: dict[str, float] = Field(default_factory=dict)
    """On later data that the model did not see."""
    baselines: dict[str, dict[str, Any]] = Field(default_factory=dict)
    """By baseline: its metrics on the same rows and the paired difference with its interval."""
    data_sha256: str
    seed: int = 0
    parameters: dict[str, Any] = Field(default_factory=dict)
    extras: dict[str, Any] = Field(default_factory=dict)
    """What only this kind of model needs, e.g. the percentiles of an amount, or everyone's send-time pattern."""
    mlflow_run_id: str | None = None
    notes: tuple[str, ...] = ()

    def encode(self, values: Mapping[str, Any]) -> list[float]:
        """The model's input vector from feature values by name; what is missing is NaN.

        Training encodes frames with ``encode`` on each distinct definition, so that a model sees in service
        exactly what it was trained on.
        """
        return [encode_value(column, values.get(column.name)) for column in self.inputs]


def encode_value(column: ModelInput, value: Any) -> float:
    """One feature value as the float that the model sees; missing, unseen and non-finite are NaN."""
    if value is None:
        return math.nan
    if column.kind == "category":
        try:
            return float(column.levels.index(str(value)))
        except ValueError:
            return math.nan
    number = float(value)
    return number if math.isfinite(number) else math.nan


class GoldenRows(Contract):
    """Inputs and the exact raw and calibrated outputs; a loaded bundle must reproduce them bit for bit."""

    schema_version: Literal[1] = 1
    inputs: tuple[tuple[float | None, ...], ...]
    """Encoded vectors; null stands for NaN."""
    raw: tuple[float, ...]
    calibrated: tuple[float, ...]
    members: tuple[tuple[float, ...], ...] = ()
    """Raw outputs of the bootstrap members, one tuple per row; empty without any."""


@dataclass(frozen=True, kw_only=True)
class Bundle:
    """A bundle read from disk, hashes checked.

    ``model_text`` is empty for a model without trees, ``members_text`` for one without bootstrap members.
    """

    card: ModelCard
    model_text: str
    golden: GoldenRows
    members_text: str = ""


def write_bundle(store: Path, card: ModelCard, model_text: str, golden: GoldenRows, *, members_text: str = "") -> Path:
    """Writes a bundle whole or not at all, and returns its folder.

    Raises:
        BundleError: That version is there already.
    """
    folder = store / card.model / card.version
    if folder.exists():
        raise BundleError(f"bundle {card.model} {card.version} is there already; versions are never overwritten")
    draft = folder.with_name(f".{folder.name}.{os.getpid()}.tmp")
    shutil.rmtree(draft, ignore_errors=True)
    draft.mkdir(parents=True)
    if model_text:
        (draft / MODEL_FILE).write_text(model_text, encoding="utf-8")
    if members_text:
        (draft / MEMBERS_FILE).write_text(members_text, encoding="utf-8")
    (draft / CARD_FILE).write_bytes(canonical_json(card))
    (draft / GOLDEN_FILE).write_bytes(canonical_json(golden))
    hashes = {path.name: file_hash(path) for path in sorted(draft.iterdir())}
    (draft / MANIFEST_FILE).write_bytes(canonical_json({"schema_version": 1, "files": hashes}))
    draft.rename(folder)
    return folder


def read_bundle(store: Path, model: str, version: str) -> Bundle:
    """Reads a bundle, checking every hash before anything is parsed.

    Raises:
        NotFoundError: There is no such bundle.
        BundleError: A file is missing, unexpected or altered, or the bundle is another one's.
    """
    folder = store / model / version
    manifest = folder / MANIFEST_FILE
    if not manifest.is_file():
        raise NotFoundError(f"no bundle {model} {version}", hint=f"foretouch train {model}")
    try:
        hashes: dict[str, str] = orjson.loads(manifest.read_bytes())["files"]
    except (orjson.JSONDecodeError, KeyError, TypeError) as error:
        raise BundleError(f"bundle {model} {version}: manifest cannot be read ({error})") from error
    present = {path.name for path in folder.iterdir()} - {MANIFEST_FILE}
    if present != set(hashes):
        raise BundleError(f"bundle {model} {version}: files {sorted(present ^ set(hashes))} are missing or unexpected")
    for name, expected in hashes.items():
        if file_hash(folder / name) != expected:
            raise BundleError(f"bundle {model} {version}: {name} was altered (SHA-256 differs)")
    card = ModelCard.from_line((folder / CARD_FILE).read_bytes())
    if (card.model, card.version) != (model, version):
        raise BundleError(f"bundle {model} {version}: its card says it is {card.model} {card.version}")
    return Bundle(
        card=card,
        model_text=_text_of(folder / MODEL_FILE),
        golden=GoldenRows.from_line((folder / GOLDEN_FILE).read_bytes()),
        members_text=_text_of(folder / MEMBERS_FILE),
    )


def _text_of(path: Path) -> str:
    return path.read_text(encoding="utf-8") if path.exists() else ""


def read_aliases(store: Path, model: str) -> dict[str, str]:
    """Alias to version of one model; empty before the first training."""
    path = store / model / "aliases.json"
    if not path.is_file():
        return {}
    aliases: dict[str, str] = orjson.loads(path.read_bytes())
    return aliases


def write_aliases(store: Path, model: str, aliases: Mapping[str, str]) -> None:
    """Replaces the aliases of one model atomically; the service notices by itself."""
    path = store / model / "aliases.json"
    path.parent.mkdir(parents=True, exist_ok=True)
    draft = path.with_name(f".aliases.{os.getpid()}.tmp")
    draft.write_bytes(canonical_json(dict(aliases)))
    draft.replace(path)
