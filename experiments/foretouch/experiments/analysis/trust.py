"""Trust checks that need columns: the split within segments, bots, when units entered, when messages arrived."""

from collections.abc import Mapping
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from foretouch.experiments.analysis import special
from foretouch.experiments.analysis.aggregates import Codes
from foretouch.experiments.analysis.checks import ALARM
from foretouch.experiments.analysis.multiplicity import holm
from foretouch.experiments.analysis.refusals import Refused
from foretouch.experiments.analysis.sequential import sequential_split_p
from foretouch.experiments.analysis.source import NUMERIC, Source
from foretouch.experiments.analysis.table import Units
from foretouch.experiments.report import numbers
from foretouch.experiments.report.texts import Phrase, say
from foretouch.experiments.results import Check, SegmentSplit

if TYPE_CHECKING:
    import pandas as pd

MANY_BOTS = 0.05
"""Share of bots from which a light turns amber even if the arms have equally many."""
LONG_DELAY = 1.0
"""Hours by which arms may differ in the mean time to delivery before the light turns amber."""
LEAST_EXPECTED = 5.0


def contingency_p(rows: Codes, columns: Codes) -> float:
    """Pearson's chi-square p of independence; 1 where a table has fewer than two rows or columns with units.

    Args:
        rows: Codes from 0, shape (n,).
        columns: The same of the other classification.
    """
    if len(rows) == 0:
        return 1.0
    table = np.zeros((int(rows.max()) + 1, int(columns.max()) + 1))
    np.add.at(table, (rows, columns), 1.0)
    table = table[table.sum(axis=1) > 0][:, table.sum(axis=0) > 0]
    if min(table.shape) < 2:
        return 1.0
    expected = np.outer(table.sum(axis=1), table.sum(axis=0)) / table.sum()
    df = (table.shape[0] - 1) * (table.shape[1] - 1)
    return float(special.chdtrc(df, float(((table - expected) ** 2 / expected).sum())))


def segment_splits(source: Source, *, running: bool) -> tuple[SegmentSplit, ...]:
    """The split within every value of every segment, with Holm's correction over all of them.

    Values too small for chi-square (fewer than five expected in an arm) are left out.
    """
    spec = source.spec
    arms = [index for index, arm in enumerate(source.arms) if spec.weights[arm] > 0.0]
    weights = np.array([spec.weights[source.arms[index]] for index in arms])
    weights /= weights.sum()
    found, judged = [], []
    for segment in spec.segments:
        try:
            levels, table = source.values_of(segment), source.sizes_by(segment)
        except Refused:
            continue
        for level, value in enumerate(levels):
            observed = table[level, arms]
            expected = observed.sum() * weights
            if len(arms) < 2 or expected.min() < LEAST_EXPECTED:
                continue
            statistic = float(((observed - expected) ** 2 / expected).sum())
            p = float(special.chdtrc(len(arms) - 1, statistic))
            names = [source.arms[index] for index in arms]
            counts = [int(item) for item in observed]
            judged.append(sequential_split_p(counts, [float(item) for item in weights]) if running else p)
            found.append(
                {
                    "segment": segment,
                    "value": value,
                    "observed": dict(zip(names, counts, strict=True)),
                    "expected": dict(zip(names, expected.tolist(), strict=True)),
                    "statistic": statistic,
                    "df": len(arms) - 1,
                    "p": p,
                }
            )
    adjusted = holm(judged)
    return tuple(
        SegmentSplit.model_validate({**item, "p_adjusted": p, "ok": p >= ALARM})
        for item, p in zip(found, adjusted, strict=True)
    )


def segment_light(splits: tuple[SegmentSplit, ...]) -> tuple[Check, ...]:
    """One light for the split within segments, with what its pattern says about the cause."""
    if not splits:
        return ()
    bad = [split for split in splits if not split.ok]
    if not bad:
        return (Check(code="split_segments_ok", light="green", **say("split_segments_ok", count=len(splits))),)
    named = ", ".join(f"{split.segment} = {split.value}" for split in bad[:5])
    code = "split_segments_all" if len(bad) > len(splits) / 2 else "split_segments_some"
    return (Check(code=code, light="amber", **say(code, where=named, count=len(bad), of=len(splits))),)


def column_lights(units: Units, titles: Mapping[str, Phrase]) -> tuple[Check, ...]:
    """Lights for bots, for when units entered, and for delivery, where the spec names their columns."""
    return (*_bots(units, titles), *_entry(units), *_delivery(units, titles))


def _bots(units: Units, titles: Mapping[str, Phrase]) -> tuple[Check, ...]:
    name = units.spec.trust.bot
    if name is None or len(units.rows) == 0:
        return ()
    try:
        flags = units.column(name) > 0.0
    except Refused as reason:
        return (_missing(reason, name),)
    shares = _shares(flags, units)
    uneven = contingency_p(flags.astype(np.int64), units.codes) < ALARM
    code = "bots_uneven" if uneven else "bots_many" if flags.mean() > MANY_BOTS else "bots_ok"
    share = numbers.percents([float(flags.mean())], sign=False)[0]
    light = "green" if code == "bots_ok" else "amber"
    said = say(code, share=share, by_arm=told_by_arm(shares, titles))
    return (Check.model_validate({"code": code, "light": light, **said}),)


