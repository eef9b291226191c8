"""The best (option, slot) by trying every one, from the formula in docs/decisions/0006-joint-choice.md.

It imports nothing of serving: what it knows is written here again, as plainly as possible.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

from foretouch.core.config import Config
from foretouch.core.contact import QuietHours
from foretouch.core.counters import PastContact
from foretouch.core.decisions import DecisionRequest
from foretouch.core.offers import Offer
from foretouch.core.policy import PolicySpec

Name = tuple[str, str]
QUARTER = timedelta(minutes=15)
"""Every zone's clock stands at a multiple of it from UTC, in our days."""


@dataclass(frozen=True, kw_only=True)
class Case:
    """One decision, as far as worth goes."""

    request: DecisionRequest
    spec: PolicySpec
    config: Config
    offers: Sequence[Offer]
    quiet: Sequence[QuietHours]
    contacts: Sequence[PastContact]
    zone: ZoneInfo
    now: datetime
    expires_at: datetime
    shares: Sequence[float]
    effects: Mapping[str, Sequence[float]]
    levels: Mapping[str, float] = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True)
class Cell:
    """One option at one slot."""

    at: datetime
    worth: float
    before_costs: float
    share: float
    timing: float
    patience: float


def slots(case: Case, offer: Offer, channel: str) -> Iterator[datetime]:
    """The earliest moment and every whole local hour after it, outside quiet hours."""
    window = case.request.send_window
    start = max(at for at in (case.now, window.earliest, offer.starts_at) if at is not None)
    base = start.replace(minute=start.minute // 15 * 15, second=0, microsecond=0).astimezone(UTC)
    moments = [start, *(base + QUARTER * step for step in range(1, (case.expires_at - base) // QUARTER + 1))]
    for at in moments:
        local = at.astimezone(case.zone)
        if at != start and local.minute != 0:
            continue
        late = at >= case.expires_at or (offer.ends_at is not None and at >= offer.ends_at)
        if late or (window.latest is not None and at > window.latest):
            continue
        minute = local.hour * 60 + local.minute
        if any(
            (minute - start_minute) % 1440 < (end_minute - start_minute) % 1440
            for start_minute, end_minute in (
                (rule.start.hour * 60 + rule.start.minute, rule.end.hour * 60 + rule.end.minute)
                for rule in case.quiet
                if "*" in rule.channels or channel in rule.channels
            )
        ):
            continue
        yield at


def grid(case: Case, offer: Offer, channel: str, chance: float | None) -> list[Cell]:
    """What an option is worth at every slot.

    Args:
        case: The decision.
        offer: The offer.
        channel: The channel.
        chance: Response or uplift, whichever counts; None where nothing can say.
    """
    spec, factors = case.spec, case.spec.factors
    likely = 1.0 if chance is None or not factors.propensity else chance
    context = 1.0
    if factors.context_weight:
        percents = [
            weight.percent
            for weight in spec.context_weights
            if weight.issue in ("*", offer.issue)
            and weight.category in ("*", offer.category)
            and weight.offer_id in ("*", offer.offer_id)
            and case.request.context.get(weight.key) == weight.equals
        ]
        context = max(1.0 + sum(percents) / 100.0, 0.0)
    lever = 1.0
    if factors.lever:
        percents = [
            item.percent
            for item in spec.levers
            if item.issue in ("*", offer.issue)
            and item.category in ("*", offer.category)
            and item.offer_id in ("*", offer.offer_id)
        ]
        lever = offer.lever * max(1.0 + sum(percents) / 100.0, 0.0)
    money, score = 1.0, 1.0
    if factors.value:
        money = offer.value - offer.cost
        percent = sum(
            weight.percent * case.levels.get(weight.model, 0.0)
            for weight in spec.score_weights
            if weight.category in ("*", offer.category)
        )
        score = max(1.0 + percent / 100.0, 0.0)
    costs = case.config.channels[channel].cost if factors.cost else 0.0
    if factors.price:
        week = [contact for contact in case.contacts if contact.at > case.now - timedelta(days=7)]
        section = case.config.channels[channel]
        costs += spec.fatigue_cost * len(week)
        costs += section.fatigue_cost * len([contact for contact in week if contact.channel == channel])
        costs += section.unsubscribe_rate * section.unsubscribe_cost
    effect = case.effects.get(channel, case.effects.get("*")) if factors.timing else None
    cells = []
    for at in slots(case, offer, channel):
        local = at.astimezone(case.zone)
        hour = local.weekday() * 24 + local.hour
        timing = 1.0 if effect is None else effect[hour]
        patience = (1.0 - spec.waiting_cost_per_hour) ** ((at - case.now) / timedelta(hours=1))
        before = likely * context * money * score * lever
        worth = before * timing * patience - costs
        cells.append(
            Cell(
                at=at,
                worth=worth,
                before_costs=before,
                share=case.shares[hour],
                timing=timing,
                patience=patience,
            )
        )
    return cells


def best_first(cells: Sequence[Cell]) -> list[Cell]:
    """Cells by worth; then by activity; then the earlier one. Worths that differ by rounding alone are alike."""
    left, found = list(cells), []
    while left:
        most = max(cell.worth for cell in left)
        near = [cell for cell in left if cell.worth >= most - 1e-11 * (1.0 + abs(most))]
        busiest = max(cell.share for cell in near)
        chosen = min((cell for cell in near if cell.share == busiest), key=lambda cell: cell.at)
        found.append(chosen)
        left.remove(chosen)
        if len(found) == 2:
            break
    return found
