"""What to do next, for every verdict: a fixed table, in English and Chinese, with the commands to run."""

import math
from datetime import timedelta

from foretouch.experiments.report.names import arm_title
from foretouch.experiments.report.texts import LANGUAGES, Phrase
from foretouch.experiments.results import Results

STEPS: dict[str, dict[str, str]] = {
    "wait": {
        "en": "Nothing is wrong. Leave the service running and make the page again on {date} or later: {report}",
        "zh": "一切正常。请让服务继续运行，并在 {date} 或之后重新生成本页：{report}",
    },
    "shorter": {
        "en": "To look earlier, count a shorter window, in every group alike: {report} --window-days {days}",
        "zh": "如需提前查看，可在各组一致地缩短观察期：{report} --window-days {days}",
    },
    "size": {
        "en": "How many customers this test needs, estimated from past data: {design}",
        "zh": "根据历史数据估算本实验所需的客户数：{design}",
    },
    "start": {
        "en": "Customers enter with their first decision. Start the service and let the engine ask it: {serve}",
        "zh": "客户在首次决策时进入实验。请启动服务并让营销系统发起请求：{serve}",
    },
    "events": {
        "en": "Post the events that these metrics count (POST /v1/events), or ingest them: without them nothing is "
        "seen in any group.",
        "zh": "请提交（POST /v1/events）或导入这些指标所统计的事件：否则各组都看不到结果。",
    },
    "spec": {
        "en": "Mend experiments/{key}.toml, then make the page again: {report}",
        "zh": "请修改 experiments/{key}.toml，然后重新生成本页：{report}",
    },
    "ignore": {
        "en": "Act on no number of this test, not even on those of one group.",
        "zh": "请勿依据本实验的任何数字（包括单个分组的数字）采取行动。",
    },
    "again": {
        "en": "When the cause is mended, start afresh under another key (a new file in experiments/), so that "
        "customers who were counted wrongly stay out.",
        "zh": "排除原因后，请以新的 key（在 experiments/ 中新建文件）重新开始，以免计入此前有误的客户。",
    },
    "stop": {
        "en": "Change what “{arm}” does (policy.toml) before you end the test: when a test ends, all its customers get "
        "the workspace's policy.",
        "zh": "结束实验前请先调整“{arm}”的做法（policy.toml）：实验结束后，所有客户将按工作区策略执行。",
    },
    "ship": {
        "en": "Make what “{arm}” does the workspace's policy (policy.toml), then end the test (ends_at in "
        "experiments/{key}.toml). A small group that stays without it keeps the effect measurable.",
        "zh": "将“{arm}”的做法设为工作区策略（policy.toml），然后结束实验（experiments/{key}.toml 中的 ends_at）。"
        "保留一小组不采用，可持续衡量效果。",
    },
    "go_on": {
        "en": "Let the test run. You may look on any day: {report}",
        "zh": "让实验继续运行，可在任意一天查看：{report}",
    },
    "ended": {
        "en": "The test is over. To learn more, run it again under another key with more customers; else decide with "
        "what this page knows.",
        "zh": "实验已结束。如需更多把握，请以新的 key 用更多客户重做；否则依据本页已知内容决定。",
    },
    "choose": {
        "en": "Choose by cost and effort: on this metric, “{arm}” costs you no more than the limit you set.",
        "zh": "可按成本与工作量选择：在该指标上，“{arm}”的损失不超过你设定的界限。",
    },
}
"""By name, then by language."""


def steps_of(results: Results) -> list[Phrase]:
    """What to do next, in order; nothing for a table of rows, except not to read broken ones."""
    names = [name for name in _names(results) if name != "size" or not results.plan]
    if not results.workspace:
        names = [name for name in names if name == "ignore"]
    place, key = results.workspace, results.key
    arm = arm_title(results, results.verdict.contrast or "")
    enrolment = results.enrolment
    due = ""
    if enrolment is not None and enrolment.first_exposure is not None and enrolment.window_days:
        due = f"{enrolment.first_exposure + timedelta(days=max(enrolment.window_days.values())):%Y-%m-%d}"
    return [
        {
            code: STEPS[name][code].format(
                arm=arm[code],
                key=key,
                date=due,
                days=_oldest_days(results),
                report=f"foretouch experiment report {key} {place}",
                design=f"foretouch experiment design {key} {place}",
                serve=f"foretouch serve {place}",
            )
            for code in LANGUAGES
        }
        for name in names
    ]


def _names(results: Results) -> list[str]:
    code = results.verdict.code
    whole = {item.code for item in results.refusals if item.metric is None and item.segment is None}
    if code == "broken":
        return ["ignore", "again"]
    if "spec_wrong" in whole:
        return ["spec"]
    if whole & {"no_log", "no_units"}:
        return ["start", "size"]
    if "none_mature" in whole:
        return ["wait", *(["shorter"] if _oldest_days(results) else []), "size"]
    if code == "unclear":
        silent = any(check.code in {"fresh_old", "fresh_none"} for check in results.checks)
        return [*(["events"] if silent else []), "go_on" if results.basis == "anytime" else "ended", "size"]
    return {"win": ["ship"], "harm": ["stop"], "equivalent": ["choose"]}[code]


def _oldest_days(results: Results) -> int:
    """Whole days since the first customer entered: the longest window that anybody has behind them."""
    enrolment = results.enrolment
    if enrolment is None or enrolment.first_exposure is None:
        return 0
    return math.floor((enrolment.as_of - enrolment.first_exposure) / timedelta(days=1))
