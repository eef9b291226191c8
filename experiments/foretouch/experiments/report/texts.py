"""Every sentence of checks and verdicts, in English and Chinese. One catalogue, the same keys and placeholders."""

from collections.abc import Mapping

LANGUAGES = ("en", "zh")

Phrase = Mapping[str, str]
"""One text by language."""

SENTENCES: dict[str, dict[str, str]] = {
    "win": {
        "en": "“{arm}” {moves} {metric} from {before} (“{control}”) to {after}: about {effect} "
        "(we are {level} sure it is between {low} and {high}). {guardrails} Recommendation: roll out.",
        "zh": "“{arm}”使{metric}从 {before}（“{control}”）{moves}到 {after}：约 {effect}"
        "（{level} 置信区间 {low} 至 {high}）。{guardrails}建议：全量上线。",
    },
    "win_guardrail_open": {
        "en": "“{arm}” {moves} {metric} from {before} (“{control}”) to {after}: about {effect} "
        "(we are {level} sure it is between {low} and {high}). "
        "But we cannot rule out yet that {guardrail} gets worse by more than the {margin} you allowed. "
        "Recommendation: keep running, or run it again for longer. {needed}",
        "zh": "“{arm}”使{metric}从 {before}（“{control}”）{moves}到 {after}：约 {effect}"
        "（{level} 置信区间 {low} 至 {high}）。"
        "但尚不能排除{guardrail}恶化超过你设定的 {margin}。建议：继续运行，或再做一次更长的实验。{needed}",
    },
    "unclear": {
        "en": "We cannot tell yet. So far, {metric} is {after} with “{arm}” and {before} with “{control}”; the true "
        "effect is likely between {low} and {high}. {needed}",
        "zh": "目前还无法下结论。迄今{metric}：“{arm}”为 {after}，“{control}”为 {before}；"
        "真实效果可能在 {low} 至 {high} 之间。{needed}",
    },
    "unclear_many": {
        "en": "We cannot tell yet. So far, {metric} is {after} with “{arm}” and {before} with “{control}”; the true "
        "effect is likely between {low} and {high}, but with {count} comparisons made at once that is not certain "
        "enough. {needed}",
        "zh": "目前还无法下结论。迄今{metric}：“{arm}”为 {after}，“{control}”为 {before}；"
        "真实效果可能在 {low} 至 {high} 之间，但由于同时进行了 {count} 项比较，把握还不够。{needed}",
    },
    "unclear_spec": {
        "en": "There is nothing to read: {reason}.",
        "zh": "没有可读的结果：{reason}。",
    },
    "unclear_refused": {
        "en": "We cannot tell: {metric} could not be computed for “{arm}” ({reason}).",
        "zh": "无法下结论：“{arm}”的{metric}无法计算（{reason}）。",
    },
    "unclear_none_mature": {
        "en": "We cannot tell yet: {reason}.",
        "zh": "目前还无法下结论：{reason}。",
    },
    "unclear_no_primary": {
        "en": "The spec names no primary metric, so there is nothing to decide on. Read the table below.",
        "zh": "设定中没有主要指标，因此无法给出结论。请查看下表。",
    },
    "harm_primary": {
        "en": "Stop: “{arm}” {moves} {metric} from {before} (“{control}”) to {after}: about {effect} "
        "(we are {level} sure it is between {low} and {high}).",
        "zh": "建议停止：“{arm}”使{metric}从 {before}（“{control}”）{moves}到 {after}：约 {effect}"
        "（{level} 置信区间 {low} 至 {high}）。",
    },
    "harm_guardrail": {
        "en": "Stop: with “{arm}”, {metric} {moved} by {low} to {high}, more than the {margin} you "
        "allowed (it is {after}, against {before} with “{control}”).",
        "zh": "建议停止：“{arm}”的{metric}{moved} {low} 至 {high}，超过你设定的 {margin}"
        "（现为 {after}，“{control}”为 {before}）。",
    },
    "harm_guardrail_plain": {
        "en": "Stop: with “{arm}”, {metric} {moved} by {low} to {high} (it is {after}, against {before} with "
        "“{control}”).",
        "zh": "建议停止：“{arm}”的{metric}{moved} {low} 至 {high}（现为 {after}，“{control}”为 {before}）。",
    },
    "equivalent": {
        "en": "“{arm}” is no worse than “{control}” on {metric} by more than {margin} (the limit you set).",
        "zh": "“{arm}”的{metric}不比“{control}”差超过 {margin}（你设定的界限）。",
    },
    "broken_split": {
        "en": "Do not read the results: the groups are not the size they should be.",
        "zh": "请勿采信结果：分组人数与设定不符。",
    },
    "broken": {
        "en": "Do not read the results: {reason}.",
        "zh": "请勿采信结果：{reason}。",
    },
    "guardrails_none": {"en": "No guardrail was set.", "zh": "未设定护栏指标。"},
    "guardrails_fine": {"en": "No guardrail was harmed.", "zh": "护栏指标均未受损。"},
    "needed": {
        "en": "About {units} more customers{days} are needed to see a {target} change.",
        "zh": "要看出 {target} 的变化，还需约 {units} 名客户{days}。",
    },
    "needed_days": {
        "en": " ({days} days at the pace so far)",
        "zh": "（按目前进度约 {days} 天）",
    },
    "needed_within": {
        "en": "About {units} more customers{days} will show it, if it stays as it is.",
        "zh": "若情况不变，还需约 {units} 名客户{days}即可判断。",
    },
    "needed_unknown": {
        "en": "How many more customers are needed cannot be said yet: “{control}” shows nothing to compare with.",
        "zh": "尚无法估计还需多少名客户：“{control}”目前没有可比较的数值。",
    },
    "needed_nothing": {
        "en": "A change of {target} would have been seen; if there is one, it is smaller.",
        "zh": "若有 {target} 的变化，现在应已看出；即使有效果，也更小。",
    },
    "raises": {"en": "raises", "zh": "提高"},
    "lowers": {"en": "lowers", "zh": "降低"},
    "rose": {"en": "rose", "zh": "上升"},
    "fell": {"en": "fell", "zh": "下降"},
    "split_ok": {
        "en": "Groups have the size they should: {split}",
        "zh": "分组人数与设定相符：{split}",
    },
    "split_bad": {
        "en": "Groups are not the size they should be: {split}. Likely causes: a redirect or an error in one arm, "
        "bots, late logging, or a filter applied after assignment",
        "zh": "分组人数与设定不符：{split}。可能原因：某一分组跳转或出错、机器人流量、日志延迟，或分配之后才做筛选",
    },
    "arms_ok": {"en": "Every customer is in one group only", "zh": "每位客户只在一个分组"},
    "arms_some": {
        "en": "{count} customers were seen in more than one group and are left out",
        "zh": "有 {count} 名客户出现在多个分组，已剔除",
    },
    "arms_bad": {"en": "Customers are in groups they should not be in", "zh": "有客户进入了不该进入的分组"},
    "assignment_ok": {
        "en": "Every customer got the group that was drawn for them",
        "zh": "每位客户的分组均与分配结果一致",
    },
    "assignment_bad": {
        "en": "{count} customers were logged in another group than the one drawn for them",
        "zh": "有 {count} 名客户的记录分组与设定的分配不一致",
    },
    "balance_ok": {
        "en": "The groups were alike before the test (compared in: {count})",
        "zh": "实验前各组相似（{count} 项）",
    },
    "balance_bad": {
        "en": "The groups already differed before the test in {column}",
        "zh": "实验前各组在 {column} 上已有差异",
    },
    "fresh_ok": {"en": "Data reach up to {time}", "zh": "数据截至 {time}"},
    "fresh_old": {
        "en": "The newest event arrived on {time}: check that events still come in",
        "zh": "最新事件到达于 {time}：请确认事件仍在接入",
    },
    "fresh_none": {"en": "No event of these metrics has arrived yet", "zh": "尚未收到这些指标的任何事件"},
    "maturity": {
        "en": "{mature} of {entered} customers have a complete window; the others are left out, in every group alike.",
        "zh": "{entered} 名客户中有 {mature} 名观察期已满；其余客户在各组中一律剔除。",
    },
    "running": {
        "en": "The test is still running: certainty is judged so that looking every day does no harm.",
        "zh": "实验仍在运行：结论按可每日查看的方式判断。",
    },
    "simulated": {
        "en": "SIMULATED DATA: a planted world, not real customers",
        "zh": "模拟数据：人为设定的世界，并非真实客户",
    },
    "complete-journey": {
        "en": "SAMPLE DATA: The Complete Journey, published by 84.51°, with assumptions listed below",
        "zh": "示例数据：84.51° 发布的 The Complete Journey，并含下列假设",
    },
}
"""By key, then by language."""


def say(key: str, **values: object) -> dict[str, str]:
    """A sentence in both languages, as the fields ``text_en`` and ``text_zh``.

    Args:
        key: A key of ``SENTENCES``.
        values: Placeholders: the same for both languages, or a mapping from language to text.
    """
    return {f"text_{language}": sentence(key, language, **values) for language in LANGUAGES}


def sentence(key: str, language: str, **values: object) -> str:
    """A sentence in one language."""
    chosen = {name: value[language] if isinstance(value, Mapping) else value for name, value in values.items()}
    return SENTENCES[key][language].format(**chosen)


def phrase(key: str) -> Phrase:
    """A text of the catalogue, to be used as a placeholder of another."""
    return SENTENCES[key]
