"""Metrics against scikit-learn, SciPy and statsmodels, and the law of weights."""

import numpy as np
import pytest
import statsmodels.api as sm  # type: ignore[import-untyped]
from scipy.stats import spearmanr
from sklearn import metrics as sk  # type: ignore[import-untyped]

from foretouch.training import metrics as m
from foretouch.training.task import FloatArray


def _scored(n: int = 600, *, ties: bool = True) -> tuple[FloatArray, FloatArray]:
    rng = np.random.default_rng(5)
    score = rng.uniform(0.02, 0.98, n)
    if ties:
        score = np.round(score, 1).clip(0.05, 0.95)
    label = (rng.uniform(size=n) < score).astype(float)
    return label, score


@pytest.mark.parametrize("ties", [True, False])
def test_probability_metrics_equal_scikit_learn(ties: bool) -> None:
    label, score = _scored(ties=ties)
    assert m.AUC(label, score) == pytest.approx(sk.roc_auc_score(label, score), rel=1e-12)
    assert m.AVERAGE_PRECISION(label, score) == pytest.approx(sk.average_precision_score(label, score), rel=1e-12)
    assert m.LOG_LOSS(label, score) == pytest.approx(sk.log_loss(label, score), rel=1e-12)
    assert m.BRIER(label, score) == pytest.approx(sk.brier_score_loss(label, score), rel=1e-12)


def test_amount_metrics_equal_their_libraries() -> None:
    rng = np.random.default_rng(6)
    label = np.where(rng.uniform(size=400) < 0.3, 0.0, rng.gamma(2.0, 50.0, 400))
    score = np.round(label * rng.uniform(0.5, 1.5, 400) + rng.uniform(0, 20, 400))
    assert m.MAE(label, score) == pytest.approx(sk.mean_absolute_error(label, score))
    assert m.RMSE(label, score) == pytest.approx(sk.root_mean_squared_error(label, score))
    assert m.SPEARMAN(label, score) == pytest.approx(spearmanr(label, score).statistic)
    assert m.GINI(label, label) == pytest.approx(1.0)
    assert abs(m.GINI(label, np.zeros(400))) < 1e-12
    binary = (label > 100).astype(float)
    assert m.GINI(binary, score) == pytest.approx(2 * sk.roc_auc_score(binary, score) - 1)


@pytest.mark.parametrize("metric", [*m.PROBABILITY_METRICS, *m.AMOUNT_METRICS], ids=lambda metric: metric.name)
def test_a_weight_of_k_is_k_rows(metric: m.Metric) -> None:
    label, score = _scored()
    weight = np.random.default_rng(7).integers(0, 4, len(label)).astype(float)
    repeated = np.repeat(np.arange(len(label)), weight.astype(int))
    assert metric.prepare(label, score)(weight) == pytest.approx(metric(label[repeated], score[repeated]), rel=1e-9)


def test_calibration_line_equals_statsmodels() -> None:
    label, score = _scored(ties=False)
    logit = np.log(score / (1 - score))
    line = sm.GLM(label, np.column_stack([logit, np.ones_like(logit)]), family=sm.families.Binomial()).fit()
    assert m.calibration_line(label, score) == pytest.approx(tuple(line.params), rel=1e-6)
    level = sm.GLM(label, np.ones((len(label), 1)), family=sm.families.Binomial(), offset=logit).fit()
    assert m.calibration_in_the_large(label, score) == pytest.approx(float(level.params[0]), rel=1e-6, abs=1e-9)


def test_calibration_error_by_hand() -> None:
    label, score = np.array([0.0, 1.0, 1.0, 1.0]), np.array([0.1, 0.1, 0.8, 1.0])
    by_width = 0.5 * abs(0.1 - 0.5) + 0.25 * abs(0.8 - 1.0) + 0.25 * 0.0
    assert m.expected_calibration_error(label, score, width="equal_width") == pytest.approx(by_width)
    assert m.expected_calibration_error(label, score, bins=2) == pytest.approx(0.5 * 0.4 + 0.5 * 0.1)


def test_gain_ends_at_everything_and_top_decile_is_the_top() -> None:
    label, score = _scored()
    share, gain = m.gain_curve(label, score)
    assert (share[0], gain[0], share[-1], gain[-1]) == (0.0, 0.0, 1.0, pytest.approx(1.0))
    assert m.decile_lift(label, score)[0] == pytest.approx(
        label[np.argsort(-score, kind="stable")[:60]].mean() / label.mean()
    )
