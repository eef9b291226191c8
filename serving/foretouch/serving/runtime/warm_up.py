"""One of everything before the first request, so that no caller pays for imports, caches and first reads."""

import logging

from foretouch.core.decisions import DecisionRequest, RequestOptions
from foretouch.serving.runtime.answers import SCORED_MODELS
from foretouch.serving.web.api import Api
from foretouch.serving.web.openapi import document

log = logging.getLogger("foretouch.warm_up")

SECONDS = 30.0
CUSTOMERS = 3


def warm_up(api: Api) -> None:
    """Reads features, scores and decides for a few customers on record; logs and reserves nothing."""
    rows = api.plane.state.read().execute("SELECT customer_id FROM customers LIMIT ?", (CUSTOMERS,)).fetchall()
    document()
    for (customer_id,) in rows:
        try:
            request = DecisionRequest(customer_id=customer_id, options=RequestOptions(dry_run=True))
            api.plane.preview(request, api.plane.features.read(customer_id, SECONDS))
            for model in SCORED_MODELS:
                api.answers.score(model, customer_id)
        except Exception:
            log.exception("warming up failed for one customer; the service starts anyway")
