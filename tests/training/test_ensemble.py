"""Bootstrap members: joined bit for bit, apart where there is little evidence, together where there is much."""

from datetime import UTC, datetime
from pathlib import Path

import lightgbm
import numpy as np
import pytest

from foretouch.core.bundle import Calibration, ModelCard, ModelInput, read_bundle, write_bundle
from foretouch.core.errors import BundleError
from foretouch.serving.models.bundles import load_scorer
from foretouch.serving.models.ensemble import Ensemble, calibrate_members
from foretouch.serving.models.scorers import EnsembleScorer
from foretouch.training.booster import fit_booster, golden_rows, model_text
from foretouch.training.calibration import apply
from foretouch.training.ensemble import MEMBERS, fit_members, join_members, predict_members, spread, with_members
from foretouch.training.task import FloatArray

NOW = datetime(2026, 3, 10, tzinfo=UTC)
INPUTS = tuple(ModelInput(name=f"x{index}", view="v") for index in range(4))
PARAMETERS = {"objective": "binary", "num_leaves": 7, "min_data_in_leaf": 20, "learning_rate": 0.1}


def truth(matrix: FloatArray) -> FloatArray:
    """An interaction, so that the trees' structure matters too."""
    return np.asarray(1.0 / (1.0 + np.exp(2.2 - matrix[:, 0] - 0.7 * matrix[:, 1] * (matrix[:, 2] > 0.0))))


def ensemble(rows: int, *, count: int = MEMBERS, seed: int = 3) -> tuple[str, str, FloatArray, FloatArray]:
    """Champion's and members' text, and the rows they were fitted on."""
    rng = np.random.default_rng(seed)
    matrix = rng.normal(size=(rows, len(INPUTS)))
    label = (rng.random(rows) < truth(matrix)).astype(float)

    def fit(weight: FloatArray | None, own: int) -> str:
        return model_text(
            fit_booster(
                matrix, label, inputs=INPUTS, parameters=PARAMETERS, rounds=80, seed=own, threads=1, weight=weight
            )
        )

    customers = np.array([f"c{index // 2}" for index in range(rows)], dtype=object)
    return fit(None, seed), fit_members(fit, customers, seed=seed, count=count), matrix, label


def test_joined_members_are_the_single_models_bit_for_bit() -> None:
    rng = np.random.default_rng(1)
    matrix = rng.normal(size=(300, 3))
    matrix[::7, 0] = np.nan
    matrix[:, 2] = rng.integers(0, 4, 300)
    label = (rng.random(300) < 0.2).astype(float)
    texts = [
        lightgbm.train(
            {"objective": "binary", "verbosity": -1, "num_threads": 1, "num_leaves": 7, "min_gain_to_split": gain},
            lightgbm.Dataset(matrix, label, categorical_feature=[2]),
            num_boost_round=15,
        ).model_to_string()
        for gain in (0.0, 3.0, 8.0, 1e6)  # the last ones stop early
    ]
    assert len({text.count("Tree=") for text in texts}) > 2
    single = np.array([lightgbm.Booster(model_str=text).predict(matrix, num_threads=1) for text in texts])
    assert np.array_equal(predict_members(join_members(texts), matrix), single)


def test_members_come_together_as_evidence_grows_and_hold_the_truth() -> None:
    later = np.random.default_rng(8).normal(size=(500, len(INPUTS)))
    spreads, held = [], []
    for rows in (500, 2000, 8000):
        _, members, _, _ = ensemble(rows)
        scores = predict_members(members, later)
        assert scores.shape == (MEMBERS, 500)
        spreads.append(spread(scores))
        held.append(float(((scores.min(axis=0) <= truth(later)) & (truth(later) <= scores.max(axis=0))).mean()))
    assert spreads[0] > 1.4 * spreads[1] > 1.4 * 1.3 * spreads[2]
    assert min(held[1:]) > 0.75  # the range of 16 draws; 0.88 would be the figure of an exact posterior


def test_the_same_seed_gives_the_same_members_and_rows_of_a_customer_go_together() -> None:
    assert ensemble(600, count=3)[1] == ensemble(600, count=3)[1]
    weights: list[FloatArray] = []

    def collect(weight: FloatArray, _own: int) -> str:
        weights.append(weight)
        return "no model"

    customers = np.array(["a", "b", "a", "c"], dtype=object)
    with pytest.raises(ValueError, match="no trees"):
        fit_members(collect, customers, seed=1, count=2)
    assert len(weights) == 2
    assert all(weight[0] == weight[2] for weight in weights)
    assert all(weight[[0, 1, 3]].sum() == pytest.approx(3.0) for weight in weights)


def bundle(store: Path, *, calibration: Calibration) -> FloatArray:
    text, members, matrix, _ = ensemble(600, count=5)
    golden = with_members(golden_rows(text, matrix, calibration), members)
    card = ModelCard(
        model="offer",
        version="1",
        target="probability",
        feature_service="offer_v1",
        inputs=INPUTS,
        calibration=calibration,
        trained_through=NOW,
        created_at=NOW,
        data_sha256="0" * 64,
    )
    write_bundle(store, card, text, golden, members_text=members)
    return matrix


@pytest.mark.parametrize(
    "calibration",
    [
        Calibration(),
        Calibration(method="platt", x=(0.8,), y=(-0.3,)),
        Calibration(method="isotonic", x=(0.0, 0.1, 0.5), y=(0.02, 0.08, 0.7)),
    ],
)
def test_a_bundle_gives_its_members_back_calibrated(tmp_path: Path, calibration: Calibration) -> None:
    matrix = bundle(tmp_path, calibration=calibration)
    scorer = load_scorer(tmp_path, "offer", "1")
    assert isinstance(scorer, Ensemble)
    raw = scorer.members(matrix[:20])
    assert raw.shape == (5, 20)
    kept = read_bundle(tmp_path, "offer", "1")
    assert np.array_equal(raw, predict_members(kept.members_text, matrix[:20]))
    singly = np.array([apply(calibration, member) for member in raw])
    np.testing.assert_allclose(calibrate_members(scorer.card, raw), singly, rtol=1e-12)


def test_altered_members_are_refused(tmp_path: Path) -> None:
    bundle(tmp_path, calibration=Calibration())
    kept = read_bundle(tmp_path, "offer", "1")
    other = ensemble(600, count=5, seed=4)[1]
    write_bundle(tmp_path / "swapped", kept.card, kept.model_text, kept.golden, members_text=other)
    with pytest.raises(BundleError, match="members do not reproduce"):
        load_scorer(tmp_path / "swapped", "offer", "1")
    (tmp_path / "offer" / "1" / "members.txt").write_text(other, encoding="utf-8")
    with pytest.raises(BundleError, match=r"members\.txt was altered"):
        load_scorer(tmp_path, "offer", "1")
    with pytest.raises(BundleError, match="cannot be read"):
        EnsembleScorer(kept.card, kept.model_text, "tree\nnonsense")
