"""Keys, idempotency and the audit chain."""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from foretouch.core.errors import ConflictError, NotFoundError
from foretouch.core.state.access import (
    append_audit,
    create_key,
    find_answer,
    forget_answers,
    keep_answer,
    list_keys,
    revoke_key,
    verify_audit,
    verify_key,
)
from foretouch.core.state.db import State

NOW = datetime(2025, 3, 1, 12, tzinfo=UTC)


@pytest.fixture
def state(tmp_path: Path) -> Iterator[State]:
    with State(tmp_path / "state.db") as opened:
        yield opened


def test_a_key_opens_until_it_is_revoked(state: State) -> None:
    made = state.write(lambda c: create_key(c, ["decide"], NOW))
    found = verify_key(state.read(), made["key"], NOW)
    assert found is not None
    assert found.id == made["id"]
    assert found.allows("decide")
    assert not found.allows("admin")
    assert state.write(lambda c: revoke_key(c, made["id"], NOW))
    assert verify_key(state.read(), made["key"], NOW) is None
    assert not state.write(lambda c: revoke_key(c, made["id"], NOW))


def test_a_key_ends_when_it_expires(state: State) -> None:
    made = state.write(lambda c: create_key(c, ["decide"], NOW, expires_at=NOW + timedelta(hours=1)))
    assert verify_key(state.read(), made["key"], NOW + timedelta(minutes=59)) is not None
    assert verify_key(state.read(), made["key"], NOW + timedelta(minutes=60)) is None


@pytest.mark.parametrize("spoil", ["", "ftk", "ftk_", "ftk__", "Bearer x", "ftk_nobody_00", "é" * 20, "ftk_\ud800_00"])
def test_what_is_no_key_opens_nothing(state: State, spoil: str) -> None:
    state.write(lambda c: create_key(c, ["decide"], NOW))
    assert verify_key(state.read(), spoil, NOW) is None


def test_one_changed_character_opens_nothing(state: State) -> None:
    key = state.write(lambda c: create_key(c, ["decide"], NOW))["key"]
    changed = key[:-1] + ("0" if key[-1] != "0" else "1")
    assert verify_key(state.read(), changed, NOW) is None
    assert verify_key(state.read(), "xyz" + key[3:], NOW) is None


def test_the_secret_is_nowhere_in_the_file(state: State) -> None:
    secret = state.write(lambda c: create_key(c, ["decide"], NOW))["key"].rsplit("_", 1)[1]
    for path in state.path.parent.iterdir():
        assert secret.encode() not in path.read_bytes()


def test_unknown_scopes_and_keys_are_refused(state: State) -> None:
    with pytest.raises(ConflictError, match="must be among"):
        state.write(lambda c: create_key(c, ["everything"], NOW))
    with pytest.raises(ConflictError, match="must be among"):
        state.write(lambda c: create_key(c, [], NOW))
    with pytest.raises(NotFoundError, match="no key"):
        state.write(lambda c: revoke_key(c, "none", NOW))
    assert list_keys(state.read()) == []


def test_an_answer_is_kept_per_scope_key_and_body_for_72_hours(state: State) -> None:
    def keep(connection: object) -> None:
        keep_answer(
            connection,  # type: ignore[arg-type]
            scope="k/decide",
            key="r1",
            body_sha256="a" * 64,
            decision_id=None,
            response=b"{}",
            now=NOW,
        )

    state.write(keep)
    assert find_answer(state.read(), "k/decide", "r1", "a" * 64) == b"{}"
    assert find_answer(state.read(), "other/decide", "r1", "a" * 64) is None
    with pytest.raises(ConflictError, match="another body"):
        find_answer(state.read(), "k/decide", "r1", "b" * 64)
    assert state.write(lambda c: forget_answers(c, NOW + timedelta(hours=72))) == 0
    assert state.write(lambda c: forget_answers(c, NOW + timedelta(hours=73))) == 1


@pytest.mark.parametrize(
    "tamper",
    [
        'UPDATE audit SET detail = \'{"id":"x"}\' WHERE sequence = 3',
        'UPDATE audit SET detail = CAST(\'{"id":"x"}\' AS BLOB) WHERE sequence = 3',
        "UPDATE audit SET actor = 'other' WHERE sequence = 3",
        "UPDATE audit SET at = at + 1 WHERE sequence = 3",
        "DELETE FROM audit WHERE sequence = 3",
        "DELETE FROM audit WHERE sequence = 1",
        "UPDATE audit SET sequence = CASE sequence WHEN 3 THEN 30 ELSE sequence END",
    ],
)
def test_the_audit_chain_shows_every_edit(state: State, tamper: str) -> None:
    for number in range(5):
        state.write(lambda c, n=number: append_audit(c, actor="me", action="act", detail={"n": n}, now=NOW))  # type: ignore[misc]
    assert verify_audit(state.read()) is None
    state.write(lambda c: c.execute(tamper))
    assert verify_audit(state.read()) is not None
