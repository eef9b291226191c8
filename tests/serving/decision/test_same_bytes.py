"""Decisions are what they were, field by field and in the order of their fields."""

from tests.golden.make_digests import FILE
from tests.serving.decision.small_worlds import COUNT, digests, stored


def test_decisions_are_stored_and_answered_as_they_were() -> None:
    kept = FILE.read_text(encoding="utf-8").splitlines()
    changed = [line.partition(" ")[0] for line, before in zip(digests(), kept, strict=True) if line != before]
    assert not changed, f"python -m tests.golden.make_digests, if that was meant: decisions {', '.join(changed[:10])}"


def test_the_small_worlds_reach_what_they_are_meant_to() -> None:
    documents = [stored(number).document for number in range(COUNT)]
    assert {document["status"] for document in documents} >= {"decided", "suppressed", "degraded", "fallback"}
    assert {len(document.get("action", ())) for document in documents} >= {0, 1, 2}
    assert any(action.get("explored") for document in documents for action in document.get("action", ()))
