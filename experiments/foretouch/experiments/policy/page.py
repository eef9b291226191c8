"""The policy page: one self-contained HTML file per language, and the numbers as JSON."""

from collections.abc import Sequence
from functools import partial
from pathlib import Path

from foretouch.experiments.policy.blocks import WORDS, per_1000, policy_blocks
from foretouch.experiments.policy.contract import PolicyEstimate, PolicyResults
from foretouch.experiments.report import numbers
from foretouch.experiments.report.answers import Answer
from foretouch.experiments.report.fragment import environment, how_answered, render_blocks
from foretouch.experiments.report.labels import label
from foretouch.experiments.report.meanings import definitions_of
from foretouch.experiments.report.texts import SENTENCES, sentence
from foretouch.experiments.report.written import write_numbers, write_pages

STEM = "policies"
DATA = f"{STEM}.json"
MEANT = ("difference refused", "difference logged", "se", "ess unsupported")
"""What each of the answers rests on, in their order."""


def write_policies(found: PolicyResults, folder: Path, languages: Sequence[str]) -> dict[str, Path]:
    """Writes one page per language, and the numbers beside them.

    Args:
        found: What to show.
        folder: Made if absent.
        languages: ``en``, ``zh`` or both; with both, each page links to the other.

    Returns:
        Paths by language; ``data`` is the JSON.
    """
    written = write_pages(
        STEM, folder, languages, lambda language, other: render_policies(found, language, other=other)
    )
    return {**written, "data": write_numbers(found, folder / DATA)}


def best_of(found: PolicyResults) -> PolicyEstimate:
    """The policy to speak of first: the one with the largest difference among those with a verdict, else the first."""
    told = [item for item in found.policies if item.verdict == "ok"]
    return max(told, key=lambda item: item.difference.value) if told else found.policies[0]


def render_policies(found: PolicyResults, language: str, *, other: str | None = None) -> str:
    """The page as text.

    Args:
        found: What to show; a refused policy shows why and no estimate.
        language: ``en`` or ``zh``.
        other: Where the other language's page is.
    """
    best = best_of(found)
    answers = _answers(found, best, language)
    low, high = best.difference.ci
    refused = best.verdict == "refused"
    origin = f"origin_{found.origin}"
    return (
        environment()
        .get_template("single.html.j2")
        .render(
            language=language,
            kind=WORDS.text("page", language),
            title=found.title,
            origin=sentence(origin, language) if origin in SENTENCES else "",
            other=other,
            say=partial(label, language=language),
            code="broken" if refused else "win" if low > 0.0 else "harm" if high < 0.0 else "unclear",
            four=answers,
            how=how_answered(
                "policy",
                [answer.question for answer in answers],
                MEANT,
                language,
                command=found.command,
                place="policies, logged",
            ),
            sentences=[item.text_zh if language == "zh" else item.text_en for item in found.policies],
            sections=render_blocks(policy_blocks(found, language), language, command=found.command),
            counting=[WORDS.text("per", language)],
            definitions=definitions_of("policy", language),
            command=found.command,
            data=DATA,
            hashes={label("input_hash", language): found.inputs.get("decisions_sha256", "–")},
            script="",
        )
    )


def _answers(found: PolicyResults, best: PolicyEstimate, language: str) -> list[Answer]:
    def told(key: str, **values: object) -> str:
        return WORDS.text(key, language, **values)

    refused = best.verdict == "refused"
    low, high = best.difference.ci
    better = "yes" if low > 0.0 else "no" if high < 0.0 else "same" if low == high == 0.0 else "unclear"
    much = Answer(question=told("question_much"), text="–")
    sure = Answer(question=told("question_sure"), text="–", details=(told("not_enough"),))
    if not refused:
        ends = {key: per_1000(found, end, sign=True) for key, end in (("low", low), ("high", high))}
        much = Answer(
            question=told("question_much"),
            text=per_1000(found, best.difference.value, sign=True)[language],
            details=(told(f"much_{found.reward}", base=per_1000(found, found.logged.value)),),
        )
        sure = Answer(
            question=told("question_sure"),
            text=told({"unclear": "unsure", "same": "sure_same"}.get(better, "sure")),
            details=() if better == "same" else (told("between", **ends),),
        )
    counts = {"ess": numbers.count(best.ess), "n": numbers.count(best.n)}
    return [
        Answer(
            question=told("question_better", name=best.name),
            text=told("refused" if refused else better),
            details=(told("better_detail"),) if not refused else (),
        ),
        much,
        sure,
        Answer(
            question=told("question_evidence"),
            text=told(f"overlap_{best.overlap}"),
            details=(told("worth", **counts),),
        ),
    ]
