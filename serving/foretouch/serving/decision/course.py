"""The course of one decision: what each step found, for the next step and for the record."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from foretouch.core.decisions import Suppression
from foretouch.serving.decision.candidates import Key, Lineup
from foretouch.serving.decision.customer_scores import CustomerScores
from foretouch.serving.decision.propensities import Propensities
from foretouch.serving.decision.screening import Screened, Together
from foretouch.serving.decision.selection import NOTHING_DRAWN, Selection
from foretouch.serving.decision.send_time import NO_RHYTHM, Rhythm
from foretouch.serving.decision.setting import Setting

NO_OPTIONS = Lineup()
NOTHING_FOUND = Propensities(step="nothing")


@dataclass(frozen=True, kw_only=True)
class Course:
    """Everything a decision found on its way.

    Attributes:
        setting: Arms, policy, zone, expiry.
        customer: Features and scores.
        listed: The options that were asked about.
        screened: Every option, with its slots or the rule that dropped it.
        unknown: Statements about names in the request that the catalogue does not have.
        empty: The catalogue has no offer for this request.
        probes: Where there is no option at all: whether the rules would let anything through.
        held: A holdout, not a score, decides.
        found: What the ladder found.
        forced: An option chosen with probability 1; set by a holdout or a default action.
        selection: The draws.
        rhythm: When the customer is active.
        warnings: What the caller should know, besides the setting's.
    """

    setting: Setting
    customer: CustomerScores
    listed: Lineup = NO_OPTIONS
    screened: Sequence[Screened] = ()
    unknown: tuple[Suppression, ...] = ()
    empty: bool = False
    probes: Sequence[Screened] = ()
    held: bool = False
    found: Propensities = NOTHING_FOUND
    forced: Key | None = None
    selection: Selection = NOTHING_DRAWN
    rhythm: Rhythm = NO_RHYTHM
    warnings: tuple[str, ...] = ()

    def but(self, **changes: Any) -> "Course":
        """The same course, further on; ``dataclasses.replace`` without asking every field for its value.

        Raises:
            TypeError: A change names no field.
        """
        if not changes.keys() <= Course.__dataclass_fields__.keys():
            raise TypeError(f"Course has no field {sorted(changes.keys() - Course.__dataclass_fields__.keys())}")
        found = object.__new__(Course)
        found.__dict__.update(self.__dict__)
        found.__dict__.update(changes)
        if "screened" in changes:
            found.__dict__.pop("survivors", None)
            found.__dict__.pop("lineup", None)
        return found

    @cached_property
    def survivors(self) -> Sequence[Screened]:
        """What no rule dropped."""
        if isinstance(self.screened, Together):
            return self.screened
        left = [item for item in self.screened if item[2] is None]
        return self.screened if len(left) == len(self.screened) else tuple(left)

    @cached_property
    def lineup(self) -> Lineup:
        """The options that no rule dropped."""
        if isinstance(self.survivors, Together):
            return self.survivors.lineup
        return Lineup.of([option for option, _, _, _ in self.survivors], self.listed)
