"""Answers that decide nothing: a customer's scores, the offers ranked, the hours to send at."""

from datetime import datetime, timedelta
from math import isnan, nan
from typing import get_args
from zoneinfo import ZoneInfo

import pandas as pd

from foretouch.core.bundle import ModelCard
from foretouch.core.contact import known_zone
from foretouch.core.decisions import Candidate, DecisionRequest, FeatureSnapshot, Interval
from foretouch.core.errors import NotFoundError
from foretouch.core.state.people import counter_snapshot
from foretouch.serving.decision.customer_rhythm import Reading
from foretouch.serving.decision.moment import settle_window
from foretouch.serving.decision.send_time import EVERY_CHANNEL, NO_RHYTHM, Rhythm
from foretouch.serving.jobs.scores import ScoredModel, out_of_scope
from foretouch.serving.models.points import POINTS_RULE, points_band, points_by_event, said
from foretouch.serving.models.scoring import Scorer, band, interval, plan_of, score
from foretouch.serving.models.send_effect import SendEffect
from foretouch.serving.models.support import FEATURE, BackOff, back_off, too_little
from foretouch.serving.rules.contact import in_words
from foretouch.serving.rules.hours import hour_rules, open_slots
from foretouch.serving.rules.slots import hour_of_week, walk
from foretouch.serving.runtime.dataplane import Dataplane
from foretouch.serving.web.models import (
    DroppedOffer,
    RankAnswer,
    RankBody,
    RankedOffer,
    ScoreAnswer,
    SendSlot,
    SendTimesAnswer,
    SendTimesBody,
)
from foretouch.serving.words.reasons import model_reasons

SCORED_MODELS: tuple[str, ...] = get_args(ScoredModel)
SCOPE_FEATURES = ("goal_total", "days_since_activity")
"""Features that say whether a model was ever shown anybody like this customer."""


