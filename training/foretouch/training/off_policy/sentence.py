"""One sentence about a valuation for marketers, in English and Chinese, from a table: never a free text."""

from collections.abc import Mapping
from typing import Final, Literal

Tongue = Literal["en", "zh"]

WINS: Final[Mapping[Tongue, str]] = {
    "en": 'With "{name}" we would have earned more: between {low} and {high} {unit} per 1,000 decisions more than the'
    " {base} of today (we are 95 % sure).",
    "zh": "采用“{name}”本可带来更多收益：每 1,000 次决策比现在的 {base} {unit}多 {low} 至 {high} {unit}（95% 置信）。",
}
LOSES: Final[Mapping[Tongue, str]] = {
    "en": 'With "{name}" we would have earned less: between {high} and {low} {unit} per 1,000 decisions less than the'
    " {base} of today (we are 95 % sure).",
    "zh": "采用“{name}”本会减少收益：每 1,000 次决策比现在的 {base} {unit}少 {high} 至 {low} {unit}（95% 置信）。",
}
UNCLEAR: Final[Mapping[Tongue, str]] = {
    "en": 'We cannot tell yet whether "{name}" earns more: per 1,000 decisions the difference is likely between {low}'
    " and {high} {unit}; today it is {base}.",
    "zh": "目前还无法判断“{name}”是否更好：每 1,000 次决策的差异可能在 {low} 至 {high} {unit}之间；"
    "目前为 {base} {unit}。",
}
SAME: Final[Mapping[Tongue, str]] = {
    "en": '"{name}" decides just as the log did: nothing would have been different from the {base} {unit} per 1,000'
    " decisions of today.",
    "zh": "“{name}”的决策与记录完全相同：与目前每 1,000 次决策的 {base} {unit}没有差异。",
}
REFUSED: Final[Mapping[Tongue, str]] = {
    "en": 'What we logged cannot say what "{name}" would have earned: {why}.',
    "zh": "现有记录无法说明“{name}”本可带来多少收益：{why}。",
}
UNITS: Final[Mapping[str, Mapping[Tongue, str]]] = {
    "goal": {"en": "customers who do what we hope for", "zh": "名达成目标的客户"},
    "revenue": {"en": "units of currency", "zh": "货币单位"},
}
WHY: Final[Mapping[str, Mapping[Tongue, str]]] = {
    "ess_below_200": {"en": "too few decisions resemble what it would do", "zh": "与其做法相近的决策太少"},
    "ess_below_1_percent": {"en": "too few decisions resemble what it would do", "zh": "与其做法相近的决策太少"},
    "no_support": {"en": "it would do things that were never tried", "zh": "它会采取从未尝试过的做法"},
    "reward_constant": {"en": "nothing has happened yet that differs", "zh": "目前的结果没有任何差别"},
    "policy_chosen_on_these_rows": {"en": "it was chosen on these very results", "zh": "它正是根据这些结果选出来的"},
    "reward_model_fitted_on_these_rows": {
        "en": "it was chosen on these very results",
        "zh": "它正是根据这些结果选出来的",
    },
    "propensities_inconsistent": {"en": "the logged chances do not add up", "zh": "记录的选择概率前后不一致"},
    "dr_and_snips_disagree": {"en": "two ways to work it out disagree", "zh": "两种算法的结果不一致"},
}
OTHER: Final[Mapping[Tongue, str]] = {"en": "the log cannot be used", "zh": "记录无法使用"}


def sentences(
    *, name: str, refused: bool, codes: tuple[str, ...], low: float, high: float, base: float, kind: str
) -> dict[Tongue, str]:
    """The sentence in both languages.

    Args:
        name: Of the policy.
        refused: Whether the log cannot carry a verdict.
        codes: Of the reasons; the first is told.
        low: Lower end of the difference per decision.
        high: Upper end of it.
        base: What the log earned per decision.
        kind: ``goal`` or ``revenue``.
    """
    table = REFUSED if refused else WINS if low > 0.0 else LOSES if high < 0.0 else UNCLEAR
    if table is UNCLEAR and low == high == 0.0:  # exact where every probability is the logged one
        table = SAME
    amounts = {"low": low, "high": high, "base": base}
    if table is LOSES:
        amounts |= {"low": -low, "high": -high}
    told = {key: _amount(value) for key, value in amounts.items()}
    return {
        tongue: text.format(
            name=name, unit=UNITS[kind][tongue], why=WHY.get(codes[0], OTHER)[tongue] if codes else "", **told
        )
        for tongue, text in table.items()
    }


def _amount(per_decision: float) -> str:
    value = 1000.0 * per_decision
    return f"{value:,.0f}" if abs(value) >= 100.0 else f"{value:.1f}"
