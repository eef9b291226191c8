"""Clock, randomness, hashes, configuration and bundle files."""

import hashlib
import math
import threading
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from foretouch.core.bundle import Calibration, ModelInput, ScoreIntervals, encode_value
from foretouch.core.canonical import canonical_json, content_hash
from foretouch.core.clock import FixedClock, ManualClock, OffsetClock, utc_now
from foretouch.core.config import Config, load_toml
from foretouch.core.errors import ConfigError
from foretouch.core.rng import bucket, derive_seed, uniform
from foretouch.core.workspace import Workspace

AT = datetime(2026, 1, 2, tzinfo=UTC)


def test_a_seed_depends_on_every_part_and_where_it_ends() -> None:
    seeds = {derive_seed("k", *parts) for parts in [("ab", "c"), ("a", "bc"), ("abc",), ("abc", ""), ("c", "ab")]}
    assert len(seeds) == 5
    assert derive_seed("k", "ab", "c") == derive_seed("k", "ab", "c")


def test_seeds_are_the_same_in_every_release() -> None:
    # SHA-256 over parts prefixed with their length in eight big-endian bytes; first eight bytes of the digest.
    raw = b"\x00\x00\x00\x00\x00\x00\x00\x03key\x00\x00\x00\x00\x00\x00\x00\x06" + "客户".encode()
    assert derive_seed("key", "客户") == int(hashlib.sha256(raw).hexdigest()[:16], 16)


@given(st.integers(min_value=0, max_value=2**64 - 1), st.text(max_size=10))
def test_a_uniform_draw_is_in_the_unit_interval(seed: int, stream: str) -> None:
    assert 0.0 <= uniform(seed, stream.encode("utf-8", "ignore").decode()) < 1.0


def test_buckets_are_uniform_and_independent_of_the_salt() -> None:
    n = 20_000
    first = [bucket("a", str(i)) for i in range(n)]
    second = [bucket("b", str(i)) for i in range(n)]
    counts = [sum(1 for x in first if int(x * 10) == k) for k in range(10)]
    assert sum((c - n / 10) ** 2 / (n / 10) for c in counts) < 33.7  # chi-square, 9 df, p = 1e-4
    both = sum(1 for x, y in zip(first, second, strict=True) if x < 0.5 and y < 0.5)
    assert abs(both - n / 4) < 4 * math.sqrt(n * 0.25 * 0.75)


def test_clocks_tell_their_own_time(tmp_path: Path) -> None:
    assert FixedClock(AT).now() == AT
    moved = OffsetClock(timedelta(days=-10)).now() - utc_now()
    assert timedelta(days=-10, seconds=-1) < moved < timedelta(days=-10, seconds=5)
    manual = ManualClock(tmp_path / "clock.json")
    manual.set(AT)
    assert manual.now() == AT
    with pytest.raises(ValueError, match="must carry an offset"):
        manual.set(datetime(2026, 1, 1))  # noqa: DTZ001 - the refusal is tested


def test_canonical_json_does_not_depend_on_order() -> None:
    assert canonical_json({"b": 1, "a": {"d": 2, "c": 3}}) == b'{"a":{"c":3,"d":2},"b":1}'
    assert content_hash({"a": 1, "b": 2}) == content_hash({"b": 2, "a": 1})


def test_a_config_error_names_file_and_field(tmp_path: Path) -> None:
    path = tmp_path / "foretouch.toml"
    path.write_text('[workspace]\ntime_zone = "Mars/Olympus"\n[channels.email]\ncost = -1\n', encoding="utf-8")
    with pytest.raises(ConfigError, match=r"foretouch\.toml.*workspace\.time_zone.*channels\.email\.cost"):
        load_toml(path, Config)
    path.write_text("[workspace\n", encoding="utf-8")
    with pytest.raises(ConfigError, match="not valid TOML"):
        load_toml(path, Config)


def test_a_folder_without_a_config_names_the_next_command(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="is no workspace") as caught:
        Workspace.open(tmp_path)
    assert caught.value.hint == f"foretouch init {tmp_path}"


def test_a_secret_is_made_once_and_is_private(tmp_path: Path) -> None:
    workspace = Workspace(tmp_path)
    found: set[str] = set()
    threads = [threading.Thread(target=lambda: found.add(workspace.secret("seed"))) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(found) == 1
    assert len(found.pop()) == 64
    assert (tmp_path / "secrets/seed.key").stat().st_mode & 0o777 == 0o600
    assert len(list((tmp_path / "secrets").iterdir())) == 1


def test_encoding_makes_nan_of_what_a_model_cannot_read() -> None:
    number, level = ModelInput(name="a", view="v"), ModelInput(name="b", view="v", kind="category", levels=("x", "y"))
    assert encode_value(number, 3) == 3.0
    assert encode_value(level, "y") == 1.0
    for column, value in [(number, None), (number, math.inf), (level, "z"), (level, None)]:
        assert math.isnan(encode_value(column, value))


@given(st.lists(st.floats(0, 1), min_size=2, max_size=20, unique=True), st.floats(-1, 2))
def test_isotonic_calibration_is_monotone_and_bounded(knots: list[float], at: float) -> None:
    x = tuple(sorted(knots))
    calibration = Calibration(method="isotonic", x=x, y=x)
    assert x[0] <= calibration.apply(at) <= x[-1]
    assert calibration.apply(at) <= calibration.apply(at + 0.1) + 1e-12


def test_intervals_are_looked_up_by_score() -> None:
    intervals = ScoreIntervals(upper_edges=(0.2, 0.5), low=(0.0, 0.3), high=(0.1, 0.6))
    assert intervals.at(0.2) == (0.0, 0.1)
    assert intervals.at(0.4) == intervals.at(0.9) == (0.3, 0.6)


def test_two_experiments_of_one_key_are_refused_by_name(tmp_path: Path) -> None:
    (tmp_path / "foretouch.toml").write_text("", encoding="utf-8")
    (tmp_path / "experiments").mkdir()
    spec = 'key = "spring"\ncontrol = "a"\n[weights]\na = 0.5\nb = 0.5\n[arms.b]\nkind = "no_contact"\n'
    metric = '[[metrics]]\nname = "m"\nkind = "mean"\nevent = "purchase"\nmeasure = "value"\nrole = "primary"\n'
    for name in ("one", "two"):
        (tmp_path / "experiments" / f"{name}.toml").write_text(spec + metric, encoding="utf-8")
    with pytest.raises(ConfigError, match=r"two\.toml: key == 'spring', which one\.toml has already"):
        Workspace.open(tmp_path).experiments()
