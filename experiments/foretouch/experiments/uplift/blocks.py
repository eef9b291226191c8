"""The sections of an uplift page: order, money, tenths, kinds of people; each a chart and the same as a table."""

from collections.abc import Sequence

from foretouch.experiments.report import numbers
from foretouch.experiments.report.catalogue import Catalogue, Phrase
from foretouch.experiments.report.curves import Curve, curve_plot, interval_bars
from foretouch.experiments.report.meanings import meaning, meanings
from foretouch.experiments.report.section import Block
from foretouch.experiments.uplift.contract import MoneyCurve, UpliftResults

WORDS = Catalogue("uplift")
"""By key, then by language."""
PER = 1000.0
STEP = 10
"""A row of the table per tenth of the people; the curve has a point per hundredth."""


def uplift_blocks(found: UpliftResults, language: str, *, prefix: str = "uplift") -> list[Block]:
    """Every section, in the order of reading.

    Args:
        found: What was measured.
        language: ``en`` or ``zh``.
        prefix: Of the sections' ids, unique in the page.
    """
    made = [_qini(found, language, f"{prefix}-qini"), _tenths(found, language, f"{prefix}-tenths")]
    if found.money is not None:
        made.insert(1, _money(found.money, language, f"{prefix}-money"))
    made.append(_kinds(found, language, f"{prefix}-kinds"))
    return made


def whole(share: float, language: str) -> str:
    """A share in whole per cent, as the curves' grid has it."""
    return numbers.percent(round(share, 2))[language]


def gained(found: UpliftResults, values: Sequence[float]) -> list[Phrase]:
    """What a contact adds to the outcome: points of a share where it is 0 or 1."""
    if found.binary:
        return numbers.points(values, sign=True)
    return [numbers.amount(value, sign=True) for value in values]


def _plain(value: float, language: str) -> str:
    return numbers.plain(round(value, 6))[language]


def _qini(found: UpliftResults, language: str, name: str) -> Block:
    title = WORDS.text("qini_title", language)
    curve = Curve(
        shares=[point.share for point in found.curve],
        values=[PER * point.qini for point in found.curve],
        low=[PER * point.low for point in found.curve],
        high=[PER * point.high for point in found.curve],
        chord=[PER * point.chord for point in found.curve],
    )
    charts = [
        curve_plot(
            curve,
            axes_texts=(WORDS.text("share_axis", language), WORDS.text("qini_axis", language)),
            legend=[WORDS.text(key, language) for key in ("qini_line", "qini_band", "qini_chord")],
            name=f"{name}-{language}{'-narrow' if narrow else ''}",
            percent=lambda share: whole(share, language),
            number=lambda value: _plain(value, language),
            title=f"{title} {WORDS.text('qini_note', language)}",
            narrow=narrow,
        )
        for narrow in (False, True)
    ]
    rows = []
    for point in found.curve[STEP::STEP]:
        qini, low, high, chord = (
            numbers.amount(PER * value)[language] for value in (point.qini, point.low, point.high, point.chord)
        )
        rows.append([whole(point.share, language), qini, f"{low} … {high}", chord])
    header = [WORDS.text(key, language) for key in ("share", "gained", "interval", "random")]
    verdict = "verdict_better" if found.better_than_random else "verdict_random"
    return Block(
        name=name,
        title=title,
        note=WORDS.text("qini_note", language),
        sentences=[WORDS.text(verdict, language, score=found.score)],
        header=header,
        rows=rows,
        chart=charts[0],
        narrow=charts[1],
        folded=True,
        footnotes=[f"Qini: {meaning('uplift', 'qini', language)}. {meaning('uplift', 'ci', language)}."],
        meanings=meanings("uplift", ("share", "curve", "curve", "chord"), language),
        also=[("Qini", meaning("uplift", "qini ci better_than_random", language))],
        place="curve, qini",
    )


