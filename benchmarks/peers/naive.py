# mypy: disable-error-code="untyped-decorator"
"""The assembly that a team puts together first: Feast's own read, ``mlflow.pyfunc`` four times, a BentoML endpoint.

Features come from Feast's SQLite online store through ``get_online_features``, each of the four models is an MLflow
pyfunc that takes a data frame, the twenty offers are ranked with pandas, and BentoML serves it with its defaults. It
validates nothing, knows no contact rule, logs nothing and asks for no key. Same models, same features, same priorities.
"""

import json
import os
from datetime import datetime
from pathlib import Path
from typing import Any

import bentoml
import mlflow.pyfunc
import numpy as np
import pandas as pd
from prepare import store_at  # type: ignore[import-not-found]

DAY = 86_400.0


@bentoml.service(name="naive")
class Naive:
    """One decision from parts off the shelf."""

    def __init__(self) -> None:
        workspace, folder = Path(os.environ["BENCH_WORKSPACE"]), Path(os.environ["BENCH_PEERS"])
        self.given = json.loads((workspace / "bench.json").read_text(encoding="utf-8"))
        self.store = store_at(folder)
        self.refs = [f"{view}:{name}" for view, names in self.given["views"].items() for name in names]
        self.models = {name: mlflow.pyfunc.load_model(str(folder / "models" / name)) for name in self.given["models"]}
        self.offers = pd.DataFrame(self.given["offers"])

    @bentoml.api(route="/decide")
    def decide(self, customer_id: str, at: str | None = None) -> dict[str, Any]:
        """Features, four models, priorities, the best three."""
        now = datetime.fromisoformat(at or self.given["now"])
        row = self.store.get_online_features(features=self.refs, entity_rows=[{"customer_id": customer_id}]).to_df()
        row = row[[ref.partition(":")[2] for ref in self.refs]].astype(np.float64)  # what is missing comes as None
        scores = {name: float(self.predict(name, row)[0]) for name in ("lead", "churn", "value")}
        pairs = self.pairs(row.iloc[0], now)
        pairs["propensity"] = self.predict("offer", pairs)
        pairs["score"] = (
            1.0
            + sum(percent * self.level(name, scores[name]) for name, percent in self.given["score_weights"].items())
            / 100.0
        )
        gain = pairs["propensity"] * (pairs["value"] - pairs["cost"]) * pairs["score"]
        ranked = pd.concat(
            [
                pd.DataFrame({"offer_id": pairs["offer_id"], "channel": channel, "priority": gain - cost})
                for channel, cost in self.given["channels"].items()
            ]
        ).sort_values("priority", ascending=False)
        return {"scores": scores, "ranked": ranked.head(3).to_dict("records")}

    def predict(self, name: str, frame: pd.DataFrame) -> np.ndarray[Any, Any]:
        """Calibrated scores."""
        model = self.given["models"][name]
        raw = np.asarray(self.models[name].predict(frame[model["inputs"]].astype(np.float64)))
        return np.interp(raw, model["x"], model["y"]) if model["x"] else raw

    def level(self, name: str, score: float) -> float:
        """A score on [0, 1]: an amount by its percentile."""
        percentiles = self.given["models"][name]["percentiles"]
        return score if percentiles is None else float(np.interp(score, percentiles, np.linspace(0.0, 1.0, 101)))

    def pairs(self, customer: "pd.Series[Any]", now: datetime) -> pd.DataFrame:
        """One row per offer: the customer's features, the offer's, and how they fit."""
        offers = self.offers
        attributes = pd.DataFrame(list(offers["attributes"]))
        frame = pd.DataFrame([customer] * len(offers)).reset_index(drop=True)
        starts = pd.to_datetime(offers["starts_at"], format="ISO8601")
        ends = pd.to_datetime(offers["ends_at"], format="ISO8601")
        frame["offer_id"], frame["value"], frame["cost"] = offers["offer_id"], offers["value"], offers["cost"]
        frame["offer_remaining_days"] = [(end - now).total_seconds() / DAY for end in ends]
        frame["offer_running_days"] = [(now - start).total_seconds() / DAY for start in starts]
        frame["offer_duration_days"] = frame["offer_running_days"] + frame["offer_remaining_days"]
        frame["offer_coupons"], frame["offer_products"] = attributes["coupons"], attributes["products"]
        frame["offer_value"], frame["offer_cost"] = offers["value"], offers["cost"]
        shares = attributes[sorted(name for name in map(str, attributes) if name.startswith("share_"))]
        bought = customer[[f"category_{name}" for name in shares]].astype(float).to_numpy()
        known = ~np.isnan(bought)
        some = known.any() and np.nansum(bought) > 0.0
        affinity = (np.where(known, bought, 0.0) * shares.to_numpy()).sum(axis=1) if some else np.nan
        frame["offer_affinity"] = affinity
        frame["offer_affinity_ratio"] = affinity / np.square(shares.to_numpy()).sum(axis=1)
        favourite = shares.columns[int(np.nanargmax(bought))] if some else None
        frame["offer_favourite_share"] = shares[favourite] if favourite else np.nan
        sends, responses = (float(np.nan_to_num(customer[name])) for name in ("sends_365d", "responses_365d"))
        frame["response_rate"] = (responses + 0.2) / (sends + 2.0)
        return frame
