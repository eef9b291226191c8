"""The ladder: what a decision rests on, from the champion on fresh features down to the marketer's own order. Pure.

====================  ==========  ===============================================================================
step                  status      what decides
====================  ==========  ===============================================================================
``champion``          decided     the offer model on fresh features
``not_personalised``  decided     rates of the offer's category, because the request asks for no profiling
``rules_only``        decided     the marketer's values and levers, because the arm of a standing experiment says so
``stale``             degraded    the offer model on features older than their limit
``defaults``          degraded    the offer model without the customer's features, if its card allows that
``previous``          degraded    the champion before it: the champion is missing, was refused, or fails
``prior``             fallback    rates: the offer's own ``prior_propensity``, or its category's on the model's card
``default_action``    fallback    the caller's, if the contact rules allow it
``static_default``    fallback    the touchpoint's own, if the contact rules allow it
``rules``             fallback    the marketer's values, levers and costs
``nothing``           fallback    no offer to speak of: no contact
====================  ==========  ===============================================================================

Contact rules hold on every step: what a rule dropped never comes here. No feature of the customer is looked at on
``not_personalised`` and below ``previous``.
"""

from collections.abc import Mapping, Sequence
from datetime import datetime

from foretouch.core.bundle import ModelCard
from foretouch.core.decisions import DecisionRequest, FeatureSnapshot, Status
from foretouch.core.offers import Catalogue
from foretouch.core.policy import PolicySpec
from foretouch.serving.decision import new_offers
from foretouch.serving.decision.candidates import Lineup, Option
from foretouch.serving.decision.estimates import OFFER_MODEL, Asked, estimate, uplift_reason
from foretouch.serving.decision.new_offers import prior_rate
from foretouch.serving.decision.pair_scores import PairScores
from foretouch.serving.decision.plans import Plans
from foretouch.serving.decision.propensities import NO_UPLIFT, OfOffers, Propensities
from foretouch.serving.models.scoring import Scorer

__all__ = ["OFFER_MODEL", "STATUS", "Propensities", "find_propensities"]

STATUS: Mapping[str, Status] = {
    "champion": "decided",
    "not_personalised": "decided",
    "rules_only": "decided",
    "stale": "degraded",
    "defaults": "degraded",
    "previous": "degraded",
    "prior": "fallback",
    "default_action": "fallback",
    "static_default": "fallback",
    "rules": "fallback",
    "nothing": "fallback",
}
NO_MODELS: Mapping[str, Scorer] = {}
NO_COUNTS: Mapping[str, int] = {}


def find_propensities(
    options: Sequence[Option],
    *,
    request: DecisionRequest,
    features: FeatureSnapshot,
    models: Mapping[str, Scorer],
    at: datetime,
    previous: Mapping[str, Scorer] = NO_MODELS,
    spec: PolicySpec | None = None,
    offer_contacts: Mapping[str, int] = NO_COUNTS,
    unaided: bool = False,
    catalogue: Catalogue | None = None,
    plans: Plans | None = None,
    early: Sequence[PairScores] = (),
) -> Propensities:
    """The best step of the ladder that can say something about every option.

    Args:
        options: What the rules left.
        request: Says whether profiling is allowed.
        features: The customer's.
        models: Loaded champions by model name.
        at: The decision's time, for the offers' days left.
        previous: The champions before them, by model name.
        spec: The policy: whether it draws from members or weighs uplift, and what it believes of new offers.
        offer_contacts: ``CounterSnapshot.offer_contacts``.
        unaided: No model may take part (the standing arm ``rules_only``).
        catalogue: Every offer; None is those of the options.
        plans: Where the catalogue's vectors are kept.
        early: Scores that were worked out before.
    """
    spec = spec or PolicySpec()
    lineup = Lineup.of(options)
    if unaided:
        reason = "the arm decides without any model"
        unknown = OfOffers[float | None](dict.fromkeys(lineup.offers_by_id), lineup.keys)
        return Propensities(step="rules_only", by_key=unknown, uplift_reason=reason)
    champion, before = models.get(OFFER_MODEL), previous.get(OFFER_MODEL)
    judge = champion or before
    card = None if judge is None else judge.card
    asked = Asked(
        options=lineup,
        features=features,
        models=models,
        previous=previous,
        spec=spec,
        evidence=new_offers.evidence_of(lineup.offers, offer_contacts, card),
        at=at,
        catalogue=catalogue,
        plans=plans or Plans(),
        early=early,
    )
    borrowed = (OFFER_MODEL,) if champion is None and before is not None else ()
    if not request.personalised:
        found = _prior(asked, card, "not_personalised", "the request asks for no profiling")
        return _with_maturity(found.but(consulted=borrowed), asked)
    reasons: list[str] = []
    for step, scorer in (("champion", champion), ("previous", before)):
        answer = _step(step, scorer, asked)
        if isinstance(answer, Propensities):
            return _with_maturity(_stand_in(answer, reasons) if step == "previous" else answer, asked)
        if answer and answer not in reasons:
            reasons.append(answer)
            borrowed = (OFFER_MODEL,) if step == "previous" else borrowed
    found = _prior(asked, card, "prior", ", ".join(reasons))
    return _with_maturity(found.but(consulted=borrowed), asked)


