"""What was found of a model's health, in English and Chinese."""

from collections.abc import Mapping

from foretouch.core.config import Config
from foretouch.serving.words.features import feature_text
from foretouch.training.drift.check import Alarm, Health
from foretouch.training.drift.evidence import CONTACT_MODELS

LEVELS: Mapping[str, Mapping[str, str]] = {
    "ok": {"en": "healthy", "zh": "正常"},
    "watch": {"en": "watch", "zh": "留意"},
    "alarm": {"en": "alarm", "zh": "警报"},
}
NOTES: Mapping[str, Mapping[str, str]] = {
    "nothing_to_compare": {
        "en": "There are no rows to compare: no snapshot of the model's time is kept, or nobody is in its scope now.",
        "zh": "没有可比较的数据：模型训练时期的快照已不存在，或目前没有客户在其适用范围内。",
    },
    "nothing_matured": {
        "en": "Whether its predictions come true is not known yet: no outcome window has closed since it was made.",
        "zh": "尚不知道预测是否应验：模型生成以来还没有结果窗口到期。",
    },
    "no_contacts": {
        "en": "There is nothing to compare: no contact since the model's data is known to its end, or none of before is"
        " kept.",
        "zh": "没有可比较的数据：模型数据之后还没有已到期的触达，或之前的触达已不存在。",
    },
    "no_contacts_matured": {
        "en": "Whether its predictions come true is not known yet: no contact since its data has closed.",
        "zh": "尚不知道预测是否应验：模型数据之后的触达还没有到期。",
    },
    "too_few_to_compare": {
        "en": "Too few customers on one side to tell a movement from chance (drift.min_customers).",
        "zh": "一侧客户太少，无法区分真实变化与偶然波动（drift.min_customers）。",
    },
    "still_filling": {
        "en": "The data are young: inputs that look back further than they reached grow with them, are watched and"
        " raise no alarm.",
        "zh": "数据历史较短：回看期超过数据长度的特征会随数据增长，仅作观察，不触发警报。",
    },
    "too_few_matured": {
        "en": "Too few outcomes are known for an alarm about its predictions.",
        "zh": "已知结果太少，不足以就预测发出警报。",
    },
}
WORDS: Mapping[str, Mapping[str, str]] = {
    "title": {"en": "Model health", "zh": "模型健康状况"},
    "as_of": {"en": "As of", "zh": "截至"},
    "trained_through": {"en": "learnt from data through", "zh": "训练数据截至"},
    "compared": {
        "en": "{before:,} rows that it may have learnt from, {now:,} customers now",
        "zh": "对比：训练时期 {before:,} 行，当前 {now:,} 位客户",
    },
    "alarms": {"en": "Alarms", "zh": "警报"},
    "no_alarms": {"en": "No alarm.", "zh": "没有警报。"},
    "inputs": {"en": "Inputs, by how much their movement weighs", "zh": "输入特征（按变化的影响排序）"},
    "scores": {"en": "Scores, then and now", "zh": "评分分布：当时与现在"},
    "feature": {"en": "Feature", "zh": "特征"},
    "psi": {"en": "PSI", "zh": "PSI"},
    "by_chance": {"en": "by chance up to", "zh": "偶然波动上限"},
    "importance": {"en": "share of the model", "zh": "模型中的占比"},
    "missing": {"en": "missing, then → now", "zh": "缺失：当时 → 现在"},
    "most_moved": {"en": "what moved most", "zh": "变化最大处"},
    "range": {"en": "Range", "zh": "区间"},
    "then": {"en": "then", "zh": "当时"},
    "now": {"en": "now", "zh": "现在"},
    "level": {"en": "level", "zh": "状态"},
    "predictions": {"en": "Did predictions come true?", "zh": "预测应验了吗？"},
    "decay": {
        "en": "{rows:,} predictions of {customers:,} customers whose outcome is known since: foretold {predicted},"
        " happened {observed}; ratio {ratio:.2f}, 95 % interval {low:.2f} to {high:.2f}.",
        "zh": "此后结果已知的预测共 {rows:,} 条，涉及 {customers:,} 位客户：预测 {predicted}，实际 {observed}；"
        "比值 {ratio:.2f}，95% 区间 {low:.2f} 至 {high:.2f}。",
    },
    "psi_text": {
        "en": "PSI: population stability index; below {watch:g} nothing to do, from {alarm:g} an alarm, if more than"
        " chance alone would give, all inputs together.",
        "zh": "PSI：群体稳定性指数；低于 {watch:g} 无需处理，达到 {alarm:g} 且（所有特征一并检验）"
        "超出偶然波动即为警报。",
    },
    "not_checked": {"en": "Not checked", "zh": "未检查"},
    "compared_contacts": {
        "en": "{before:,} contacts that it may have learnt from, {now:,} since",
        "zh": "对比：训练时期 {before:,} 次触达，此后 {now:,} 次",
    },
    "scores_hours": {"en": "Best hour of the day, then and now", "zh": "最佳发送钟点：当时与现在"},
    "other": {"en": "other levels", "zh": "其他取值"},
    "missing_bin": {"en": "missing", "zh": "缺失"},
}
_ALARMS: Mapping[str, Mapping[str, str]] = {
    "feature": {
        "en": "{feature}: “{bin}” held {before} of {who} when the model learnt, and {now} now"
        " (PSI {figure:.2f}, bound {bound:g}).",
        "zh": "{feature}：“{bin}”的{who}占比从训练时的 {before} 变为现在的 {now}（PSI {figure:.2f}，界限 {bound:g}）。",
    },
    "missing": {
        "en": "{feature} is missing for {now} of {who}, {before} when the model learnt"
        " (bound: a change of {bound:.0%}).",
        "zh": "{feature}：缺失比例从训练时的 {before} 变为现在的 {now}（界限：变化 {bound:.0%}）。",
    },
    "score": {
        "en": "Scores have moved: “{bin}” held {before} of {who}, and {now} now (PSI {figure:.2f}, bound {bound:g}).",
        "zh": "评分发生变化：“{bin}”的{who}占比从 {before} 变为 {now}（PSI {figure:.2f}，界限 {bound:g}）。",
    },
    "calibration": {
        "en": "Predictions no longer hold: foretold {before}, happened {now}, {figure:.2f} times as much"
        " (bound {bound:.2f}).",
        "zh": "预测不再准确：预测 {before}，实际 {now}，为预测的 {figure:.2f} 倍（界限 {bound:.2f}）。",
    },
}


