"""What every handler of the HTTP interface shares: the data plane behind it, and bodies and ids as their contracts."""

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypeVar

from pydantic import TypeAdapter, ValidationError

from foretouch.core.ids import Id
from foretouch.core.schema import Contract
from foretouch.serving.web.problems import Problem, invalid

if TYPE_CHECKING:  # the supervisor reads the routes too, and must not wait for LightGBM and pandas
    from foretouch.serving.runtime.answers import Answers
    from foretouch.serving.runtime.dataplane import Dataplane
    from foretouch.serving.runtime.intake import Intake
    from foretouch.serving.runtime.register import Register
    from foretouch.serving.runtime.reservations import Reservations

T = TypeVar("T", bound=Contract)
_ID: TypeAdapter[str] = TypeAdapter(Id)


@dataclass(frozen=True, kw_only=True)
class Api:
    """Everything the routes need."""

    plane: "Dataplane"
    intake: "Intake"
    answers: "Answers"
    reservations: "Reservations"
    register: "Register"


def checked(contract: type[T], body: Any) -> T:
    """A body as its contract.

    Raises:
        Problem: 422 that names every wrong field.
    """
    try:
        return contract.model_validate(body)
    except ValidationError as error:
        raise invalid(error) from error


def checked_id(name: str, value: str) -> str:
    """A path's or query's value as an id.

    Raises:
        Problem: 422 that names it.
    """
    try:
        return _ID.validate_python(value)
    except ValidationError as error:
        wrong = ({"field": name, "message": error.errors()[0]["msg"]},)
        raise Problem(status=422, code="validation", detail=f"{name} is no id.", errors=wrong) from error
