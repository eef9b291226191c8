"""In which language what is told about a decision or a customer is told, where no request says so."""

from collections.abc import Sequence

from foretouch.core.decisions import DecisionRecord
from foretouch.core.state.db import State
from foretouch.core.state.people import read_person
from foretouch.serving.words.texts import language_of, spoken
from foretouch.serving.words.translations import translated


def told_of(record: DecisionRecord, texts: Sequence[str]) -> tuple[str, ...]:
    """Sentences about a decision, in the language in which it was answered."""
    language = language_of(record.request, record.counters) if texts else "en"
    return tuple(translated(text, language) for text in texts)


def told_about(state: State, customer_id: str, texts: Sequence[str]) -> tuple[str, ...]:
    """Sentences about a customer, in the customer's own language where we speak it, else in English.

    Args:
        state: Knows the customer; it is not asked where there is nothing to tell.
        customer_id: Whom.
        texts: In English.
    """
    person = read_person(state.read(), customer_id) if texts else None
    language = spoken(None if person is None else person.language)
    return tuple(translated(text, language) for text in texts)
