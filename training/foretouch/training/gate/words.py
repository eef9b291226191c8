"""Every sentence of the gate's table, in English and Chinese: the audit keeps English, pages show the reader's.

``say`` writes a sentence; ``chinese`` finds the sentence again by its pattern, so that tables in an audit trail are
read in either language without being written twice.
"""

import re
from collections.abc import Mapping
from functools import cache
from typing import Final

SENTENCES: Final[Mapping[str, tuple[str, str]]] = {
    # what was looked at
    "baseline": ("{metric} beside {baseline}", "{metric}（对比 {baseline}）"),
    "baseline_any": ("any baseline", "任一基准"),
    "champion_as_judged": (
        "{metric} beside champion {version}, both as judged",
        "{metric}（对比现用版本 {version}，均按评估时的状态）",
    ),
    "champion": ("{metric} beside champion {version}", "{metric}（对比现用版本 {version}）"),
    "champion_rows": ("later data beside {version}", "后续数据（对比版本 {version}）"),
    "later": ("later data", "后续数据"),
    "slope": ("slope of what happened on the score", "实际结果对评分的斜率"),
    "mean_ratio": ("mean of what happened over mean score", "实际均值与评分均值之比"),
    "ece": ("ECE, ten bins of equal mass", "校准误差 ECE（十个等量分箱）"),
    "groups": ("mean of what happened over mean score, per group", "各群体的实际均值与评分均值之比"),
    "fairness": (
        "fairness: share selected over the largest group's",
        "公平性：各群体入选比例与入选比例最高的群体之比",
    ),
    "backtest": (
        "what champion {version} foretold, beside what happened since",
        "现用版本 {version} 的预测与此后的实际结果",
    ),
    "backtest_figure": (
        "foretold {predicted}, happened {observed}: ratio {ratio} [{low}, {high}], {rows} rows",
        "预测 {predicted}，实际 {observed}：比值 {ratio}，区间 [{low}, {high}]，{rows} 行",
    ),
    "informs": ("none: it tells of the champion", "无：仅说明现用版本的表现"),
    "latency": ("median time of one score", "单次评分耗时（中位数）"),
    "policy": ("earned on the decision log", "按决策日志估算的收益"),
    # what was found
    "none": ("none", "无"),
    "no_group": ("no group", "没有群体"),
    "not_compared": ("not compared", "未比较"),
    "not_measured": ("not measured", "未测量"),
    "interval": (
        "{model} against {reference}: {difference} [{low}, {high}]",
        "{model}，对比 {reference}：差 {difference}，区间 [{low}, {high}]",
    ),
    "ece_figure": ("{ece}, of which chance {chance}", "{ece}，其中偶然误差 {chance}"),
    "groups_figure": ("{held} of {all} groups hold", "{all} 个群体中有 {held} 个达标"),
    "fairness_figure": ("{ratio} at least ({feature}={group})", "最低 {ratio}（{feature}={group}）"),
    "gain": (
        "{gain} [{low}, {high}] per decision beside {logged}; worth {ess} of {rows} rows",
        "每次决策 {gain}，区间 [{low}, {high}]，现有 {logged}；{rows} 行相当于 {ess} 行有效数据",
    ),
    # what it must be
    "interval_above": ("95 % interval above 0", "95% 区间高于 0"),
    "interval_below": ("95 % interval below 0", "95% 区间低于 0"),
    "at_least_one": ("at least one", "至少一个"),
    "worse_bound": ("worse by {margin} of the champion's figure at most", "至多比现用版本差 {margin}"),
    "worse_bound_of": (
        "worse by {margin} of the champion's figure at most ({allowed})",
        "至多比现用版本差 {margin}（即 {allowed}）",
    ),
    "reaches": ("interval reaches {least} to {most}", "区间须触及 {least} 至 {most}"),
    "reaches_each": (
        "interval reaches {least} to {most} in each (Bonferroni)",
        "每个群体的区间须触及 {least} 至 {most}（Bonferroni 校正）",
    ),
    "ece_bound": ("{most} beyond chance at most", "扣除偶然误差后至多 {most}"),
    "at_least": ("{least} at least", "至少 {least}"),
    "no_bound": ("none: promotion.min_selection_ratio", "无：可设置 promotion.min_selection_ratio"),
    "latency_bound": ("{most} ms at most", "至多 {most} 毫秒"),
    "latency_bound_of": (
        "{most} ms at most, {ratio} times the champion's {theirs} ms",
        "至多 {most} 毫秒，且不超过现用版本 {theirs} 毫秒的 {ratio} 倍",
    ),
    "gain_bound": ("lower bound of the gain: {margin} at least", "增益下限：至少 {margin}"),
    "gain_bound_of": (
        "{changed} changed: lower bound of the gain {margin} of what was earned at least ({needed} per decision)",
        "{changed} 有变：增益下限至少为现有收益的 {margin}（每次决策 {needed}）",
    ),
    "retrain_bound": (
        "routine retrain: lower bound of the gain {margin} of what was earned at least ({needed} per decision)",
        "例行重训：增益下限至少为现有收益的 {margin}（每次决策 {needed}）",
    ),
    "retrain_bound_like": (
        "routine retrain, both as judged: lower bound of the gain at least {margin} of what was earned ({needed} each)",
        "例行重训，与现用版本均按评估时的状态比较：增益下限至少为现有收益的 {margin}（每次决策 {needed}）",
    ),
    # why
    "baseline_lost": ("it does not beat this baseline on later data", "在后续数据上未胜过该基准"),
    "baseline_none": ("it was compared with no baseline", "没有与任何基准比较"),
    "again": ("train it again: its card is of before the gate asked for this", "请重新训练：其卡片早于此项检查"),
    "may_be_worse": ("it may be worse by {worst}", "可能差 {worst}"),
    "trained_beside": ("it was trained beside {version}: train it again", "训练时对比的是 {version}：请重新训练"),
    "rows_needed": (
        "{rows} rows are later than the champion's data, need {least}: train again when more have matured",
        "晚于现用版本数据的只有 {rows} 行，需要 {least} 行：待更多结果到期后重新训练",
    ),
    "cannot_score": ("the champion cannot score these rows: {error}", "现用版本无法对这些行评分：{error}"),
    "alike": ("the labels of these rows are all alike", "这些行的结果全都相同"),
    "not_its_word": ("scores cannot be taken at their word", "评分不可直接当作概率或金额"),
    "no_segment": (
        "no feature of promotion.segments has a group of {least} rows",
        "promotion.segments 中没有任何特征的群体达到 {least} 行",
    ),
    "selected_rarely": (
        "a group is selected much more rarely than another",
        "有一个群体的入选比例远低于另一个群体",
    ),
    "slow": ("decisions would wait for it", "会拖慢决策"),
    "first": ("a first model: nothing in the log was decided by one", "首个模型：日志中还没有由模型作出的决策"),
    "later_decisions": (
        "{count} decisions are later than its data, need {least}",
        "晚于其数据的决策只有 {count} 次，需要 {least} 次",
    ),
    "can_tell": (
        "{count} later decisions can tell, need {least}: {left}",
        "可用的后续决策只有 {count} 次，需要 {least} 次：{left}",
    ),
    "may_earn_less": (
        "it may earn {less} less per decision than it must",
        "每次决策的收益可能比要求少 {less}",
    ),
}
NAMES: Final[Mapping[str, str]] = {
    "baseline": "基准",
    "champion": "现用版本",
    "backtest": "回测",
    "calibration": "校准",
    "segment": "群体",
    "latency": "耗时",
    "policy": "策略收益",
}
"""Names of the checks in Chinese."""
COLUMNS: Final[Mapping[str, str]] = {
    "check": "检查",
    "what": "内容",
    "passed": "通过",
    "figure": "结果",
    "bound": "要求",
    "why": "原因",
    "feature": "特征",
    "group": "群体",
    "rows": "行数",
    "mean_label": "实际均值",
    "mean_score": "评分均值",
    "label_over_score": "实际与评分之比",
    "selected_share": "入选比例",
    "true_positive_rate": "目标覆盖率",
    "auc": "AUC",
    "selection_ratio": "与最高入选比例之比",
}
"""Heads of the gate's table and of the fairness report in Chinese."""
CHANGED: Final[Mapping[str, str]] = {"inputs": "输入特征", "goal": "目标", "learner": "学习方法"}


def say(key: str, /, **values: object) -> str:
    """A sentence of the table in English."""
    return SENTENCES[key][0].format(**values)


@cache
def _patterns() -> tuple[tuple[re.Pattern[str], str], ...]:
    """Sentences with the most words of their own first, so that a general one never takes a special one's place."""
    ordered = sorted(SENTENCES.values(), key=lambda pair: -len(re.sub(r"{\w+}", "", pair[0])))
    return tuple(
        (re.compile(re.sub(r"\\{(\w+)\\}", r"(?P<\1>.+)", re.escape(english)), re.DOTALL), translated)
        for english, translated in ordered
    )


def chinese(text: str) -> str:
    """A sentence that ``say`` wrote, in Chinese; figures, names and what others wrote stay as they are."""
    for pattern, translated in _patterns():
        found = pattern.fullmatch(text)
        if found:
            values = dict(found.groupdict())
            if "changed" in values:
                values["changed"] = "、".join(CHANGED.get(name, name) for name in values["changed"].split(", "))
            return translated.format(**values)
    return text
