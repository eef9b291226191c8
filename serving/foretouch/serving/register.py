"""What callers keep with us besides decisions: people, suppression lists, offers. Each change has its audit line."""

from collections.abc import Mapping
from typing import Any

import pandas as pd

from foretouch.core import columns as c
from foretouch.core.canonical import canonical_json, content_hash
from foretouch.core.contact import ANY, SuppressionEntry
from foretouch.core.errors import DataError, NotFoundError
from foretouch.core.offers import Catalogue, Offer
from foretouch.core.state.access import append_audit
from foretouch.core.state.connection import Connection
from foretouch.core.state.people import Person, upsert_customers
from foretouch.core.state.suppressions import add_suppressions, list_suppressions, remove_suppression
from foretouch.core.workspace import Workspace
from foretouch.features.catalogue import features_of
from foretouch.features.ingest import write_table
from foretouch.features.offers import LEVER, load_catalogue
from foretouch.features.privacy import TELLING, identifies, pseudonym
from foretouch.features.schemas import COLUMNS
from foretouch.features.settle import stack
from foretouch.features.tables import read_table
from foretouch.serving.customer_scores import SCORE_FEATURES
from foretouch.serving.dataplane import Dataplane
from foretouch.serving.http_models import (
    CustomerAnswer,
    CustomerBody,
    OfferAnswer,
    OfferBody,
    SuppressionsAnswer,
    SuppressionsBody,
)
from foretouch.serving.rule_check import check_catalogue, check_engagement

LONGEST_NAME = 100


class Register:
    """Keeps people, suppression lists and offers.

    Args:
        plane: The workspace's data plane.
    """

    def __init__(self, plane: Dataplane) -> None:
        self._plane = plane

    def customer(self, customer_id: str, body: CustomerBody, *, actor: str = "cli") -> CustomerAnswer:
        """Keeps what is known of a customer; it replaces what was known before.

        Args:
            customer_id: Whom.
            body: Household, zone, language and attributes.
            actor: Id of the caller's key.

        Raises:
            DataError: An attribute identifies a person and is not pseudonymised by the configuration.
        """
        attributes = protected(self._plane.workspace, body.attributes)
        person = Person(
            customer_id=customer_id,
            household_id=body.household_id,
            time_zone=body.time_zone,
            language=body.language,
            attributes=attributes,
        )
        now = self._plane.clock.now()

        def job(connection: Connection) -> None:
            upsert_customers(connection, [person])
            detail = {"customer_id": customer_id, "sha256": content_hash([*sorted(attributes.items()), vars(body)])}
            append_audit(connection, actor=actor, action="customer.put", detail=detail, now=now)

        self._plane.state.write(job)
        warnings = () if body.time_zone else ("no time_zone: the contact policy's default is used for quiet hours",)
        return CustomerAnswer(
            customer_id=customer_id,
            household_id=body.household_id,
            time_zone=body.time_zone,
            language=body.language,
            attributes=dict(attributes),
            warnings=warnings,
        )

    def suppress(self, customer_id: str, body: SuppressionsBody, *, actor: str = "cli") -> SuppressionsAnswer:
        """Puts lines on the suppression list: respected by the very next decision.

        Raises:
            DataError: A line would have ended already.
        """
        now = self._plane.clock.now()
        warnings = []
        entries = []
        for line in body.suppressions:
            if line.until is not None and line.until <= now:
                raise DataError(f"until == {line.until.isoformat()}, must be later than now ({now.isoformat()})")
            if line.channel not in {ANY, *self._plane.settings.current.config.channels}:
                warnings.append(f"channel {line.channel!r} is not in foretouch.toml")
            entries.append(SuppressionEntry(customer_id=customer_id, **dict(line)))

        def job(connection: Connection) -> list[SuppressionEntry]:
            add_suppressions(connection, entries, now)
            detail = {"customer_id": customer_id, "lines": [entry.model_dump(mode="json") for entry in entries]}
            append_audit(connection, actor=actor, action="suppression.add", detail=detail, now=now)
            return list_suppressions(connection, customer_id)

        held = self._plane.state.write(job)
        return SuppressionsAnswer(
            customer_id=customer_id, changed=len(entries), suppressions=tuple(held), warnings=tuple(warnings)
        )

    def unsuppress(
        self, customer_id: str, *, channel: str | None = None, purpose: str | None = None, actor: str = "cli"
    ) -> SuppressionsAnswer:
        """Takes lines off the suppression list: those of exactly this channel and purpose, or all of them.

        Raises:
            NotFoundError: There is no such line.
        """
        now = self._plane.clock.now()

        def job(connection: Connection) -> tuple[int, list[SuppressionEntry]]:
            lines = [
                entry
                for entry in list_suppressions(connection, customer_id)
                if channel in {None, entry.channel} and purpose in {None, entry.purpose}
            ]
            if not lines:
                which = f"channel {channel or 'any'!r}, purpose {purpose or 'any'!r}"
                raise NotFoundError(f"no line for customer {customer_id!r}, {which}", hint="foretouch suppress list")
            for entry in lines:
                remove_suppression(connection, customer_id, entry.channel, entry.purpose)
            detail = {"customer_id": customer_id, "lines": [entry.model_dump(mode="json") for entry in lines]}
            append_audit(connection, actor=actor, action="suppression.remove", detail=detail, now=now)
            return len(lines), list_suppressions(connection, customer_id)

        removed, held = self._plane.state.write(job)
        return SuppressionsAnswer(customer_id=customer_id, changed=removed, suppressions=tuple(held))

    def offer(self, offer_id: str, body: OfferBody, *, actor: str = "cli") -> OfferAnswer:
        """Puts one offer into the catalogue, checked as ingest and the service's start check it.

        Every worker takes the new catalogue over within a second; decisions name it by its content hash, and those
        made before go on naming theirs. The files are replaced inside a transaction of the state database, so that
        two callers, also of two workers, never overwrite each other's offers.

        Raises:
            DataError: The offer breaks its contract.
            ConfigError: One of its rules cannot be compiled, or a rule of the engagement policy loses what it names.
        """
        workspace, settings, now = self._plane.workspace, self._plane.settings.current, self._plane.clock.now()
        offer = offer_from(offer_id, body)
        known = {*features_of(settings.config), *SCORE_FEATURES}
        check_catalogue(Catalogue(offers=(offer,)), known)

        def job(connection: Connection) -> tuple[str, str]:
            before = load_catalogue(workspace)
            kept = {item.offer_id: item for item in before.offers} | {offer_id: offer}
            check_engagement(settings.engagement, Catalogue(offers=tuple(kept.values())), known)
            write_offer(workspace, offer)
            after = load_catalogue(workspace)
            versions = content_hash(before), content_hash(after)
            detail = {"offer_id": offer_id, "before": versions[0], "after": versions[1]}
            if versions[0] != versions[1]:
                append_audit(connection, actor=actor, action="offer.put", detail=detail, now=now)
            return versions

        earlier, version = self._plane.state.write(job)
        warnings = tuple(
            f"channel {channel!r} is not in foretouch.toml: the offer is never sent there"
            for channel in offer.channels
            if channel not in settings.config.channels
        )
        return OfferAnswer(offer_id=offer_id, version=version, changed=earlier != version, warnings=warnings)


