"""From sends to conversions, by channel and offer; machines apart from people.

Sent: decided, and nobody said that it was released or rejected. Delivered: evidence that it went out, by the rule of
``core.attribution`` (a delivery, a confirmation or an answer). Opened: a person opened or clicked. Clicked: a person
clicked. Converted: a goal event was credited to it. A click of a scanner's burst is a machine's.
"""

from collections import Counter, defaultdict
from collections.abc import Iterable

from foretouch.core.attribution import machine_clicks
from foretouch.core.outcomes import UNSENT
from foretouch.experiments.insights.contract import Engagement, EngagementRow
from foretouch.experiments.insights.journeys import Contact

LEAVING = frozenset({"unsubscribe", "complaint"})
STEPS = ("decided", "sent", "bounced", "delivered", "opened", "clicked", "converted", "unsubscribed", "machine_only")
ALL = "*"


class EngagementCount:
    """Adds contacts up."""

    def __init__(self) -> None:
        self._rows: dict[tuple[str, str], Counter[str]] = defaultdict(Counter)

    def add(self, contact: Contact, steps: Iterable[str]) -> None:
        """Counts a contact that came so far: its ``steps_of``."""
        channel, offer = contact.reward.decided.channel or "", contact.reward.decided.offer_id or ""
        for key in ((ALL, ALL), (channel, ALL), (ALL, offer), (channel, offer)):
            self._rows[key].update(steps)

    def result(self) -> Engagement:
        """The whole, by channel, by offer, and by both; most sends first."""
        made = {
            key: EngagementRow(channel=key[0], offer_id=key[1], **{name: counts[name] for name in STEPS})
            for key, counts in self._rows.items()
        }
        listed = sorted(made.values(), key=lambda row: (-row.sent, row.channel, row.offer_id))
        return Engagement(
            total=made.get((ALL, ALL), EngagementRow(channel=ALL, offer_id=ALL)),
            channels=tuple(row for row in listed if row.channel != ALL and row.offer_id == ALL),
            offers=tuple(row for row in listed if row.channel == ALL and row.offer_id != ALL),
            both=tuple(row for row in listed if ALL not in {row.channel, row.offer_id}),
        )


def steps_of(contact: Contact) -> set[str]:
    """How far one contact came: some of ``STEPS``."""
    posted = {item.type for item in contact.outcomes}
    scanned = machine_clicks(contact.outcomes, contact.reward.decided.send_at)
    people = {item.type for item in contact.outcomes if not item.by_machine and item.outcome_id not in scanned}
    reached = {"decided"}
    if contact.reward.activated or not posted & (UNSENT - {"bounced"}):
        reached.add("sent")
    if "bounced" in posted:
        reached.add("bounced")
    if contact.reward.activated:
        reached.add("delivered")
    if people & {"open", "click"}:
        reached |= {"opened"} | ({"clicked"} if "click" in people else set())
    elif posted & {"open", "click", "machine_open", "machine_click"}:
        reached.add("machine_only")
    if contact.reward.credited:
        reached.add("converted")
    if posted & LEAVING:
        reached.add("unsubscribed")
    return reached
