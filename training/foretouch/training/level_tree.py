"""A table of numbers by category as one tree in LightGBM's own text. Pure.

Codes of a category are whole numbers from 0, so that splits between them find a code's leaf in as many steps as the
table has doublings; a missing value, which an unseen category is, goes its own way at the first split.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Final

MISSING_RIGHT: Final = 8
"""LightGBM's decision type of a split on a number that sends a missing value to the right."""


@dataclass(frozen=True, kw_only=True)
class Leaf:
    """An end of the tree.

    Attributes:
        value: What it adds.
        count: Rows that meet it, at least 1.
    """

    value: float
    count: int


@dataclass(frozen=True, kw_only=True)
class Split:
    """A fork: left where the input is not above the threshold, right where it is, or is missing.

    Attributes:
        feature: Which input.
        threshold: On it.
        left: Where to go.
        right: Where else.
    """

    feature: int
    threshold: float
    left: "Way"
    right: "Way"

    @property
    def count(self) -> int:
        """Rows that meet it."""
        return self.left.count + self.right.count

    @property
    def value(self) -> float:
        """Mean of its leaves by rows."""
        return (self.left.value * self.left.count + self.right.value * self.right.count) / self.count


Way = Leaf | Split


def leaf(value: float, count: int = 1) -> Leaf:
    """A leaf; one that no row met counts as met once, since SHAP values divide by counts."""
    return Leaf(value=value, count=max(count, 1))


def by_code(feature: int, ways: Sequence[Way], missing: Way) -> Way:
    """A way for every code 0…n-1 of an input, and one where it is missing.

    Args:
        feature: Which input.
        ways: By code; at least one.
        missing: For everything else.
    """
    return Split(feature=feature, threshold=len(ways) - 0.5, left=_between(feature, ways, 0), right=missing)


def _between(feature: int, ways: Sequence[Way], first: int) -> Way:
    if len(ways) == 1:
        return ways[0]
    half = len(ways) // 2
    return Split(
        feature=feature,
        threshold=first + half - 0.5,
        left=_between(feature, ways[:half], first),
        right=_between(feature, ways[half:], first + half),
    )


def tree_text(root: Way) -> str:
    """The lines of one tree, without its number, as LightGBM writes them."""
    ways = list(_walk(root))
    splits = [way for way in ways if isinstance(way, Split)]
    leaves = [way for way in ways if isinstance(way, Leaf)]
    number = {id(way): index for index, way in enumerate(splits)}
    number |= {id(way): ~index for index, way in enumerate(leaves)}
    lines: dict[str, list[str]] = {
        "num_leaves": [str(len(leaves))],
        "num_cat": ["0"],
        "split_feature": [str(way.feature) for way in splits],
        "split_gain": ["0" for _ in splits],
        "threshold": [repr(way.threshold) for way in splits],
        "decision_type": [str(MISSING_RIGHT) for _ in splits],
        "left_child": [str(number[id(way.left)]) for way in splits],
        "right_child": [str(number[id(way.right)]) for way in splits],
        "leaf_value": [repr(way.value) for way in leaves],
        "leaf_weight": [str(way.count) for way in leaves],
        "leaf_count": [str(way.count) for way in leaves],
        "internal_value": [repr(way.value) for way in splits],
        "internal_weight": [str(way.count) for way in splits],
        "internal_count": [str(way.count) for way in splits],
        "is_linear": ["0"],
        "shrinkage": ["1"],
    }
    return "".join(f"{name}={' '.join(values)}\n" for name, values in lines.items()) + "\n\n"


def _walk(way: Way) -> Iterator[Way]:
    yield way
    if isinstance(way, Split):
        yield from _walk(way.left)
        yield from _walk(way.right)
