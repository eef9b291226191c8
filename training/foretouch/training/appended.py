"""Trees of one binary LightGBM model after those of another: the log-odds of the joined text are the sum of both.

That is how a correction (``training.newest``) becomes part of a model: bundles, golden rows, reason codes and the
service read one text, and need to know nothing of it.
"""

import re
from collections.abc import Sequence

OBJECTIVE = "binary sigmoid:1"


def append_trees(text: str, added: str, columns: Sequence[int]) -> str:
    """A model's text with the trees of another after its own.

    Args:
        text: LightGBM's own text of a model with objective ``binary``.
        added: The same of a model of some of its inputs.
        columns: Which input of ``text`` each input of ``added`` is.

    Raises:
        ValueError: A text is no binary model of one output, or a column is not among the inputs.
    """
    heads = [whole[: whole.index("\nTree=0\n")] if "\nTree=0\n" in whole else whole for whole in (text, added)]
    for head in heads:
        if (found := _line(head, "objective")) != OBJECTIVE:
            raise ValueError(f"objective == {found!r}, must be {OBJECTIVE!r}")
    names, own = (_line(head, "feature_names").split() for head in heads)
    if [names[at] if 0 <= at < len(names) else None for at in columns] != own:
        raise ValueError(f"the added trees see {own}, which are not columns {list(columns)} of {names}")
    return append_blocks(text, [_moved(block, columns) for block in _trees(added)])


def append_blocks(text: str, blocks: Sequence[str]) -> str:
    """A model's text with further trees after its own.

    Args:
        text: LightGBM's own text of a model with one output.
        blocks: The lines of each tree, without its number, that split on inputs of ``text``.
    """
    head = text[: text.index("\nTree=0\n")] if "\nTree=0\n" in text else text
    numbered = [f"Tree={index}\n{block}" for index, block in enumerate([*_trees(text), *blocks])]
    sizes = " ".join(str(len(block.encode())) for block in numbered)
    head = re.sub(r"(?m)^tree_sizes=.*$", f"tree_sizes={sizes}", head)
    return f"{head}\n\n{''.join(numbered)}end of trees\n\n"


def _moved(block: str, columns: Sequence[int]) -> str:
    """A tree whose splits name the columns of the model that it joins."""
    return re.sub(
        r"(?m)^split_feature=(.*)$",
        lambda found: "split_feature=" + " ".join(str(columns[int(at)]) for at in found.group(1).split()),
        block,
    )


def _line(head: str, name: str) -> str:
    found = re.search(rf"(?m)^{name}=(.*)$", head)
    return "" if found is None else found.group(1)


def _trees(text: str) -> list[str]:
    if "\nTree=0\n" not in text:
        return []
    body = text[text.index("\nTree=0\n") + 1 : text.index("end of trees")]
    return [block for block in re.split(r"(?m)^Tree=\d+\n", body) if block]
