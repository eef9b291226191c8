"""What callers keep with us besides decisions: people, suppression lists, offers. Each change has its audit line."""

import os
from collections.abc import Mapping, Sequence
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from foretouch.core import columns as c
from foretouch.core.canonical import canonical_json, content_hash
from foretouch.core.contact import ANY, SuppressionEntry
from foretouch.core.errors import DataError
from foretouch.core.offers import Catalogue, Offer
from foretouch.core.state.access import append_audit
from foretouch.core.state.connection import Connection
from foretouch.core.state.people import Person
from foretouch.core.state.posted import post_customer
from foretouch.core.workspace import Workspace
from foretouch.features.catalogue import features_of
from foretouch.features.offers import LEVER, load_catalogue
from foretouch.features.privacy import TELLING, identifies, pseudonym
from foretouch.features.schemas import COLUMNS, FLAG, MOMENT, NUMBER, TEXT
from foretouch.serving.decision.customer_scores import SCORE_FEATURES
from foretouch.serving.rules.rule_check import check_catalogue, check_engagement
from foretouch.serving.runtime.dataplane import Dataplane
from foretouch.serving.runtime.speech import told_about
from foretouch.serving.runtime.suppression_list import suppress, unsuppress
from foretouch.serving.web.models import (
    CustomerAnswer,
    CustomerBody,
    OfferAnswer,
    OfferBody,
    SuppressionsAnswer,
    SuppressionsBody,
)

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
            post_customer(connection, person, now)
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
            warnings=told_about(self._plane.state, customer_id, warnings),
        )

    def suppress(self, customer_id: str, body: SuppressionsBody, *, actor: str = "cli") -> SuppressionsAnswer:
        """Puts lines on the suppression list: respected by the very next decision.

        Raises:
            DataError: A line would have ended already.
        """
        config = self._plane.settings.current.config
        entries = [SuppressionEntry(customer_id=customer_id, **dict(line)) for line in body.suppressions]
        held = suppress(self._plane.state, customer_id, entries, now=self._plane.clock.now(), actor=actor)
        warnings = tuple(
            f"channel {entry.channel!r} is not in foretouch.toml"
            for entry in entries
            if entry.channel not in {ANY, *config.channels}
        )
        return SuppressionsAnswer(
            customer_id=customer_id,
            changed=len(entries),
            suppressions=tuple(held),
            warnings=told_about(self._plane.state, customer_id, warnings),
        )

    def unsuppress(
        self, customer_id: str, *, channel: str | None = None, purpose: str | None = None, actor: str = "cli"
    ) -> SuppressionsAnswer:
        """Takes lines off the suppression list: those of exactly this channel and purpose, or all of them.

        Raises:
            NotFoundError: There is no such line.
        """
        now = self._plane.clock.now()
        gone, left = unsuppress(self._plane.state, customer_id, channel=channel, purpose=purpose, now=now, actor=actor)
        return SuppressionsAnswer(customer_id=customer_id, changed=len(gone), suppressions=tuple(left))

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
        strange = sorted(set(offer.channels) - set(settings.config.channels))
        if strange:
            there = ", ".join(settings.config.channels)
            raise DataError(f"channels {', '.join(strange)} are not in foretouch.toml; there are {there}")

        def job(connection: Connection) -> tuple[str, str]:
            before = load_catalogue(workspace)
            kept = {item.offer_id: item for item in before.offers} | {offer_id: offer}
            wanted = Catalogue(offers=tuple(kept[name] for name in sorted(kept)))
            check_engagement(settings.engagement, wanted, known)
            write_catalogue(workspace, wanted)
            after = load_catalogue(workspace)
            versions = content_hash(before), content_hash(after)
            detail = {"offer_id": offer_id, "before": versions[0], "after": versions[1]}
            if versions[0] != versions[1]:
                append_audit(connection, actor=actor, action="offer.put", detail=detail, now=now)
            return versions

        earlier, version = self._plane.state.write(job)
        return OfferAnswer(offer_id=offer_id, version=version, changed=earlier != version)


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


def write_catalogue(workspace: Workspace, catalogue: Catalogue) -> None:
    """Writes the canonical tables of offers and treatments, each file replaced whole.

    Raises:
        DataError: An attribute is a number with one offer and a text or a flag with another: a column has one type.
    """
    rows = [_row(offer) for offer in catalogue.offers]
    columns = dict.fromkeys([*COLUMNS[c.OFFERS], LEVER, *(name for row in rows for name in row)])
    arrays = {name: _array(name, [row.get(name) for row in rows]) for name in columns}
    _replace(workspace, c.OFFERS, pa.table(arrays))
    treatments = [item for offer in catalogue.offers for item in offer.treatments]
    if treatments or workspace.table(c.TREATMENTS).exists():
        values = {name: [getattr(item, name) for item in treatments] for name in COLUMNS[c.TREATMENTS]}
        _replace(
            workspace, c.TREATMENTS, pa.table({name: pa.array(items, pa.string()) for name, items in values.items()})
        )


def _row(offer: Offer) -> dict[str, Any]:
    """An offer as a row: lists and limits as JSON, attributes as columns."""
    return {
        **offer.attributes,
        **{name: getattr(offer, name) for name in COLUMNS[c.OFFERS]},
        c.CHANNELS: canonical_json(offer.channels).decode(),
        c.PURPOSES: canonical_json(offer.purposes).decode(),
        c.CAPS: canonical_json(offer.caps).decode(),
        LEVER: offer.lever,
    }


def _array(name: str, values: Sequence[Any]) -> "pa.Array[Any]":
    types = {NUMBER: pa.float64(), FLAG: pa.bool_(), MOMENT: pa.timestamp("us", tz="UTC"), TEXT: pa.string()}
    kind = types.get(COLUMNS[c.OFFERS].get(name, NUMBER if name == LEVER else ""))
    if kind is None:
        kinds = {
            pa.bool_() if isinstance(value, bool) else pa.string() if isinstance(value, str) else pa.float64()
            for value in values
            if value is not None
        }
        if len(kinds) > 1:
            raise DataError(f"attribute {name!r} is of another type with other offers: a text, a number or a flag")
        kind = kinds.pop() if kinds else pa.string()
    return pa.array(values, type=kind)


def _replace(workspace: Workspace, table: str, content: pa.Table) -> None:
    path = workspace.table(table)
    path.parent.mkdir(parents=True, exist_ok=True)
    draft = path.with_name(f".{table}.{os.getpid()}.tmp")
    pq.write_table(content, draft, compression="zstd")
    draft.replace(path)