def protected(workspace: Workspace, attributes: Mapping[str, Any]) -> dict[str, Any]:
    """Attributes without anybody's name, address or number: pseudonymised where the configuration says so.

    Raises:
        DataError: One identifies a person and is not listed under ``[privacy]``.
    """
    listed = set(workspace.config.privacy.pseudonymise)
    kept: dict[str, Any] = {}
    for name, value in attributes.items():
        if name in listed:
            kept[name] = None if value is None else pseudonym(workspace, str(value))
        elif TELLING.search(name) or (isinstance(value, str) and identifies(value)):
            raise DataError(
                f"attribute {name!r} identifies people (a name, an e-mail address or a phone number)",
                hint=f'leave it out, or add "{name}" to pseudonymise under [privacy] in foretouch.toml',
            )
        elif name in COLUMNS[c.CUSTOMERS] or not 1 <= len(name) <= LONGEST_NAME:
            raise DataError(f"attribute {name!r}: a name of 1 to {LONGEST_NAME} letters that is no column of customers")
        else:
            kept[name] = value
    return {name: value for name, value in kept.items() if value is not None}


def offer_from(offer_id: str, body: OfferBody) -> Offer:
    """The offer that a body describes.

    Raises:
        DataError: The body names another offer, or an attribute has the name of a field.
    """
    fields = dict(body)
    if fields.pop("offer_id") not in {None, offer_id}:
        raise DataError(f"offer_id == {body.offer_id!r}, must be the path's {offer_id!r}, or left out")
    strange = sorted(({*COLUMNS[c.OFFERS], LEVER}) & set(body.attributes))
    if strange:
        raise DataError(f"attributes {', '.join(strange)} have the names of an offer's own fields")
    treatments = tuple(item.treatment(offer_id) for item in fields.pop("treatments"))
    for item in treatments:
        if item.channel not in body.channels:
            raise DataError(f"treatment {item.treatment_id!r} is for {item.channel!r}, which is not in channels")
    return Offer(offer_id=offer_id, treatments=treatments, **fields)


def write_offer(workspace: Workspace, offer: Offer) -> None:
    """Replaces one offer and its treatments in the canonical tables."""
    row = {
        **{name: getattr(offer, name) for name in COLUMNS[c.OFFERS] if hasattr(offer, name)},
        c.CHANNELS: canonical_json(offer.channels).decode(),
        c.PURPOSES: canonical_json(offer.purposes).decode(),
        c.CAPS: canonical_json(offer.caps).decode(),
        LEVER: offer.lever,
        **offer.attributes,
    }
    stored = read_table(workspace, c.OFFERS)
    new = pd.DataFrame([row]).assign(
        **{name: pd.to_datetime([row[name]], utc=True) for name in (c.STARTS_AT, c.ENDS_AT)}
    )
    write_table(workspace, c.OFFERS, stack([stored[stored[c.OFFER_ID] != offer.offer_id], new]))
    treatments = read_table(workspace, c.TREATMENTS)
    own = [{name: getattr(item, name) for name in COLUMNS[c.TREATMENTS]} for item in offer.treatments]
    others = treatments[treatments[c.OFFER_ID] != offer.offer_id]
    if own or len(others) != len(treatments):
        parts = [others, pd.DataFrame(own)] if own else [others]
        write_table(workspace, c.TREATMENTS, stack(parts))
