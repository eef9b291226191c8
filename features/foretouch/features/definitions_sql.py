# ruff: noqa: S608 - every name and literal in these statements is quoted or comes from this package
"""The one definition of every customer feature: DuckDB SQL over a spine of ``(row_id, customer_id, as_of)`` rows.

A feature as of *t* sees what occurred before *t* and had been received by *t*; events by bots never. The same text
builds history, the online snapshot and the refresh after a posted event.

The statements use these relations: ``spine``, the views of ``tables.connect`` and the temporary tables of
``preparation``. Times are compared as integer microseconds since 1970, so a window of n days is n x 24 hours.
"""

from typing import Final

from foretouch.core.config import Config
from foretouch.features import catalogue
from foretouch.features.catalogue import SEND, WINDOWS, tracked_events
from foretouch.features.schemas import literal, quoted, slug

DAY: Final = 86_400_000_000
"""Microseconds."""
TIERS: Final = ((13, "top"), (10, "high"), (7, "middle"), (3, "low"))
"""RFM tier by the sum of the three scores (3 to 15): the smallest sum of each tier."""
LOYAL_WEEKS: Final = 8
"""A loyal customer bought in at least this many of the last 12 weeks."""
REGULAR_WEEKS: Final = 12

KNOWN_AS_OF: Final = "x.customer_id = s.customer_id AND x.at_us < s.as_of_us AND x.got_us <= s.as_of_us"
"""The as-of rule, once: occurred before, received by."""
AGE: Final = "(s.as_of_us - x.at_us)"


def preparation(config: Config) -> tuple[str, ...]:
    """Statements that make the temporary tables which the views aggregate.

    ``ev`` holds the events of the spine's customers with their local hour of week, ``purchase`` the purchases with
    what their properties say, ``touch`` the sends with the end of their offer.
    """
    zone = literal(config.workspace.time_zone)
    features = config.features
    sums = "".join(
        f", coalesce(detail.categories[{literal(name)}], 0.0) AS {quoted('sales_' + slug(name))}"
        for name in features.categories
    )
    shape = '{"categories": "MAP(VARCHAR, DOUBLE)", "retail_disc": "DOUBLE", "coupon_disc": "DOUBLE"}'
    offer_window = int(config.goals.offer.window_days * DAY)
    return (
        "CREATE OR REPLACE TEMP TABLE who AS SELECT DISTINCT customer_id FROM spine",
        f"""CREATE OR REPLACE TEMP TABLE ev AS
        SELECT customer_id, event, at_us, got_us, value, properties,
               (isodow(local) - 1) * 24 + hour(local) AS hour_of_week
        FROM (SELECT e.customer_id, e.event, e.value, e.properties, epoch_us(e.occurred_at) AS at_us,
                     epoch_us(coalesce(e.received_at, e.occurred_at)) AS got_us,
                     timezone(coalesce(c.time_zone, {zone}), e.occurred_at) AS local
              FROM events e JOIN who USING (customer_id)
              LEFT JOIN (SELECT customer_id, time_zone FROM customers) c USING (customer_id)
              WHERE NOT e.is_bot)""",
        f"""CREATE OR REPLACE TEMP TABLE purchase AS
        SELECT customer_id, at_us, got_us, hour_of_week, coalesce(value, 0.0) AS value,
               detail.retail_disc AS retail_disc, detail.coupon_disc AS coupon_disc,
               list_sum(map_values(detail.categories)) AS categorised{sums}
        FROM (SELECT *, TRY(json_transform(properties, {literal(shape)})) AS detail
              FROM ev WHERE event = {literal(features.purchase_event)})""",
        f"""CREATE OR REPLACE TEMP TABLE touch AS
        SELECT t.customer_id, epoch_us(t.sent_at) AS at_us, epoch_us(t.sent_at) AS got_us,
               CASE WHEN t.responded_at IS NOT NULL
                    THEN greatest(epoch_us(t.responded_at), epoch_us(t.response_received_at)) END AS response_got_us,
               epoch_us(t.responded_at) AS response_us,
               coalesce(epoch_us(o.ends_at), epoch_us(t.sent_at) + {offer_window}) AS ends_us
        FROM touches t JOIN who USING (customer_id)
        LEFT JOIN (SELECT offer_id, ends_at FROM offers) o USING (offer_id)""",
    )


