"""What one decision costs in Python: 20 offers on 3 channels under rules, exploration and slots; no trees, no log.

``python benchmarks/decide.py [--decisions 2000] [--profile]`` prints microseconds of CPU per decision;
``--out`` keeps them.
"""

import argparse
import cProfile
import pstats
import statistics
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from datetime import time as clock_time
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from result import write

from foretouch.core.bundle import ModelCard, ModelInput
from foretouch.core.config import ChannelSection, Config
from foretouch.core.contact import Cap, ContactPolicy, QuietHours
from foretouch.core.counters import CounterSnapshot, PastContact
from foretouch.core.decisions import DecisionRequest, FeatureSnapshot, Versions
from foretouch.core.offers import Catalogue, Offer
from foretouch.core.policy import ContextWeight, PolicySpec
from foretouch.serving.decide import DecisionInputs, decide, decide_course

NOW = datetime(2026, 3, 10, 14, 20, tzinfo=UTC)
CHANNELS = ("email", "sms", "push")


@dataclass(frozen=True)
class Constant:
    """A model that costs nothing, so that only the decision around it is measured."""

    card: ModelCard

    def predict(self, vectors: NDArray[np.float64], /) -> NDArray[np.float64]:
        """Five in a hundred, whoever it is."""
        return np.full(len(vectors), 0.05)


def world() -> DecisionInputs:
    """Everything that one decision depends on."""
    offers = tuple(
        Offer(
            offer_id=f"offer-{index:02}",
            name="offer",
            category=f"category-{index % 4}",
            channels=CHANNELS,
            value=2.0 + index,
            cost=0.5,
        )
        for index in range(20)
    )
    card = ModelCard(
        model="offer",
        version="1",
        target="probability",
        feature_service="offer_v1",
        inputs=(ModelInput(name="recency_days", view="v"), ModelInput(name="offer_value", view="v")),
        trained_through=NOW,
        created_at=NOW,
        data_sha256="0" * 64,
    )
    return DecisionInputs(
        decision_id="dec_1",
        decided_at=NOW,
        seed=1,
        features=FeatureSnapshot(known=True, values={"recency_days": 5.0}, as_of={"v": NOW}),
        counters=CounterSnapshot(
            known=True,
            time_zone="Europe/Berlin",
            consents={f"{channel}/marketing": True for channel in CHANNELS},
            contacts=tuple(
                PastContact(at=NOW - timedelta(days=days), channel="email", offer_id="offer-01") for days in (2, 9)
            ),
        ),
        models={"offer": Constant(card)},
        catalogue=Catalogue(offers=offers),
        contact_policy=ContactPolicy(
            quiet_hours=(QuietHours(start=clock_time(21), end=clock_time(8)),),
            caps=(Cap(rule="weekly", limit=3, days=7), Cap(rule="offer", scope="offer", limit=1, days=30)),
            minimum_gap_hours=12,
        ),
        policies={"default": PolicySpec(context_weights=(ContextWeight(key="k", equals=1, percent=50.0),))},
        experiments=(),
        config=Config(channels={name: ChannelSection(cost=0.01) for name in CHANNELS}),
        versions=Versions(
            policy="p", contact_policy="r", offers="o", experiments="e", features="f", config="c", code="1"
        ),
    )


def microseconds(call: Callable[[DecisionRequest, DecisionInputs], Any], inputs: DecisionInputs, n: int) -> float:
    """The median CPU time of one call, over ``n`` seeds."""
    request = DecisionRequest(customer_id="ann", touchpoint="weekly", context={"k": 1}, options={"explain": "none"})
    taken = []
    for seed in range(n):
        given = replace(inputs, seed=seed)
        started = time.process_time_ns()
        call(request, given)
        taken.append((time.process_time_ns() - started) / 1000.0)
    return statistics.median(taken)


def main(arguments: Sequence[str] | None = None) -> None:
    """Measures, prints, and keeps the figures where asked to."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--decisions", type=int, default=2000)
    parser.add_argument("--profile", action="store_true", help="print where the time goes")
    parser.add_argument("--out", type=Path, help="a folder for decide.json")
    given = parser.parse_args(arguments)
    inputs, started = world(), time.perf_counter()
    figures = {
        "course_us": microseconds(decide_course, inputs, given.decisions),
        "record_us": microseconds(decide, inputs, given.decisions),
    }
    print(figures)
    if given.profile:
        with cProfile.Profile() as profile:
            microseconds(decide_course, inputs, given.decisions)
        pstats.Stats(profile).sort_stats("tottime").print_stats(35)
    if given.out is not None:
        command = f"python benchmarks/decide.py --decisions {given.decisions}"
        write(given.out, "decide", command=command, seconds=time.perf_counter() - started, figures=figures)


if __name__ == "__main__":
    main()