class Answers:
    """Scores, rankings and send times from the models that answer now.

    Args:
        plane: The workspace's data plane.
    """

    def __init__(self, plane: Dataplane) -> None:
        self._plane = plane

    def score(self, model: str, customer_id: str, *, deadline_ms: float | None = None) -> ScoreAnswer:
        """One customer's calibrated score with interval, band and reasons, or why there is none.

        Raises:
            NotFoundError: There is no such model.
        """
        if model not in SCORED_MODELS:
            raise NotFoundError(f"no model {model!r}; scores are given by {', '.join(SCORED_MODELS)}")
        champions = self._plane.bundles.champions
        scorer = champions.scorers.get(model)
        if scorer is None:
            why = champions.refused.get(model, "no version was promoted")
            reason = f"the {model} model is missing ({why}); next: foretouch train {model} && foretouch promote {model}"
            answer = ScoreAnswer(customer_id=customer_id, model=model, reason=reason)
            return self._by_points(answer, deadline_ms) if model == "lead" else answer
        snapshot = self._plane.read_features(customer_id, deadline_ms)
        settings = self._plane.settings.current
        answer = ScoreAnswer(
            customer_id=customer_id,
            model=model,
            version=scorer.card.version,
            feature_ages=ages(snapshot, self._plane.clock.now()),
            warnings=tuple(f"features of {view} are stale" for view in snapshot.stale),
        )
        row = dict(snapshot.values)
        outside = self._out_of_scope(model, snapshot) or too_little(scorer.card, row.get(FEATURE))
        if outside is not None:
            return answer.replace(reason=outside)
        vector = plan_of(scorer).vector(row)
        told = back_off(scorer.card, row.get(FEATURE), sum(not isnan(value) for value in vector))
        if told is not None:
            return _of_segment(answer, scorer.card, told)
        try:
            value = float(score(scorer, [row])[0])
            reasons = model_reasons(scorer, row, settings.config)
        except ValueError as error:
            return answer.replace(reason=f"the {model} model failed on these features: {error}")
        return answer.replace(
            score=value,
            interval=interval(scorer.card, value),
            band=band(scorer.card, value),
            reason_codes=reasons,
            basis="customer",
        )

    def _by_points(self, answer: ScoreAnswer, deadline_ms: float | None) -> ScoreAnswer:
        """A lead by the marketers' rule, until there is a model; without a rule the answer stays as it is."""
        goal = self._plane.settings.current.config.goals.lead
        if not goal.points:
            return answer
        snapshot = self._plane.read_features(answer.customer_id, deadline_ms)
        outside = self._out_of_scope("lead", snapshot)
        if outside is not None:
            return answer.replace(reason=outside)
        found = sum(points_by_event(snapshot.values, goal).values())
        return answer.replace(
            points=found,
            band=points_band(found, goal),
            basis=POINTS_RULE,
            reason=f"{said(goal)}; {answer.reason}",
            feature_ages=ages(snapshot, self._plane.clock.now()),
        )

    def _out_of_scope(self, model: str, features: FeatureSnapshot) -> str | None:
        if features.error is not None:
            return features.error
        if not features.known:
            return "unknown customer"
        values = {name: features.values.get(name) for name in SCOPE_FEATURES}  # noqa: PD011 - a mapping, no frame
        frame = pd.DataFrame({name: [nan if value is None else float(value)] for name, value in values.items()})
        found = out_of_scope(self._plane.settings.current.config, model, frame)
        return None if found.empty else str(found.iloc[0])

    def rank(self, body: RankBody, *, deadline_ms: float | None = None) -> RankAnswer:
        """Every candidate of a touchpoint by priority, and what the rules dropped. Nothing is drawn or logged."""
        request = DecisionRequest(**body.decision_request())
        features = self._plane.read_features(body.customer_id, deadline_ms)
        record = self._plane.preview(request, features)
        left = [item for item in record.candidates if item.dropped_by is None]
        left.sort(
            key=lambda item: (-(item.priority if item.priority is not None else float("-inf")), item.offer_id or "")
        )
        return RankAnswer(
            customer_id=body.customer_id,
            status=record.status,
            status_reason=record.status_reason,
            offers=tuple(_ranked(rank, item) for rank, item in enumerate(left[: body.n], start=1)),
            dropped=tuple(
                DroppedOffer(
                    offer_id=item.offer_id,
                    channel=item.channel,
                    stage=item.dropped_by.stage,
                    rule=item.dropped_by.rule,
                    text=item.dropped_by.text,
                    until=item.dropped_by.until,
                )
                for item in record.candidates
                if item.dropped_by is not None
            ),
            models=record.models,
            warnings=record.warnings,
        )

    def send_times(self, body: SendTimesBody, *, deadline_ms: float | None = None) -> SendTimesAnswer:
        """The hours within a window to send at, outside quiet and closed hours, best first, as a decision has them.

        By the effect of sending where that is identified, then by when the customer is active, then the earlier one.
        """
        settings, now = self._plane.settings.current, self._plane.clock.now()
        zone, warning = self._zone(body, now)
        features = self._plane.read_features(body.customer_id, deadline_ms)
        scorer = self._plane.bundles.champions.scorers.get("send-time")
        rhythm, why, reason = _rhythm(scorer, features)
        effect = rhythm.effect_on(body.channel or EVERY_CHANNEL)
        window, moved = settle_window(settings.config.clock, body.send_window, now)
        earliest = max(now, window.earliest or now)
        horizon = timedelta(hours=settings.policies.policies["default"].expires_after_hours)
        latest = window.latest or earliest + horizon
        rules = hour_rules(settings.contact_policy, body.channel, body.purpose)
        slots = [
            SendSlot(
                send_at=slot,
                local=slot.astimezone(zone).isoformat(),
                score=float(rhythm.shares[hour]),
                effect=None if effect is None else float(effect[hour]),
            )
            for slot in open_slots(walk(earliest, latest, zone), zone, rules)
            for hour in [hour_of_week(slot, zone)]
        ]
        slots.sort(key=lambda slot: (-(slot.effect or 0.0), -slot.score, slot.send_at))
        if not slots:
            between = f"between {in_words(earliest)} and {in_words(latest)}"
            reason = f"every slot {between} is in quiet hours" if latest > earliest else f"no time is left {between}"
        if body.channel is not None and body.channel not in settings.config.channels:
            moved = (*moved, f"channel {body.channel!r} is not in foretouch.toml")
        return SendTimesAnswer(
            customer_id=body.customer_id,
            time_zone=zone.key,
            slots=tuple(slots[: body.n]),
            support=rhythm.support,
            basis="none" if scorer is None or rhythm.basis == "none" else "activity" if effect is None else "effect",
            identified=effect is not None,
            identification=why,
            version=None if scorer is None else scorer.card.version,
            reason=reason,
            warnings=(*moved, *filter(None, [warning])),
        )

    def _zone(self, body: SendTimesBody, now: datetime) -> tuple[ZoneInfo, str | None]:
        policy = self._plane.settings.current.contact_policy
        if body.send_window.time_zone is not None:
            return ZoneInfo(body.send_window.time_zone), None
        counters = counter_snapshot(self._plane.state.read(), body.customer_id, None, now, policy)
        default = ZoneInfo(policy.default_time_zone)
        if counters.time_zone is None:
            return default, f"the customer's time zone is not known; {default.key} is used"
        try:
            return ZoneInfo(known_zone(counters.time_zone)), None
        except ValueError as error:
            return default, f"the customer's {error}; {default.key} is used"


def _of_segment(answer: ScoreAnswer, card: ModelCard, told: BackOff) -> ScoreAnswer:
    """The rate of a customer's segment, said to be that; or why there is none either."""
    if told.rate is None:
        return answer.replace(reason=told.why)
    return answer.replace(
        score=told.rate,
        interval=Interval(low=told.low, high=told.high, level=told.level),
        band=band(card, told.rate),
        basis="segment",
        reason=told.why,
    )


def ages(features: FeatureSnapshot, now: datetime) -> dict[str, float]:
    """Seconds since each view's values were true."""
    return {view: (now - at).total_seconds() for view, at in features.as_of.items()}


def _ranked(rank: int, item: Candidate) -> RankedOffer:
    shared = set(RankedOffer.model_fields) & set(Candidate.model_fields)
    return RankedOffer(rank=rank, **{name: getattr(item, name) for name in shared})


def _rhythm(scorer: Scorer | None, features: FeatureSnapshot) -> tuple[Rhythm, str | None, str | None]:
    """A customer's rhythm, on what its effect rests, and why there is no more to it."""
    if scorer is None:
        reason = "the send-time model is missing; next: foretouch train send-time && foretouch promote send-time"
        return NO_RHYTHM, None, reason
    why = SendEffect.from_extras(scorer.card.extras).why or None
    rhythm = Reading(scorer.card).of(scorer, features.values)
    return rhythm, why, features.error or (None if features.known else "unknown customer: everyone's pattern")
