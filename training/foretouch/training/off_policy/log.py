"""A log and a policy as the off-policy estimators need them, from tables of DESIGN's shape.

The log has ``action`` (whole number), ``reward``, ``pscore`` and, where several slots are filled at once,
``position``. The policy stands beside it, as ``pi_<a>`` (and ``qhat_<a>``) in every row, or in a table with one row per
action: ``action``, ``pi`` or ``pi_pos<k>`` for position k, and optionally ``qhat`` or ``qhat_pos<k>``.
What cannot be used is refused with a named reason, never replaced.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd

from foretouch.training.off_policy.drawn import Drawn
from foretouch.training.off_policy.estimators import IntArray, Rounds, cross_fitted_means, deal_folds
from foretouch.training.task import FloatArray

SUM_TOLERANCE = 1e-3
"""How far a row's probabilities may be from a sum of 1: what rounding to a few digits does."""
OWN_ROWS = "used_by_policy"
"""Optional column of the log: 1 in rows that were used to choose or fit the policy, 0 in rows that were not."""
GIVEN = "given"
_CHUNK = 1 << 16
_CODES = {"action": "action", "reward": "reward", "pscore": "propensity"}


@dataclass(frozen=True, kw_only=True)
class Reason:
    """Why an evaluation is refused.

    Attributes:
        code: Stable name, e.g. ``propensity_zero``.
        text: What is wrong, with figures, for people.
    """

    code: str
    text: str


class UnusableLog(Exception):  # noqa: N818 - a refusal with reasons, not a failure
    """The inputs do not allow a number."""

    def __init__(self, *reasons: Reason) -> None:
        super().__init__("; ".join(reason.text for reason in reasons))
        self.reasons = reasons


@dataclass(frozen=True, kw_only=True)
class PerAction:
    """A number for every row and action, kept once for all rows that share it.

    Attributes:
        table: Distinct rows, shape (m, actions).
        row: Which of them each row of the log has, shape (n,).
    """

    table: FloatArray
    row: IntArray

    def at(self, action: IntArray) -> FloatArray:
        """The number of one action per row, shape (n,)."""
        return np.asarray(self.table[self.row, action])

    def total(self, power: int = 1) -> FloatArray:
        """Sum over rows of the number to a power, by action, shape (actions,)."""
        return np.asarray(np.bincount(self.row, minlength=len(self.table)) @ self.table**power)

    def sums(self, power: int = 1) -> FloatArray:
        """Sum over actions of the number to a power, by row, shape (n,)."""
        return np.asarray((self.table**power).sum(axis=1)[self.row])

    def largest(self) -> FloatArray:
        """The largest number of any action, by row, shape (n,)."""
        return np.asarray(self.table.max(axis=1)[self.row])

    def dot(self, other: "PerAction", *, power: int = 1) -> FloatArray:
        """Sum over actions of this number times the other's power, by row, shape (n,)."""
        result = np.empty(len(self.row))
        for start in range(0, len(self.row), _CHUNK):
            part = slice(start, start + _CHUNK)
            result[part] = (self.table[self.row[part]] * other.table[other.row[part]] ** power).sum(axis=1)
        return result


@dataclass(frozen=True, kw_only=True)
class PolicyLog:
    """A checked log with the policy to be valued.

    Attributes:
        actions: Names of the actions, in the order of every table.
        action: Index of the logged action, shape (n,).
        reward: Shape (n,).
        pscore: Probability with which the logged action was chosen, shape (n,).
        pi: The policy.
        qhat: The reward model.
        reward_model: ``given``, or how it was made.
        declared_own: Rows that the log itself marks as used to make the policy.
        declared_unseen: Whether the log says of every row that the policy has not seen it.
        drawn: The logging policy's whole distribution; None where only the probability of what was chosen is known.
    """

    actions: tuple[int | str, ...]
    action: IntArray
    reward: FloatArray
    pscore: FloatArray
    pi: PerAction
    qhat: PerAction
    reward_model: str
    declared_own: int
    declared_unseen: bool = False
    drawn: Drawn | None = None

    def rounds(self) -> Rounds:
        """What the estimators see."""
        return Rounds(
            reward=self.reward,
            weight=self.pi.at(self.action) / self.pscore,
            direct=self.pi.dot(self.qhat),
            predicted=self.qhat.at(self.action),
        )