def _stand_in(answer: Propensities, reasons: Sequence[str]) -> Propensities:
    """What the champion before the present one found, under its own name and with why it had to."""
    why = ", ".join(dict.fromkeys([*reasons, *([answer.reason] if answer.reason else [])]))
    consulted = tuple(sorted({*answer.consulted, OFFER_MODEL}))
    return answer.but(step="previous", reason=f"{why}; the champion before it scored", consulted=consulted)


def _step(step: str, scorer: Scorer | None, asked: Asked) -> Propensities | str:
    """What one version of the offer model finds, or why it cannot; an empty reason is none worth telling."""
    if scorer is None:
        return "the offer model is missing" if step == "champion" else ""
    features, missing = asked.features, _why_missing(asked.features)
    if missing and not scorer.card.extras.get("defaults_allowed", False):
        return missing
    try:
        found = estimate(scorer, {} if missing else features.values, asked)
    except Exception as error:  # noqa: BLE001 - a model that fails must not cost the caller an answer
        which = "the offer model" if step == "champion" else "the champion before it"
        return f"{which} failed ({type(error).__name__})"
    if missing:
        return found.but(step="defaults", reason=missing)
    if features.stale:
        why = f"features are older than their limit: {', '.join(features.stale)}"
        return found.but(step="stale", reason=why)
    return found


def _why_missing(features: FeatureSnapshot) -> str:
    if features.error is not None:
        return f"features could not be read: {features.error}"
    return "" if features.known else "nothing is known of the customer"


def _with_maturity(found: Propensities, asked: Asked) -> Propensities:
    """Evidence, and which offers are immature under the policy."""
    needed = asked.spec.new_offers.mature_from
    few = [name for name, contacts in asked.evidence.items() if contacts < needed] if needed > 0 else []
    young = frozenset(few)
    notes = found.notes
    if young:
        share = asked.spec.new_offers.immature_share
        named = ", ".join(sorted(young))
        notes = (*notes, f"offers with fewer than {needed} contacts ({named}) get at most {share:g} of the choice")
    return found.but(evidence=asked.evidence, immature=young, notes=notes)


def _prior(asked: Asked, card: ModelCard | None, step: str, reason: str) -> Propensities:
    rates = {name: prior_rate(offer, card) for name, offer in asked.offers.items()}
    keys = asked.options.keys
    why = NO_UPLIFT if card is None else uplift_reason(card)
    notes: tuple[str, ...] = ()
    if asked.spec.kind == "thompson":
        notes = (
            f"policy {asked.spec.name!r} draws from bootstrap members of a model, and none took part: softmax draws",
        )
    if all(rate is not None for rate in rates.values()):
        return Propensities(step=step, reason=reason, by_key=OfOffers(rates, keys), uplift_reason=why, notes=notes)
    if step == "prior":
        step, reason = "rules", f"{reason}, and no rate is known for every offer"
    unknown = OfOffers[float | None](dict.fromkeys(rates), keys)
    return Propensities(step=step, reason=reason, by_key=unknown, uplift_reason=why, notes=notes)