def cuts(config: Config) -> str:
    """Quintile cuts of recency, frequency and monetary value, one row per month of the spine.

    The population is everyone who bought in the 365 days before the month began (UTC), by what had been received
    then; frequency and monetary value are those of the 365 days. Cut i of n values is the smallest value with at
    least i/5 of the values at or below it.
    """
    return f"""
        WITH months AS (SELECT DISTINCT epoch_us(date_trunc('month', as_of)) AS month_us FROM spine),
        population AS (
            SELECT month_us, customer_id, min(month_us - at_us) AS r, count(*) AS f, round(sum(value), 4) AS m
            FROM (SELECT customer_id, epoch_us(occurred_at) AS at_us, coalesce(value, 0.0) AS value,
                         epoch_us(coalesce(received_at, occurred_at)) AS got_us
                  FROM events WHERE event = {literal(config.features.purchase_event)} AND NOT is_bot) p
            JOIN months ON p.at_us < month_us AND p.got_us <= month_us AND p.at_us >= month_us - {365 * DAY}
            GROUP BY month_us, customer_id)
        SELECT month_us, quantile_disc(r, [0.2, 0.4, 0.6, 0.8]) AS r_cuts,
               quantile_disc(f, [0.2, 0.4, 0.6, 0.8]) AS f_cuts, quantile_disc(m, [0.2, 0.4, 0.6, 0.8]) AS m_cuts
        FROM population GROUP BY month_us"""


def view_queries(config: Config) -> dict[str, str]:
    """One query per tabular view: ``row_id`` and the view's features, for every row of the spine.

    ``customer_profile`` reads the result of ``customer_purchases`` as ``f_customer_purchases``, so the order counts.
    The arrays of ``customer_rhythm`` are made from ``hour_counts``.
    """
    return {
        catalogue.PURCHASES: _purchases(),
        catalogue.PROFILE: _profile(config),
        catalogue.PREFERENCES: _preferences(config),
        catalogue.CAMPAIGNS: _campaigns(config),
        catalogue.ACTIVITY: _activity(config),
    }


def hour_counts(config: Config) -> str:
    """Rows ``(row_id, kind, hour_of_week, n)`` of the last 365 days; kind 0 is purchases, 1 is engagement."""
    purchase = literal(config.features.purchase_event)
    engaged = ", ".join(literal(name) for name in config.features.engagement_events) or "NULL"
    return f"""
        SELECT s.row_id, k.kind, x.hour_of_week::INTEGER AS hour_of_week, count(*)::INTEGER AS n
        FROM spine s JOIN ev x ON {KNOWN_AS_OF} AND {AGE} <= {365 * DAY}
        JOIN (SELECT unnest([0, 1]) AS kind) k
             ON (k.kind = 0 AND x.event = {purchase}) OR (k.kind = 1 AND x.event IN ({engaged}))
        GROUP BY ALL"""


def _within(days: float, condition: str = "") -> str:
    extra = f" AND {condition}" if condition else ""
    return f"FILTER (WHERE {AGE} <= {round(days * DAY)}{extra})"


def _purchases() -> str:
    windows = (*WINDOWS[:2], 56, *WINDOWS[2:])
    counts = ", ".join(f"count(x.at_us) {_within(days)} AS frequency_{days}d" for days in windows)
    sums = ", ".join(f"round(coalesce(sum(x.value) {_within(days)}, 0.0), 4) AS monetary_{days}d" for days in windows)
    return f"""
        SELECT *, CASE WHEN purchases_total > 1
                       THEN (first_purchase_days - recency_days) / (purchases_total - 1) END AS gap_mean_days,
               recency_days / nullif(gap_mean_days, 0.0) AS recency_per_gap,
               frequency_28d / nullif(frequency_56d - frequency_28d, 0) AS frequency_trend,
               round(monetary_28d / nullif(round(monetary_56d - monetary_28d, 4), 0.0), 9) AS monetary_trend,
               greatest(least(first_purchase_days, 365.0), 28.0) AS paced_days,
               round(frequency_365d * 90.0 / paced_days, 9) AS frequency_per_90_days,
               round(monetary_365d * 90.0 / paced_days, 9) AS monetary_per_90_days
        FROM (SELECT s.row_id, min({AGE}) / {float(DAY)} AS recency_days,
                     max({AGE}) / {float(DAY)} AS first_purchase_days, {counts}, {sums},
                     count(x.at_us) AS purchases_total, round(coalesce(sum(x.value), 0.0), 4) AS monetary_total,
                     round(avg(x.value) {_within(365)}, 6) AS basket_mean_365d,
                     max(x.value) {_within(365)} AS basket_max_365d,
                     count(DISTINCT ({AGE} - 1) // {7 * DAY}) {_within(7 * REGULAR_WEEKS)} AS active_weeks_12
              FROM spine s LEFT JOIN purchase x ON {KNOWN_AS_OF} GROUP BY s.row_id)"""


