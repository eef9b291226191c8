"""The base of every contract: frozen, strict about unknown fields, no NaN, times with an offset."""

from datetime import UTC, datetime
from typing import Annotated, Any, Self

from pydantic import AfterValidator, AwareDatetime, BaseModel, ConfigDict, Field

from foretouch.core.canonical import canonical_json

FIRST_TIME, LAST_TIME = datetime(2, 1, 1, tzinfo=UTC), datetime(9999, 1, 1, tzinfo=UTC)
"""The ends of time: a year of room, so that adding hours, days or an offset never leaves the calendar."""


def _within_calendar(value: datetime) -> datetime:
    """A time, or the nearest end of time: ``9999-12-31`` is how others write "for ever", ``0001-01-01`` "not set"."""
    return value if 2 < value.year < 9998 else min(max(value, FIRST_TIME), LAST_TIME)


Time = Annotated[AwareDatetime, AfterValidator(_within_calendar)]
"""A time with an offset; naive times are refused."""

Probability = Annotated[float, Field(ge=0.0, le=1.0)]
Share = Annotated[float, Field(ge=0.0, le=1.0)]
MOST_MONEY = 1e12
"""The largest amount, in the workspace's currency: products of amounts, levers and weights stay finite."""
Amount = Annotated[float, Field(ge=-MOST_MONEY, le=MOST_MONEY)]
Cost = Annotated[float, Field(ge=0.0, le=MOST_MONEY)]
Percent = Annotated[float, Field(ge=-1e6, le=1e6)]
Days = Annotated[float, Field(gt=0.0, le=36525.0)]
"""A length of time in days; a hundred years are as good as for ever, and stay within the calendar."""
Hours = Annotated[float, Field(ge=0.0, le=876600.0)]
"""The same in hours; may be 0."""
Attributes = dict[str, str | int | float | bool | None]
"""Free attributes: flat, JSON scalars only."""


_set = object.__setattr__


class Contract(BaseModel):
    """A value that is validated once at an edge and never changes afterwards."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False, ser_json_inf_nan="constants")

    def to_line(self) -> str:
        """One line of canonical JSON, as stored in logs and golden files."""
        return canonical_json(self).decode()

    @classmethod
    def from_line(cls, line: str | bytes) -> Self:
        """Reads what ``to_line`` wrote, also by an earlier release of the same schema version."""
        return cls.model_validate_json(line)

    @classmethod
    def trusted(cls, **fields: Any) -> Self:
        """A value made of what is valid already, without a look at any of it; half the price of ``model_construct``.

        Args:
            fields: Every field, in the order of the contract.

        Raises:
            TypeError: A field is missing, is none of the contract's or is out of order.
        """
        if list(fields) != list(cls.__pydantic_fields__):
            raise TypeError(f"{cls.__name__}: the fields are {list(cls.__pydantic_fields__)}, not {list(fields)}")
        made = cls.__new__(cls)
        _set(made, "__dict__", fields)
        _set(made, "__pydantic_fields_set__", set(fields))
        _set(made, "__pydantic_extra__", None)
        _set(made, "__pydantic_private__", None)
        return made

    def replace(self, **changes: Any) -> Self:
        """A validated copy with some fields changed."""
        return type(self).model_validate({**dict(self), **changes})