WHO: Mapping[bool, tuple[str, str]] = {False: ("customers", "客户"), True: ("contacts", "触达")}
"""Whose shares an alarm speaks of: of everyone as of now, or of contacts."""
_HOURS: Mapping[str, tuple[str, str]] = {
    "busiest_hour": ("local hour with most activity", "活跃度最高的当地钟点"),
    "share_on_weekends": ("share of activity on weekends", "周末活跃占比"),
    "active_hours": ("different hours of the week with activity", "一周中有活跃的钟点数"),
}
"""Numbers of a customer's week that only the send-time model's page has."""


def input_text(name: str, config: Config, language: str) -> str:
    """An input for people."""
    if name in _HOURS:
        return _HOURS[name][language == "zh"]
    return feature_text(name, config, language)


def word(code: str, language: str, **values: object) -> str:
    """A fixed text by code: ``en`` or ``zh``."""
    return WORDS[code][language].format(**values)


def bin_text(label: str, language: str) -> str:
    """A bin's label for people."""
    named = {"missing": "missing_bin", "other": "other"}
    if label in named:
        return word(named[label], language)
    if language == "zh":
        return label.replace("up to ", "至多 ").replace("over ", "超过 ").replace(" to ", " 至 ")
    return label


def alarm_text(alarm: Alarm, health: Health, config: Config, language: str) -> str:
    """An alarm as a sentence that names the feature and the change.

    Args:
        alarm: What moved.
        health: Of which model.
        config: For the feature's text.
        language: ``en`` or ``zh``.
    """
    label, before, now = alarm.change
    contacts = health.model in CONTACT_MODELS
    amounts = alarm.kind == "calibration" and health.model == "value"
    shown = [f"{value:,.2f}" if amounts else f"{value:.1%}" for value in (before, now)]
    return _ALARMS[alarm.kind][language].format(
        feature=f"{input_text(alarm.feature, config, language)} ({alarm.feature})",
        bin=bin_text(label, language),
        who=WHO[contacts][language == "zh"],
        before=shown[0],
        now=shown[1],
        figure=alarm.figure,
        bound=alarm.bound,
    )
