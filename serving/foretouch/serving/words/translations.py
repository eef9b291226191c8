"""What rules and warnings say, in Chinese with the same values: one table, English beside Chinese. Pure.

Rules speak English, with their values in the sentence. In an answer in Chinese each sentence is found in this table by
its English form, its values are taken out and set into the Chinese one. A sentence that is not here stays as it is, and
a test makes every rule and warning speak to see that there is none.

A value called ``said`` is a sentence of the table itself, ``error`` one if it can be; all others are taken over as they
are, words of ``WORDS`` translated.
"""

import re
from collections.abc import Mapping
from functools import lru_cache

SENTENCES: tuple[tuple[str, str], ...] = (
    # --- what drops a candidate: the request, dates, channel, purpose, consent
    ("not in the catalogue", "不在优惠目录中"),
    ("the offer is gone", "该优惠已不存在"),
    ("the offer has no such treatment or channel", "该优惠没有此内容版本或渠道"),
    ("no offer of the catalogue is in the collection {name}", "优惠目录中没有类别为 {name} 的优惠"),
    ("the request excludes it", "请求排除了它"),
    ("its category is {category}, the request asks for {wanted}", "其类别为 {category}，请求的类别为 {wanted}"),
    (
        "it is shown in {place} only, and the request fills {wanted}",
        "它只在展示位 {place} 展示，请求的展示位为 {wanted}",
    ),
    ("the offer ended {at}", "优惠已于 {at} 结束"),
    ("the offer starts {at}", "优惠于 {at} 开始"),
    ("channel {name} is not in foretouch.toml", "foretouch.toml 中没有渠道 {name}"),
    ("the request does not offer channel {name}", "请求未提供渠道 {name}"),
    ("the offer is for {purposes}, not {purpose}", "该优惠的用途为 {purposes}，不是 {purpose}"),
    ("consent could not be read: {error}", "无法读取同意记录：{error}"),
    ("consent cannot be read: {error}", "无法读取同意记录：{error}"),
    ("the request says that consent for {name} is withdrawn", "请求表明 {name} 的同意已撤回"),
    ("consent for {name} was refused or withdrawn", "{name} 的同意已被拒绝或撤回"),
    ("no consent on record for {name}", "没有 {name} 的同意记录"),
    ("held out by an experiment", "被实验保留"),
    ("a fallback offer, and other offers are left", "备选优惠，且仍有其他优惠"),
    # --- caps, gaps, cool-downs, lists
    ("caps could not be read: {error}", "无法读取触达次数：{error}"),
    ("issued {count} times ({scope}); {limit} allowed", "已发放 {count} 次（{scope}），上限 {limit} 次"),
    ("no contact ({scope}) is allowed", "不允许任何触达（{scope}）"),
    ("every slot is less than {hours} h from another contact", "所有时段距其他触达均不足 {hours} 小时"),
    (
        "{count} contacts ({scope}) in {days} days; {limit} allowed",
        "{days} 天内已有 {count} 次触达（{scope}），上限 {limit} 次",
    ),
    (
        "{count} contacts ({scope}) in one {period} ({zone}); {limit} allowed",
        "同一{period}（{zone}）内已有 {count} 次触达（{scope}），上限 {limit} 次",
    ),
    (
        "{count} contacts of everyone in {days} days; {limit} allowed",
        "{days} 天内对所有客户共有 {count} 次触达，上限 {limit} 次",
    ),
    (
        "{count} contacts of everyone this {period}; {limit} allowed",
        "本{period}对所有客户共有 {count} 次触达，上限 {limit} 次",
    ),
    (
        "{count} contacts of everyone in one {period} ({zone}); {limit} allowed",
        "同一{period}（{zone}）内对所有客户共有 {count} 次触达，上限 {limit} 次",
    ),
    ("the contacts of everyone are known until {at} only", "对所有客户的触达次数仅知至 {at}"),
    ("the contacts of everyone are known for this {period} only", "对所有客户的触达次数仅本{period}已知"),
    ("the contacts of everyone were not counted", "未统计对所有客户的触达次数"),
    ("{said}; pause of {days} days", "{said}；冷静期 {days} 天"),
    ("after {outcomes}, last on {at}", "发生 {outcomes}，最近一次在 {at}"),
    ("{count} times {outcomes}, last on {at}", "{count} 次 {outcomes}，最近一次在 {at}"),
    (
        "{count} contacts in a row were not answered, the last on {at}",
        "连续 {count} 次触达未获回应，最近一次在 {at}",
    ),
    ("whether contacts were answered could not be read: {error}", "无法读取触达是否获得回应：{error}"),
    ("the customer is on the suppression list", "客户在禁止联系名单上"),
    (
        "the customer is on the suppression list for {name}: {reason}",
        "客户在禁止联系名单上（{name}）：{reason}",
    ),
    ("the customer is on the suppression list for {name}", "客户在禁止联系名单上（{name}）"),
    # --- hours
    ("every slot of the window is in quiet hours ({zone})", "发送窗口内的所有时段都在免打扰时间（{zone}）"),
    ("every slot of the window is outside working hours ({zone})", "发送窗口内的所有时段都在工作时间之外（{zone}）"),
    (
        "{said}; whether {day} is a working day in {calendar} is not known yet",
        "{said}；{day} 在 {calendar} 是否为工作日尚未公布",
    ),
    ("the send window closed at {at}", "发送窗口已于 {at} 关闭"),
    (
        "the send window opens at {at}, after the latest possible time, {latest}",
        "发送窗口于 {at} 开启，晚于最晚可发送时间 {latest}",
    ),
    ("no time is left between {first} and {last}", "{first} 与 {last} 之间没有可用时间"),
    # --- the three tiers
    ("the rule cannot be read, so nobody passes: {problem}", "规则无法读取，因此无人通过：{problem}"),
    ("{rule}: not met: {seen}", "不满足 {rule}：{seen}"),
    ("{rule}: value unknown: {seen}", "{rule} 所需的值未知：{seen}"),
    ("{rule}: never met", "{rule} 永不满足"),
    (
        "{rule}: the rule cannot be decided on these values: {seen}",
        "{rule} 无法依据这些值判断：{seen}",
    ),
    (
        "{rule}: the rule gives {result}, which is neither true nor false ({seen})",
        "{rule} 的结果为 {result}，既非真也非假（{seen}）",
    ),
    # --- warnings
    (
        "the customer's time zone is not known; {zone} is used for quiet hours",
        "客户时区未知；免打扰时间按 {zone} 计算",
    ),
    ("the customer's {error}; {zone} is used for quiet hours", "客户时区有误（{error}）；免打扰时间按 {zone} 计算"),
    (
        "the working days of {year} in {country} are not in the calendar library yet: {said}",
        "{country} {year} 年的工作日安排尚未收录：{said}",
    ),
    ("days near a public holiday are taken as closed", "临近节假日的日期按休息日处理"),
    (
        "{posted} was moved to {moved}: this workspace's clock has an offset",
        "{posted} 已移至 {moved}：此工作区的时钟有偏移",
    ),
    # --- what comes back: outcomes, events, consents, people, lists, reservations
    (
        "{at} is more than 5 minutes in the future (now is {now}); {more}",
        "{at} 比当前时间（{now}）晚 5 分钟以上；{more}",
    ),
    (
        "{at} is more than 5 minutes in the future (now is {now})",
        "{at} 比当前时间（{now}）晚 5 分钟以上",
    ),
    (
        "a burst of clicks on several links right after the delivery: kept as a machine's",
        "送达后立即连续点击多个链接：按机器行为保存",
    ),
    (
        "the decision has no contact of rank {rank}: {said}",
        "该决策没有序号为 {rank} 的触达：{said}",
    ),
    ("nothing follows from this outcome", "此结果不产生任何影响"),
    (
        "consent is withdrawn from now on all the same ({channels})",
        "同意仍自即刻起撤回（{channels}）",
    ),
    ("it occurred before the decision was made ({at})", "它发生在决策作出（{at}）之前"),
    (
        "currency == {currency}, must be the workspace's {own}: nothing is converted here",
        "货币为 {currency}，必须是工作区的 {own}：此处不做换算",
    ),
    ("{said}; the withdrawal of {channel} holds from now", "{said}；{channel} 的撤回自即刻起生效"),
    (
        "no time_zone: the contact policy's default is used for quiet hours",
        "没有 time_zone：免打扰时间按联系规则的默认时区计算",
    ),
    (
        "the reservation had expired: others may have used up its caps in between",
        "预留已过期：其间其他触达可能已用尽上限",
    ),
    ("arms name several policies ({names}); the first is used", "多个实验组指定了策略（{names}）；采用第一个"),
    (
        "policy {name} of an arm is not there; the next one down is used",
        "实验组指定的策略 {name} 不存在；采用下一级策略",
    ),
    (
        "policy {name} of the touchpoint is not there; the next one down is used",
        "触点指定的策略 {name} 不存在；采用下一级策略",
    ),
    (
        "several standing arms hold this customer ({names}); the first is followed",
        "该客户同时处于多个常设实验组（{names}）；遵循第一个",
    ),
    (
        "the request names channel {name}, which foretouch.toml does not have",
        "请求中的渠道 {name} 不在 foretouch.toml 中",
    ),
    ("baseline_offer_id {name} is not in the catalogue", "baseline_offer_id {name} 不在优惠目录中"),
    (
        "the arm is business as usual, but the request names no baseline_offer_id",
        "实验组为照常营销，但请求未给出 baseline_offer_id",
    ),
    (
        "offers with fewer than {needed} contacts ({names}) get at most {share} of the choice",
        "触达少于 {needed} 次的优惠（{names}）合计至多获得 {share} 的选择概率",
    ),
    (
        "policy {name} draws from bootstrap members of a model, and none took part: softmax draws",
        "策略 {name} 从模型的自助样本成员中抽取，但没有模型参与：改用 softmax",
    ),
    (
        "{said}, which version {version} of the offer model does not have: softmax draws",
        "{said}，但优惠模型版本 {version} 没有：改用 softmax",
    ),
    (
        "{said}, which failed ({error}): softmax draws",
        "{said}，但计算失败（{error}）：改用 softmax",
    ),
    (
        "{said}, and the uplift has none: softmax draws",
        "{said}，但增益没有：改用 softmax",
    ),
    ("policy {name} draws from bootstrap members", "策略 {name} 从自助样本成员中抽取"),
    (
        "the policy weighs uplift, which is not known ({error}): the response is used",
        "策略按增益计算，但增益未知（{error}）：改用响应概率",
    ),
    ("the offer model gives no uplift", "优惠模型不提供增益"),
    ("the uplift model failed ({error})", "增益模型计算失败（{error}）"),
    ("the uplift model's card says that the effect is not identified", "增益模型的说明卡表明：效果无法识别"),
    (
        (
            "not identified: {share} of the rows were chosen without a logged probability between 0 and 1,"
            " so contacts may differ from controls by how they were chosen"
        ),
        "无法识别：{share} 的记录没有介于 0 和 1 之间的选择概率，触达者与对照者的差别可能来自选择方式",
    ),
    (
        (
            "not identified: contacts and controls differ in what was known beforehand (AUC {found}, at most {bound}),"
            " so they were not dealt by the probabilities on record"
        ),
        "无法识别：触达者与对照者在事前信息上不同（AUC {found}，上限 {bound}），并非按记录的概率分配",
    ),
    (
        "the send-time model is missing: the first allowed slot counts as the best",
        "缺少发送时间模型：取第一个允许的时段",
    ),
    (
        "the send-time model failed ({error}): the first allowed slot is the best",
        "发送时间模型失败（{error}）：取第一个允许的时段",
    ),
    (
        "the decision log cannot be written, so no model decided and nothing was reserved",
        "决策日志无法写入，因此没有模型参与决策，也未预留任何触达",
    ),
    (
        "the decision log did not take it in time, so no model decided and nothing was reserved",
        "决策日志未能及时记录，因此没有模型参与决策，也未预留任何触达",
    ),
    # --- why a model did not decide, or decided on less
    ("the request asks for no profiling", "请求要求不做画像"),
    ("the arm decides without any model", "实验组不使用任何模型"),
    ("the offer model is missing", "缺少优惠模型"),
    ("the offer model failed ({error})", "优惠模型失败（{error}）"),
    ("the champion before it failed ({error})", "上一版本的模型失败（{error}）"),
    ("{said}; the champion before it scored", "{said}；由上一版本的模型评分"),
    ("features are older than their limit: {views}", "客户特征已超过时效：{views}"),
    ("features could not be read: {error}", "无法读取客户特征：{error}"),
    ("nothing is known of the customer", "对该客户一无所知"),
    ("the decision failed with these features; they were left out", "使用这些特征时决策失败；已弃用"),
    ("the feature store keeps failing and is left alone for a moment", "特征库持续失败，暂停访问"),
    ("{count} feature reads are under way already", "已有 {count} 个特征读取在进行"),
    ("the feature store did not answer within {time} ms", "特征库在 {time} 毫秒内没有回应"),
    ("the feature store cannot be read: {error}", "无法读取特征库：{error}"),
    ("the {model} model is missing", "缺少 {model} 模型"),
    ("the {model} model has no features to score", "{model} 模型没有可用的特征"),
    ("the {model} model failed ({error})", "{model} 模型失败（{error}）"),
    ("{said}; its weight counts as 1", "{said}；其权重按 1 计"),
    ("{said}, and no rate is known for every offer", "{said}，且并非每个优惠都有已知的接受率"),
    ("{said}, and the rules forbid the default action", "{said}，且规则禁止默认动作"),
    ("{said}, and the rules forbid both default actions", "{said}，且规则禁止两个默认动作"),
    ("{said}; {more}", "{said}；{more}"),
    ("{said}, {more}", "{said}，{more}"),
)
"""A sentence in English and in Chinese. Of two that fit, the first counts."""

