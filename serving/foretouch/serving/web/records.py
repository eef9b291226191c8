"""Handlers of the routes that keep people, offers, suppression lists and reservations."""

from foretouch.core.errors import ConfigError
from foretouch.serving.web.api import Api, checked, checked_id
from foretouch.serving.web.call import Answer, Call
from foretouch.serving.web.models import CustomerBody, OfferBody, SuppressionsBody
from foretouch.serving.web.problems import Problem


def confirm_reservation(api: Api, call: Call) -> Answer:
    """The contact is taken up."""
    return Answer.of(api.reservations.confirm(checked_id("reservation_id", call.path["reservation_id"])))


def release_reservation(api: Api, call: Call) -> Answer:
    """The contact is given back."""
    return Answer.of(api.reservations.release(checked_id("reservation_id", call.path["reservation_id"])))


def put_customer(api: Api, call: Call) -> Answer:
    """What is known of a customer."""
    customer_id = checked_id("customer_id", call.path["customer_id"])
    return Answer.of(api.register.customer(customer_id, checked(CustomerBody, call.body), actor=call.caller_id))


def put_suppressions(api: Api, call: Call) -> Answer:
    """Lines on the suppression list."""
    customer_id = checked_id("customer_id", call.path["customer_id"])
    return Answer.of(api.register.suppress(customer_id, checked(SuppressionsBody, call.body), actor=call.caller_id))


def delete_suppressions(api: Api, call: Call) -> Answer:
    """Takes lines off the suppression list."""
    customer_id = checked_id("customer_id", call.path["customer_id"])
    return Answer.of(
        api.register.unsuppress(
            customer_id, channel=call.query.get("channel"), purpose=call.query.get("purpose"), actor=call.caller_id
        )
    )


def put_offer(api: Api, call: Call) -> Answer:
    """An offer of the catalogue in force."""
    offer_id = checked_id("offer_id", call.path["offer_id"])
    try:
        return Answer.of(api.register.offer(offer_id, checked(OfferBody, call.body), actor=call.caller_id))
    except ConfigError as error:  # where the workspace is on our disk is no caller's business
        detail = error.message.replace(f"{api.plane.workspace.root}/", "")
        raise Problem(status=422, code="rule", detail=detail) from error
