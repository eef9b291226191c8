"""One piece of work for several models: what one model lacks does not stop the others, and is said at the end."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TypeVar

from foretouch.core.errors import ForetouchError
from foretouch.core.models import ModelName

T = TypeVar("T")


@dataclass(frozen=True, kw_only=True)
class Refused:
    """A model for which it could not be done.

    Attributes:
        model: Which one.
        error: Why, with the next command.
    """

    model: ModelName
    error: ForetouchError


def for_each(models: Sequence[ModelName], work: Callable[[ModelName], T]) -> tuple[list[T], list[Refused]]:
    """Does the work for every model, in their order.

    Args:
        models: Which ones.
        work: What to do; an expected error is kept, any other ends everything.

    Returns:
        What was done, and what was refused.

    Raises:
        ForetouchError: There is one model only, and it was refused.
    """
    done: list[T] = []
    refused: list[Refused] = []
    for model in models:
        try:
            done.append(work(model))
        except ForetouchError as error:
            if len(models) == 1:
                raise
            refused.append(Refused(model=model, error=error))
    return done, refused


def if_possible(model: ModelName, work: Callable[[ModelName], T]) -> tuple[list[T], list[Refused]]:
    """Does the work for one model that may be done without: an expected error is kept, never raised.

    Args:
        model: Which one.
        work: What to do.

    Returns:
        What was done, or why not.
    """
    try:
        return [work(model)], []
    except ForetouchError as error:
        return [], [Refused(model=model, error=error)]
