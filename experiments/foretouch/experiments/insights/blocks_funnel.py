"""The funnel of candidates as sections of the page."""

from foretouch.experiments.insights.charts import Bar, bars_for_both
from foretouch.experiments.insights.contract import Funnel, Insights, Words
from foretouch.experiments.insights.texts import named, rule_called, text, words
from foretouch.experiments.report import numbers
from foretouch.experiments.report.catalogue import LANGUAGES
from foretouch.experiments.report.meanings import meaning, meanings
from foretouch.experiments.report.section import Block

MOST_RULES = 15
"""Rules that the table names; the rest is one line."""


def funnel_blocks(insights: Insights, language: str) -> list[Block]:
    """Who could be contacted, and what each rule dropped."""
    if not insights.funnel.considered:
        return []
    return [_people(insights.funnel, language), _rules(insights, language)]


def _people(found: Funnel, language: str) -> Block:
    def count(value: int) -> str:
        return numbers.count(value)[language]

    asked = text("funnel_asked", language)
    rows = [[asked, count(found.customers), count(found.decisions), count(found.considered), "–"]]
    bars = [Bar(label=asked, value=found.customers, shown=count(found.customers), tone="faint")]
    for stage in found.stages:
        name = named("check", stage.stage, language)
        rows.append(
            [name, count(stage.customers_left), count(stage.decisions_left), count(stage.left), count(stage.dropped)]
        )
        bars.append(Bar(label=name, value=stage.customers_left, shown=count(stage.customers_left)))
    contacted = text("funnel_contacted", language)
    rows.append(
        [contacted, count(found.customers_contacted), count(found.decisions_contacted), count(found.chosen), "–"]
    )
    bars.append(
        Bar(label=contacted, value=found.customers_contacted, shown=count(found.customers_contacted), tone="good")
    )
    charts = bars_for_both(bars, name=f"funnel-{language}")
    header = ("step", "customers_left", "decisions_left", "candidates_left", "candidates_dropped")
    return Block(
        name="funnel",
        title=text("funnel", language),
        note=text("funnel_note", language),
        header=[text(name, language) for name in header],
        rows=rows,
        chart=charts[0],
        narrow=charts[1],
        sentences=[getattr(item, f"text_{language}") for item in funnel_words(found)],
        folded=True,
        meanings=meanings("insights", ("", "customers_left", "decisions_left", "left", "dropped"), language),
        also=[(contacted, meaning("insights", "decisions_contacted customers_contacted chosen", language))],
        place="funnel",
    )


def funnel_words(found: Funnel) -> list[Words]:
    """How many were contacted, and what stopped most of the others."""
    share = numbers.percents([found.customers_contacted / max(found.customers, 1)], sign=False)[0]
    people = {"customers": numbers.count(found.customers), "contacted": numbers.count(found.customers_contacted)}
    told = [words("funnel_people", **people, share=share)]
    before, lost = found.customers, []
    for stage in found.stages:
        lost.append((before - stage.customers_left, stage.stage))
        before = stage.customers_left
    most = max(lost, default=(0, ""))
    if most[0] > 0:
        reason = {code: named("stage", most[1], code) for code in LANGUAGES}
        told.append(words("funnel_most", reason=reason, count=numbers.count(most[0])))
    refused = found.customers_left - found.customers_contacted
    if refused > 0:
        told.append(words("funnel_policy", count=numbers.count(refused)))
    return told


def _rules(insights: Insights, language: str) -> Block:
    found = insights.funnel
    listed = sorted(
        ((rule.candidates, stage.stage, rule) for stage in found.stages for rule in stage.rules),
        key=lambda item: (-item[0], item[1], item[2].rule),
    )

    def line(name: str, candidates: int, decisions: str, customers: str) -> list[str]:
        share = numbers.percents([candidates / found.considered], sign=False)[0][language]
        return [name, numbers.count(candidates)[language], share, decisions, customers]

    rows = [
        line(
            rule_called(insights, stage, rule.rule, language),
            candidates,
            numbers.count(rule.decisions)[language],
            numbers.count(rule.customers)[language],
        )
        for candidates, stage, rule in listed[:MOST_RULES]
    ]
    rest = listed[MOST_RULES:]
    if rest:
        rows.append(line(text("rules_rest", language, count=len(rest)), sum(item[0] for item in rest), "–", "–"))
    rows.append(
        line(
            text("rules_left", language),
            found.left,
            numbers.count(found.decisions_left)[language],
            numbers.count(found.customers_left)[language],
        )
    )
    return Block(
        name="rules",
        title=text("rules", language),
        note=text("rules_note", language),
        header=[text(name, language) for name in ("rule", "candidates", "share", "decisions", "customers")],
        rows=rows,
        meanings=meanings("insights", ("", "dropped", "share", "rules", "rules"), language),
        place="funnel.stages[].rules",
    )
