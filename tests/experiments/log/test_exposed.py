"""Assigned beside exposed: by hand, and alike for both arms."""

from pathlib import Path

import pytest

from foretouch.experiments.log.frame import build_frame
from foretouch.experiments.specs import spec_of
from tests.experiments.insights.made_log import NOW, MadeLog

SPEC = """
key = "held"
control = "none"
[weights]
none = 0.5
all = 0.5
[arms.none]
kind = "no_contact"
[[metrics]]
name = "orders"
kind = "proportion"
event = "order"
window_days = 7
"""


def test_the_share_reached_is_of_the_window_and_of_every_arm(tmp_path: Path) -> None:
    log = MadeLog(tmp_path / "w")
    (log.root / "experiments").mkdir()
    (log.root / "experiments" / "held.toml").write_text(SPEC)
    spec = spec_of(log.workspace, "held")
    for customer in ("a", "b", "c", "d"):
        log.decide(customer, 0, arms={"held": "all"}, chosen=("tea", "email"))
    for customer in ("m", "n"):
        log.decide(customer, 0, arms={"held": "none"}, status="control")
    assert build_frame(log.workspace, spec, now=NOW).enrolment.exposed == {}
    log.outcome("dec_00001", "delivered", 0)
    log.outcome("dec_00002", "bounced", 0)
    log.outcome("dec_00003", "open", 7)  # windows are half open
    other = log.decide("n", 3, chosen=("tea", "sms"))  # another campaign reaches somebody of the control
    log.outcome(other, "delivered", 3)
    enrolment = build_frame(log.workspace, spec, now=NOW).enrolment
    assert enrolment.contacted == {"all": 1.0, "none": 0.0}
    assert enrolment.exposed == pytest.approx({"all": 0.25, "none": 0.5})
