"""The files of rules that ``foretouch init`` writes: how scores become a choice, and what no score can override."""

POLICY = """# How scores become a choice: priority, then a softmax with a floor, then one seeded draw.
# priority = propensity x context weight x (value - offer cost) x score weights x lever - channel cost - price
schema_version = 1
name = "default"
kind = "softmax"
temperature = 0.1        # in units of the spread of the candidates' priorities
floor = 0.02             # every candidate that no rule dropped keeps at least its share of this
fatigue_cost = 0.02      # price of one more contact, per contact in the last 7 days
slot_exploration = 0.05
expires_after_hours = 24

[factors]
propensity = true
context_weight = true
value = true
lever = true

[[score_weights]]        # the more likely a customer is to leave, the more a contact is worth
model = "churn"
percent = 20

[[score_weights]]        # the more a customer is worth (percentile among everyone), the more a contact is worth
model = "value"
percent = 20
"""


def contact_policy(zone: str) -> str:
    """``contact_policy.toml``: consent, caps, quiet hours and gaps.

    Args:
        zone: IANA zone of customers without one.
    """
    return f"""# Rules that no score can override. No statement of consent is no consent.
schema_version = 1
name = "default"
purposes_without_consent = ["transactional"]
purposes_without_caps = ["transactional"]
minimum_gap_hours = 12
default_time_zone = "{zone}"
suppressed_customers = []

[[quiet_hours]]          # in the customer's own time
rule = "quiet_hours"
start = 21:00:00
end = 08:00:00

[[caps]]
rule = "three_a_week"
scope = "customer"
limit = 3
days = 7

[[caps]]
rule = "ten_a_month"
scope = "customer"
limit = 10
days = 30

[[cool_downs]]           # nobody who complained or rejected hears from us for a quarter of a year
rule = "after_complaint"
after = ["complaint", "reject"]
days = 90

# [[cool_downs]]         # three unanswered in a row: a pause on that channel
# rule = "unanswered"
# after = ["unanswered"]
# count = 3
# days = 30
# scope = "channel"

# [[working_hours]]      # calls on working days only; public holidays and make-up working days count
# rule = "office_hours"
# channels = ["call"]
# start = 09:00:00
# end = 18:00:00
# calendar = "CN"        # a country, and a subdivision if any: "DE-BY"
"""


ENGAGEMENT_POLICY = """# Which offers a customer may, needs or should be shown; offers have rules of their own as well.
schema_version = 1

# [[rules]]              # eligibility: may they have it? applicability: is it relevant now? suitability: should they?
# rule = "active_lately"
# tier = "applicability"
# when = "feature.recency_days < 365.0"

# [[rules]]              # a rule may be about an issue, a category or one offer, and end by itself
# rule = "no_credit_for_the_indebted"
# tier = "suitability"
# category = "credit"
# when = "customer.arrears == 0.0"
# ends_at = 2027-01-01T00:00:00Z
"""
