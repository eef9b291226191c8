"""The definitions that a report prints: what each number means, in English and Chinese."""

DEFINITIONS: dict[str, str] = {
    "difference": "treatment - control, in the metric's unit; variances with n - 1",
    "ci": "difference +- t x se, t with Welch-Satterthwaite degrees of freedom; proportions are means of 0 and 1",
    "p": "two-sided, of the difference (Welch)",
    "lift": "treatment mean / control mean - 1, after covariate adjustment where there is any",
    "lift_ci": "Fieller's interval with the degrees of freedom of the difference; excludes 0 exactly when p < alpha",
    "lift_ci_log_delta": "exp(log(treatment / control) +- t x se of the log ratio) - 1",
    "cuped": "theta = pooled covariance with the covariates / their covariance, both arms together; means are centred "
    "on the covariates' pooled mean",
    "strata": "arms compared within strata, means weighted by the strata's share of both arms together; variance "
    "sum of share^2 x s^2 / n",
    "bayesian": "normal likelihood (on the lift by the delta method) with a flat prior and with the spec's normal one; "
    "risk is the expected loss of the wrong choice",
    "group_sequential": "bounds by the error spent over information time (Lan and DeMets); p is the smallest error "
    "rate whose bound this look would cross; the interval is the repeated one, difference +- bound x se",
    "hybrid": "a part of the error rate for the confidence sequence at any time, the rest for one test at the planned "
    "end; p = min(anytime p / part, p / rest)",
    "ratio": "sum(numerator) / sum(denominator); delta method over units",
    "quantile": "linear interpolation; variance by Maritz and Jarrett (the bootstrap's limit); normal theory",
    "winsor": "values above the upper quantile (linear) of all arms pooled (where the spec says so, of those above "
    "zero) count as that quantile; of a ratio, the numerator",
    "cluster": "CR1 sandwich, G/(G-1) x (N-1)/(N-2), t with G - 1 degrees of freedom",
    "anytime_ci": "asymptotic confidence sequence (arXiv 2103.06476v7), n = units of both arms, tightest at `tuning` "
    "units; valid at every look",
    "anytime_one_sided": "one-sided confidence sequence (arXiv 2103.06476v7, eq. 134) in the metric's good direction, "
    "error rate alpha on that side: the difference is at least (at_most: at most) `bound` at every look; p against "
    "'no better'",
    "anytime_p": "of this look; in cumulative[] the running minimum",
    "anytime_p_at_look": "the same of this look alone",
    "srm_segments": "the same within a segment: statistic, p, and p_adjusted by Holm over all of them; alarm below "
    "0.001",
    "p_adjusted": "Holm over every primary and guardrail contrast; Benjamini-Hochberg over the secondary ones, and "
    "over all segments; while the test runs, over the anytime p",
    "ci_fcr": "interval at alpha x selected / all of the family of segments (false coverage rate)",
    "heterogeneity": "Cochran's Q of the segments' differences, weights 1 / se^2",
    "srm": "Pearson chi-square of everyone who entered against the weights, arms of positive weight; sequential_p by "
    "a mixture of Dirichlet-multinomial Bayes factors, concentrations 100 and 10,000; alarm below 0.001",
    "non_inferiority": "margin is absolute, in the metric's unit; passed when the interval stays within it, broken "
    "when it lies wholly beyond; anytime_p: one-sided, against 'worse by the margin or more', valid at every look",
    "money": "per 1,000 units: 1,000 x (difference x value_per_unit - cost_per_unit)",
    "unit": "one row per unit, from its first logged exposure on; goals are counted alike for every arm",
    "n": "units counted: whose window is over, one row per unit, in the arm of the first exposure",
    "arms": "units counted, by arm",
    "weights": "share of the units that the spec gives each arm",
    "alpha": "error rate of one two-sided test; intervals are at 1 - alpha",
    "control_mean": "the control's mean per unit (a ratio: sum over sum; a quantile: that quantile), adjusted for "
    "covariates and strata where there are any",
    "treatment_mean": "the same of the treatment arm",
    "n_control": "units of the control that count",
    "n_treatment": "units of the treatment arm that count",
    "se": "standard error of the difference",
    "df": "degrees of freedom of t; null: normal theory",
    "z": "the difference in standard errors; bound: how many it takes at this look",
    "decisive": "what the verdict goes by: `ci` and `p` of one look, the anytime ones while a test "
    "without a plan runs, or those of the plan of looks",
    "anytime_lift_ci": "ends of the lift that Fieller's test does not reject with the confidence "
    "sequence's bound in place of t",
    "variance_explained": "1 - variance of the difference after adjustment / before it",
    "cap": "the value at which a winsorised metric was capped; without_cap: the same effect without it",
    "unadjusted": "the effect without covariates and strata",
    "multiplicity": "size: how many comparisons the family holds",
    "enrolment": "everyone who entered: `mature` have their window behind them and are counted, "
    "`not_mature` not yet; `in_two_arms` are left out; `assignment_mismatches` were logged "
    "in another arm than the spec's hash gives",
    "contacted": "share of an arm's units whose first decision said to contact",
    "exposed": "share of an arm's counted units with a contact known to have gone out within the longest window",
    "window_days": "days from the first exposure within which a metric's events count",
    "sample_left": "units of both arms for 80 % power to see smallest_lift, with the variance so far, "
    "less those counted; power_now: the chance that those counted show it",
    "more_units": "units of both arms still needed, rounded up to two figures: for 80 % power to see the "
    "change that the verdict names, or that a guardrail is within its limit, with the "
    "variance so far",
    "more_days": "more_units at the pace at which units have entered",
    "sequential": "information: share of the planned units seen; looks and bounds by the spending "
    "function; prices: most units over those of one test at the end for the same power, "
    "and the power with the same units where one test has 80 %",
    "plan": "units of both arms for 80 % power by relative change, from the metric's mean and variance "
    "in everyone's last full window; detectable_lift: the change seen with the whole audience",
    "assumptions": "what the data lack and was supposed instead",
    "past_trials": "A/A trials on past units: how many were split by lot and how often; false_alarms: share of the "
    "splits with an effect seen, false_alarms_ci its 95 % interval (Clopper and Pearson 1934), allowed what chance "
    "allows a correct analysis in 999 of 1,000 trials",
}

