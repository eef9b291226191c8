"""Scores for everyone with a small real model on a small simulated workspace."""

import csv
import json
from datetime import timedelta
from pathlib import Path
from typing import Any

import lightgbm
import numpy as np
import pandas as pd
import pytest
from typer.testing import CliRunner

from foretouch.core.bundle import (
    Band,
    Bundle,
    GoldenRows,
    ModelCard,
    ModelInput,
    read_bundle,
    write_aliases,
    write_bundle,
)
from foretouch.core.cli import build_app
from foretouch.core.errors import DataError, NotReadyError
from foretouch.core.workspace import Workspace
from foretouch.features.build import build_features
from foretouch.features.initialise import initialise
from foretouch.features.simulation import Simulation
from foretouch.features.tables import read_table
from foretouch.serving.jobs.leads import signing_secret
from foretouch.serving.jobs.score_file import formula_safe, read_audience
from foretouch.serving.jobs.scores import encode_frame, score_everyone
from foretouch.serving.models.support import SUPPORT
from tests.serving.receiver import lead_data, receiving

INPUTS = (
    ModelInput(name="recent_page_view", view="customer_activity"),
    ModelInput(name="recent_form_submit", view="customer_activity"),
    ModelInput(name="recency_days", view="customer_purchases"),
    ModelInput(name="lifecycle_stage", view="customer_profile", kind="category", levels=("active", "lapsed", "new")),
)


def features_now(workspace: Workspace) -> pd.DataFrame:
    people = read_table(workspace, "customers")["customer_id"]
    now = pd.Series([workspace.clock.now()] * len(people), dtype="datetime64[us, UTC]")
    return build_features(workspace, pd.DataFrame({"customer_id": people, "as_of": now}))


@pytest.fixture(scope="module")
def workspace(tmp_path_factory: pytest.TempPathFactory) -> Workspace:
    """Three hundred people and a lead model fitted to who has already converted."""
    made = initialise(
        tmp_path_factory.mktemp("scores") / "w", "simulated", simulation=Simulation(customers=300, days=60)
    ).workspace
    frame = features_now(made)
    card = ModelCard(
        model="lead",
        version="v1",
        target="probability",
        feature_service="lead_v1",
        inputs=INPUTS,
        bands=(Band(name="cold", at_least=0.0), Band(name="hot", at_least=0.3)),
        trained_through=made.clock.now() - timedelta(days=1),
        created_at=made.clock.now(),
        data_sha256="0" * 64,
    )
    vectors = np.array([card.encode(row) for row in rows_of(frame)])
    label = (frame["goal_total"] > 0).to_numpy(dtype=float)
    parameters = {"objective": "binary", "min_data_in_leaf": 10, "verbose": -1, "num_threads": 1, "seed": 1}
    booster = lightgbm.train(parameters, lightgbm.Dataset(vectors, label), num_boost_round=20)
    golden = vectors[:3]
    raw = tuple(float(value) for value in np.asarray(booster.predict(golden, num_threads=1)))
    rows = tuple(tuple(None if np.isnan(value) else float(value) for value in row) for row in golden)
    write_bundle(made.bundles, card, booster.model_to_string(), GoldenRows(inputs=rows, raw=raw, calibrated=raw))
    write_aliases(made.bundles, "lead", {"champion": "v1"})
    return made


def rows_of(frame: pd.DataFrame) -> list[dict[str, Any]]:
    names = [item.name for item in INPUTS]
    plain = frame[names].astype(object).where(frame[names].notna(), None)
    return [dict(zip(names, row, strict=True)) for row in plain.to_numpy()]


def booster_scores(bundle: Bundle, frame: pd.DataFrame) -> "pd.Series[float]":
    """The oracle: row by row, through the card's own encoding and LightGBM."""
    booster = lightgbm.Booster(model_str=bundle.model_text)
    scores = [float(np.asarray(booster.predict(np.array([bundle.card.encode(row)])))[0]) for row in rows_of(frame)]
    return pd.Series(scores, index=frame["customer_id"])


