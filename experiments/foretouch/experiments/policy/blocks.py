"""The sections of a policy page: estimates beside each other, how good the evidence is, what was left out."""

from foretouch.experiments.policy.contract import Amount, PolicyEstimate, PolicyResults
from foretouch.experiments.report import numbers
from foretouch.experiments.report.catalogue import Catalogue, Phrase
from foretouch.experiments.report.charts import Dot, interval_plot
from foretouch.experiments.report.labels import label
from foretouch.experiments.report.meanings import meaning, meanings
from foretouch.experiments.report.section import Block

WORDS = Catalogue("policy")
"""By key, then by language."""
PER = 1000.0
MARKS = {"green": "✓", "amber": "!", "red": "✕"}


def policy_blocks(found: PolicyResults, language: str) -> list[Block]:
    """Every section, in the order of reading."""
    return [_estimates(found, language), _evidence(found, language), _left_out(found, language)]


def per_1000(found: PolicyResults, value: float, *, sign: bool = False) -> Phrase:
    """A reward per decision as one per 1,000: money where it is revenue, customers else."""
    if found.reward == "revenue":
        return numbers.money(PER * value, found.currency, sign=sign)
    return numbers.amount(PER * value, sign=sign)


def _span(found: PolicyResults, item: Amount, language: str, *, sign: bool = False) -> str:
    low, high = (per_1000(found, end, sign=sign)[language] for end in item.ci)
    return f"{per_1000(found, item.value, sign=sign)[language]}\n{low} … {high}"


def _found(item: PolicyEstimate) -> str:
    low, high = item.difference.ci
    return "good" if low > 0.0 else "bad" if high < 0.0 else "same" if low == high == 0.0 else "open"


def _tone(item: PolicyEstimate) -> str:
    return {"same": "open"}.get(_found(item), _found(item))


def _estimates(found: PolicyResults, language: str) -> Block:
    told = [item for item in found.policies if item.verdict == "ok"]
    dots = [
        Dot(
            label=f"{item.name} · {name}",
            value=PER * amount.value,
            low=PER * amount.ci[0],
            high=PER * amount.ci[1],
            tone=tone,
        )
        for item in told
        for name, amount, tone in (("DR", item.dr, _tone(item)), ("SNIPS", item.snips, "faint"))
    ]
    title = WORDS.text("estimates", language)
    charts = ["", ""]
    if dots:
        axis = WORDS.text(f"axis_{found.reward}", language)
        charts = [
            interval_plot(
                dots,
                axis=axis,
                name=f"policies-{language}{'-narrow' if narrow else ''}",
                title=f"{title} {WORDS.text('estimates_note', language)}",
                centre=PER * found.logged.value,
                narrow=narrow,
            )
            for narrow in (False, True)
        ]
    rows = [[WORDS.text("logged", language), _span(found, found.logged, language), "–", "–", "–"]]
    for item in found.policies:
        if item.verdict == "refused":
            rows.append([item.name, *[WORDS.text("withheld", language)] * 3, WORDS.text("refused", language)])
            continue
        rows.append(
            [
                item.name,
                _span(found, item.dr, language),
                _span(found, item.snips, language),
                _span(found, item.difference, language, sign=True),
                WORDS.text(f"found_{_found(item)}", language),
            ]
        )
    return Block(
        name="policies",
        title=title,
        note=WORDS.text("estimates_note", language),
        header=[WORDS.text(key, language) for key in ("policy", "dr", "snips", "difference", "answer")],
        rows=rows,
        chart=charts[0],
        narrow=charts[1],
        texts=frozenset({4}),
        footnotes=[meaning("policy", "dr", language), meaning("policy", "se", language)],
        meanings=meanings("policy", ("", "dr", "snips", "difference", ""), language),
        also=[(WORDS.text("logged", language), meaning("policy", "logged", language))],
        place="policies, logged",
    )


def _evidence(found: PolicyResults, language: str) -> Block:
    rows, sentences = [], []
    for item in found.policies:
        shares = [
            numbers.percents([value], sign=False)[0][language] for value in (item.top_weight_share, item.unsupported)
        ]
        counts = {"ess": numbers.count(item.ess), "n": numbers.count(item.n)}
        rows.append(
            [
                item.name,
                f"{MARKS[item.overlap]} {WORDS.text(f'overlap_{item.overlap}', language)}",
                WORDS.text("worth", language, **counts),
                *shares,
                numbers.figures(item.mean_weight, 3)[language],
            ]
        )
        sentences += [
            WORDS.text("why", language, name=item.name, why=WORDS[f"why_{reason.code}"])
            for reason in item.reasons
            if f"why_{reason.code}" in WORDS
        ]
    return Block(
        name="evidence",
        title=WORDS.text("evidence", language),
        note=WORDS.text("evidence_note", language),
        sentences=[*sentences, WORDS.text("propensities", language)],
        header=[WORDS.text(key, language) for key in ("policy", "overlap", "rows_worth", "top", "untried", "weight")],
        rows=rows,
        texts=frozenset({1}),
        footnotes=[meaning("policy", "ess", language)],
        meanings=meanings("policy", ("", "", "ess n", "top_weight_share", "unsupported", "mean_weight"), language),
        also=[(WORDS.text("withheld", language), meaning("policy", "refused", language))],
        place="policies",
    )


def _left_out(found: PolicyResults, language: str) -> Block:
    rows = [
        [
            f"{item.name}: {WORDS[key][language] if (key := _why_left(why)) in WORDS else why}",
            numbers.count(n)[language],
        ]
        for item in found.policies
        for why, n in item.left_out.items()
    ]
    return Block(
        name="left-out",
        title=WORDS.text("left_out", language),
        note=WORDS.text("left_out_note", language),
        header=[WORDS.text("reason", language), label("customers_or_decisions", language)] if rows else [],
        rows=rows,
        meanings=meanings("policy", ("", "left_out"), language),
        place="policies[].left_out",
    )


def _why_left(why: str) -> str:
    return "left_" + "_".join("".join(letter if letter.isalnum() else " " for letter in why).split())
