"""Every column name of the canonical tables, in one place."""

CUSTOMER_ID = "customer_id"
HOUSEHOLD_ID = "household_id"
CREATED_AT = "created_at"
TIME_ZONE = "time_zone"
LANGUAGE = "language"

EVENT_ID = "event_id"
EVENT = "event"
OCCURRED_AT = "occurred_at"
RECEIVED_AT = "received_at"
CHANNEL = "channel"
VALUE = "value"
CURRENCY = "currency"
PROPERTIES = "properties"
IS_BOT = "is_bot"

OFFER_ID = "offer_id"
NAME = "name"
CATEGORY = "category"
CHANNELS = "channels"
COST = "cost"
STARTS_AT = "starts_at"
ENDS_AT = "ends_at"
ISSUE = "issue"
ELIGIBILITY = "eligibility"
APPLICABILITY = "applicability"
SUITABILITY = "suitability"
PURPOSES = "purposes"
FALLBACK = "fallback"
CAPS = "caps"
PLACEMENT = "placement"
TREATMENT_ID = "treatment_id"

TOUCH_ID = "touch_id"
SENT_AT = "sent_at"
SELECTION_PROBABILITY = "selection_probability"
RESPONDED = "responded"
RESPONDED_AT = "responded_at"

PURPOSE = "purpose"
GRANTED = "granted"
AT = "at"
SOURCE = "source"
ALIAS_OF = "alias_of"
REASON = "reason"
UNTIL = "until"

AS_OF = "as_of"

CUSTOMERS = "customers"
CONSENTS = "consents"
ALIASES = "aliases"
EVENTS = "events"
OFFERS = "offers"
TREATMENTS = "treatments"
TOUCHES = "touches"
SUPPRESSIONS = "suppressions"

TABLES = (CUSTOMERS, CONSENTS, ALIASES, EVENTS, OFFERS, TREATMENTS, TOUCHES, SUPPRESSIONS)
"""The canonical tables, in the order in which they are ingested."""

KEYS: dict[str, tuple[str, ...]] = {
    CUSTOMERS: (CUSTOMER_ID,),
    CONSENTS: (CUSTOMER_ID, CHANNEL, PURPOSE, AT),
    ALIASES: (CUSTOMER_ID,),
    EVENTS: (EVENT_ID,),
    OFFERS: (OFFER_ID,),
    TREATMENTS: (TREATMENT_ID,),
    TOUCHES: (TOUCH_ID,),
    SUPPRESSIONS: (CUSTOMER_ID, CHANNEL, PURPOSE, AT),
}
"""What makes a row of each table the same row when it comes twice."""