def test_every_lead_gets_the_champions_score(workspace: Workspace, tmp_path: Path) -> None:
    run = score_everyone(workspace, "lead", tmp_path / "leads.parquet", chunk=128)
    scored = pd.read_parquet(run.out).set_index("customer_id")
    frame = features_now(workspace)
    assert list(scored.index) == sorted(frame["customer_id"])
    expected = booster_scores(read_bundle(workspace.bundles, "lead", "v1"), frame)
    has_converted = frame.set_index("customer_id")["goal_total"] > 0
    assert 0 < has_converted.sum() < 300
    leads = has_converted.index[~has_converted]
    np.testing.assert_array_equal(scored.loc[leads, "score"], expected[leads])
    assert scored.loc[has_converted.index[has_converted], "score"].isna().all()
    assert set(scored["note"].dropna()) == {"no lead any more: has done conversion"}
    assert run.scored == len(leads) == len(run.leads)
    hot = scored["score"] >= 0.3
    assert (scored["band"] == "hot").equals(hot)
    assert scored.loc[leads, "reason_1"].str.contains(r"\((?:raises|lowers) it\)").all()


def test_of_whom_too_little_is_known_the_segment_answers(workspace: Workspace, tmp_path: Path) -> None:
    """Who never bought has one input fewer; their stage's rate stands in, and sales is not told of them."""
    first = read_bundle(workspace.bundles, "lead", "v1")
    rate = {"rate": 0.31, "low": 0.2, "high": 0.4, "level": 0.95, "customers": 77}
    support = {"customers": {"prospect": 77}, "min_customers": 0, "least_known": 4, "rates": {"prospect": rate}}
    card = first.card.replace(version="v2", extras={SUPPORT: support})
    write_bundle(workspace.bundles, card, first.model_text, first.golden)
    write_aliases(workspace.bundles, "lead", {"champion": "v2"})
    try:
        run = score_everyone(workspace, "lead", tmp_path / "leads.parquet")
    finally:
        write_aliases(workspace.bundles, "lead", {"champion": "v1"})
    scored = pd.read_parquet(run.out).set_index("customer_id")
    frame = features_now(workspace).set_index("customer_id").reindex(scored.index)
    known = np.count_nonzero(~np.isnan(encode_frame(card, frame)), axis=1)
    lead = ~(frame["goal_total"] > 0).to_numpy()
    prospects = lead & (frame["lifecycle_stage"] == "prospect").to_numpy()
    assert prospects.sum() > 20
    segment = scored[prospects]
    assert (segment["basis"] == "segment").all()
    assert (segment[["score", "score_low", "score_high"]] == [0.31, 0.2, 0.4]).all(axis=None)
    assert (segment["band"] == "hot").all()
    assert segment["reason_1"].isna().all()
    assert segment["note"].str.endswith("the rate of 77 customers of lifecycle stage 'prospect'").all()
    own = scored[lead & (known == 4)]
    assert (own["basis"] == "customer").all()
    assert own["note"].isna().all()
    assert run.scored == len(segment) + len(own)
    assert {item.customer_id for item in run.leads} == set(own.index)


def test_encoding_by_column_is_encoding_by_row(workspace: Workspace) -> None:
    frame = features_now(workspace)
    frame.loc[0, "recency_days"] = np.inf
    frame.loc[1, "lifecycle_stage"] = "never seen"
    card = read_bundle(workspace.bundles, "lead", "v1").card
    by_row = np.array([card.encode(row) for row in rows_of(frame)])
    np.testing.assert_array_equal(encode_frame(card, frame), by_row)


def test_an_audience_as_csv_safe_in_a_spreadsheet(workspace: Workspace, tmp_path: Path) -> None:
    audience = tmp_path / "who.csv"
    audience.write_text("customer_id\nS0000003\n=1+1\nS0000003\nS0000001\n", encoding="utf-8")
    run = score_everyone(workspace, "lead", tmp_path / "out.csv", audience=audience)
    with run.out.open(encoding="utf-8", newline="") as handle:
        rows = list(csv.DictReader(handle))
    assert [row["customer_id"] for row in rows] == ["S0000003", "'=1+1", "S0000001"]
    assert rows[1]["note"] == "unknown customer"
    assert rows[1]["score"] == ""
    assert not list(tmp_path.glob(".*.tmp"))


@pytest.mark.parametrize("text", ["=A1", "+1", "-1", "@x", "\tx", "\rx"])
def test_formulas_are_defused(text: str) -> None:
    assert formula_safe(text) == f"'{text}"
    assert formula_safe(f"a{text}") == f"a{text}"