def _score(name: str, better: str) -> str:
    """1 plus the number of cuts that are beaten; null without cuts or without a purchase."""
    beaten = " + ".join(f"({name} {better} {name[0]}_cuts[{index}])::INTEGER" for index in range(1, 5))
    return f"CASE WHEN purchases_total > 0 THEN 1 + {beaten} END"


def _profile(config: Config) -> str:
    churn = config.goals.churn
    window, active = churn.window_days, churn.active_days
    tiers = " ".join(f"WHEN rfm_sum >= {least} THEN '{tier}'" for least, tier in TIERS)
    attributes = "".join(
        f", c.{quoted(name)}::VARCHAR AS {quoted('attribute_' + slug(name))}" for name in config.features.attributes
    )
    return f"""
        SELECT s.row_id, (s.as_of_us - epoch_us(c.created_at)) / {float(DAY)} AS tenure_days,
               CASE WHEN p.purchases_total = 0 THEN 'none' {tiers} ELSE 'unknown' END AS rfm_tier,
               p.rfm_recency, p.rfm_frequency, p.rfm_monetary,
               CASE WHEN p.purchases_total = 0 THEN 'prospect'
                    WHEN p.recency_days > {active} THEN 'lapsed'
                    WHEN p.recency_days > {window} THEN 'at_risk'
                    WHEN p.first_purchase_days <= {window} THEN 'new'
                    WHEN p.active_weeks_12 >= {LOYAL_WEEKS} THEN 'loyal'
                    ELSE 'active' END AS lifecycle_stage{attributes}
        FROM spine s
        LEFT JOIN customers c USING (customer_id)
        JOIN (SELECT *, rfm_recency + rfm_frequency + rfm_monetary AS rfm_sum
              FROM (SELECT q.*, {_score("r", "<")} AS rfm_recency, {_score("f", ">")} AS rfm_frequency,
                           {_score("m", ">")} AS rfm_monetary
                    FROM (SELECT f.*, f.recency_days * {float(DAY)} AS r, f.frequency_365d AS f,
                                 f.monetary_365d AS m, k.r_cuts, k.f_cuts, k.m_cuts
                          FROM f_customer_purchases f JOIN spine USING (row_id)
                          LEFT JOIN rfm_cuts k ON k.month_us = epoch_us(date_trunc('month', spine.as_of))) q)) p
             USING (row_id)"""


def _preferences(config: Config) -> str:
    names = [slug(name) for name in config.features.categories]
    year = _within(365)
    sums = "".join(f", sum(x.{quoted('sales_' + name)}) {year} AS {quoted('sum_' + name)}" for name in names)
    known = " + ".join(quoted("sum_" + name) for name in names) or "0.0"
    shares = "".join(
        f", round({quoted('sum_' + name)} / nullif(categorised, 0.0), 9) AS {quoted('category_share_' + name)}"
        for name in names
    )
    listed = ", ".join(quoted("category_share_" + name) for name in [*names, "other"])
    labels = ", ".join(literal(name) for name in [*config.features.categories, "other"])
    return f"""
        SELECT row_id{"".join(f", {quoted('category_share_' + name)}" for name in names)}, category_share_other,
               CASE WHEN category_share_other IS NOT NULL
                    THEN ([{labels}])[list_position([{listed}], list_max([{listed}]))] END AS favourite_category,
               discount_share, coupon_share, coupon_saved_365d
        FROM (SELECT row_id{shares},
                     round(greatest(categorised - ({known}), 0.0) / nullif(categorised, 0.0), 9)
                     AS category_share_other,
                     round(retail / nullif(paid + retail, 0.0), 9) AS discount_share,
                     coupon_share, coupon_saved_365d
              FROM (SELECT s.row_id{sums}, round(sum(x.categorised) {year}, 6) AS categorised,
                           sum(x.retail_disc) {year} AS retail, sum(x.value) {_within(365, "x.retail_disc IS NOT NULL")}
                           AS paid, avg((x.coupon_disc > 0)::INTEGER) {year} AS coupon_share,
                           round(sum(x.coupon_disc) {year}, 4) AS coupon_saved_365d
                    FROM spine s LEFT JOIN purchase x ON {KNOWN_AS_OF} AND {AGE} <= {365 * DAY}
                    GROUP BY s.row_id))"""


