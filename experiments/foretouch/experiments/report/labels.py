"""Headings and labels of the report page, in English and Chinese."""

LABELS: dict[str, dict[str, str]] = {
    "report": {"en": "Experiment report", "zh": "实验报告"},
    "other_language": {"en": "中文版", "zh": "English"},
    "trust": {"en": "Can these numbers be trusted?", "zh": "数据可信吗？"},
    "verdict": {"en": "Verdict", "zh": "结论"},
    "win": {"en": "Roll out", "zh": "建议上线"},
    "unclear": {"en": "Not decided yet", "zh": "尚无定论"},
    "harm": {"en": "Stop", "zh": "建议停止"},
    "equivalent": {"en": "No worse", "zh": "不差于现状"},
    "broken": {"en": "Do not read", "zh": "请勿采信"},
    "green": {"en": "fine", "zh": "正常"},
    "amber": {"en": "look", "zh": "留意"},
    "red": {"en": "stop", "zh": "异常"},
    "money": {"en": "What it is worth", "zh": "价值"},
    "money_revenue": {
        "en": "Extra revenue per 1,000 customers{within}, “{arm}” against “{control}”: {value} "
        "(between {low} and {high}).",
        "zh": "“{arm}”与“{control}”相比，每 1,000 名客户{within}增加收入：{value}（{low} 至 {high}）。",
    },
    "money_margin": {
        "en": "Extra contribution margin per 1,000 customers{within}, “{arm}” against “{control}”: {value} "
        "(between {low} and {high}).",
        "zh": "“{arm}”与“{control}”相比，每 1,000 名客户{within}增加边际贡献：{value}（{low} 至 {high}）。",
    },
    "within": {"en": " within {days} days of their first decision", "zh": "在首次决策后 {days} 天内"},
    "money_audience": {
        "en": "If all {n} customers counted in this test were in “{arm}”{within}: {value} (between {low} and {high}).",
        "zh": "若本实验计入的全部 {n} 名客户均属“{arm}”，{within}：{value}（{low} 至 {high}）。",
    },
    "money_revenue_note": {
        "en": "This is revenue in {currency}, not profit: the costs of goods and of contacts are not subtracted.",
        "zh": "此为收入（{currency}），不是利润：未扣除商品成本和触达成本。",
    },
    "money_margin_note": {
        "en": "Contribution margin in {currency}, at the value per unit that the spec states. No cost of contacting is "
        "stated there, so none is subtracted.",
        "zh": "边际贡献（{currency}），按设定中的单位价值计算。设定中未给出触达成本，因此未扣除。",
    },
    "money_margin_cost_note": {
        "en": "Contribution margin in {currency}, at the value per unit that the spec states, less its cost of {cost} "
        "per customer of the group.",
        "zh": "边际贡献（{currency}），按设定中的单位价值计算，已扣除该组每位客户 {cost} 的成本。",
    },
    "money_wait": {
        "en": "No money figure yet: it comes with the numbers.",
        "zh": "暂无金额，待有数字后给出。",
    },
    "own_units": {"en": "the spec's own units", "zh": "设定的单位"},
    "money_none": {
        "en": "No money figure: no metric of this test is revenue or has a value per unit in the spec.",
        "zh": "无金额：本实验没有收入指标，设定中也未给出单位价值。",
    },
    "main": {"en": "Primary metrics and guardrails", "zh": "主要指标与护栏指标"},
    "main_note": {
        "en": "Dots are estimates, bars are {level} intervals. The black line is no change.",
        "zh": "圆点为估计值，横线为 {level} 区间；黑线表示无变化。",
    },
    "limit_note": {
        "en": "A dotted red mark is the limit you set; beside it, changes are shares of the control.",
        "zh": "红色虚线为你设定的界限（此处变化按对照组的占比表示）。",
    },
    "main_note_anytime": {
        "en": "The test still runs: bars are the wider intervals that stay valid however often you look.",
        "zh": "实验仍在运行：区间为可随时查看的较宽区间。",
    },
    "secondary": {"en": "Other metrics", "zh": "其他指标"},
    "secondary_note": {
        "en": "To learn from, not to decide on.",
        "zh": "仅供参考，不作为决策依据。",
    },
    "cumulative": {"en": "How the effect developed", "zh": "效果随时间的变化"},
    "cumulative_note": {
        "en": "All customers who had entered by each day. The filled band may be read on any day.",
        "zh": "截至每日进入实验的全部客户；填充区间可在任意一天查看。",
    },
    "segments": {"en": "By segment", "zh": "按细分"},
    "segments_note": {
        "en": "Exploratory: intervals allow for looking at many segments.",
        "zh": "探索性结果：区间已考虑多个细分的比较。",
    },
    "q_same": {
        "en": "No sign that the effect on {metric} differs by {segment}.",
        "zh": "没有迹象表明{metric}的效果因 {segment} 而不同。",
    },
    "q_differs": {
        "en": "There are signs that the effect on {metric} differs by {segment}: worth a test of its own.",
        "zh": "有迹象表明{metric}的效果因 {segment} 而不同，值得单独验证。",
    },
    "groups": {"en": "Who took part", "zh": "参与情况"},
    "appendix": {"en": "Appendix: definitions and how to reproduce this", "zh": "附录：定义与复现方法"},
    "assumptions": {"en": "Assumptions behind these numbers", "zh": "数据假设"},
    "assumptions_note": {
        "en": "The data do not contain the following. It was filled in as stated.",
        "zh": "数据中不含以下内容，按所述假设补全。",
    },
    "refusals": {"en": "No number is given for", "zh": "以下内容不给出数字"},
    "reproduce": {"en": "Reproduce with", "zh": "复现命令"},
    "input_hash": {"en": "Input hash (SHA-256)", "zh": "输入哈希（SHA-256）"},
    "spec_hash": {"en": "Spec hash (SHA-256)", "zh": "设定哈希（SHA-256）"},
    "as_of": {"en": "As of {time}", "zh": "截至 {time}"},
    "metric": {"en": "Metric", "zh": "指标"},
    "arm": {"en": "Group", "zh": "分组"},
    "treatment": {"en": "Treated", "zh": "实验组"},
    "change": {"en": "Change", "zh": "变化"},
    "lift": {"en": "Relative change", "zh": "相对变化"},
    "interval": {"en": "{level} interval", "zh": "{level} 区间"},
    "anytime_interval": {"en": "Anytime {level} interval", "zh": "随时可看的 {level} 区间"},
    "state": {"en": "State", "zh": "状态"},
    "passed": {"en": "within the limit", "zh": "在界限内"},
    "not_shown": {"en": "not shown yet", "zh": "尚未证明"},
    "limit_broken": {"en": "broken", "zh": "已突破"},
    "segment": {"en": "Segment", "zh": "细分"},
    "customers": {"en": "Customers", "zh": "客户数"},
    "planned": {"en": "Planned share", "zh": "计划占比"},
    "expected": {"en": "Expected", "zh": "应有人数"},
    "contacted": {"en": "To be contacted", "zh": "决定触达占比"},
    "day": {"en": "Through", "zh": "截至"},
    "effect": {"en": "Effect so far", "zh": "累计效果"},
    "anytime_band": {"en": "safe to read on any day", "zh": "任意一天可看的区间"},
    "fixed_band": {"en": "only for a single look", "zh": "仅限一次查看的区间"},
    "change_percent": {"en": "relative change, %", "zh": "相对变化，%"},
    "window": {
        "en": "Goals are counted for {windows} from each customer's first decision, in every group alike.",
        "zh": "目标自每位客户首次决策起统计 {windows}，各组一致。",
    },
    "days": {"en": "{days} days", "zh": "{days} 天"},
    "shortened": {
        "en": "Windows were shortened to {days} days to read the test early.",
        "zh": "为提前查看，观察期缩短为 {days} 天。",
    },
    "next": {"en": "What to do now", "zh": "下一步"},
    "summary": {
        "en": "{n} customers entered from {first} to {last}; each is watched for {days} days from the first decision.",
        "zh": "{first} 至 {last} 共有 {n} 名客户进入；每位客户自首次决策起观察 {days} 天。",
    },
    "summary_day": {
        "en": "{n} customers entered on {first}; each is watched for {days} days from the first decision.",
        "zh": "{first} 共有 {n} 名客户进入；每位客户自首次决策起观察 {days} 天。",
    },
    "summary_end": {
        "en": "New customers enter until {end}.",
        "zh": "新客户进入截至 {end}。",
    },
    "does": {"en": "What it gets", "zh": "做法"},
    "does_policy": {"en": "what the policy decides", "zh": "由策略决定"},
    "does_no_contact": {"en": "no contact at all", "zh": "完全不触达"},
    "does_business_as_usual": {"en": "the usual offer", "zh": "照常的优惠"},
    "does_random": {"en": "a random eligible offer", "zh": "随机一个可用优惠"},
    "counted": {"en": "Counted", "zh": "已计入"},
    "groups_note": {
        "en": "Sizes are of everyone who entered; counted are those whose window is over.",
        "zh": "人数为全部进入者；已计入者为观察期已满的客户。",
    },
    "plan": {"en": "How many customers this test needs", "zh": "本实验需要多少客户"},
    "plan_note": {
        "en": "Estimated from past data, in all groups together: enough to see the change eight times in ten, if it is "
        "there. The further the shares are from even, the more it takes.",
        "zh": "根据历史数据估算，为各组合计：若确有变化，十次中有八次能看出。各组占比越不均衡，所需越多。",
    },
    "plan_change": {"en": "to see {lift}", "zh": "看出 {lift}"},
    "plan_all": {"en": "Seen with everyone", "zh": "全部客户可看出"},
    "plan_seen": {
        "en": "With all {n} customers of this workspace, a change of “{metric}” by {lift} or more would be seen.",
        "zh": "若全部 {n} 名客户进入，可看出“{metric}”{lift} 及以上的变化。",
    },
    "all_numbers": {"en": "All numbers", "zh": "全部数字"},
    "table_of": {"en": "The same as a table", "zh": "以表格显示"},
    "primary": {"en": "primary", "zh": "主要"},
    "guardrail": {"en": "guardrail", "zh": "护栏"},
    "withheld": {
        "en": "Numbers are withheld because they would mislead.",
        "zh": "为避免误导，不显示数字。",
    },
    "definition": {"en": "Definitions", "zh": "定义"},
    "statistics": {"en": "For statisticians", "zh": "统计细节"},
}
"""By key, then by language."""


def label(key: str, language: str, **values: object) -> str:
    """A label in one language."""
    return LABELS[key][language].format(**values)
