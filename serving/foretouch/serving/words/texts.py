"""Every text that a marketer reads in an answer: by code, in English and Chinese. Pure.

A code never changes its meaning; a record keeps the text that was answered, so that rewording changes no old record.
"""

from collections.abc import Mapping
from typing import Any

from foretouch.core.counters import CounterSnapshot
from foretouch.core.decisions import DecisionRequest
from foretouch.serving.words.translations import in_chinese

LANGUAGES = ("en", "zh")

REASONS: Mapping[str, tuple[str, str]] = {
    "holdout": ("chosen by the arm {arm}, not by a score", "由实验组 {arm} 决定，而非评分"),
    "default_action": ("the caller's default action; no model decided", "采用调用方的默认动作；没有模型参与决策"),
    "static_default": ("the campaign's static default; no model decided", "采用活动的静态默认动作；没有模型参与决策"),
    "explored": (
        "explored with probability {probability}; the highest priority was {best} (probability {greedy})",
        "以 {probability} 的概率进行探索；优先级最高的是“{best}”（概率 {greedy}）",
    ),
    "fallback_offer": ("a fallback offer: no other offer passed the rules here", "备选优惠：此处没有其他优惠通过规则"),
    "only_candidate": ("the only contact that the rules left", "规则筛选后唯一可行的触达"),
    "highest_priority": (
        "highest priority of {left} candidates, drawn with probability {probability}",
        "{left} 个候选中优先级最高，以 {probability} 的概率选中",
    ),
    "not_personalised": (
        "nothing about the person entered the choice, as the request asks",
        "按请求要求，未使用任何个人信息",
    ),
    "stale_features": ("made on features older than their limit", "所用客户特征已超过时效"),
    "default_features": ("made without the customer's data, on defaults", "缺少客户数据，使用默认值"),
    "previous_model": ("scored by the previous model version", "由上一版本的模型评分"),
    "known_rates": ("no model scored it: the rates of such offers did", "没有模型评分：依据此类优惠的历史接受率"),
    "own_values": ("no model scored it: the offers' own values did", "没有模型评分：依据优惠自身的价值"),
    "first_allowed_slot": (
        "nothing says that a later slot does better: the first allowed one is the best",
        "没有依据表明更晚的时段更好：取第一个允许的时段",
    ),
    "slot_owed": ("owed to the customer: sent at the first allowed slot", "必须送达的消息：在第一个允许的时段发送"),
    "slot_activity": (
        "sent when the customer is most active; that is no effect of sending then",
        "在客户最活跃的时段发送；这不代表该时段发送的效果",
    ),
    "slot_prior": (
        "hours were never varied, so what sending at another hour does is not known: everyone's pattern counts",
        "历史发送时段从未变化，无法得知其他时段发送的效果：采用整体规律",
    ),
    "slot_effect": ("sent at the hour at which contacts had the most effect", "在触达效果最好的时段发送"),
    "slot_explored": (
        "the slot was explored with probability {probability}; the best one was {best}",
        "发送时段以 {probability} 的概率进行探索；最佳时段为 {best}",
    ),
    "no_reasons": ("the model could not explain its score", "模型无法解释其评分"),
}
"""Why this candidate and this slot, by reason code."""

STATUS: Mapping[str, tuple[str, str]] = {
    "no_offer": (
        "There is no offer for this touchpoint, so there is nothing to contact about.",
        "此触点没有可用的优惠，因此无需联系。",
    ),
    "control": ("Held out by {arm} ({kind}): {outcome}.", "被实验保留：{arm}（{kind}）：{outcome}。"),
    "decided": ("Decided: {outcome}.", "已决策：{outcome}。"),
    "not_personalised": (
        "Decided without the customer's data, as the request asks: {outcome}.",
        "按请求要求，不使用客户数据进行决策：{outcome}。",
    ),
    "degraded": (
        "Decided on stale or default inputs ({why}): {outcome}.",
        "依据过期或默认的输入决策（{why}）：{outcome}。",
    ),
    "fallback": ("No model decided ({why}); {basis}: {outcome}.", "没有模型参与决策（{why}）；{basis}：{outcome}。"),
    "previous": (
        "Decided by the previous model version ({why}): {outcome}.",
        "由上一版本的模型决策（{why}）：{outcome}。",
    ),
    "unknown_customer": (
        "The customer is not known, and no consent is on record for this purpose, so no contact is allowed.",
        "客户未知，且没有此用途的同意记录，因此不允许联系。",
    ),
    "no_consent": (
        "For this customer no consent is on record for this purpose, so no contact is allowed.",
        "该客户没有此用途的同意记录，因此不允许联系。",
    ),
    "forbidden": ("Rules forbid every contact: {rules}.", "规则禁止所有触达：{rules}。"),
    "drawn": ("{what}, drawn with probability {probability}", "{what}，以 {probability} 的概率选中"),
}
"""Why this status, by kind."""

