"""Whether the effect of sending at an hour can be told at all: were hours varied, and was anything accepted?

A customer who was always written to at ten says nothing about eleven, and neither does another one who was always
written to at eleven: the two may differ in more than the hour. So what counts is how far sends lie from the hour that
their own stratum (customer) had most often. A change of clocks moves every send by one hour and is no variation; two
hours taken in turn are two offsets, and still few. The bounds are below; nothing else decides.
"""

from dataclasses import dataclass
from typing import Final

import numpy as np

from foretouch.serving.models.send_effect import DAY_HOURS
from foretouch.training.send_effect import Sends, informative

MIN_VARIED_SHARE: Final = 0.02
"""Least share of sends away from their stratum's most frequent hour of day."""
MIN_EFFECTIVE_HOURS: Final = 4.0
"""Least effective number of hours per stratum."""
MIN_RESPONSES: Final = 100
"""Least number of responses in strata with at least two different hours."""


@dataclass(frozen=True, kw_only=True)
class Evidence:
    """What past sends of one channel allow.

    Attributes:
        channel: Its name.
        sends: How many.
        responses: How many were accepted in strata with at least two different hours.
        varied_share: Share of sends away from the most frequent hour of day of their stratum.
        effective_hours: 1 + the inverse Simpson index of those sends' distance from that hour, 1 to 24.
        logged_share: Share of sends whose slot probability was logged.
    """

    channel: str
    sends: int
    responses: int
    varied_share: float
    effective_hours: float
    logged_share: float

    @property
    def missing(self) -> str:
        """What is missing, with figures and bounds; empty where nothing is: then the effect is identified."""
        if self.sends == 0:
            return f"no past sends on {self.channel}"
        if self.varied_share < MIN_VARIED_SHARE:
            return (
                f"hours were not varied on {self.channel}: {self.varied_share:.1%} of {self.sends} sends lie away from"
                f" their customer's most frequent hour, need {MIN_VARIED_SHARE:.0%}"
            )
        if self.effective_hours < MIN_EFFECTIVE_HOURS:
            return (
                f"hours were hardly varied on {self.channel}: effectively {self.effective_hours:.1f} hours per"
                f" customer, need {MIN_EFFECTIVE_HOURS:g}"
            )
        if self.responses < MIN_RESPONSES:
            return (
                f"too few answers on {self.channel}: {self.responses} responses of customers who were sent to at"
                f" different hours, need {MIN_RESPONSES}"
            )
        return ""

    @property
    def identified(self) -> bool:
        """Whether the effect of the hour can be told."""
        return not self.missing

    def to_extras(self) -> dict[str, float | int | bool]:
        """JSON values for a model card."""
        return {
            "sends": self.sends,
            "responses": self.responses,
            "varied_share": round(self.varied_share, 4),
            "effective_hours": round(self.effective_hours, 2),
            "logged_share": round(self.logged_share, 4),
            "identified": self.identified,
        }


def weigh(sends: Sends) -> tuple[Evidence, ...]:
    """The evidence of every channel, in the order of ``sends.channels``."""
    return tuple(_of_channel(sends.take(sends.channel == index), name) for index, name in enumerate(sends.channels))


def _of_channel(sends: Sends, channel: str) -> Evidence:
    if len(sends) == 0:
        return Evidence(channel=channel, sends=0, responses=0, varied_share=0.0, effective_hours=1.0, logged_share=0.0)
    _, stratum = np.unique(sends.stratum, return_inverse=True)
    count = int(stratum.max()) + 1
    table = np.bincount(stratum * DAY_HOURS + sends.of_day, minlength=count * DAY_HOURS).reshape(count, DAY_HOURS)
    usual = table.argmax(axis=1)
    distance = (sends.of_day - usual[stratum]) % DAY_HOURS
    away = np.bincount(distance[distance > 0], minlength=DAY_HOURS).astype(np.float64)
    effective = 1.0 + (float(away.sum() ** 2 / np.square(away).sum()) if away.sum() > 0 else 0.0)
    return Evidence(
        channel=channel,
        sends=len(sends),
        responses=int(sends.response[informative(sends)].sum()),
        varied_share=float((distance > 0).mean()),
        effective_hours=effective,
        logged_share=float(sends.logged.mean()),
    )
