"""The goals: what each model predicts, in a workspace's own events and windows."""

from pydantic import Field

from foretouch.core.schema import Contract, Days, Share


class LeadGoal(Contract):
    """Lead: the first ``goal_event`` within ``window_days``; leads have not yet done it."""

    goal_event: str = "conversion"
    """The event that makes a lead a customer."""
    window_days: Days = 28.0
    """Within how many days of the score."""
    points: dict[str, float] = Field(default_factory=lambda: {"page_view": 5.0, "form_submit": 10.0})
    """The points rule that marketers write, per event in the last ``points_days``; baseline and cold start."""
    points_days: Days = 28.0
    """How many days back the points rule looks."""
    hot_from: float = 20.0
    """Points from which the rule calls a lead hot."""


class ChurnGoal(Contract):
    """Churn: no ``activity_event`` within ``window_days`` among those active in the last ``active_days``."""

    activity_event: str = "purchase"
    """The event whose absence is churn."""
    window_days: Days = 28.0
    """For how many days it must be absent."""
    active_days: Days = 56.0
    """Who did it within so many days before is active, and has a churn score."""


class ValueGoal(Contract):
    """Value: the sum of ``value_event``'s value within ``window_days``: revenue; margin = revenue x ``margin_rate``."""

    value_event: str = "purchase"
    """The event whose ``value`` is revenue."""
    window_days: Days = 90.0
    """Over how many days revenue is summed."""
    margin_rate: Share = 1.0
    """Contribution margin per unit of revenue."""


class OfferGoal(Contract):
    """Offer: the event that counts as acceptance, per offer category (``*`` for the rest)."""

    acceptance: dict[str, str] = Field(default_factory=lambda: {"*": "conversion"})
    """Offer category to event."""
    window_days: Days = 28.0
    """For an offer without an end date; one with an end date is accepted until then."""


class SendTimeGoal(Contract):
    """Send time: the event that shows a customer is active."""

    engagement_event: str = "purchase"
    """``features.purchase_event`` or one of ``features.engagement_events``."""


class Goals(Contract):
    """What each model predicts."""

    lead: LeadGoal = LeadGoal()
    """Who becomes a customer."""
    churn: ChurnGoal = ChurnGoal()
    """Who does not come back."""
    value: ValueGoal = ValueGoal()
    """What a customer will spend."""
    offer: OfferGoal = OfferGoal()
    """Who accepts an offer that is sent to them."""
    send_time: SendTimeGoal = SendTimeGoal()
    """When a customer is active."""