def test_clear_errors(workspace: Workspace, tmp_path: Path) -> None:
    with pytest.raises(NotReadyError, match="churn has no champion"):
        score_everyone(workspace, "churn", tmp_path / "x.parquet")
    with pytest.raises(DataError, match="model == 'weather'"):
        score_everyone(workspace, "weather", tmp_path / "x.parquet")
    with pytest.raises(DataError, match=r"must end in \.parquet or \.csv"):
        score_everyone(workspace, "lead", tmp_path / "x.xlsx")
    (tmp_path / "bad.csv").write_text("id\n1\n", encoding="utf-8")
    with pytest.raises(DataError, match="no column customer_id"):
        read_audience(tmp_path / "bad.csv")
    with pytest.raises(DataError, match="is not there"):
        read_audience(tmp_path / "none.csv")


def test_the_command_line(workspace: Workspace, tmp_path: Path) -> None:
    out = tmp_path / "leads.csv"
    run = CliRunner().invoke(build_app(), ["score", "lead", "-w", str(workspace.root), "--out", str(out), "--json"])
    assert run.exit_code == 0, run.output
    result = json.loads(run.stdout)
    assert result["rows"] == 300
    assert sum(result["bands"].values()) == result["scored"]
    assert result["hand_off"]["address"] is None
    assert out.is_file()


def test_the_command_hands_leads_to_sales_once(workspace: Workspace, tmp_path: Path) -> None:
    config = workspace.root / "foretouch.toml"
    before = config.read_text("utf-8")
    call = ["score", "lead", "-w", str(workspace.root), "--out", str(tmp_path / "leads.parquet"), "--json"]
    with receiving() as receiver:
        receiver.secret = signing_secret(workspace)
        config.write_text(f'{before}\n[lead_alert]\nurl = "{receiver.url}"\nthreshold = 0.3\n', "utf-8")
        try:
            first = json.loads(CliRunner().invoke(build_app(), call).stdout)["hand_off"]
            again = json.loads(CliRunner().invoke(build_app(), call).stdout)["hand_off"]
        finally:
            config.write_text(before, "utf-8")
    scored = pd.read_parquet(tmp_path / "leads.parquet").set_index("customer_id")
    hot = set(scored.index[scored["score"] >= 0.3])
    told = [lead_data(body) for _, body in receiver.taken]
    assert hot
    assert {item["customer_id"] for item in told} == hot
    assert first["delivered"] == first["crossed"] == len(hot) == receiver.calls
    assert (again["delivered"], again["crossed"]) == (0, 0)
    assert all(item["score"] == scored.loc[item["customer_id"], "score"] for item in told)
    assert all(item["origin"] == "simulated" and item["band"] == "hot" and item["reasons"] for item in told)


def test_leads_get_points_of_the_marketers_rule_until_there_is_a_model(workspace: Workspace, tmp_path: Path) -> None:
    write_aliases(workspace.bundles, "lead", {})
    try:
        run = score_everyone(workspace, "lead", tmp_path / "cold.parquet")
    finally:
        write_aliases(workspace.bundles, "lead", {"champion": "v1"})
    frame = pd.read_parquet(tmp_path / "cold.parquet").set_index("customer_id")
    features = features_now(workspace).set_index("customer_id")
    goal = workspace.config.goals.lead
    assert goal.points == {"page_view": 5.0, "form_submit": 10.0}
    told = frame[frame["basis"] == "points_rule"]
    own = features.loc[told.index]
    by_hand = 5.0 * own["recent_page_view"].fillna(0) + 10.0 * own["recent_form_submit"].fillna(0)
    assert (told["points"] == by_hand).all()
    assert (told["band"] == np.where(by_hand >= goal.hot_from, "hot", "cold")).all()
    assert set(told["band"]) == {"hot", "cold"}
    assert frame["score"].isna().all()
    assert told["note"].str.contains("no lead model yet").all()
    assert told.loc[told["points"] > 0, "reason_1"].str.endswith("points").all()
    assert frame.loc[features.index[features["goal_total"] > 0], "points"].isna().all()
    assert (run.version, run.scored, run.leads) == ("points_rule", 0, ())
    assert sum(run.bands.values()) == len(told)
