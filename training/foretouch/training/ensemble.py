"""Bootstrap members of a model: how sure it is of one score, for Thompson sampling.

Each member is the same trees fitted again on other weights of the same customers (the Bayesian bootstrap, Rubin 1981:
every customer's rows get one exponential weight), so that members differ where few customers tell. Structure and leaves
are both fitted anew: with the champion's structure and new leaves alone, the members' range held the truth half as
often (docs/decisions/0010-thompson-and-new-offers.md has the figures).

The members are kept as one LightGBM text with one output per member: one native call scores them all.
"""

import re
from collections.abc import Callable, Sequence

import lightgbm as lgb
import numpy as np
from numpy.typing import NDArray

from foretouch.core.bundle import GoldenRows
from foretouch.core.rng import derive_seed
from foretouch.training.task import FloatArray

MEMBERS = 16
"""Members of an ensemble: Thompson sampling's probabilities come in steps of one in so many."""
_EMPTY_TREE = (
    "num_leaves=1\nnum_cat=0\nsplit_feature=\nsplit_gain=\nthreshold=\ndecision_type=\nleft_child=\nright_child=\n"
    "leaf_value=0\nleaf_weight=\nleaf_count=\ninternal_value=\ninternal_weight=\ninternal_count=\nis_linear=0\n"
    "shrinkage=1\n\n\n"
)


def fit_members(
    fit: Callable[[FloatArray, int], str], cluster: NDArray[np.object_], *, seed: int, count: int = MEMBERS
) -> str:
    """The text of an ensemble.

    Args:
        fit: Fits one member to row weights of shape (n,) with a seed, and gives its LightGBM text.
        cluster: Customer of every row, shape (n,): rows of one customer share their weight.
        seed: Of the weights and of every member.
        count: Members.
    """
    _, codes = np.unique(cluster.astype(str), return_inverse=True)
    customers = int(codes.max()) + 1
    texts = []
    for index in range(count):
        own = derive_seed(str(seed), "member", str(index))
        weights = np.random.default_rng(own).exponential(size=customers)
        texts.append(fit((weights * customers / weights.sum())[codes], own))
    return join_members(texts)


def join_members(texts: Sequence[str]) -> str:
    """One LightGBM text whose outputs are those of several binary models of the same inputs, bit for bit.

    LightGBM keeps a model of K outputs as K trees per iteration. Members that stopped early are filled up with trees
    that add nothing.

    Args:
        texts: LightGBM's own texts of models with objective ``binary``.

    Raises:
        ValueError: A text is no binary model, or the inputs differ.
    """
    count = len(texts)
    if not all("\nTree=0\n" in text for text in texts):
        raise ValueError("a member has no trees")
    heads = [text[: text.index("\nTree=0\n")] for text in texts]
    names = {_line(head, "feature_names") for head in heads}
    if len(names) != 1:
        raise ValueError("the members take different inputs")
    if any(_line(head, "objective") != "binary sigmoid:1" for head in heads):
        raise ValueError(f"objective == {_line(heads[0], 'objective')!r}, must be 'binary sigmoid:1'")
    trees = [_trees(text) for text in texts]
    iterations = max(len(own) for own in trees)
    blocks = [
        f"Tree={iteration * count + member}\n{own[iteration] if iteration < len(own) else _EMPTY_TREE}"
        for iteration in range(iterations)
        for member, own in enumerate(trees)
    ]
    head = heads[0]
    for name, value in (
        ("num_class", str(count)),
        ("num_tree_per_iteration", str(count)),
        ("objective", f"multiclassova num_class:{count} sigmoid:1"),
        ("tree_sizes", " ".join(str(len(block.encode())) for block in blocks)),
    ):
        head = re.sub(rf"(?m)^{name}=.*$", f"{name}={value}", head)
    return f"{head}\n\n{''.join(blocks)}end of trees\n\n"


def _line(head: str, name: str) -> str:
    found = re.search(rf"(?m)^{name}=(.*)$", head)
    return "" if found is None else found.group(1)


def _trees(text: str) -> list[str]:
    body = text[text.index("\nTree=0\n") + 1 : text.index("end of trees")]
    return [block for block in re.split(r"(?m)^Tree=\d+\n", body) if block]


def predict_members(text: str, matrix: FloatArray) -> FloatArray:
    """Raw scores of every member, shape (K, n), of an ensemble read back from its text: what serving computes."""
    booster = lgb.Booster(model_str=text)
    raw: FloatArray = np.asarray(booster.predict(matrix, num_threads=1), dtype=np.float64)
    return np.ascontiguousarray(raw.reshape(len(matrix), -1).T)


def with_members(golden: GoldenRows, text: str) -> GoldenRows:
    """Golden rows with the members' exact outputs, so that a loaded bundle must reproduce these too."""
    rows = np.array([[np.nan if cell is None else cell for cell in row] for row in golden.inputs], dtype=np.float64)
    return golden.replace(members=tuple(tuple(float(cell) for cell in row) for row in predict_members(text, rows).T))


def spread(members: FloatArray) -> float:
    """How far members are apart: mean over rows of the standard deviation of their log-odds.

    Args:
        members: Probabilities, shape (K, n).
    """
    inside = np.clip(members, 1e-6, 1.0 - 1e-6)
    return float(np.log(inside / (1.0 - inside)).std(axis=0, ddof=1).mean())