def _money(money: MoneyCurve, language: str, name: str) -> Block:
    best = money.optimum

    def told(value: float, *, sign: bool = True) -> str:
        return numbers.money(value, money.currency, sign=sign)[language]

    curve = Curve(
        shares=[point.share for point in money.points],
        values=[point.money for point in money.points],
        low=[point.ci[0] for point in money.points],
        high=[point.ci[1] for point in money.points],
        best=best.share,
        flat=best.flat if best.flat[1] > best.flat[0] else None,
    )
    legend = ["money_line", "qini_band", "money_best", *(["money_flat"] if curve.flat else [])]
    note = WORDS.text(
        "money_note",
        language,
        value=told(money.value_per_outcome, sign=False),
        cost=told(money.cost_per_contact, sign=False),
    )
    charts = [
        curve_plot(
            curve,
            axes_texts=(WORDS.text("share_axis", language), WORDS.text("money_axis", language)),
            legend=[WORDS.text(key, language) for key in legend],
            name=f"{name}-{language}{'-narrow' if narrow else ''}",
            percent=lambda share: whole(share, language),
            number=lambda value: _plain(value, language),
            title=f"{WORDS.text('money_title', language)} {note}",
            narrow=narrow,
        )
        for narrow in (False, True)
    ]
    shares = {key: whole(value, language) for key, value in zip(("first", "last"), best.share_ci, strict=True)}
    flat = {key: whole(value, language) for key, value in zip(("low", "high"), best.flat, strict=True)}
    sharp, steady = flat["low"] == flat["high"], shares["first"] == shares["last"]
    around = WORDS.text("money_sharp_sentence" if sharp else "money_flat_sentence", language, **flat)
    elsewhere = WORDS.text("money_steady_sentence" if steady else "money_spread_sentence", language, **shares)
    ends = {"low": told(best.ci[0]), "high": told(best.ci[1])}
    sentences = [
        WORDS.text(
            "money_best_sentence",
            language,
            share=whole(best.share, language),
            money=told(best.money),
            optimism=told(best.optimism, sign=False),
            **ends,
        ),
        around,
        elsewhere,
        WORDS.text("verdict_not_everyone" if best.beats_everyone else "verdict_everyone", language),
    ]
    rows = [
        [whole(point.share, language), told(point.money), f"{told(point.ci[0])} … {told(point.ci[1])}"]
        for point in money.points[::STEP]
    ]
    return Block(
        name=name,
        title=WORDS.text("money_title", language),
        note=note,
        sentences=sentences,
        header=[WORDS.text(key, language) for key in ("share", "earned", "interval")],
        rows=rows,
        chart=charts[0],
        narrow=charts[1],
        footnotes=[meaning("uplift", "money", language)],
        meanings=meanings("uplift", ("share", "money", "money ci"), language),
        also=[(WORDS.text("money_best", language), meaning("uplift", "optimum", language))],
        place="money",
    )


def _tenths(found: UpliftResults, language: str, name: str) -> Block:
    title = WORDS.text("tenths_title", language)
    labels = [numbers.count(index + 1)[language] for index in range(len(found.tenths))]
    charts = [
        interval_bars(
            [item.uplift for item in found.tenths],
            [item.ci for item in found.tenths],
            labels=labels,
            axes_texts=(WORDS.text("tenth", language), WORDS.text("measured", language)),
            name=f"{name}-{language}{'-narrow' if narrow else ''}",
            number=lambda value: _plain(value, language),
            title=f"{title} {WORDS.text('tenths_note', language)}",
            narrow=narrow,
        )
        for narrow in (False, True)
    ]
    effects = [gained(found, (item.uplift, *item.ci)) for item in found.tenths]
    rows = [
        [
            place,
            numbers.count(item.rows)[language],
            numbers.amount(item.score, sign=True)[language],
            effect[language],
            numbers.span(low, high)[language],
        ]
        for place, item, (effect, low, high) in zip(labels, found.tenths, effects, strict=True)
    ]
    return Block(
        name=name,
        title=title,
        note=WORDS.text("tenths_note", language),
        header=[WORDS.text(key, language) for key in ("tenth", "people", "mean_score", "measured", "interval")],
        rows=rows,
        chart=charts[0],
        narrow=charts[1],
        folded=True,
        footnotes=[meaning("uplift", "tenths", language)],
        meanings=meanings("uplift", ("", "rows", "score", "tenths", "ci"), language),
        place="tenths",
    )


def _kinds(found: UpliftResults, language: str, name: str) -> Block:
    said = [
        WORDS.text(
            item.kind,
            language,
            **{
                key: numbers.percents([value], sign=False)[0]
                for key, value in (("least", item.least), ("most", item.most))
            },
        )
        for item in found.quadrants
    ]
    return Block(
        name=name,
        title=WORDS.text("kinds_title", language),
        note=WORDS.text("kinds_note", language),
        sentences=said or [WORDS.text("quadrants_none", language)],
        header=[],
        rows=[],
        footnotes=[meaning("uplift", "quadrants", language)],
        also=[(WORDS.text("kinds_title", language), meaning("uplift", "quadrants", language))],
        place="quadrants",
    )
