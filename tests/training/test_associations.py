"""Association rules between offers: counts by hand, exposure is no association, chance is told as chance."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from typer.testing import CliRunner

from foretouch.core.cli import build_app
from foretouch.core.errors import DataError
from foretouch.core.offers import Catalogue, Offer
from foretouch.training.associations import COLUMNS, Associations, accepted_before, associate
from foretouch.training.associations_page import associations_page


def sends_of(rows: list[tuple[str, str, int]]) -> pd.DataFrame:
    return pd.DataFrame(rows, columns=["customer_id", "offer_id", "label"])


def rules_of(found: Associations) -> dict[tuple[str, str], dict[Any, Any]]:
    return {(rule["offer_id"], rule["then_offer_id"]): rule for rule in found.rules.to_dict(orient="records")}


def test_figures_of_a_table_that_can_be_counted_by_hand() -> None:
    rows = []
    for number in range(40):  # 10 accept both, 10 only tea, 4 only jam, 16 neither
        rows += [(f"c{number}", "tea", int(number < 20)), (f"c{number}", "jam", int(number < 10 or 20 <= number < 24))]
    rows += [("alone", "tea", 1), ("alone", "rye", 1)]
    found = associate(sends_of(rows))
    assert list(found.rules.columns) == list(COLUMNS)
    assert (found.customers, found.offers) == (41, 3)
    by_pair = rules_of(found)
    assert sorted(by_pair) == [("jam", "tea"), ("tea", "jam")]  # rye and tea: one customer was sent both
    rule = by_pair["tea", "jam"]
    assert (rule["sent_both"], rule["accepted"], rule["accepted_then"], rule["accepted_both"]) == (40, 20, 14, 10)
    assert rule["support"] == pytest.approx(0.25)
    assert rule["confidence"] == pytest.approx(0.5)
    assert rule["lift"] == pytest.approx(0.5 / 0.35)
    assert rule["lift_shrunk"] == pytest.approx(15 / 12)
    error = np.sqrt(1 / 10 - 1 / 20 - 1 / 14 + (2 * 0.5 / 0.35 - 1) / 40)
    assert rule["lift_low"] == pytest.approx(rule["lift"] * np.exp(-1.959964 * error), rel=1e-6)
    assert by_pair["jam", "tea"]["lift"] == pytest.approx(rule["lift"])


def test_being_sent_the_same_offers_is_no_association() -> None:
    rng = np.random.default_rng(1)
    rows = []
    for number in range(4000):
        sent = ("a", "b") if number % 2 else ("c", "d")  # campaigns choose: a and b always together
        rows += [(f"c{number}", offer, int(rng.random() < 0.3)) for offer in sent]
    rules = associate(sends_of(rows)).rules
    assert sorted(zip(rules["offer_id"], rules["then_offer_id"], strict=True)) == [
        ("a", "b"), ("b", "a"), ("c", "d"), ("d", "c"),
    ]  # fmt: skip
    assert rules["lift"].to_numpy() == pytest.approx(1.0, abs=0.15)
    assert ((rules["lift_low"] < 1.0) & (rules["lift_high"] > 1.0)).all()


def test_intervals_hold_the_truth_as_often_as_they_say() -> None:
    rng = np.random.default_rng(2)
    inside = []
    for _ in range(200):
        took = rng.random((300, 2)) < 0.3  # independent: the lift is 1
        rows = [(f"c{n}", offer, int(took[n, column])) for n in range(300) for column, offer in enumerate("ab")]
        rule = associate(sends_of(rows)).rules.iloc[0]
        inside.append(rule["lift_low"] <= 1.0 <= rule["lift_high"])
    assert 0.91 <= np.mean(inside) <= 0.99


def test_the_strongest_known_association_scores_an_offer() -> None:
    rows = []
    for number in range(60):
        rows += [(f"c{number}", "tea", int(number < 30)), (f"c{number}", "jam", int(number < 25))]
    found = associate(sends_of(rows))
    score = found.score([{"tea"}, {"rye"}, frozenset(), {"tea", "rye"}], ["jam"] * 4)
    lift = float(np.log(rules_of(found)["tea", "jam"]["lift_shrunk"]))
    assert score == pytest.approx([lift, 0.0, 0.0, lift])
    assert score[0] > 0.0


def test_only_what_was_accepted_and_closed_before_counts() -> None:
    day = pd.Timestamp("2025-05-01", tz="UTC")
    sends = sends_of([("c", "tea", 1), ("c", "jam", 1), ("c", "rye", 0)])
    sends["closes_at"] = [day, day + pd.Timedelta(days=9), day]
    rows = pd.DataFrame({"customer_id": ["c", "c", "d"], "as_of": [day, day + pd.Timedelta(days=10), day]})
    assert accepted_before(sends, rows) == [frozenset({"tea"}), frozenset({"tea", "jam"}), frozenset()]


def test_bad_input_is_named() -> None:
    with pytest.raises(DataError, match="sends lack label"):
        associate(pd.DataFrame({"customer_id": ["c"], "offer_id": ["a"]}))
    with pytest.raises(DataError, match="pseudo == 0"):
        associate(sends_of([("c", "a", 1)]), pseudo=0.0)
    assert associate(sends_of([("c", "a", 1)])).rules.empty


def test_the_page_escapes_names_and_speaks_both_languages() -> None:
    rows = []
    for number in range(60):
        rows += [(f"c{number}", "tea", int(number < 30)), (f"c{number}", "jam", int(number < 25))]
    found = associate(sends_of(rows))
    catalogue = Catalogue(offers=(Offer(offer_id="tea", name="Tea <b>&</b> rusks", channels=("email",)),))
    page = associations_page(found, catalogue)
    assert "Tea &lt;b&gt;&amp;&lt;/b&gt; rusks" in page
    assert "<td>jam</td>" in page
    assert page.count("<tr>") == 1 + len(found.rules)
    assert 'lang="zh"' in associations_page(found, catalogue, "zh")
    assert "提升度" in associations_page(found, catalogue, "zh")
    assert "http" not in page
    empty = associate(sends_of([("c", "a", 1)]))
    assert "No two offers" in associations_page(empty, catalogue)


@pytest.fixture(name="shop")
def _shop(tmp_path: Path) -> Path:
    """Sixty customers who were sent tea and jam; thirty take tea, and most of them jam as well."""
    folder = tmp_path / "tables"
    folder.mkdir()
    rows = []
    for number in range(60):
        rows.append((f"t{number}", f"c{number}", "tea", number < 30))
        rows.append((f"j{number}", f"c{number}", "jam", number < 24 or number == 40))
    touches = pd.DataFrame(rows, columns=["touch_id", "customer_id", "offer_id", "responded"])
    touches.assign(channel="email", sent_at="2025-05-02T10:00:00Z").to_csv(folder / "touches.csv", index=False)
    pd.DataFrame(
        {
            "customer_id": sorted(touches["customer_id"].unique()),
            "created_at": "2025-01-01T00:00:00Z",
            "time_zone": "UTC",
        }
    ).to_csv(folder / "customers.csv", index=False)
    pd.DataFrame({"offer_id": ["tea", "jam"], "name": ["Tea", "Jam"], "channels": "email"}).to_csv(
        folder / "offers.csv", index=False
    )
    pd.DataFrame(
        {
            "event_id": ["e1", "e2"],
            "customer_id": ["c1", "c2"],
            "event": "purchase",
            "occurred_at": ["2025-01-02T00:00:00Z", "2025-10-02T00:00:00Z"],
            "received_at": ["2025-01-02T00:00:00Z", "2025-10-02T00:00:00Z"],
            "value": 5.0,
        }
    ).to_csv(folder / "events.csv", index=False)
    root = tmp_path / "shop"
    made = CliRunner().invoke(build_app(), ["init", str(root)])
    assert made.exit_code == 0, made.output
    tables = [
        part for name in ("customers", "events", "offers", "touches") for part in (f"--{name}", folder / f"{name}.csv")
    ]
    made = CliRunner().invoke(build_app(), ["ingest", *map(str, tables), "--workspace", str(root)])
    assert made.exit_code == 0, made.output
    return root


def test_the_command_writes_rules_and_a_page(shop: Path, tmp_path: Path) -> None:
    call = ["associations", "--workspace", str(shop)]
    made = CliRunner().invoke(build_app(), [*call, "--out", str(tmp_path / "rules.csv"), "--json"])
    assert made.exit_code == 0, made.output
    told = json.loads(made.stdout)
    table = pd.read_csv(tmp_path / "rules.csv")
    assert list(table.columns) == list(COLUMNS)
    assert [(rule["offer_id"], rule["accepted_both"]) for rule in told["rules"]] == [("jam", 24), ("tea", 24)]
    assert (told["customers"], told["offers"], told["sends"]) == (60, 2, 120)
    page = CliRunner().invoke(build_app(), [*call, "--out", str(tmp_path / "rules.html"), "--language", "zh"])
    assert page.exit_code == 0, page.output
    assert "<td>Tea</td>" in (tmp_path / "rules.html").read_text(encoding="utf-8")
    few = CliRunner().invoke(build_app(), [*call, "--min-both", "61"])
    assert "0 rules" in few.stdout
    with pytest.raises(DataError, match="must end in"):
        CliRunner().invoke(
            build_app(), [*call, "--out", str(tmp_path / "rules.xlsx")], catch_exceptions=False, standalone_mode=False
        )
