"""A workspace with a planted experiment: decisions and events as the service would have logged them."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np
import pytest

from foretouch.core.counters import CounterSnapshot
from foretouch.core.decisions import Assignment, Candidate, DecisionRecord, DecisionRequest, FeatureSnapshot, Versions
from foretouch.core.events import CustomerEvent
from foretouch.core.experiment import ExperimentSpec
from foretouch.core.state.db import State
from foretouch.core.state.log import append_decision, append_event
from foretouch.core.workspace import Workspace
from foretouch.serving.decision.assignment import arm_of
from tests.experiments.report.chromium import Browser, find_chromium

START = datetime(2026, 3, 2, 9, tzinfo=UTC)
NOW = datetime(2026, 4, 20, 9, tzinfo=UTC)

CONFIG = """
[workspace]
name = "planted"
currency = "EUR"
origin = "simulated"
[clock]
kind = "manual"
"""

SPEC = """
key = "spring"
control = "holdout"
segments = ["country"]
starts_at = 2026-03-02T00:00:00Z
ends_at = 2026-03-30T00:00:00Z
[title]
en = "Does the spring mailing pay?"
zh = "春季营销是否带来收益？"
[weights]
holdout = 0.5
mailing = 0.5
[arms.holdout]
kind = "no_contact"
[[metrics]]
name = "revenue"
title = {en = "revenue per customer", zh = "人均收入"}
kind = "mean"
event = "purchase"
measure = "value"
window_days = 14
role = "primary"
covariates = ["monetary_28d"]
[[metrics]]
name = "buyers"
title = {en = "share of buyers", zh = "购买者占比"}
kind = "proportion"
event = "purchase"
measure = "occurred"
window_days = 14
[[metrics]]
name = "unsubscribed"
title = {en = "unsubscribe rate", zh = "退订率"}
kind = "proportion"
event = "unsubscribe"
window_days = 14
role = "guardrail"
better = "down"
margin = 0.01
[[metrics]]
name = "basket"
kind = "ratio"
numerator = "purchase:value"
denominator = "purchase:count"
window_days = 14
covariates = ["purchase:value"]
"""

ASSUMPTIONS = """
[[assumptions]]
id = "margin"
text_en = "Margins are not in the data."
text_zh = "数据不含毛利。"
value = 0.25
"""


@dataclass(frozen=True, kw_only=True)
class Planted:
    """A workspace and what was planted in it."""

    workspace: Workspace
    spec: ExperimentSpec
    now: datetime
    purchases: dict[str, list[tuple[datetime, float]]]
    exposed: dict[str, datetime]


def record_of(customer: str, at: datetime, number: int, arm: str, known: dict[str, object]) -> DecisionRecord:
    """A decision record as the service logs it."""
    held = arm == "holdout"
    request = DecisionRequest(customer_id=customer, touchpoint="weekly-email")
    return DecisionRecord(
        decision_id=f"dec_{number}",
        customer_id=customer,
        status="control" if held else "decided",
        status_reason="planted",
        decided_at=at,
        expires_at=at + timedelta(days=1),
        contact=not held,
        experiments=(Assignment(key="spring", arm=arm, holdout=held),),
        versions=Versions(
            policy="p", contact_policy="c", offers="o", experiments="e", features="f", config="c", code="0"
        ),
        touchpoint="weekly-email",
        purpose="marketing",
        request=request,
        candidates=(Candidate(offer_id=None, selection_probability=1.0),),
        features=FeatureSnapshot(known=True, values=known),
        counters=CounterSnapshot(known=True),
        seed="0",
        fallback_step="champion",
    )


PlantedMaker = Callable[..., Planted]


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    """A real Chromium; without one the test is skipped by name."""
    program = find_chromium()
    if program is None:
        pytest.skip("no Chromium on this machine")
    with Browser(program) as found:
        yield found


@pytest.fixture(scope="session")
def plant(tmp_path_factory: pytest.TempPathFactory) -> PlantedMaker:
    """Makes a planted workspace: ``plant(customers=…, effect=…, harm=…, seed=…)``."""

    def make(
        *, customers: int = 1500, effect: float = 0.25, harm: float = 0.0, seed: int = 7, spec: str = SPEC
    ) -> Planted:
        root: Path = tmp_path_factory.mktemp("planted")
        (root / "experiments").mkdir()
        (root / "foretouch.toml").write_text(CONFIG)
        (root / "experiments" / "spring.toml").write_text(spec)
        (root / "assumptions.toml").write_text(ASSUMPTIONS)
        (root / "clock.json").write_text(f'{{"now": "{NOW.isoformat()}"}}')
        workspace = Workspace.open(root)
        (read,) = workspace.experiments()
        rng = np.random.default_rng(seed)
        purchases: dict[str, list[tuple[datetime, float]]] = {}
        exposed: dict[str, datetime] = {}
        records: list[DecisionRecord] = []
        events: list[CustomerEvent] = []
        for number in range(customers):
            customer = f"c{number:05d}"
            arm = arm_of(read, customer)
            first = START + timedelta(hours=float(rng.uniform(0, 27 * 24)))
            exposed[customer] = first
            taste = float(rng.gamma(3.0, 1.0))
            spent = float(rng.poisson(taste)) * 10.0
            known: dict[str, object] = {"monetary_28d": spent, "country": "FR" if number % 3 else "DE"}
            for again in range(1 + number % 2):
                at = first + timedelta(days=2 * again)
                records.append(record_of(customer, at, 10 * number + again, arm, known))
            rate = taste * (1.0 + effect * (arm != "holdout"))
            own = purchases[customer] = _purchases(rng, first, rate, 0.0 if arm == "holdout" else effect)
            for index, (at, value) in enumerate(own):
                events.append(_event(f"p{number}-{index}", customer, "purchase", at, value))
            events.append(_event(f"b{number}", customer, "purchase", first + timedelta(days=1), 1000.0, bot=True))
            if rng.random() < 0.02 + harm * (arm != "holdout"):
                events.append(_event(f"u{number}", customer, "unsubscribe", first + timedelta(days=3), None))
        records.sort(key=lambda item: item.decided_at)
        with State(workspace.state_file) as state:

            def write(connection: object) -> None:
                for record in records:
                    append_decision(connection, record)  # type: ignore[arg-type]
                for event in events:
                    append_event(connection, event, NOW)  # type: ignore[arg-type]

            state.write(write)
        return Planted(workspace=workspace, spec=read, now=NOW, purchases=purchases, exposed=exposed)

    return make


def _purchases(rng: np.random.Generator, first: datetime, rate: float, effect: float) -> list[tuple[datetime, float]]:
    """Purchases from 28 days before the exposure on; before it, both arms buy alike."""
    found = []
    for day in rng.uniform(-28, 40, size=int(rng.poisson(rate * 68 / 14))):
        at = first + timedelta(days=float(day))
        too_early = day < 0 and rng.random() > 1.0 / (1.0 + effect)
        if not too_early and at <= NOW:
            found.append((at, round(float(rng.gamma(4.0, 5.0)), 2)))
    return found


def _event(
    event_id: str, customer: str, kind: str, at: datetime, value: float | None, *, bot: bool = False
) -> CustomerEvent:
    return CustomerEvent(
        event_id=event_id,
        customer_id=customer,
        event=kind,
        occurred_at=at,
        received_at=at,
        value=value,
        currency=None if value is None else "EUR",
        is_bot=bot,
    )


@pytest.fixture(scope="session")
def planted(plant: PlantedMaker) -> Planted:
    """The default world: a mailing that raises revenue by a quarter and harms nothing."""
    return plant()
