"""Which rows of the decision log each learner keeps, weights or drops, and why: one table, read by the code.

A row is one contact of a decision, or the decision itself where it made none. Its kind is the first in the order of
``Kind`` that is true of it, so that each row is counted once. ``docs/training-from-the-log.md`` shows this table, and a
test holds the two together.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Final, Literal, get_args

from foretouch.core.models import ModelName

Learner = ModelName
"""Who learns: ``offer`` is the response to an offer that was sent."""
Kind = Literal[
    "out_of_scope",
    "immature",
    "not_personalised",
    "fallback",
    "undelivered",
    "bot",
    "suppressed",
    "nothing",
    "holdout",
    "business_as_usual",
    "transactional",
    "no_contact",
    "several",
    "random_arm",
    "lower_step",
    "explored",
    "ordinary",
]
"""What a row is; the first that is true of it."""
KINDS: Final[tuple[Kind, ...]] = get_args(Kind)
LEARNERS: Final[tuple[Learner, ...]] = ("offer", "uplift", "send-time", "lead", "churn", "value")
Use = Literal["keep", "weight", "drop"]
"""``weight``: kept, and counted by the inverse of the probability with which it was chosen."""

MEANING: Final[Mapping[Kind, str]] = {
    "out_of_scope": "the model is not about this customer then: no lead any more, or not active",
    "immature": "the label's window is still open",
    "not_personalised": "the request asked for no profiling",
    "fallback": "nothing was known of the customer, or features could not be read: the row would hold defaults",
    "undelivered": "a contact without any sign that it went out",
    "bot": "a contact whose only sign of having gone out is a machine's open or click",
    "suppressed": "rules forbade every contact",
    "nothing": "there was no offer to choose from",
    "holdout": "an experiment's arm allowed no contact",
    "business_as_usual": "an experiment's arm made the caller's own choice",
    "transactional": "the message was owed to the customer",
    "no_contact": "no contact was drawn",
    "several": "one of several contacts of one decision",
    "random_arm": "a contact that an experiment's arm drew uniformly among all that the rules left",
    "lower_step": "a contact that a lower step of the ladder chose, without any model's score, on known features",
    "explored": "a contact that was not the one of highest priority",
    "ordinary": "any other contact",
}
"""What each kind is, in words."""


@dataclass(frozen=True, kw_only=True)
class Treatment:
    """What a learner does with one kind of row.

    Attributes:
        use: Whether it learns from it.
        why: One clause, for the card.
    """

    use: Use
    why: str


def _keep(why: str) -> Treatment:
    return Treatment(use="keep", why=why)


def _weight(why: str) -> Treatment:
    return Treatment(use="weight", why=why)


def _drop(why: str) -> Treatment:
    return Treatment(use="drop", why=why)


_NOBODY: Final[Mapping[Kind, Treatment]] = {
    "out_of_scope": _drop("there is no label"),
    "immature": _drop("what has not happened yet is not a no"),
    "not_personalised": _drop("whoever declines profiling is not learned from either"),
    "fallback": _drop("defaults are not what the customer was like"),
}
"""Dropped by every learner."""

_UNSENT: Final = "nobody was sent anything"
_OFFER: Final[Mapping[Kind, Treatment]] = {
    **_NOBODY,
    "undelivered": _drop("never delivered, never learned from"),
    "bot": _drop("no person is known to have received it"),
    "suppressed": _drop(_UNSENT),
    "nothing": _drop(_UNSENT),
    "holdout": _drop(f"{_UNSENT}; these are uplift's controls"),
    "business_as_usual": _keep("a contact like any other; its probability is not ours to know"),
    "transactional": _drop("what is owed is answered for other reasons than an offer"),
    "no_contact": _drop(_UNSENT),
    "several": _keep("each was received; later draws depend on earlier ones, so none is weighted"),
    "random_arm": _weight("the draw was ours, uniform, and is on record"),
    "lower_step": _weight("its probability is on record"),
    "explored": _weight("rare by design: it stands for all that were not explored"),
    "ordinary": _weight("frequent because it scored well: without weights it would crowd out the rest"),
}

_UPLIFT: Final[Mapping[Kind, Treatment]] = {
    **_NOBODY,
    "undelivered": _drop("neither contacted nor chosen for no contact"),
    "bot": _drop("no person is known to have received it"),
    "suppressed": _drop("no arm could have contacted them"),
    "nothing": _drop("no arm could have contacted them"),
    "holdout": _keep("these are the controls: no contact, by the hash of the unit"),
    "business_as_usual": _drop("the caller's choice: neither a control nor drawn by us"),
    "transactional": _drop("owed whatever is chosen: no contact was never possible"),
    "no_contact": _weight("drawn with a probability that is on record: controls of the same arm"),
    "several": _drop("what several contacts did together is the effect of none of them"),
    "random_arm": _weight("contact and offer were drawn uniformly"),
    "lower_step": _weight("its probability is on record"),
    "explored": _weight("its probability is on record"),
    "ordinary": _weight("its probability is on record"),
}

_SEND_TIME: Final[Mapping[Kind, Treatment]] = {
    **_OFFER,
    "holdout": _drop(_UNSENT),
    "several": _keep("each had an hour of its own; slots are weighted by their own probability"),
    "random_arm": _weight("by the probability of its slot"),
    "lower_step": _weight("by the probability of its slot"),
    "explored": _weight("by the probability of its slot"),
    "ordinary": _weight("by the probability of its slot"),
}

_OWN: Final = "what the customer does next is theirs, whatever we decided"
_PERSON: Final[Mapping[Kind, Treatment]] = {
    **_NOBODY,
    **{kind: _keep(_OWN) for kind in KINDS if kind not in _NOBODY},
}

TABLE: Final[Mapping[Kind, Mapping[Learner, Treatment]]] = {
    kind: {
        "offer": _OFFER[kind],
        "uplift": _UPLIFT[kind],
        "send-time": _SEND_TIME[kind],
        "lead": _PERSON[kind],
        "churn": _PERSON[kind],
        "value": _PERSON[kind],
    }
    for kind in KINDS
}
"""What every learner does with every kind of row."""

DRAWN: Final[frozenset[Kind]] = frozenset({"no_contact", "random_arm", "lower_step", "explored", "ordinary"})
"""Kinds whose one draw is on record with its probability."""
_ASKED: Final = _weight("asked for by training.weighted: stands for the customers for whom another draw was likelier")


def treatments(learner: Learner, *, weighted: bool = False) -> Mapping[Kind, Treatment]:
    """What a learner does with every kind of row: its column of ``TABLE``.

    Args:
        learner: Who.
        weighted: Weigh what it keeps where the probability of what was decided is on record (``DRAWN``).
    """
    column = {kind: TABLE[kind][learner] for kind in KINDS}
    if not weighted:
        return column
    return {kind: _ASKED if kind in DRAWN and own.use == "keep" else own for kind, own in column.items()}


def used(learner: Learner, uses: Iterable[Use] = ("keep", "weight")) -> tuple[Kind, ...]:
    """The kinds that a learner uses in one of some ways, in their order."""
    wanted = frozenset(uses)
    return tuple(kind for kind in KINDS if TABLE[kind][learner].use in wanted)


@dataclass(frozen=True, kw_only=True)
class Facts:
    """What decides the kind of a row.

    Attributes:
        mature: Whether every window of the learner's label is over.
        personalised: Whether the request allowed profiling.
        known: Whether features of the customer were read.
        contact: Whether the row is a contact.
        activated: Whether it is known to have gone out.
        by_machine: Whether machines alone say so.
        status: Of the decision.
        step: Step of the ladder.
        arm: Kind of the arm that governs the decision; ``policy`` without a holdout.
        purpose: Of the request, with its touchpoint's defaults.
        contacts: How many the decision made.
        explored: Whether another candidate had the highest priority.
        in_scope: Whether the learner's model is about the customer at that time.
    """

    mature: bool
    personalised: bool
    known: bool
    contact: bool
    activated: bool
    by_machine: bool
    status: str
    step: str
    arm: str
    purpose: str
    contacts: int
    explored: bool
    in_scope: bool = True


MODEL_STEPS: Final = frozenset({"champion", "stale", "previous"})
"""Steps of the ladder on which a model scored the customer's own features."""


def kind_of(facts: Facts) -> Kind:
    """The kind of a row: the first, in the order of ``Kind``, that is true of it."""
    true: Mapping[Kind, bool] = {
        "out_of_scope": not facts.in_scope,
        "immature": not facts.mature,
        "not_personalised": not facts.personalised,
        "fallback": not facts.known,
        "undelivered": facts.contact and not facts.activated,
        "bot": facts.contact and facts.by_machine,
        "suppressed": facts.status == "suppressed",
        "nothing": not facts.contact and facts.step == "nothing",
        "holdout": not facts.contact and facts.arm in {"no_contact", "business_as_usual"},
        "business_as_usual": facts.arm == "business_as_usual",
        "transactional": facts.purpose == "transactional",
        "no_contact": not facts.contact,
        "several": facts.contacts > 1,
        "random_arm": facts.arm == "random",
        "lower_step": facts.step not in MODEL_STEPS,
        "explored": facts.explored,
    }
    return next((kind for kind in KINDS if true.get(kind, True)), "ordinary")
