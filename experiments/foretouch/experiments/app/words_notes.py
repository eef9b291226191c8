"""What other parts wrote in English, found again by its pattern and said in Chinese: notes on cards, loaders' errors.

A card keeps one language, for it is also read by programs and in MLflow. A sentence that nobody has put here stays as
it was written, and the page marks it as English for a screen reader.
"""

import re
from collections.abc import Mapping
from functools import cache
from typing import Any, Final

SAID: Final[Mapping[str, str]] = {
    # cards of every model
    "Judged: the model fitted through {a}, on the rows after it; all figures are its own. Served: the same parameters"
    " fitted again with these rows, through {b}; no row is left to judge it by.": (
        "评估对象：用截至 {a} 的数据拟合的模型，以其后的数据检验，所有指标均属于它。实际使用：以相同参数加入这些数据后"
        "重新拟合的模型，数据截至 {b}；没有剩余数据可再检验它。"
    ),
    "Bands: the thresholds are the scores that {a} of the calibration rows reach.": (
        "分档：阈值为校准数据中有 {a} 的行达到的评分。"
    ),
    "Intervals: 95 % for the rate among customers with such a score (Jeffreys), from the calibration part.": (
        "区间：同等评分客户发生率的 95% 区间（Jeffreys），依据校准数据。"
    ),
    # value
    "The score is revenue, not margin; margin = revenue x margin_rate.": (
        "评分为收入而非毛利；毛利 = 收入 × margin_rate。"
    ),
    "Intervals: where the revenue of four in five customers with such a score falls (80 %).": (
        "区间：同等评分的客户中，五分之四的收入落在其中（80%）。"
    ),
    "Bands: high is the score that {a} % of the calibration rows reach, medium {b} %.": (
        "分档：校准数据中 {a}% 的行达到“高”，{b}% 达到“中”。"
    ),
    "Trees alone: the purchase model (BG/NBD and Gamma-Gamma) has no part, since {a}.": (
        "只用树模型：购买模型（BG/NBD 与 Gamma-Gamma）未参与，原因：{a}。"
    ),
    "on the calibration part it makes the trees no better": "在校准数据上它未能改进树模型",
    "A blend: {a} trees, {b} purchase model (BG/NBD and Gamma-Gamma); the weight has the least Tweedie deviance on the"
    " calibration part. Who has not bought yet is answered by the trees alone. MLflow's own flavour of the model holds"
    " the trees; the bundle holds both.": (
        "混合：{a} 树模型，{b} 购买模型（BG/NBD 与 Gamma-Gamma）；权重使校准数据上的 Tweedie 偏差最小。"
        "尚未购买的客户只由树模型回答。MLflow 自带格式只含树模型；模型包两者都有。"
    ),
    # offer
    "Propensity is acceptance by customers who were sent the offer, before the offer ends.": (
        "接受概率指收到优惠的客户在优惠结束前接受的概率。"
    ),
    "Uplift is not identified: past campaigns were targeted, and no selection probability is on record, so who would"
    " have accepted without being sent anything is not known.": (
        "增量无法识别：历史活动是定向发送的，且没有记录选择概率，因此无从得知不发送时谁也会接受。"
    ),
    "Uplift is not identified by this model: it is learnt from sends alone, and holds no occasion without a contact.": (
        "此模型无法识别增量：它只从发送中学习，其中没有不触达的情形。"
    ),
    "Trees chosen on calibrate, then fitted on fit and calibrate together; calibrated on customer folds.": (
        "树的数量由校准数据选定，再以拟合与校准数据一起拟合；概率按客户分组校准。"
    ),
    "{a} bootstrap members for Thompson sampling: fitted on other weights of the same customers.": (
        "{a} 个自助法成员用于 Thompson 抽样：以同一批客户的不同权重拟合。"
    ),
    "Offers have levels of their own, drawn to their category's: {a} to {b} on the log-odds; a new offer takes its"
    " category's.": "各优惠有自己的水平（对数几率 {a} 至 {b}），数据少时向所属类别的水平收缩；新优惠沿用其类别的水平。",
    "Beyond their category and inputs offers hardly differ on customers left out: none has its own level.": (
        "在留出的客户上，除类别与输入特征外各优惠几乎没有差别：均不设单独的水平。"
    ),
    "Order per customer (ndcg, hit_rate_1): of {a} who accepted some later sends.": (
        "每位客户的排序（ndcg、hit_rate_1）：依据接受过部分后续发送的 {a} 名客户。"
    ),
    # send time
    "Shares measure when customers are active; they say nothing about the effect of sending at an hour.": (
        "份额表示客户何时活跃，并不说明在某一小时发送的效果。"
    ),
    "Trees are used: {a} nats per event on the calibrate part.": "使用树模型：在校准数据上每个事件 {a} nats。",
    "Trees are not used: {a} nats per event on the calibrate part.": "未使用树模型：在校准数据上每个事件 {a} nats。",
    "The effect of sending at an hour is not identified: {a} Every hour is believed to do alike.": (
        "无法识别按小时发送的效果：{a} 因此视各小时效果相同。"
    ),
    "The effect of sending at an hour is identified: {a}.": "可以识别按小时发送的效果：{a}。",
    "No difference between hours held up on held-out customers: every multiplier is 1.": (
        "在留出的客户上未发现各小时之间的差异：所有系数均为 1。"
    ),
    "It differs by {a}; in brackets the precision of the prior, from held-out customers.": (
        "效果随 {a} 而不同；括号内为先验的精度，由留出的客户选定。"
    ),
    "Not identified: {a}.": "无法识别：{a}。",
    "no past sends on {a}": "{a} 没有以往的发送",
    "hours were not varied on {a}: {b} of {c} sends lie away from their customer's most frequent hour, need {d}": (
        "{a} 的发送时间没有变化：{c} 次发送中只有 {b} 不在该客户最常用的小时，至少需要 {d}"
    ),
    "hours were hardly varied on {a}: effectively {b} hours per customer, need {c}": (
        "{a} 的发送时间变化太少：每位客户有效 {b} 个小时，至少需要 {c} 个"
    ),
    "too few answers on {a}: {b} responses of customers who were sent to at different hours, need {c}": (
        "{a} 的回应太少：在不同时间收到发送的客户只有 {b} 次回应，至少需要 {c} 次"
    ),
    "{a} sends on {b} at effectively {c} hours per customer": "{b} 有 {a} 次发送，每位客户有效 {c} 个小时",
    # uplift
    "Uplift is the chance of the goal with a contact less that without, in the window of the decision; later contacts"
    " within the window count with the first.": (
        "增量指在决策的观察期内，触达时达成目标的概率减去不触达时的概率；观察期内后续的触达计入首次触达。"
    ),
    "Controls are paired with an offer that contacts like them had; offers with few contacts are drawn towards the"
    " others.": "对照客户与相似客户所得的优惠配对；触达较少的优惠向其他优惠收缩。",
    "Features that earlier contacts write (sends, responses) are no inputs: who is held out has none.": (
        "由以往触达产生的特征（发送、回应）不作为输入：对照客户没有这些特征。"
    ),
    "The interval of a person is that of people with the same score: spread of the cross-fitted models, error of the"
    " average and of the slope, and what it may not show.": (
        "个人的区间即同等评分人群的区间：包括交叉拟合模型的离散、均值与斜率的误差，以及可能未显示的部分。"
    ),
    "Learner {a}: lowest DR loss on customers left out.": "学习方法 {a}：在留出客户上的 DR 损失最低。",
    "Overlap: contacts are told from controls with AUC {a} (0.5 is a coin); the input that differs most is {b}, by {c}"
    " standard deviations.": (
        "重叠：区分触达与对照的 AUC 为 {a}（0.5 即无法区分）；差异最大的输入为 {b}，相差 {c} 个标准差。"
    ),
    "A contact raises the chance of the goal by {a} on average ({b} to {c}, 95 %).": (
        "触达使达成目标的概率平均变化 {a}（95% 区间 {b} 至 {c}）。"
    ),
    "The order of its scores is better than random: Qini {a} goals per person ({b} to {c}); {d}.": (
        "评分排序优于随机：Qini 为每人 {a}（{b} 至 {c}）；噪声评分约有 2.5% 的机会被误判为更好。"
    ),
    "The order of its scores cannot be told from random: Qini {a} goals per person ({b} to {c}); {d}.": (
        "评分排序与随机无法区分：Qini 为每人 {a}（{b} 至 {c}）；噪声评分约有 2.5% 的机会被误判为更好。"
    ),
    "In {a} of {b} tenths by score the 95 % interval of the measured uplift holds the predicted one.": (
        "按评分分为 {b} 组，其中 {a} 组实测增量的 95% 区间包含预测值。"
    ),
    "Contacting the {a} with the largest expected gain brings {b} per 1,000 people after costs ({c} to {d}), beside"
    " nobody.": "联系预期收益最高的 {a}，与不联系任何人相比，扣除成本后每 1,000 人带来 {b}（{c} 至 {d}）。",
    "No effect is claimed: the figures on later rows describe how contacts and others differ, whatever the cause.": (
        "不作效果声明：后续数据上的指标只描述触达与其他客户的差异，不论原因为何。"
    ),
    "Uplift is per offer, whatever the channel; per channel it is not identified: {a}.": (
        "增量按优惠给出，不分渠道；按渠道的增量无法识别：{a}。"
    ),
    "Uplift is per offer, whatever the channel; beside the average of the channels: {a}.": (
        "增量按优惠给出，不分渠道；各渠道与渠道平均相比：{a}。"
    ),
    "no contact's channel was drawn by chance": "没有一次触达的渠道是随机抽取的",
    "fewer than two channels have {a} effective contacts drawn by chance": (
        "随机抽取渠道的有效触达达到 {a} 次的渠道不足两个"
    ),
    "Warning, observational data: {a}.": "警告，非随机数据：{a}。",
    # what a model learnt from
    "Suspected leak: alone, {a} orders the labels almost without error; look at when it becomes known.": (
        "疑似泄漏：仅凭 {a} 就几乎能无误地排出结果；请检查它何时才为人所知。"
    ),
    "Skew was not measured: {a}.": "未测量训练与线上的偏差：{a}。",
    "Training and service do not see the same: {a} differ between log and history without a cause; foretouch skew"
    " shows each.": "训练与线上所见不同：{a} 在日志与历史之间存在原因不明的差异；用 foretouch skew 查看各项。",
    # why nothing can be said of whom to contact, or of what a policy is worth
    "nobody of {a} has a complete window yet, {b} people of either group are needed": (
        "“{a}”还没有观察期已满的客户，每组至少需要 {b} 人"
    ),
    "{a} and {b} people of {c} have a complete window, {d} of either group are needed": (
        "“{c}”两组观察期已满的客户为 {a} 人和 {b} 人，每组至少需要 {d} 人"
    ),
    "the uplift model in force has no score for {a} people of either group of {b}": (
        "当前的增量模型不能为“{b}”每组至少 {a} 人评分"
    ),
    "{a} was not known of the people of {b}": "“{b}”的客户在决策时没有 {a}",
    "none of {a} decisions can tell: {b}": "{a} 次决策都无法作证：{b}",
    "the window is still open": "观察期未满",
    "several contacts in one answer": "一次应答中有多次触达",
    "what it was made from is gone": "决策所依据的配置已不存在",
    "held out by an experiment": "被实验保留",
    "the rules left nothing": "规则未留下任何候选",
    "the default action was taken": "采用了默认动作",
    "does not come out as it was logged": "重新决策的结果与记录不一致",
    # why a bundle is not loaded
    "bundle {a}: manifest cannot be read ({b})": "模型包 {a}：清单无法读取（{b}）",
    "bundle {a}: files {b} are missing or unexpected": "模型包 {a}：文件 {b} 缺失或多余",
    "bundle {a}: {b} was altered (SHA-256 differs)": "模型包 {a}：{b} 已被改动（SHA-256 不一致）",
    "bundle {a}: its card says it is {b}": "模型包 {a}：其卡片声明为 {b}",
    "bundle {a} does not reproduce its golden rows": "模型包 {a} 无法重现其校验数据的结果",
    "bundle {a} does not reproduce its calibrated golden rows": "模型包 {a} 无法重现其校验数据的校准结果",
    "bundle {a}: its members do not reproduce their golden rows": "模型包 {a}：其成员模型无法重现校验数据的结果",
    "bundle {a}: its purchase model cannot be read: {b}": "模型包 {a}：购买模型无法读取：{b}",
}