def _campaigns(config: Config) -> str:
    windows = WINDOWS[1:]
    responded = "x.response_us < s.as_of_us AND x.response_got_us <= s.as_of_us"
    running = "s.as_of_us < x.ends_us"
    sends = ", ".join(f"count(x.at_us) {_within(days)} AS sends_{days}d" for days in windows)
    responses = ", ".join(f"count(x.at_us) {_within(days, responded)} AS responses_{days}d" for days in windows)
    coupons = ", ".join(f"count(x.at_us) {_within(days)} AS coupons_{days}d" for days in windows)
    return f"""
        SELECT t.row_id, t.* EXCLUDE (row_id, days_since_send, days_since_response, active_offers, open_offers,
                                      offer_days_left),
               responses_365d / nullif(sends_365d, 0) AS response_rate_365d, days_since_send, days_since_response,
               active_offers, open_offers, offer_days_left, k.* EXCLUDE (row_id)
        FROM (SELECT s.row_id, {sends}, {responses}, min({AGE}) / {float(DAY)} AS days_since_send,
                     min(s.as_of_us - x.response_us) FILTER (WHERE {responded}) / {float(DAY)} AS days_since_response,
                     count(x.at_us) FILTER (WHERE {running}) AS active_offers,
                     count(x.at_us) FILTER (WHERE {running} AND NOT coalesce({responded}, false)) AS open_offers,
                     max(x.ends_us - s.as_of_us) FILTER (WHERE {running}) / {float(DAY)} AS offer_days_left
              FROM spine s LEFT JOIN touch x ON {KNOWN_AS_OF} GROUP BY s.row_id) t
        JOIN (SELECT s.row_id, {coupons}, min({AGE}) / {float(DAY)} AS days_since_coupon
              FROM spine s LEFT JOIN ev x
                   ON {KNOWN_AS_OF} AND x.event = {literal(config.features.coupon_event)}
              GROUP BY s.row_id) k USING (row_id)"""


def _activity(config: Config) -> str:
    goals = config.goals
    days = goals.lead.points_days
    counts = ", ".join(
        f"count(x.at_us) {_within(days, f'x.event = {literal(event)}')} AS {quoted('recent_' + slug(event))}"
        for event in tracked_events(config)
    )
    goal, activity = (
        f"FILTER (WHERE x.event = {literal(name)})" for name in (goals.lead.goal_event, goals.churn.activity_event)
    )
    return f"""
        SELECT e.row_id, e.* EXCLUDE (row_id), t.recent_{SEND}
        FROM (SELECT s.row_id, {counts}, count(x.at_us) {goal} AS goal_total,
                     min({AGE}) {goal} / {float(DAY)} AS days_since_goal,
                     min({AGE}) {activity} / {float(DAY)} AS days_since_activity,
                     min({AGE}) / {float(DAY)} AS days_since_event, count(x.at_us) {_within(28)} AS events_28d
              FROM spine s LEFT JOIN ev x ON {KNOWN_AS_OF} GROUP BY s.row_id) e
        JOIN (SELECT s.row_id, count(x.at_us) {_within(days)} AS recent_{SEND}
              FROM spine s LEFT JOIN touch x ON {KNOWN_AS_OF} GROUP BY s.row_id) t USING (row_id)"""
