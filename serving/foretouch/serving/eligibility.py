"""Eligibility: an offer's own rule over customer, feature, context and offer fields. Pure."""

from collections.abc import Container, Mapping
from typing import Any

from foretouch.core.decisions import CounterSnapshot, DecisionRequest, FeatureSnapshot, Suppression
from foretouch.core.errors import ConfigError
from foretouch.core.expressions import compile_expression
from foretouch.core.offers import Catalogue, Offer
from foretouch.serving.candidates import Option

OFFER_FIELDS = ("offer_id", "name", "category", "value", "cost", "placement", "lever")

Values = Mapping[str, Mapping[str, Any]]


def rule_values(request: DecisionRequest, features: FeatureSnapshot, counters: CounterSnapshot) -> Values:
    """What rules may name, but the offer's fields: by namespace and name."""
    return {
        "customer": {
            **counters.attributes,
            "known": counters.known,
            "language": counters.language,
            "time_zone": counters.time_zone,
        },
        "feature": features.values,
        "context": request.context,
    }


def offer_values(offer: Offer) -> dict[str, Any]:
    """What rules may name of an offer: its fields and its attributes."""
    return {**offer.attributes, **{name: getattr(offer, name) for name in OFFER_FIELDS}}


def check_eligibility(option: Option, values: Values) -> Suppression | None:
    """The offer's rule; a rule that is false, unknown or cannot be compiled drops the option and says why."""
    rule = option.offer.eligibility
    if not rule:
        return None
    try:
        expression = compile_expression(rule)
    except ConfigError as error:
        return option.drop(
            "eligibility", "broken_rule", f"the rule cannot be read, so nobody is eligible: {error.message}"
        )
    verdict = expression.evaluate({**values, "offer": offer_values(option.offer)})
    if verdict.passed:
        return None
    return option.drop("eligibility", "eligibility", f"{rule}: {verdict.text}")


def check_catalogue(catalogue: Catalogue, known_features: Container[str]) -> None:
    """Compiles every rule of a catalogue, so that a mistake is found when it is loaded.

    Args:
        catalogue: The offers.
        known_features: Names that ``feature.`` may be followed by, the scores among them.

    Raises:
        ConfigError: A rule cannot be compiled or names what is not known; with offer, line and column.
    """
    for offer in catalogue.offers:
        if offer.eligibility:
            known: dict[str, Container[str]] = {
                "offer": {*OFFER_FIELDS, *offer.attributes},
                "feature": known_features,
            }
            compile_expression(offer.eligibility, where=f"offer {offer.offer_id!r}, eligibility", known=known)
