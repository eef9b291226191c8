"""Laws of sufficient statistics: merge equals whole, in any order and any number of parts."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from foretouch.experiments.analysis.aggregates import Moments, total

shapes = st.tuples(st.integers(1, 60), st.integers(1, 4), st.integers(1, 6), st.integers(0, 2**32 - 1))


def same(left: Moments, right: Moments) -> None:
    assert left.n == right.n
    np.testing.assert_allclose(left.mean, right.mean, rtol=1e-9, atol=1e-9)
    scale = float(np.abs(right.m2).max()) or 1.0
    np.testing.assert_allclose(left.m2, right.m2, rtol=1e-7, atol=1e-9 * scale)


@given(shapes)
@settings(max_examples=60, deadline=None)
def test_parts_add_up_to_the_whole(shape: tuple[int, int, int, int]) -> None:
    n, k, parts, seed = shape
    rng = np.random.default_rng(seed)
    rows = rng.normal(1e4, 3.0, (n, k)) * rng.choice([1.0, 1e-3, 50.0], k)
    cuts = np.sort(rng.integers(0, n + 1, parts - 1))
    pieces = [Moments.of(piece) for piece in np.split(rows, cuts)]
    whole = Moments.of(rows)
    same(total(tuple(pieces)), whole)
    same(total(tuple(reversed(pieces))), whole)
    same(Moments.empty(k) + whole, whole)


@given(shapes)
@settings(max_examples=60, deadline=None)
def test_groups_equal_their_own_rows(shape: tuple[int, int, int, int]) -> None:
    n, k, groups, seed = shape
    rng = np.random.default_rng(seed)
    rows = rng.gamma(2.0, 30.0, (n, k))
    codes = rng.integers(0, groups, n)
    for group, found in enumerate(Moments.grouped(rows, codes, groups)):
        same(found, Moments.of(rows[codes == group]))


def test_covariance_is_numpys() -> None:
    rows = np.random.default_rng(3).normal(size=(50, 3))
    np.testing.assert_allclose(Moments.of(rows).covariance(), np.cov(rows.T), rtol=1e-12)


def test_large_means_lose_no_digits() -> None:
    rows = np.array([[1e9 + 1.0], [1e9 + 2.0], [1e9 + 3.0]])
    (found,) = Moments.grouped(rows, np.zeros(3, dtype=np.int64), 1)
    assert found.covariance()[0, 0] == pytest.approx(1.0, rel=1e-12)
