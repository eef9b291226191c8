"""The simulated world as canonical tables, with its truth in files of their own.

``simulate_tables`` writes ``<table>.parquet`` for any number of customers and days, a thousand people at a time, and
``truth/`` beside them: ``people.parquet`` (hidden rates, churn day, best hour, expected value), ``offers.parquet``
(pull), ``responses.parquet`` (propensities and uplift per person, running offer and channel at the data end),
``touches.parquet`` (probabilities behind each past send) and ``world.json`` (seed, days, start). No model reads
``truth/``; yardsticks and the campaign engine of the demo do. The generative model is written down in
``simulation_world`` and ``simulation_history``.
"""

import json
from collections import deque
from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import partial
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from foretouch.core import columns as c
from foretouch.core.errors import ConfigError
from foretouch.core.workspace import Workspace
from foretouch.features.growing import GrowingFiles
from foretouch.features.people import register_people
from foretouch.features.simulation_events import to_utc
from foretouch.features.simulation_history import History, draw_history
from foretouch.features.simulation_setup import setup_files
from foretouch.features.simulation_world import (
    AGES,
    BLOCK,
    CATEGORIES,
    CHANNEL_STRENGTH,
    CHANNELS,
    LANGUAGES,
    NIGHT_HOURS,
    SOURCES,
    START,
    ZONES,
    People,
    WorldOffer,
    draw_offers,
    draw_people,
)

PURPOSES = ("marketing", "retention", "service")
SIMULATED_TABLES = (c.CUSTOMERS, c.CONSENTS, c.EVENTS, c.OFFERS, c.TREATMENTS, c.TOUCHES)
TRUTH = "truth"
VALUE_DAYS = 90
HOURS = pa.list_(pa.float32())

Progress = Callable[[int, int], None]


def data_end(days: int) -> datetime:
    """When the data of a world of so many days end: 06:00 UTC after its last day."""
    return START + timedelta(days=days, hours=NIGHT_HOURS)


@dataclass(frozen=True, kw_only=True)
class Simulation:
    """Which world.

    Attributes:
        customers: How many people.
        days: Days of history.
        seed: Of every draw.
        jobs: Processes that draw people, a thousand at a time; the world is the same with any number.
        register: Whether people, consents and earlier sends go into the service's state; training needs none of it.
    """

    customers: int = 3_000
    days: int = 120
    seed: int = 7
    jobs: int = 1
    register: bool = True


def simulate_tables(
    target: Path,
    *,
    customers: int,
    days: int,
    seed: int,
    jobs: int = 1,
    truth: Path | None = None,
    progress: Progress | None = None,
) -> dict[str, Path]:
    """Writes a world's canonical tables and its truth.

    Args:
        target: Folder for ``<table>.parquet``; made if absent.
        customers: How many people, at least 1.
        days: Days of history, at least 14.
        seed: Of every draw.
        jobs: Processes that draw people, at least 1.
        truth: Folder for the truth; ``target/truth`` if absent.
        progress: Called with (people done, people in all).

    Returns:
        The written file of each table, in the order of ingest.

    Raises:
        ConfigError: ``customers``, ``days`` or ``jobs`` is too small.
    """
    if customers < 1:
        raise ConfigError(f"customers == {customers}, must be at least 1")
    if days < 14:
        raise ConfigError(f"days == {days}, must be at least 14")
    truth = truth or target / TRUTH
    target.mkdir(parents=True, exist_ok=True)
    truth.mkdir(parents=True, exist_ok=True)
    if jobs < 1:
        raise ConfigError(f"jobs == {jobs}, must be at least 1")
    offers = draw_offers(days, seed)
    world = Simulation(customers=customers, days=days, seed=seed, jobs=jobs)
    written = {name: target / f"{name}.parquet" for name in SIMULATED_TABLES}
    write_frame(_offers_table(offers), written[c.OFFERS])
    write_frame(_treatments_table(offers), written[c.TREATMENTS])
    _write_offers_truth(offers, truth)
    parts = GrowingFiles(
        {
            c.CUSTOMERS: written[c.CUSTOMERS],
            c.CONSENTS: written[c.CONSENTS],
            c.EVENTS: written[c.EVENTS],
            c.TOUCHES: written[c.TOUCHES],
            "people": truth / "people.parquet",
            "responses": truth / "responses.parquet",
            "sends": truth / "touches.parquet",
        }
    )
    with parts:
        for people, history in _blocks(world, offers):
            for name, frame in {
                c.CUSTOMERS: _customers_table(people),
                c.CONSENTS: _consents_table(people, history),
                c.EVENTS: history.events,
                c.TOUCHES: history.touches.assign(immature=history.touches["responded"].isna()),
                "people": _people_truth(people, days),
                "responses": _responses_truth(people, offers, days),
                "sends": history.truth,
            }.items():
                parts.add(name, _as_table(frame))
            if progress is not None:
                progress(min(int(people.number[-1]) + 1, customers), customers)
    about = {"schema_version": 1, "seed": seed, "days": days, "customers": customers, "start": START.isoformat()}
    (truth / "world.json").write_text(json.dumps(about, indent=1) + "\n", encoding="utf-8")
    return written


