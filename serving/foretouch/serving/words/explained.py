"""Explains a logged decision in full, whenever somebody asks: from its record and the models that it names. Pure."""

from foretouch.core.decisions import Action, DecisionRecord
from foretouch.serving.decide import decide
from foretouch.serving.decision.inputs import DecisionInputs


def explained(record: DecisionRecord, inputs: DecisionInputs, *, language: str | None = None) -> DecisionRecord:
    """The record with every reason in full: why this candidate and slot, and what moved the chosen offer's score.

    The decision is made again, as in a replay, with nothing but the explanation asked otherwise; an action that does
    not come out the same keeps the reasons it was answered with.

    Args:
        record: The logged decision.
        inputs: See ``replay_inputs``.
        language: ``en`` or ``zh``: of reasons, status, warnings and what was suppressed; as it was answered if absent.
    """
    changes = {"explain": "full"} | ({"language": language} if language is not None else {})
    options = record.request.options.model_copy(update=changes)
    again = decide(record.request.model_copy(update={"options": options}), inputs)
    update: dict[str, object] = {"action": tuple(_with_reasons(action, again) for action in record.action)}
    if language is not None and [_core(item) for item in again.action] == [_core(item) for item in record.action]:
        update |= {
            "status_reason": again.status_reason,
            "suppressed": again.suppressed,
            "warnings": again.warnings,
        }
    return record.model_copy(update=update)


def _with_reasons(action: Action, again: DecisionRecord) -> Action:
    same = next((other for other in again.action if _core(other) == _core(action)), None)
    return action if same is None else action.model_copy(update={"reason_codes": same.reason_codes})


def _core(action: Action) -> tuple[object, ...]:
    """What makes two actions the same one."""
    return action.rank, action.offer_id, action.treatment_id, action.channel, action.send_at
