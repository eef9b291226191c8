"""Sentences of the pages on whom to contact, what policies are worth, and what the parts of a decision earn."""

WORTH: dict[str, tuple[str, str]] = {
    "download_table": ("This table as a sheet (CSV)", "下载此表（CSV）"),
    "nav_uplift": ("Whom to contact", "联系谁"),
    "nav_policies": ("Policy value", "策略价值"),
    # --- whom to contact
    "uplift_note": (
        "Is a score right about whom a contact moves? Judged on the people of an experiment.",
        "评分能否找出会被触达打动的客户？依据实验中的客户检验。",
    ),
    "uplift_form": ("Another score, other prices", "换一个评分或价格"),
    "uplift_form_note": (
        "With a value per outcome the page shows what contacting the top x % earns, and how many to contact.",
        "填写每个结果的价值后，页面会显示联系评分最高的 x% 能赚多少，以及应联系多少人。",
    ),
    "experiment": ("Experiment", "实验"),
    "score": ("Score", "评分"),
    "score_served": ("the uplift model in force", "当前的增量模型"),
    "price_value": ("Value of one outcome", "每个结果的价值"),
    "price_cost": ("Cost of one contact", "每次触达的成本"),
    "wrong_price": ("{name}: a number of 0 or more is needed.", "{name}：请填写不小于 0 的数字。"),
    "no_decisions_title": ("Nothing to judge yet", "还没有可检验的内容"),
    # --- what policies are worth
    "policies_form": ("Other policies, another outcome", "换一个策略或结果"),
    "policies_form_note": (
        "Values what policies would have earned, from what really happened after logged decisions.",
        "依据已记录决策之后的真实结果，估算各策略本可获得的收益。",
    ),
    "every_policy": ("every other policy", "其他全部策略"),
    "reward": ("Counted", "计入的结果"),
    "reward_own": ("as the workspace has it", "按工作区设置"),
    "reward_goal": ("customers who did the goal", "达成目标的客户"),
    "reward_revenue": ("their revenue", "带来的收入"),
    "arms_by": ("What was tried, by", "已尝试的选择，按"),
    "arms": ("What exploring has taught", "探索得到的结果"),
    "arms_note": (
        "Had each been chosen wherever rules allow it, by logged probabilities (AIPW). Plain means follow the scores.",
        "假如在规则允许之处都选择它：按记录的选择概率估计（AIPW）。直接平均会误导，因为谁得到什么取决于评分。",
    ),
    "arms_counted": (
        "{n} decisions with a choice and {days} days complete; {without} had no choice, {open} are not complete.",
        "{n} 次决策有选择余地且 {days} 天观察期已满；{without} 次没有选择余地，{open} 次观察期未满。",
    ),
    "arm_chosen": ("Chosen", "被选次数"),
    "arm_plain": ("Plain mean (misleads)", "直接平均（有偏）"),
    "arm_estimate": ("Estimate", "估计"),
    "arm_over": ("Over no contact", "相对不联系"),
    "arm_worth": ("Worth (decisions)", "有效样本量"),
    "arm_too_few_allowed": ("no number: too rarely possible", "不给出数字：可选次数太少"),
    "arm_too_few_chosen": ("no number: too rarely chosen", "不给出数字：被选次数太少"),
    "arm_too_unevenly_dealt": ("no number: too unevenly dealt", "不给出数字：分配过于不均"),
    "interval_95": ("95 % interval", "95% 区间"),
    "metric_rmse": ("root of the mean squared error in money", "均方根误差金额"),
    # --- what the parts of a decision earn
    "parts": ("What each part of the decision earns", "决策各部分的贡献"),
    "parts_note": (
        "Arms that leave one part out, dealt by lot under the same rules; intervals hold for all parts together.",
        "各组在相同规则下随机分配，每组缺少一个部分；区间对所有部分同时成立。",
    ),
    "arm": ("Arm", "组别"),
    "per_customer": ("Per customer", "每位客户"),
    "left_now": ("{n} more to see a change of {lift}", "还需 {n} 名客户才能看出 {lift} 的变化"),
    "left_verdict": ("{n} more for an answer", "还需 {n} 名客户才能得出结论"),
    "left_days": (" (about {days} days)", "（约 {days} 天）"),
    "stale": (
        "As it was at {when}. A newer answer is being worked out: load the page again to see it.",
        "此为 {when} 的结果。新的结果正在计算，请稍后刷新页面。",
    ),
    "evidence_rows": ("What the rows are worth", "记录的有效量"),
}