def make_log(log: pd.DataFrame, policy: pd.DataFrame | None = None) -> PolicyLog:
    """Checks a log and its policy.

    Args:
        log: One row per logged action; see the module.
        policy: One row per action; without it the policy stands in the log.

    Raises:
        UnusableLog: With every reason that was found.
    """
    missing = [name for name in ("action", "reward", "pscore") if name not in log.columns]
    if missing:
        raise UnusableLog(*(Reason(code=f"{_CODES[name]}_missing", text=f"no column {name}") for name in missing))
    reasons: list[Reason] = []
    reward = _column(log, "reward", "reward", reasons)
    pscore = _propensities(log, reasons)
    action = _whole(log, "action", reasons)
    position = _whole(log, "position", reasons) if "position" in log.columns else None
    if reasons:
        raise UnusableLog(*reasons)
    actions, pi, qhat = (
        _from_rows(log, reasons) if policy is None else _from_table(policy, log, position, len(log), reasons)
    )
    if reasons or pi is None:
        raise UnusableLog(*reasons)
    index = pd.Index(actions).get_indexer(pd.Index(action)).astype(np.int64)
    if (index < 0).any():
        odd = sorted({int(name) for name in action[index < 0]})
        raise UnusableLog(Reason(code="action_unknown", text=f"the policy has no action {odd[:5]} of the log"))
    _check_distribution(pi, reasons)
    made = GIVEN
    if qhat is None:
        qhat, made = _own_model(reward, index, position, len(actions))
    elif not np.isfinite(qhat.table).all():
        reasons.append(Reason(code="reward_model_not_finite", text="qhat holds missing or infinite values"))
    if reasons:
        raise UnusableLog(*reasons)
    own, unseen = _declared(log)
    return PolicyLog(
        actions=actions,
        action=index,
        reward=reward,
        pscore=pscore,
        pi=pi,
        qhat=qhat,
        reward_model=made,
        declared_own=own,
        declared_unseen=unseen,
    )


def _declared(log: pd.DataFrame) -> tuple[int, bool]:
    """How many rows are marked as seen by the policy, and whether every row is marked as not seen."""
    if OWN_ROWS not in log.columns:
        return 0, False
    marks = pd.to_numeric(log[OWN_ROWS], errors="coerce")
    return int((marks.fillna(0) != 0).sum()), bool((marks == 0).all())


def _column(frame: pd.DataFrame, name: str, code: str, reasons: list[Reason]) -> FloatArray:
    values = pd.to_numeric(frame[name], errors="coerce").to_numpy(dtype=np.float64, na_value=np.nan)
    bad = int((~np.isfinite(values)).sum())
    if bad:
        reasons.append(Reason(code=f"{code}_not_finite", text=f"{bad} of {len(values)} values of {name} are missing"))
    return values


def _propensities(log: pd.DataFrame, reasons: list[Reason]) -> FloatArray:
    raw = pd.to_numeric(log["pscore"], errors="coerce").to_numpy(dtype=np.float64, na_value=np.nan)
    checks = {
        "propensity_missing": (~np.isfinite(raw), "are missing"),
        "propensity_zero": (raw == 0.0, "are 0, so what was logged could not have happened"),
        "propensity_negative": (raw < 0.0, "are negative"),
        "propensity_above_one": (raw > 1.0 + 1e-9, "are above 1"),
    }
    for code, (wrong, text) in checks.items():
        if wrong.any():
            reasons.append(Reason(code=code, text=f"{int(wrong.sum())} of {len(raw)} propensities {text}"))
    return raw


def _whole(log: pd.DataFrame, name: str, reasons: list[Reason]) -> IntArray:
    values = _column(log, name, name, reasons)
    safe = np.where(np.isfinite(values), values, 0.0)
    if (safe != np.round(safe)).any():
        reasons.append(Reason(code=f"{name}_not_whole", text=f"{name} must hold whole numbers"))
    return np.round(safe).astype(np.int64)


def _numbered(frame: pd.DataFrame, prefix: str) -> dict[int, str]:
    found = {
        int(str(name)[len(prefix) :]): str(name) for name in frame.columns if re.fullmatch(f"{prefix}\\d+", str(name))
    }
    return dict(sorted(found.items()))


def _matrix(frame: pd.DataFrame, names: Sequence[str]) -> FloatArray:
    return np.column_stack(
        [pd.to_numeric(frame[name], errors="coerce").to_numpy(dtype=np.float64, na_value=np.nan) for name in names]
    )


