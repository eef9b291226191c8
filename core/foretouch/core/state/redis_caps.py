"""Counters of caps in Redis, for services on many machines.

Every call is one script under a short deadline and is never tried again by the client: what does not answer in time
forbids. The generation names the Redis process that was filled: a restarted one may have lost its last second (its
append-only file is written once a second), a flushed one has lost everything, and both are refused until they are
filled again from the log.
"""

from collections.abc import Iterable, Iterator, Sequence
from contextlib import suppress
from itertools import islice
from typing import Any
from urllib.parse import urlsplit

import orjson

from foretouch.core.clock import monotonic
from foretouch.core.counters import PastContact
from foretouch.core.errors import ConfigError
from foretouch.core.state.caps import CapQuestion, CapsError, SeenCaps
from foretouch.core.state.connection import from_micros, to_micros
from foretouch.core.state.contacts import Contact
from foretouch.core.state.redis_scripts import APPLY, LOOK, RESERVE

CALL_SECONDS = 0.05
REBUILD_SECONDS = 5.0
FIRST_PAUSE_SECONDS, LONGEST_PAUSE_SECONDS = 0.05, 1.0
"""After a failed call nobody calls for so long, twice as long after each further one: every decision fails closed at
once instead of waiting in turn, and one late answer of a busy machine costs the decisions of a moment, not a second."""
CHUNK = 500
STAMP = b"#v"
HINT = "foretouch caps rebuild"
REACH_HINT = "start the server that state.caps_url names, or correct state.caps_url in foretouch.toml"


class RedisCaps:
    """A store of caps in Redis.

    Args:
        url: ``redis://…``, every ``${NAME}`` already filled in.
        name: Of the workspace; two workspaces may share a server.
        call_seconds: How long one call may take.

    Raises:
        ConfigError: The driver is not installed.
    """

    def __init__(self, url: str, *, name: str, call_seconds: float = CALL_SECONDS) -> None:
        try:
            import redis  # noqa: PLC0415 - an extra
        except ImportError as error:
            raise ConfigError(
                "state.caps_url names Redis, whose driver is not installed", hint="pip install 'foretouch[redis]'"
            ) from error
        parts = urlsplit(url)
        self.label = f"{parts.scheme}://{parts.hostname or ''}{f':{parts.port}' if parts.port else ''}{parts.path}"
        self._prefix = f"foretouch:{{{name}}}:"
        self._errors: tuple[type[Exception], ...] = (redis.RedisError, OSError)
        self._refuse_until = -1.0
        self._failures = 0
        self._refusal = ""
        self._runs = ""
        self._url = url
        self._client = self._connect(call_seconds)
        self._look = self._client.register_script(LOOK)
        self._reserve = self._client.register_script(RESERVE)
        self._apply = self._client.register_script(APPLY)

    def _connect(self, seconds: float) -> Any:
        from redis import Redis  # noqa: PLC0415
        from redis.backoff import NoBackoff  # noqa: PLC0415
        from redis.retry import Retry  # noqa: PLC0415

        return Redis.from_url(
            self._url,
            socket_timeout=seconds,
            socket_connect_timeout=seconds,
            retry=Retry(NoBackoff(), 0),
            health_check_interval=0,
            redis_connect_func=self._greet,
        )

    def _greet(self, connection: Any) -> None:
        """Runs on every new connection: learns which Redis process is at the other end."""
        connection.on_connect()
        connection.send_command("INFO", "server")
        found = connection.read_response()
        text = found.decode() if isinstance(found, bytes) else str(found)
        self._runs = next((line.split(":")[1] for line in text.splitlines() if line.startswith("run_id:")), "")

    def look(self, question: CapQuestion, generation: str) -> SeenCaps:
        """The counters as of now; see ``CapStore``."""
        offers, totals = list(question.offers), list(question.totals)
        arguments: list[Any] = [
            to_micros(question.now),
            question.customer_id,
            question.household_id or "",
            *map(to_micros, question.day),
            len(offers),
            *offers,
            sum(len(question.totals[rule][1]) for rule in totals),
        ]
        for rule in totals:
            channels, edges, _ = question.totals[rule]
            for after in edges:
                arguments += [_channels(channels), to_micros(after)]
        found = self._call(self._look, arguments)
        self._check(found[0].decode(), generation)
        own, own_stamp, ever = _hash(found[1], question)
        household, household_stamp, _ = _hash(found[2], question)
        return SeenCaps(
            question=question,
            generation=generation,
            stamps=(own_stamp, household_stamp),
            contacts=own,
            household=household,
            offers_ever={offer: int(row[0]) for offer, row in zip(offers, found[3], strict=True)},
            offers_today={offer: int(row[1]) for offer, row in zip(offers, found[3], strict=True)},
            own_offers=ever,
            totals={
                rule: tuple(int(count) for count in counts) for rule, counts in _grouped(question, totals, found[4])
            },
        )

    def reserve(self, seen: SeenCaps, contacts: Sequence[Contact]) -> bool:
        """Reserves contacts unless a counter has moved; see ``CapStore``."""
        if not contacts:
            return True
        asked = seen.question
        arguments: list[Any] = [
            seen.generation,
            to_micros(asked.now),
            asked.customer_id,
            seen.stamps[0],
            asked.household_id or "",
            seen.stamps[1],
            *map(to_micros, asked.day),
            len(contacts),
            len(asked.offers),
        ]
        for offer, limits in asked.offers.items():
            arguments += [offer, seen.offers_ever[offer], seen.offers_today[offer]]
            arguments += ["" if limit is None else limit for limit in (limits.total, limits.per_day)]
        guards = [guard for rule in asked.totals for guard in _guards(rule, seen)]
        arguments.append(len(guards))
        for guard in guards:
            arguments += guard
        for contact in contacts:
            arguments += _fields(contact)
        verdict = self._call(self._reserve, arguments).decode()
        if verdict == "lost":
            self._check("", seen.generation)
        return bool(verdict == "reserved")

    def apply(self, contacts: Iterable[Contact], generation: str) -> None:
        """Makes the store say of contacts what the log says; see ``CapStore``."""
        for chunk in _chunks(contacts):
            arguments: list[Any] = [generation]
            for contact in chunk:
                counts = contact.status in {"sent", "reserved"}
                arguments += ["1", *_fields(contact)] if counts else ["0", contact.contact_id]
            if self._call(self._apply, arguments).decode() == "lost":
                self._check("", generation)

    def rebuild(self, contacts: Iterable[Contact], generation: str) -> str:
        """Forgets everything and counts these contacts; see ``CapStore``."""
        self._refuse_until = -1.0
        client = self._connect(REBUILD_SECONDS)
        try:
            apply = client.register_script(APPLY)
            client.delete(self._prefix + "generation")
            for keys in _chunks(client.scan_iter(match=_escaped(self._prefix) + "*", count=1000)):
                client.unlink(*keys)
            for chunk in _chunks(contacts):
                arguments: list[Any] = [""]
                for contact in chunk:
                    arguments += ["1", *_fields(contact)]
                apply(keys=[self._prefix], args=arguments)
            named = f"{self._runs}:{generation}"
            client.set(self._prefix + "generation", named)
        except self._errors as error:
            raise CapsError(f"{self.label} cannot be filled: {error}", hint=REACH_HINT) from error
        finally:
            client.close()
        return named

    def close(self) -> None:
        """Lets go of the connections."""
        with suppress(*self._errors):
            self._client.close()

    def _call(self, script: Any, arguments: Sequence[Any]) -> Any:
        if monotonic() < self._refuse_until:
            raise CapsError(self._refusal, hint=REACH_HINT)
        try:
            found = script(keys=[self._prefix], args=arguments)
        except self._errors as error:
            self._refusal = f"the counters of caps at {self.label} cannot be read: {error}"
            pause = min(FIRST_PAUSE_SECONDS * 2.0 ** min(self._failures, 16), LONGEST_PAUSE_SECONDS)
            self._failures += 1
            self._refuse_until = monotonic() + pause
            raise CapsError(self._refusal, hint=REACH_HINT) from error
        self._failures = 0
        return found

    def _check(self, found: str, wanted: str) -> None:
        """Refuses counters that were not made from this log, or may have lost some since."""
        if found == wanted and wanted.partition(":")[0] == self._runs:
            return
        why = "was restarted and may have lost some" if found == wanted else "was emptied, or filled from another log"
        raise CapsError(f"the counters of caps are gone: {self.label} {why}", hint=HINT)