WORDS: Mapping[str, Mapping[str, str]] = {
    "scope": {
        "customer": "每位客户",
        "household": "每个家庭",
        "offer": "每个优惠",
        "channel": "每个渠道",
        "placement": "每个展示位",
        "total": "总计",
        "per_customer": "每位客户",
        "per_day": "每天",
    },
    "period": {"day": "天", "week": "周", "month": "月"},
}
"""Values that are words of ours."""
NESTED = frozenset({"said", "more"})
"""Values that are sentences of the table."""
_UNKNOWN = re.compile(r"(?<=\S) unknown(?=,|$)")


def _pattern(english: str) -> re.Pattern[str]:
    parts = re.split(r"\{(\w+)\}", english)
    return re.compile(
        "".join(re.escape(part) if index % 2 == 0 else f"(?P<{part}>.+?)" for index, part in enumerate(parts)),
        re.DOTALL,
    )


@lru_cache(maxsize=1)
def _table() -> tuple[tuple[re.Pattern[str], str], ...]:
    return tuple((_pattern(english), chinese) for english, chinese in SENTENCES)


@lru_cache(maxsize=4096)
def in_chinese(text: str) -> str | None:
    """A sentence of ours in Chinese, with its values; None where the table does not have it."""
    for pattern, chinese in _table():
        match = pattern.fullmatch(text)
        if match is None:
            continue
        values = {name: _value(name, value) for name, value in match.groupdict().items()}
        if None not in values.values():
            return chinese.format(**values)
    return None


def _value(name: str, value: str) -> str | None:
    if name in NESTED:
        return in_chinese(value)
    if name == "error":
        return in_chinese(value) or value
    if name == "seen":
        return _UNKNOWN.sub(" 未知", value)
    return WORDS.get(name, {}).get(value, value)


def translated(text: str, language: str) -> str:
    """A sentence in the language of an answer; one that the table does not have stays English."""
    return text if language == "en" else in_chinese(text) or text