BASES: Mapping[str, tuple[str, str]] = {
    "prior": ("the rates of such offers decided", "依据此类优惠的历史接受率"),
    "default_action": ("the caller's default action was taken", "采用调用方的默认动作"),
    "static_default": ("the campaign's static default was taken", "采用活动的静态默认动作"),
    "rules": ("the offers' own values decided", "依据优惠自身的价值"),
    "nothing": ("nothing could decide", "无可用依据"),
}
"""What decided instead of a model, by step of the ladder."""

ARMS: Mapping[str, tuple[str, str]] = {
    "no_contact": ("no contact", "不联系"),
    "business_as_usual": ("business as usual", "照常营销"),
    "random": ("random", "随机"),
    "propensity_only": ("propensity only", "仅按倾向"),
    "no_levers": ("no levers", "不用杠杆"),
    "rules_only": ("rules only", "仅按规则"),
}
"""What a standing arm does, by its kind."""

SUPPRESSED: Mapping[str, tuple[str, str]] = {
    "requested": ("the request leaves it out ({rule})", "请求排除了它（{rule}）"),
    "requested/unknown_offer": ("not in the catalogue", "不在优惠目录中"),
    "requested/unknown_treatment": ("the offer has no such treatment or channel", "该优惠没有此内容版本或渠道"),
    "requested/unknown_collection": ("no offer is in that collection", "该类别没有任何优惠"),
    "requested/exclude": ("the request excludes it", "请求排除了它"),
    "requested/placement": ("it is not shown in this placement", "该优惠不在此展示位"),
    "dates": ("outside its dates", "不在有效期内"),
    "dates/ends_at": ("the offer has ended", "优惠已结束"),
    "dates/starts_at": ("the offer has not begun", "优惠尚未开始"),
    "channel": ("the channel cannot be used", "该渠道不可用"),
    "channel/not_configured": ("channel {channel} is not configured", "渠道 {channel} 未配置"),
    "channel/not_requested": ("the request does not offer channel {channel}", "请求未提供渠道 {channel}"),
    "purpose": ("it may not be sent for this purpose", "不得用于此用途"),
    "consent": ("there is no consent for {channel}", "没有 {channel} 渠道的同意"),
    "consent/withdrawn": ("consent for {channel} was refused or withdrawn", "{channel} 渠道的同意已被拒绝或撤回"),
    "consent/no_record": ("no consent on record for {channel}", "没有 {channel} 渠道的同意记录"),
    "consent/request": ("the request says that consent for {channel} is withdrawn", "请求表明 {channel} 的同意已撤回"),
    "consent/unreadable": ("consent could not be read", "无法读取同意记录"),
    "caps/unreadable": ("caps could not be read", "无法读取触达次数"),
    "suppression": ("the customer is on a suppression list", "客户在禁止联系名单上"),
    "eligibility": ("not eligible: rule {rule}", "不符合资格：规则 {rule}"),
    "applicability": ("not relevant now: rule {rule}", "目前不适用：规则 {rule}"),
    "suitability": ("not suitable: rule {rule}", "不适合该客户：规则 {rule}"),
    "caps": ("the limit of contacts is reached: rule {rule}", "已达到触达上限：规则 {rule}"),
    "caps/minimum_gap": ("too close to another contact", "与其他触达间隔过短"),
    "caps/offer_total": ("the offer has been issued as often as it may be", "优惠发放总量已达上限"),
    "caps/offer_per_customer": ("the customer has had it as often as allowed", "该客户领取次数已达上限"),
    "caps/offer_per_day": ("the offer's limit of today is reached", "优惠今日发放量已达上限"),
    "cool_down": ("a pause holds: rule {rule}", "处于冷静期：规则 {rule}"),
    "quiet_hours": ("only at times when nobody is contacted: rule {rule}", "仅剩禁止联系的时段：规则 {rule}"),
    "fallback": ("a better offer is left", "仍有更合适的优惠"),
    "holdout": ("held out by an experiment: {rule}", "被实验保留：{rule}"),
    "model": ("the model cannot score it", "模型无法评分"),
}
"""Why a rule dropped something where its own words are not known: by ``stage/rule``, else by stage."""


def language_of(request: DecisionRequest, counters: CounterSnapshot) -> str:
    """The language of an answer: the request's, else the customer's own where we speak it, else English."""
    return request.options.language or spoken(counters.language)


def spoken(own: str | None) -> str:
    """The language of ours that a customer's own one is, else English."""
    name = (own or "").lower()
    return "zh" if name == "zh" or name.startswith(("zh-", "zh_")) else "en"


def say(table: Mapping[str, tuple[str, str]], code: str, language: str, **values: Any) -> str:
    """The text of a code.

    Raises:
        KeyError: The table has no such code, or the text names a value that was not given.
    """
    return table[code][LANGUAGES.index(language)].format(**values)


def dropped_text(stage: str, rule: str, channel: str | None, english: str, language: str) -> str:
    """Why a rule dropped something, in a language: the rule's own words, which hold its values."""
    own = english if language == "en" else in_chinese(english)
    if own:
        return own
    code = f"{stage}/{rule}"
    return say(SUPPRESSED, code if code in SUPPRESSED else stage, language, rule=rule, channel=channel or "*")
