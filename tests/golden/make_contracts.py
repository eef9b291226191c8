"""Writes one golden line per contract and schema version; a released line is never rewritten.

Run from the checkout's root: ``python tests/golden/make_contracts.py``. Existing files are kept: a change that
breaks them needs a new schema version, and a new file beside the old one.
"""

from datetime import UTC, datetime, time
from pathlib import Path

from foretouch.core.bundle import Band, Calibration, GoldenRows, ModelCard, ModelInput, ScoreIntervals
from foretouch.core.contact import Cap, ContactPolicy, QuietHours
from foretouch.core.counters import CounterSnapshot as Counters
from foretouch.core.counters import PastContact
from foretouch.core.decisions import (
    Action,
    Assignment,
    Candidate,
    Decision,
    DecisionRecord,
    DecisionRequest,
    FeatureSnapshot,
    Interval,
    ModelRef,
    Reason,
    RequestOptions,
    Send,
    SendWindow,
    Suppression,
    Versions,
)
from foretouch.core.events import Consent, CustomerEvent
from foretouch.core.experiment import Arm, ExperimentSpec, Metric
from foretouch.core.offers import CandidateRef, Catalogue, Offer, OfferCaps, Treatment
from foretouch.core.outcomes import Outcome
from foretouch.core.policy import ContextWeight, PolicySpec, ScoreWeight
from foretouch.core.schema import Contract

FOLDER = Path(__file__).parent / "contracts"
AT = datetime(2026, 3, 2, 15, 4, 5, 678901, tzinfo=UTC)
LATER = datetime(2026, 3, 3, 9, 0, tzinfo=UTC)


