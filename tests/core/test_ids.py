"""New ids: of the promised shape, never twice, also between threads and after a fork."""

import multiprocessing
import re
from concurrent.futures import ThreadPoolExecutor

from foretouch.core.ids import new_id


def draw(count: int) -> list[str]:
    return [new_id("dec") for _ in range(count)]


def test_ids_are_random_uuids_and_never_come_twice() -> None:
    with ThreadPoolExecutor(8) as pool:
        found = [name for part in pool.map(draw, [1000] * 8) for name in part]
    assert len(set(found)) == 8000
    assert all(re.fullmatch(r"dec_[0-9a-f]{12}4[0-9a-f]{3}[89ab][0-9a-f]{15}", name) for name in found)


def test_a_child_does_not_give_its_parents_ids() -> None:
    draw(1)  # bytes for the next ids are at hand now
    with multiprocessing.get_context("fork").Pool(2) as pool:
        found = [name for part in pool.map(draw, [50, 50], chunksize=1) for name in part]
    assert not set(found) & set(draw(300))