Parsed = tuple[tuple[int, ...], PerAction | None, PerAction | None]


def _from_rows(log: pd.DataFrame, reasons: list[Reason]) -> Parsed:
    columns = _numbered(log, "pi_")
    if not columns:
        reasons.append(Reason(code="policy_missing", text="no columns pi_<action> in the log and no policy table"))
        return (), None, None
    everyone = np.arange(len(log))
    pi = PerAction(table=_matrix(log, list(columns.values())), row=everyone)
    return tuple(columns), pi, _row_model(log, tuple(columns), reasons)


def _row_model(log: pd.DataFrame, actions: tuple[int, ...], reasons: list[Reason]) -> PerAction | None:
    columns = _numbered(log, "qhat_")
    if not columns:
        return None
    absent = [name for name in actions if name not in columns]
    if absent:
        reasons.append(
            Reason(code="reward_model_incomplete", text=f"no column qhat_{absent[0]}, as there is for others")
        )
        return None
    return PerAction(table=_matrix(log, [columns[name] for name in actions]), row=np.arange(len(log)))


def _from_table(
    policy: pd.DataFrame, log: pd.DataFrame, position: IntArray | None, n: int, reasons: list[Reason]
) -> Parsed:
    if "action" not in policy.columns:
        reasons.append(Reason(code="policy_missing", text="the policy table has no column action"))
        return (), None, None
    names = _whole(policy, "action", reasons)
    if len(set(names.tolist())) != len(names):
        reasons.append(Reason(code="policy_action_repeated", text="an action comes twice in the policy table"))
    ordered = policy.iloc[np.argsort(names, kind="stable")]
    actions = tuple(sorted(int(name) for name in names))
    pi = _by_position(ordered, "pi", position, n, reasons)
    if pi is None and not reasons:
        reasons.append(Reason(code="policy_missing", text="the policy table has neither pi nor pi_pos<k>"))
    qhat = _row_model(log, actions, reasons) or _by_position(ordered, "qhat", position, n, reasons)
    return actions, pi, qhat


def _by_position(
    policy: pd.DataFrame, name: str, position: IntArray | None, n: int, reasons: list[Reason]
) -> PerAction | None:
    """``pi`` for every row alike, or ``pi_pos<k>`` for the rows at position k."""
    columns = _numbered(policy, f"{name}_pos")
    if not columns:
        if name not in policy.columns:
            return None
        return PerAction(table=_matrix(policy, [name]).T, row=np.zeros(n, dtype=np.int64))
    if position is None:
        reasons.append(Reason(code="position_missing", text=f"the policy has {name}_pos<k> but the log no position"))
        return None
    row = pd.Index(list(columns)).get_indexer(pd.Index(position)).astype(np.int64)
    if (row < 0).any():
        odd = int(position[row < 0][0])
        reasons.append(
            Reason(code="position_unknown", text=f"the log has position {odd} but the policy no {name}_pos{odd}")
        )
        return None
    return PerAction(table=_matrix(policy, list(columns.values())).T, row=row)


def _check_distribution(pi: PerAction, reasons: list[Reason]) -> None:
    if not np.isfinite(pi.table).all():
        reasons.append(Reason(code="policy_not_finite", text="the policy holds missing or infinite probabilities"))
        return
    if (pi.table < 0.0).any():
        reasons.append(Reason(code="policy_negative", text=f"the policy has a probability of {pi.table.min():g}"))
    sums = pi.table.sum(axis=1)
    off = np.abs(sums - 1.0) > SUM_TOLERANCE
    if off.any():
        reasons.append(
            Reason(
                code="policy_not_a_distribution",
                text=f"probabilities of the policy sum to {sums[off][0]:.4g} where they must sum to 1",
            )
        )


def _own_model(reward: FloatArray, action: IntArray, position: IntArray | None, actions: int) -> tuple[PerAction, str]:
    """Cross-fitted means per action, or per action and position."""
    fold = deal_folds(len(reward))
    if position is None:
        table = cross_fitted_means(reward, action, actions, fold)
        return PerAction(table=table, row=fold), "cross-fitted mean per action"
    places, place = np.unique(position, return_inverse=True)
    means = cross_fitted_means(reward, place * actions + action, len(places) * actions, fold)
    table = means.reshape(-1, actions)
    return PerAction(table=table, row=fold * len(places) + place), "cross-fitted mean per action and position"
