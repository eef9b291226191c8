"""Named refusals: an input that cannot carry a number gets a reason instead of one."""

from datetime import date
from typing import Any

TEXTS: dict[str, dict[str, str]] = {
    "missing_column": {
        "en": "column {value} is not in the table",
        "zh": "数据表中没有列 {value}",
    },
    "no_days": {
        "en": "column {value} is missing or holds no times, so that there is no curve over time",
        "zh": "列 {value} 不存在或不含有效时间，无法给出随时间变化的曲线",
    },
    "not_numeric": {
        "en": "column {value} holds something other than numbers",
        "zh": "列 {value} 含有非数值内容",
    },
    "missing_values": {
        "en": "{value} rows have no finite value in {column}",
        "zh": "列 {column} 中有 {value} 行没有有效数值",
    },
    "not_binary": {
        "en": "column {value} must hold only 0 and 1 for a proportion",
        "zh": "比例指标的列 {value} 只能含 0 和 1",
    },
    "arm_too_small": {
        "en": "group “{column}” has {value} with a complete window, at least 2 are needed",
        "zh": "分组“{column}”中观察期已满的只有 {value} 个，至少需要 2 个",
    },
    "too_few_different": {
        "en": "only {value} units have another value of {column} than all others, at least 20 are needed",
        "zh": "{column} 仅有 {value} 个单位的数值与其他单位不同，至少需要 20 个",
    },
    "too_few_splits": {
        "en": "{value} of the splits could not be analysed: an arm had too little in it",
        "zh": "有 {value} 次拆分无法分析：某一组的数据太少",
    },
    "zero_variance": {
        "en": "every unit has the same value, so there is nothing to compare",
        "zh": "所有单位的数值都相同，无法比较",
    },
    "denominator_not_positive": {
        "en": "the denominator's mean is {value}, must be above 0",
        "zh": "分母的均值为 {value}，必须大于 0",
    },
    "covariate_constant": {
        "en": "a covariate is the same for every unit",
        "zh": "有一个协变量对所有单位都相同",
    },
    "covariates_collinear": {
        "en": "two or more covariates say the same (collinear)",
        "zh": "两个或多个协变量重复（共线）",
    },
    "covariates_not_for_quantile": {
        "en": "covariates cannot adjust a quantile",
        "zh": "协变量不能用于分位数指标",
    },
    "clusters_not_for_quantile": {
        "en": "quantiles of clustered units are not offered",
        "zh": "不支持聚类单位的分位数",
    },
    "too_few_for_quantile": {
        "en": "an arm with {value} units is too small for this quantile",
        "zh": "只有 {value} 个单位的分组无法估计该分位数",
    },
    "too_few_clusters": {
        "en": "only {value} clusters, at least 3 are needed",
        "zh": "只有 {value} 个聚类，至少需要 3 个",
    },
    "too_many_levels": {
        "en": "segment {column} has {value} values, at most 60 are shown",
        "zh": "细分维度 {column} 有 {value} 个取值，最多显示 60 个",
    },
    "strata_too_thin": {
        "en": "{value} strata have fewer than two units in a group; use fewer or wider strata",
        "zh": "有 {value} 个分层在某一分组中少于两个单位；请减少或合并分层",
    },
    "strata_not_offered": {
        "en": "strata are not offered for quantiles and clusters",
        "zh": "分位数与聚类不支持分层",
    },
    "too_many_strata": {
        "en": "the strata {column} make {value} groups, at most 500 are used",
        "zh": "分层 {column} 共 {value} 组，最多使用 500 组",
    },
    "needs_rows": {
        "en": "quantiles, caps and clusters need one row per unit; these are aggregates",
        "zh": "分位数、截尾与聚类需要逐单位的数据；此处只有汇总数据",
    },
    "not_randomised": {
        "en": "the groups were not drawn by lot, so a difference may come from who is in them, not from what was done",
        "zh": "分组并非随机，差异可能来自各组的人群本身，而非所做的事",
    },
    "groups_unlike": {
        "en": "the groups already differed before the test in {column}, far beyond chance: they were not drawn by lot",
        "zh": "实验前各组在 {column} 上的差异远超偶然，分组并非随机",
    },
    "segment_split_mismatch": {
        "en": "the groups are not the size they should be here",
        "zh": "此处分组人数与设定不符",
    },
    "duplicate_units": {
        "en": "{value} units have more than one row; the analysis needs one row per unit",
        "zh": "有 {value} 个单位出现多行；分析要求每个单位一行",
    },
    "unit_in_two_arms": {
        "en": "{value} units are in more than one arm",
        "zh": "有 {value} 个单位同时出现在多个分组",
    },
    "missing_arm": {
        "en": "{value} rows name no arm",
        "zh": "有 {value} 行没有分组",
    },
    "unknown_arm": {
        "en": "{value} units are in arms that the spec does not name: {column}",
        "zh": "有 {value} 个单位属于设定中没有的分组：{column}",
    },
    "zero_weight_traffic": {
        "en": "{value} units are in arms of weight 0: {column}",
        "zh": "有 {value} 个单位进入了权重为 0 的分组：{column}",
    },
    "split_mismatch": {
        "en": "the groups are not the size they should be: {value}",
        "zh": "分组人数与设定不符：{value}",
    },
    "no_units": {
        "en": "nobody has entered yet",
        "zh": "尚无客户进入",
    },
    "none_mature": {
        "en": "{value} customers have entered, but nobody's observation window is over; the first ends on {column}",
        "zh": "已有 {value} 名客户进入，但尚无人的观察期结束；最早结束于 {column}",
    },
    "no_log": {
        "en": "no decision has been logged yet",
        "zh": "尚无任何决策记录",
    },
    "spec_wrong": {
        "en": "the experiment's file must be mended first: {value}",
        "zh": "须先修正实验设定：{value}",
    },
    "assignment_mismatch": {
        "en": "{value} customers were logged in another group than the one drawn for them; were weights, salt or key "
        "changed while the test ran",
        "zh": "有 {value} 名客户的记录分组与分配结果不一致；是否在实验期间改过权重、salt 或 key",
    },
}
"""By code: the reason in English and Chinese."""


class Refused(Exception):  # noqa: N818 - an expected result with a reason, not a failure
    """Raised inside the analysis of one metric; becomes an entry of ``refusals[]``.

    Args:
        code: A key of ``TEXTS``.
        details: Values of the text's placeholders.
    """

    def __init__(self, code: str, **details: Any) -> None:
        super().__init__(code)
        self.code = code
        self.details = {"value": "", "column": "", **details}

    def text(self, language: str) -> str:
        """The reason in words."""
        return TEXTS[self.code][language].format(
            **{name: _told(value, language) for name, value in self.details.items()}
        )


def _told(value: object, language: str) -> object:
    """A count with its separators and a day as readers of the language write it; anything else as it is."""
    if isinstance(value, date):
        from foretouch.experiments.report.numbers import day  # noqa: PLC0415 - time zones, which only dates need

        return day(value)[language]
    return f"{value:,}" if isinstance(value, int) and not isinstance(value, bool) else value