def _entry(units: Units) -> tuple[Check, ...]:
    """Did all arms fill at the same pace? If not, a change over time looks like an effect."""
    times = _times(units, units.spec.time)
    if times is None:
        return ()
    days, _ = (times.dt.floor("D") if times.dtype.kind == "M" else times).factorize(sort=True)
    bad = contingency_p(_pooled(days.astype(np.int64), units.codes), units.codes) < ALARM
    code = "entry_uneven" if bad else "entry_ok"
    return (Check(code=code, light="amber" if bad else "green", **say(code)),)


def _delivery(units: Units, titles: Mapping[str, Phrase]) -> tuple[Check, ...]:
    name = units.spec.trust.delivered_at
    if name is None or len(units.rows) == 0:
        return ()
    if name not in units.rows.columns:
        return (_missing(Refused("missing_column", value=name), name),)
    sent = _utc(units.rows[name])
    delivered = sent.notna().to_numpy()
    contacted = [arm for arm in range(len(units.arms)) if delivered[units.codes == arm].any()]
    among = np.isin(units.codes, contacted)
    lights = []
    shares = {units.arms[arm]: float(delivered[units.codes == arm].mean()) for arm in contacted}
    uneven = contingency_p(delivered[among].astype(np.int64), units.codes[among]) < ALARM
    code = "delivered_uneven" if uneven else "delivered_ok"
    lights.append(_light(code, uneven, by_arm=told_by_arm(shares, titles)))
    weekend = (sent.dt.dayofweek >= 5).to_numpy()
    shares = {units.arms[arm]: float(weekend[delivered & (units.codes == arm)].mean()) for arm in contacted}
    uneven = contingency_p(weekend[delivered].astype(np.int64), units.codes[delivered]) < ALARM
    code = "weekend_uneven" if uneven else "weekend_ok"
    lights.append(_light(code, uneven, by_arm=told_by_arm(shares, titles)))
    entered = _times(units, units.spec.time)
    if entered is not None and entered.dtype.kind == "M":
        hours = (sent - entered).dt.total_seconds().to_numpy(dtype=float) / 3600.0
        means = {units.arms[arm]: float(hours[delivered & (units.codes == arm)].mean()) for arm in contacted}
        spread = max(means.values()) - min(means.values()) if means else 0.0
        code = "delay_uneven" if spread > LONG_DELAY else "delay_ok"
        told = ", ".join(f"“{titles[arm]['en']}” {value:.1f}" for arm, value in means.items())
        zh = "，".join(f"“{titles[arm]['zh']}”{value:.1f}" for arm, value in means.items())
        lights.append(_light(code, spread > LONG_DELAY, by_arm={"en": told, "zh": zh}))
    return tuple(lights)


def _times(units: Units, name: str | None) -> "pd.Series | None":
    """Entry times as UTC, or a number per unit; ``None`` without a usable column."""
    if name is None or name not in units.rows.columns or len(units.rows) == 0 or units.rows[name].isna().any():
        return None
    if units.rows[name].dtype.kind in NUMERIC:
        return units.rows[name]
    times = _utc(units.rows[name])
    return None if times.isna().any() else times


def _utc(times: "pd.Series") -> "pd.Series":
    import pandas as pd  # noqa: PLC0415 - whoever has rows has it already

    return pd.to_datetime(times, utc=True, errors="coerce")


def _pooled(days: Codes, arms: Codes) -> Codes:
    """Consecutive days together until each block expects at least five units in every arm."""
    sizes = np.bincount(days)
    smallest = float(np.bincount(arms)[np.bincount(arms) > 0].min()) / len(arms)
    block, filled = np.zeros(len(sizes), dtype=np.int64), 0.0
    number = 0
    for day, size in enumerate(sizes):
        block[day] = number
        filled += size * smallest
        if filled >= LEAST_EXPECTED:
            number, filled = number + 1, 0.0
    return block[days]


def _shares(flags: NDArray[np.bool_], units: Units) -> dict[str, float]:
    return {
        arm: float(flags[units.codes == index].mean()) for index, arm in enumerate(units.arms) if units.counts[arm] > 0
    }


def told_by_arm(shares: Mapping[str, float], titles: Mapping[str, Phrase]) -> Phrase:
    """Shares of arms in words, all with the same decimals."""
    told = dict(zip(shares, numbers.percents(list(shares.values()), sign=False), strict=True)) if shares else {}
    return {
        "en": ", ".join(f"“{titles[arm]['en']}” {text['en']}" for arm, text in told.items()),
        "zh": "，".join(f"“{titles[arm]['zh']}”{text['zh']}" for arm, text in told.items()),
    }


def _light(code: str, bad: bool, **values: object) -> Check:
    return Check(code=code, light="amber" if bad else "green", **say(code, **values))


def _missing(reason: Refused, name: str) -> Check:
    why = {"en": reason.text("en"), "zh": reason.text("zh")}
    return Check(code="check_missing", light="amber", **say("check_missing", column=name, reason=why))