_COUNTED = re.compile(r"(.+) \((\d+)\)", re.DOTALL)
"""A part of a sentence with how often it holds."""


@cache
def _patterns() -> tuple[tuple[re.Pattern[str], str], ...]:
    """Sentences with the most words of their own first, so that a general one never takes a special one's place."""
    ordered = sorted(SAID.items(), key=lambda pair: -len(re.sub(r"{\w}", "", pair[0])))
    return tuple(
        (re.compile(re.sub(r"\\{(\w)\\}", r"(?P<\1>.+)", re.escape(english)), re.DOTALL), translated)
        for english, translated in ordered
    )


def told(text: str, language: str) -> tuple[str, str]:
    """A sentence in the reader's language where it is known, and the language that it is in.

    Args:
        text: As it was written, in English.
        language: ``en`` or ``zh``.
    """
    if language == "zh":
        for pattern, translated in _patterns():
            found = pattern.fullmatch(text)
            if found:
                return translated.format(**{name: _within(part) for name, part in found.groupdict().items()}), "zh-CN"
    return text, "en"


def _within(text: str) -> str:
    """A part of a sentence in Chinese: a list of reasons that are all known, or one of them; else as it was written."""
    for separator, mark in (("; ", "；"), (", ", "，")):
        parts = text.split(separator)
        said = [_within(part) for part in parts] if len(parts) > 1 else parts
        if all(after != before for after, before in zip(said, parts, strict=True)):
            return mark.join(said)
    counted = _COUNTED.fullmatch(text)
    return f"{_within(counted[1])}（{counted[2]}）" if counted else told(text, "zh")[0]


def told_failure(failure: Mapping[str, Any] | None, language: str) -> dict[str, Any] | None:
    """Why an analysis was refused, in the reader's language where it is known."""
    return None if failure is None else {**failure, "message": told(str(failure["message"]), language)[0]}