def _grouped(question: CapQuestion, rules: Sequence[str], counts: Sequence[Any]) -> Iterator[tuple[str, Sequence[Any]]]:
    """Counts one after the other, as those of each rule's edges."""
    left = iter(counts)
    for rule in rules:
        yield rule, list(islice(left, len(question.totals[rule][1])))


def _guards(rule: str, seen: SeenCaps) -> Iterator[list[Any]]:
    """What must still hold of a cap over everyone: channels, after, until, seen, limit; for each period its own.

    What lies after the last of several edges was not told apart, and no decision uses it.
    """
    channels, edges, limit = seen.question.totals[rule]
    counts, names = seen.totals[rule], _channels(channels)
    if len(edges) == 1:
        yield [names, to_micros(edges[0]), "+inf", counts[0], limit]
    for position in range(len(edges) - 1):
        between = (to_micros(edges[position]), to_micros(edges[position + 1]))
        yield [names, *between, counts[position] - counts[position + 1], limit]


def _channels(channels: Iterable[str]) -> str:
    return "*" if "*" in channels else "\n".join(sorted(set(channels)))


def _fields(contact: Contact) -> list[Any]:
    """The eight fields by which a script counts a contact."""
    at = to_micros(contact.at)
    expires = "" if contact.status == "sent" or contact.expires_at is None else to_micros(contact.expires_at)
    body = orjson.dumps([at, contact.channel, contact.offer_id, contact.placement, contact.category, contact.answered])
    return [
        contact.contact_id,
        contact.customer_id,
        contact.household_id or "",
        contact.offer_id,
        contact.channel,
        at,
        expires,
        body,
    ]


def _hash(found: Sequence[bytes], question: CapQuestion) -> tuple[tuple[PastContact, ...], str, dict[str, int]]:
    """Contacts within the window, newest first; the stamp; and how often each offer was ever issued."""
    since = to_micros(question.since)
    stamp, rows = "0", []
    ever: dict[str, int] = {}
    for name, value in zip(found[::2], found[1::2], strict=True):
        if name == STAMP:
            stamp = value.decode()
        else:
            row = orjson.loads(value)
            ever[row[2]] = ever.get(row[2], 0) + 1
            if row[0] >= since:
                rows.append((-row[0], name, row))
    rows.sort(key=lambda item: item[:2])
    contacts = tuple(
        PastContact(
            at=from_micros(row[0]), channel=row[1], offer_id=row[2], placement=row[3], category=row[4], answered=row[5]
        )
        for _, _, row in rows
    )
    return contacts, stamp, dict(sorted(ever.items()))


def _escaped(prefix: str) -> str:
    return "".join(f"\\{character}" if character in "[]*?^-\\" else character for character in prefix)


def _chunks(items: Iterable[Any]) -> Iterable[list[Any]]:
    rest = iter(items)
    while chunk := list(islice(rest, CHUNK)):
        yield chunk