CHINESE: dict[str, str] = {
    "difference": "实验组 - 对照组，单位与指标相同；方差以 n - 1 为分母",
    "ci": "差值 ± t × 标准误，t 取 Welch-Satterthwaite 自由度；比例视为 0 与 1 的均值",
    "p": "差值的双侧检验（Welch）",
    "lift": "实验组均值 / 对照组均值 - 1；如有协变量，则为调整之后",
    "lift_ci": "Fieller 区间，自由度同差值；当且仅当 p < alpha 时不含 0",
    "lift_ci_log_delta": "exp(log(实验组 / 对照组) ± t × 对数比的标准误) - 1",
    "cuped": "theta = 与协变量的合并协方差 / 协变量的协方差，两组合并计算；均值以协变量的合并均值为中心",
    "strata": "在各分层内比较，均值按分层在两组合计中的占比加权；方差为 占比^2 × s^2 / n 之和",
    "bayesian": "正态似然（提升用 delta 法），分别取无信息先验与设定的正态先验；风险为选错时的期望损失",
    "group_sequential": "按信息时间消耗错误率的界限（Lan 与 DeMets）；p 为使本次查看恰好越界的最小错误率；"
    "区间为重复置信区间：差值 ± 界限 × 标准误",
    "hybrid": "一部分错误率用于随时可看的置信序列，其余用于计划终点的一次检验；p = min(anytime p / 该部分, p / 其余)",
    "ratio": "分子之和 / 分母之和；按单位用 delta 法",
    "quantile": "线性插值；方差用 Maritz-Jarrett 法（自助法的极限）；正态理论",
    "winsor": "高于全部分组合并后上分位数（线性；如方案注明，则仅取大于零的值）的值按该分位数计；比率指标仅限分子",
    "cluster": "CR1 稳健方差，G/(G-1) × (N-1)/(N-2)，t 取 G - 1 个自由度",
    "anytime_ci": "渐近置信序列（arXiv 2103.06476v7），n 为两组单位数之和，在 `tuning` 个单位处最窄；每次查看均有效",
    "anytime_one_sided": "单侧置信序列（arXiv 2103.06476v7，式 134），取指标有利的方向，该侧错误率为 alpha："
    "每次查看时差值均不低于（at_most：不高于）`bound`；p 针对“没有更好”",
    "anytime_p": "本次查看的值；cumulative[] 中为迄今最小值",
    "anytime_p_at_look": "仅本次查看的值",
    "srm_segments": "细分内的同一检验：统计量、p，以及对全部细分按 Holm 调整的 p_adjusted；低于 0.001 报警",
    "p_adjusted": "全部主要与护栏对比用 Holm 法；次要对比与全部细分各用 Benjamini-Hochberg 法；"
    "实验运行期间以 anytime p 计算",
    "ci_fcr": "区间水平为 alpha × 选中数 / 细分总数（错误覆盖率）",
    "heterogeneity": "各细分差值的 Cochran Q，权重为 1 / 标准误的平方",
    "srm": "全部进入者对设定权重的 Pearson 卡方，仅限权重为正的分组；sequential_p 为浓度 100 与 10,000 的 "
    "Dirichlet-多项贝叶斯因子混合；低于 0.001 报警",
    "non_inferiority": "界限为绝对值，单位与指标相同；区间完全在界限内为通过，完全越过界限为突破；"
    "anytime_p 为单侧检验，针对“差出界限或更多”，每次查看均有效",
    "money": "每 1,000 个单位：1,000 × (差值 × value_per_unit - cost_per_unit)",
    "unit": "每个单位一行，自首次记录的曝光起；各组的目标统计方式一致",
    "n": "计入的单位数：观察窗口已结束，每单位一行，归入首次曝光时的分组",
    "arms": "各分组计入的单位数",
    "weights": "方案为各分组设定的占比",
    "alpha": "单次双侧检验的错误率；区间水平为 1 - alpha",
    "control_mean": "对照组每单位均值（比率为和之比；分位数为该分位数）；如有协变量或分层，则为调整之后",
    "treatment_mean": "实验组的同一数值",
    "n_control": "对照组计入的单位数",
    "n_treatment": "实验组计入的单位数",
    "se": "差值的标准误",
    "df": "t 的自由度；null 表示正态理论",
    "z": "差值除以标准误；bound 为本次查看所需的倍数",
    "decisive": "结论所依据的结果：单次查看的 `ci` 与 `p`；无查看计划的实验运行期间用随时可看的区间与 p；"
    "有计划时用计划的结果",
    "anytime_lift_ci": "以置信序列的界限代替 t，Fieller 检验不拒绝的提升区间端点",
    "variance_explained": "1 - 调整后差值方差 / 调整前差值方差",
    "cap": "缩尾指标的封顶值；without_cap 为不封顶时的效果",
    "unadjusted": "不用协变量与分层时的效果",
    "multiplicity": "size 为该组比较的个数",
    "enrolment": "全部进入者：`mature` 的观察窗口已结束并计入，`not_mature` 尚未；`in_two_arms` 不计入；"
    "`assignment_mismatches` 为记录的分组与方案哈希不符者",
    "contacted": "该分组中首次决策为触达的单位占比",
    "exposed": "该分组计入的单位中，在最长窗口内确知已发出触达的占比",
    "window_days": "自首次曝光起统计指标事件的天数",
    "sample_left": "以目前方差、80% 功效看出 smallest_lift 所需的两组单位数减去已计入数；power_now "
    "为现有单位能看出它的概率",
    "more_units": "仍需的两组单位数（进位至两位有效数字）：以目前方差、80% 功效看出结论所述的变化，或证明护栏未越界",
    "more_days": "按目前进入速度，more_units 所需的天数",
    "sequential": "information 为已见单位占计划的比例；looks 与 bounds 由消耗函数给出；prices "
    "为同等功效所需最多单位与终点一次检验之比，以及单位数相同、一次检验为 80% 时的功效",
    "plan": "由全体最近一个完整窗口的均值与方差，按相对变化给出 80% 功效所需的两组单位数；"
    "detectable_lift 为全部受众可看出的变化",
    "assumptions": "数据缺失而由假设补足之处",
    "past_trials": "历史单位上的 A/A 试验：参与随机拆分的单位数与拆分次数；false_alarms 为判为有效果的拆分占比，"
    "false_alarms_ci 为其 95% 区间（Clopper 与 Pearson，1934），"
    "allowed 为正确的分析 1,000 次试验中有 999 次落在其中的范围",
}
"""The same in Chinese."""


def definition(name: str, text: str, language: str) -> str:
    """A definition for readers of a language; the results' own text where there is no other."""
    return CHINESE.get(name, text) if language == "zh" else text


def used(
    *,
    covariates: bool,
    cluster: bool,
    kinds: set[str],
    winsor: bool,
    segments: bool,
    strata: bool = False,
    basis: str = "fixed",
    log: bool = True,
) -> dict[str, str]:
    """The definitions that one experiment's results use."""
    skip: set[str] = {"group_sequential", "hybrid"} - {basis}
    if not strata:
        skip.add("strata")
    if not covariates:
        skip.add("cuped")
    if not cluster:
        skip.add("cluster")
    if not winsor:
        skip.add("winsor")
    if not segments:
        skip |= {"ci_fcr", "heterogeneity"}
    if not log:
        skip |= {"enrolment", "contacted", "exposed", "window_days"}
    skip |= {"past_trials"} | ({"ratio", "quantile"} - kinds)
    return {name: text for name, text in DEFINITIONS.items() if name not in skip}
