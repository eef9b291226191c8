"""Holds the propensities of logged decisions against the truth that the simulation planted: a yardstick, no input."""

import argparse
import json
from contextlib import closing
from pathlib import Path

import numpy as np
import pandas as pd

from foretouch.core.state.db import connect
from foretouch.core.state.log import read_decisions
from foretouch.features.simulation_replies import Replies
from foretouch.features.simulation_world import CHANNEL_STRENGTH


def main() -> None:
    """Prints mean propensity, mean planted probability and their rank correlation as JSON."""
    parser = argparse.ArgumentParser(description="Logged propensities beside planted ones.")
    parser.add_argument("--workspace", type=Path, required=True)
    workspace: Path = parser.parse_args().workspace
    replies = Replies(workspace / "truth")
    rows = {name: row for row, name in enumerate(replies.people.customer_id)}
    offers = pd.read_parquet(workspace / "truth" / "offers.parquet")
    pull = dict(zip(offers["offer_id"], offers["pull"].astype(float), strict=True))
    category = dict(zip(offers["offer_id"], offers["category"].astype(int), strict=True))
    predicted, planted = [], []
    with closing(connect(workspace / "state.db", read_only=True)) as log:
        for record in read_decisions(log):
            if not record.action or record.action[0].propensity is None or record.customer_id not in rows:
                continue
            action = record.action[0]
            row = rows[record.customer_id]
            person = replies.people.take(slice(row, row + 1))
            chance = person.treated(
                replies.day_of(record.decided_at),
                pull=np.array([pull[action.offer_id]]),
                category=np.array([category[action.offer_id]]),
                strength=np.array([CHANNEL_STRENGTH[action.channel]]),
                hour=np.array([action.send_at.astimezone(replies.zone(record.customer_id)).hour]),
            )
            predicted.append(float(action.propensity or 0.0))
            planted.append(float(chance[0]))
    table = pd.DataFrame({"predicted": predicted, "planted": planted})
    rank = table["predicted"].rank().corr(table["planted"].rank()) if len(table) > 2 else float("nan")
    result = {
        "contacts": len(table),
        "predicted": float(table["predicted"].mean()),
        "planted": float(table["planted"].mean()),
        "rank_correlation": float(rank),
    }
    print(json.dumps(result))


if __name__ == "__main__":
    main()
