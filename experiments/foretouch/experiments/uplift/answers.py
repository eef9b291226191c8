"""Four answers above everything: is the order any good, what does a contact do, how many to contact, what it earns."""

from foretouch.experiments.report import numbers
from foretouch.experiments.report.answers import Answer
from foretouch.experiments.uplift.blocks import WORDS, gained, whole
from foretouch.experiments.uplift.contract import Measured, UpliftResults


def uplift_answers(found: UpliftResults, language: str) -> tuple[Answer, ...]:
    """The four answers; ``question`` is already in words."""

    def told(key: str, **values: object) -> str:
        return WORDS.text(key, language, **values)

    def ends(item: Measured) -> dict[str, str]:
        return {
            key: numbers.amount(value, sign=True)[language] for key, value in zip(("low", "high"), item.ci, strict=True)
        }

    money = found.money
    effect, least, most = gained(found, (found.average.value, *found.average.ci))
    answers = [
        Answer(
            question=told("question_better"),
            text=told("yes" if found.better_than_random else "no"),
            details=(
                told(
                    "better_detail",
                    value=numbers.amount(found.qini.value, sign=True),
                    definition=told("better_definition"),
                    **ends(found.qini),
                ),
            ),
        ),
        Answer(
            question=told("question_effect"),
            text=effect[language],
            details=(told("effect_detail", outcome=found.outcome, low=numbers.bare(least), high=most),),
        ),
    ]
    if money is None:
        answers.append(
            Answer(question=told("question_whom"), text=told("money_none"), details=(told("whom_no_price"),))
        )
        return tuple(answers)
    best = money.optimum
    low, high = (numbers.money(value, money.currency)[language] for value in best.ci)
    flat = [whole(share, language) for share in best.flat]
    answers += [
        Answer(
            question=told("question_whom"),
            text=told("whom", share=whole(best.share, language)) if best.share > 0.0 else told("whom_nobody"),
            details=(told("whom_detail_sharp" if flat[0] == flat[1] else "whom_detail", low=flat[0], high=flat[1]),),
        ),
        Answer(
            question=told("question_money"),
            text=numbers.money(best.money, money.currency)[language],
            details=(told("money_detail", low=low, high=high),),
        ),
    ]
    return tuple(answers)


def uplift_sentences(found: UpliftResults, language: str) -> list[str]:
    """What was found, in words."""
    said = [WORDS.text("verdict_better" if found.better_than_random else "verdict_random", language, score=found.score)]
    if found.money is not None:
        best, currency = found.money.optimum, found.money.currency
        low, high = (numbers.money(value, currency) for value in best.ci)
        key = "verdict_pays" if best.pays else "verdict_pays_not"
        values = {"share": whole(best.share, language), "low": low, "high": high}
        if best.pays:
            values["money"] = numbers.money(best.money, currency)
        said.append(WORDS.text(key, language, **values))
    return said