def examples() -> dict[str, Contract]:
    """One full example of every contract, every field set, non-ASCII text included."""
    offer = Offer(
        offer_id="summer-coupon",
        name="夏季优惠券",
        category="coupon",
        channels=("email", "sms"),
        value=4.5,
        cost=0.75,
        starts_at=AT,
        ends_at=LATER,
        eligibility="customer.tenure_days >= 30",
        caps=OfferCaps(total=1000, per_customer=1, per_day=50),
        placement="hero",
        lever=1.2,
        attributes={"share_GROCERY": 0.5, "type": "A", "new": True},
        treatments=(Treatment(treatment_id="t1", offer_id="summer-coupon", channel="email", name="Sun"),),
    )
    request = DecisionRequest(
        request_id="r-1",
        customer_id="客户-1",
        household_id="h-1",
        touchpoint="weekly-email",
        purpose="marketing",
        channels=("email",),
        context={"intent": "browse", "cart": 12.5, "logged_in": True},
        candidates=(CandidateRef(offer_id="summer-coupon", treatment_id="t1", channel="email"),),
        collection="coupon",
        exclude=("old-offer",),
        n=2,
        send_window=SendWindow(earliest=AT, latest=LATER, time_zone="Asia/Shanghai"),
        baseline_offer_id="summer-coupon",
        default_action=CandidateRef(offer_id="summer-coupon", channel="email"),
        consent={"email": True},
        personalised=True,
        options=RequestOptions(explain=True, dry_run=False, defer_activation=True, reserve_caps=False),
    )
    dropped = Suppression(
        offer_id="winter", channel="email", stage="caps", rule="weekly", until=LATER, text="3 contacts in 7 days"
    )
    shared = {
        "decision_id": "dec_1",
        "request_id": "r-1",
        "customer_id": "客户-1",
        "status": "decided",
        "status_reason": "The champion models decided.",
        "decided_at": AT,
        "expires_at": LATER,
        "contact": True,
        "action": (
            Action(
                rank=1,
                offer_id="summer-coupon",
                treatment_id="t1",
                channel="email",
                send_at=LATER,
                send=Send(
                    best_at=LATER, runner_up_at=AT, score=0.04, support=12.0, slot_probability=0.9, explored=False
                ),
                propensity=0.12,
                propensity_interval=Interval(low=0.08, high=0.17),
                uplift=None,
                uplift_reason="campaigns were targeted",
                value=4.5,
                cost=0.01,
                weights={"context": 1.1, "lever": 1.2},
                price=0.0,
                priority=0.58,
                selection_probability=0.7,
                explored=False,
                reason_codes=(
                    Reason(
                        code="feature", feature="recency_days", direction="up", contribution=0.3, text="bought lately"
                    ),
                ),
                reservation_id="res_1",
            ),
        ),
        "suppressed": (dropped,),
        "experiments": (Assignment(key="holdout", arm="treated", holdout=False),),
        "models": (ModelRef(name="offer", version="v1", trained_through=AT),),
        "versions": Versions(
            policy="p", contact_policy="c", offers="o", experiments="e", features="f", config="g", code="0.1.0"
        ),
        "feature_ages": {"customer_purchases": 3600.0},
        "warnings": ("time zone unknown",),
        "logged": True,
    }
    return {
        "bundle_card": ModelCard(
            model="offer",
            version="20260302-1",
            target="probability",
            feature_service="offer_v1",
            inputs=(
                ModelInput(name="recency_days", view="customer_purchases"),
                ModelInput(name="rfm_tier", view="customer_profile", kind="category", levels=("high", "low")),
            ),
            calibration=Calibration(method="isotonic", x=(0.1, 0.5), y=(0.05, 0.6)),
            intervals=ScoreIntervals(upper_edges=(0.5, 1.0), low=(0.0, 0.4), high=(0.2, 0.8)),
            bands=(Band(name="low", at_least=0.0), Band(name="high", at_least=0.3)),
            trained_through=AT,
            created_at=LATER,
            goal={"window_days": 28},
            metrics={"auc": 0.8},
            baselines={"campaign type": {"auc": 0.6, "difference": [0.1, 0.2, 0.3]}},
            data_sha256="0" * 64,
            seed=1,
            parameters={"num_leaves": 31},
            extras={"uplift": None},
            mlflow_run_id="run",
            notes=("a note",),
        ),
        "bundle_golden_rows": GoldenRows(inputs=((1.0, None),), raw=(0.25,), calibrated=(0.2,)),
        "catalogue": Catalogue(offers=(offer,)),
        "consent": Consent(
            customer_id="客户-1", channel="email", purpose="marketing", granted=True, at=AT, source="web form"
        ),
        "contact_policy": ContactPolicy(
            name="default",
            quiet_hours=(QuietHours(start=time(21), end=time(8)),),
            caps=(Cap(rule="weekly", scope="customer", channels=("email",), limit=3, days=7.0),),
            minimum_gap_hours=12.0,
            suppressed_customers=("no-mail",),
            default_time_zone="Europe/Berlin",
        ),
        "customer_event": CustomerEvent(
            event_id="e-1",
            customer_id="客户-1",
            event="purchase",
            occurred_at=AT,
            received_at=LATER,
            channel="store",
            value=12.5,
            currency="USD",
            is_bot=False,
            properties={"categories": {"GROCERY": 12.5}},
        ),
        "decision": Decision.model_validate(shared),
        "decision_record": DecisionRecord.model_validate(
            {
                **shared,
                "touchpoint": "weekly-email",
                "purpose": "marketing",
                "request": request,
                "candidates": (
                    Candidate(
                        offer_id="summer-coupon",
                        treatment_id="t1",
                        channel="email",
                        propensity=0.12,
                        propensity_interval=Interval(low=0.08, high=0.17),
                        uplift=None,
                        value=4.5,
                        cost=0.01,
                        weights={"context": 1.1, "lever": 1.2},
                        price=0.0,
                        priority=0.58,
                        selection_probability=0.7,
                    ),
                    Candidate(offer_id="winter", channel="email", dropped_by=dropped),
                    Candidate(offer_id=None, priority=0.0, selection_probability=0.3),
                ),
                "features": FeatureSnapshot(
                    known=True, values={"recency_days": 3.0, "rfm_tier": None}, as_of={"customer_purchases": AT}
                ),
                "counters": Counters(
                    time_zone="Asia/Shanghai",
                    household_id="h-1",
                    known=True,
                    consents={"email/marketing": True},
                    contacts=(PastContact(at=AT, channel="email", offer_id="winter"),),
                    offer_totals={"summer-coupon": 3},
                ),
                "seed": "00000000000000ff",
                "fallback_step": "champion",
                "latency_ms": {"total": 1.5},
            }
        ),
        "decision_request": request,
        "experiment_spec": ExperimentSpec(
            key="holdout",
            control="holdout",
            weights={"treated": 0.95, "holdout": 0.05},
            arms={"holdout": Arm(kind="no_contact"), "treated": Arm(kind="policy", policy="default")},
            salt="s",
            touchpoints=("weekly-email",),
            starts_at=AT,
            ends_at=LATER,
            title={"en": "Holdout", "zh": "对照组"},
            time="first_at",
            cluster="household_id",
            segments=("lifecycle_stage",),
            metrics=(
                Metric(name="revenue", kind="mean", event="purchase", measure="value", role="primary", winsor=0.99),
                Metric(
                    name="unsubscribed", kind="proportion", column="u", role="guardrail", margin=0.01, better="down"
                ),
            ),
        ),
        "outcome": Outcome(
            outcome_id="o-1",
            decision_id="dec_1",
            type="convert",
            occurred_at=AT,
            received_at=LATER,
            rank=1,
            value=9.0,
            currency="USD",
            reason="liked it",
            properties={"device": "phone"},
        ),
        "policy_spec": PolicySpec(
            name="default",
            context_weights=(ContextWeight(key="intent", equals="cancel", category="retention", percent=100.0),),
            score_weights=(ScoreWeight(model="churn", percent=50.0),),
            fatigue_cost=0.02,
        ),
    }


def main() -> None:
    """Writes the golden lines that are not there yet."""
    FOLDER.mkdir(exist_ok=True)
    for name, value in examples().items():
        path = FOLDER / f"{name}.v{getattr(value, 'schema_version', 1)}.json"
        if not path.exists():
            path.write_text(value.to_line() + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