def simulation_files(simulation: Simulation) -> dict[str, str]:
    """The configuration files of a simulated workspace, its clock at the data end, by name."""
    end = data_end(simulation.days)
    files = setup_files(customers=simulation.customers, days=simulation.days, seed=simulation.seed, end=end)
    return {**files, "clock.json": json.dumps({"now": end.isoformat()}) + "\n"}


def load_simulated(workspace: Workspace, simulation: Simulation, *, progress: Progress | None = None) -> dict[str, int]:
    """Fills a workspace made of ``simulation_files``: tables, people in the state database, truth under ``truth/``.

    Args:
        workspace: A new one.
        simulation: Which world.
        progress: Called with (people done, people in all).

    Returns:
        Rows per table.
    """
    written = simulate_tables(
        workspace.data,
        customers=simulation.customers,
        days=simulation.days,
        seed=simulation.seed,
        jobs=simulation.jobs,
        truth=workspace.root / TRUTH,
        progress=progress,
    )
    if simulation.register:
        register_people(workspace)
    return {name: pq.read_metadata(path).num_rows for name, path in written.items()}


def _blocks(simulation: Simulation, offers: tuple[WorldOffer, ...]) -> Iterator[tuple[People, History]]:
    """The world's blocks in their order, drawn by as many processes as were asked for."""
    blocks = range(-(-simulation.customers // BLOCK))
    draw = partial(_block, simulation, offers)
    jobs = min(simulation.jobs, len(blocks))
    if jobs == 1:
        yield from map(draw, blocks)
        return
    with ProcessPoolExecutor(jobs, mp_context=get_context("spawn")) as pool:
        waiting = deque(pool.submit(draw, block) for block in blocks[: 2 * jobs])
        upcoming = iter(blocks[2 * jobs :])
        while waiting:
            yield waiting.popleft().result()
            if (block := next(upcoming, None)) is not None:
                waiting.append(pool.submit(draw, block))


def _block(simulation: Simulation, offers: tuple[WorldOffer, ...], block: int) -> tuple[People, History]:
    days, seed = simulation.days, simulation.seed
    whole = draw_people(days, seed, block=block)
    history = draw_history(whole, offers, days, seed, block=block).until(data_end(days))
    people = whole.take(slice(0, min(BLOCK, simulation.customers - block * BLOCK)))
    return people, history if len(people) == BLOCK else history.cut(people.customer_id)


def _as_table(frame: pd.DataFrame) -> pa.Table:
    return pa.Table.from_pandas(frame, preserve_index=False, schema=_arrow_schema(frame))


def _arrow_schema(frame: pd.DataFrame) -> pa.Schema:
    """Types that do not depend on a block's values: an all-null text column is still text."""
    types = {
        "object": pa.string(),
        "bool": pa.bool_(),
        "boolean": pa.bool_(),
        "int64": pa.int64(),
        "float64": pa.float64(),
    }
    fields: list[pa.Field[Any]] = [
        pa.field(str(name), HOURS if name == "hour_of_week" else types.get(str(kind), pa.timestamp("us", "UTC")))
        for name, kind in frame.dtypes.items()
    ]
    return pa.schema(fields)


def write_frame(frame: pd.DataFrame, path: Path) -> None:
    """One small table as Parquet."""
    pq.write_table(_as_table(frame), path)


def _customers_table(people: People) -> pd.DataFrame:
    return pd.DataFrame(
        {
            c.CUSTOMER_ID: people.customer_id,
            c.HOUSEHOLD_ID: pd.Series([None] * len(people), dtype=object),
            c.CREATED_AT: to_utc(people.created_day.astype(np.float64), people.zone).array,
            c.TIME_ZONE: np.asarray(ZONES, dtype=object)[people.zone],
            c.LANGUAGE: np.asarray(LANGUAGES, dtype=object)[people.zone],
            "age": np.asarray(AGES, dtype=object)[people.age],
            "source": np.asarray(SOURCES, dtype=object)[people.source],
        }
    )


def _consents_table(people: People, history: History) -> pd.DataFrame:
    """Consent given on becoming a customer, refused on record by half of the others, withdrawn later by some."""
    created = to_utc(people.created_day.astype(np.float64), people.zone)
    parts = []
    for index, channel in enumerate(CHANNELS):
        granted = people.consents(channel)
        on_record = granted | ((people.number + index) % 2 == 0)
        stated = pd.DataFrame(
            {
                c.CUSTOMER_ID: people.customer_id[on_record],
                c.CHANNEL: channel,
                c.GRANTED: granted[on_record],
                c.AT: created[on_record].array,
                c.SOURCE: "simulated sign-up",
            }
        )
        parts += [stated.assign(purpose=purpose) for purpose in PURPOSES]
    for purpose in ("marketing", "retention"):
        gone = history.withdrawals
        parts.append(gone.assign(purpose=purpose, granted=False, source="simulated unsubscribe"))
    columns = [c.CUSTOMER_ID, c.CHANNEL, c.PURPOSE, c.GRANTED, c.AT, c.SOURCE]
    return pd.concat([part[columns] for part in parts if len(part)], ignore_index=True)


def _offers_table(offers: tuple[WorldOffer, ...]) -> pd.DataFrame:
    frame = pd.DataFrame(
        {
            c.OFFER_ID: [offer.offer_id for offer in offers],
            c.NAME: [offer.name for offer in offers],
            c.CATEGORY: [CATEGORIES[offer.category] for offer in offers],
            c.CHANNELS: json.dumps(CHANNELS),
            c.VALUE: [offer.value for offer in offers],
            c.COST: [offer.cost for offer in offers],
            c.STARTS_AT: pd.to_datetime([START + timedelta(days=offer.start_day) for offer in offers]).as_unit("us"),
            c.ENDS_AT: pd.to_datetime([START + timedelta(days=offer.end_day + 1) for offer in offers]).as_unit("us"),
            c.ELIGIBILITY: "",
        }
    )
    for index, name in enumerate(CATEGORIES):
        frame[f"share_{name}"] = [float(offer.category == index) for offer in offers]
    return frame


def _treatments_table(offers: tuple[WorldOffer, ...]) -> pd.DataFrame:
    rows = [
        (f"{offer.offer_id}-{channel}", offer.offer_id, channel, f"{offer.name}, {channel}")
        for offer in offers
        for channel in CHANNELS
    ]
    return pd.DataFrame(rows, columns=[c.TREATMENT_ID, c.OFFER_ID, c.CHANNEL, c.NAME])


def _write_offers_truth(offers: tuple[WorldOffer, ...], truth: Path) -> None:
    write_frame(pd.DataFrame([offer.__dict__ for offer in offers]), truth / "offers.parquet")


def _people_truth(people: People, days: int) -> pd.DataFrame:
    """Hidden parameters, and what follows from them at the data end."""
    left = np.clip(people.churn_day - days, 0, VALUE_DAYS) * (people.created_day < days)
    week = people.hour_of_week()
    return people.frame().assign(
        churn_at=to_utc(people.churn_day.astype(np.float64), people.zone).array,
        best_hour=week.argmax(axis=1).astype(np.int64),
        hour_of_week=list(week.astype(np.float32)),
        expected_orders_90d=people.purchase_rate * left,
        expected_value_90d=people.purchase_rate * people.order_value * left,
    )


def _responses_truth(people: People, offers: tuple[WorldOffer, ...], days: int) -> pd.DataFrame:
    """Per person, running offer and channel at the data end, for a contact at the person's best daytime hour."""
    n, parts = len(people), []
    hour = 8 + people.hour_shape()[:, 8:21].argmax(axis=1)
    untreated = people.untreated(days)
    for offer in offers:
        if not offer.start_day <= days < offer.end_day:
            continue
        for channel in CHANNELS:
            treated = people.treated(
                days,
                pull=np.full(n, offer.pull),
                category=np.full(n, offer.category),
                strength=np.full(n, CHANNEL_STRENGTH[channel]),
                hour=hour,
            )
            parts.append(
                pd.DataFrame(
                    {
                        c.CUSTOMER_ID: people.customer_id,
                        c.OFFER_ID: offer.offer_id,
                        c.CHANNEL: channel,
                        "untreated": untreated,
                        "treated": treated,
                        "uplift": treated - untreated,
                    }
                )
            )
    return pd.concat(parts, ignore_index=True)
