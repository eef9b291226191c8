"""Makes decisions where rules break first, and has them judged by the independent checker.

Customers in every IANA time zone, days on which clocks jump, caps that are used up to their last contact, concurrent
requests for one customer, households, placements, cool-downs after outcomes that come late or never, suppression
lists, consents that come and go, offers with few pieces to give; first without models, then with ones that pull
towards forbidden hours. Every decision goes through the service's own data plane, with its durable log; the judge
(``rule_checker.py``) reads the log alone.

    python benchmarks/rule_proof.py [--decisions 200000] [--folder DIR]
"""

import argparse
import datetime as dt
import json
import random
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

from result import write
from rule_checker import Checker
from rule_models import Features, write_models
from rule_world import CHANNELS, CUSTOMERS, PLACEMENTS, PURPOSES, make_workspace, people

from foretouch.core.clock import ManualClock
from foretouch.core.contact import SuppressionEntry
from foretouch.core.decisions import DecisionRequest
from foretouch.core.events import Consent
from foretouch.core.outcomes import Outcome
from foretouch.core.state.people import add_consents, upsert_customers
from foretouch.core.state.suppressions import add_suppressions
from foretouch.serving.runtime.dataplane import Dataplane
from foretouch.serving.runtime.intake import Intake

SEED = 20250330
MOMENTS = (
    "2025-03-08T20:00:00+00:00",  # North America springs forward on the 9th
    "2025-03-29T18:00:00+00:00",  # Europe on the 30th
    "2025-04-05T10:00:00+00:00",  # Australia and New Zealand fall back on the 6th; Lord Howe by half an hour
    "2025-09-06T12:00:00+00:00",  # Chile springs forward; from here on models decide
    "2025-09-27T20:00:00+00:00",  # China: the 28th is a Sunday that is worked; New Zealand springs forward
    "2025-10-25T18:00:00+00:00",  # Europe falls back on the 26th
    "2025-11-01T20:00:00+00:00",  # North America on the 2nd
    "2025-12-31T06:00:00+00:00",  # a month, a week and a year end
)
MODELS_FROM = MOMENTS[3]
STEPS = 18
STEP_HOURS = 3.5


@dataclass(frozen=True, kw_only=True)
class Sent:
    """A contact that was answered with, as the caller knows it."""

    decision_id: str
    rank: int
    at: dt.datetime


class Campaign:
    """Fires decisions and answers at the data plane.

    Args:
        plane: The service without a transport.
        draw: Every random choice.
    """

    def __init__(self, plane: Dataplane, draw: random.Random) -> None:
        self.plane = plane
        self.intake = Intake(plane)
        self.draw = draw
        self.open: list[Sent] = []
        self.told = 0
        self.statuses: Counter[str] = Counter()

    def requests(self, count: int) -> list[DecisionRequest]:
        """Touchpoints of all kinds; a tenth of the customers gets half of them, many at the same moment."""
        draw = self.draw
        found: list[DecisionRequest] = []
        while len(found) < count:
            who = draw.randrange(CUSTOMERS // 10) if draw.random() < 0.5 else draw.randrange(CUSTOMERS)
            now = self.plane.clock.now()
            fields: dict[str, object] = {
                "customer_id": f"c{who}",
                "touchpoint": draw.choice(["weekly", "web"]),
                "purpose": draw.choices(PURPOSES, (0.6, 0.15, 0.15, 0.1))[0],
                "context": {"mood": draw.choice(["fine", "sad", "angry"]), "season": draw.choice(["winter", "summer"])},
                "n": draw.choice([1, 1, 2, 4]),
                "options": {"explain": "none", "reserve_caps": draw.random() < 0.97},
            }
            if draw.random() < 0.2:
                fields["placements"] = list(PLACEMENTS)
            if draw.random() < 0.3:
                fields["channels"] = draw.sample(CHANNELS, draw.randint(1, 3))
            if draw.random() < 0.3:
                first = now + dt.timedelta(hours=draw.uniform(0, 20))
                last = first + dt.timedelta(hours=draw.uniform(0.2, 14))
                fields["send_window"] = {"earliest": first.isoformat(), "latest": last.isoformat()}
            if draw.random() < 0.05:
                fields["consent"] = {"email": False}
            if draw.random() < 0.05:
                fields["exclude"] = [f"o{draw.randrange(20)}"]
            if draw.random() < 0.1:
                fields["default_action"] = {"offer_id": f"o{draw.randrange(25)}", "channel": draw.choice(CHANNELS)}
            if draw.random() < 0.05:
                fields["personalised"] = False
            found.extend([DecisionRequest.model_validate(fields)] * (3 if draw.random() < 0.1 else 1))
        return found[:count]

    def decide(self, count: int, pool: ThreadPoolExecutor) -> None:
        """Decides concurrently."""
        for given in pool.map(self.plane.decide_one, self.requests(count)):
            answer = json.loads(given.body)
            if not answer.get("logged", True):  # the machine was busy: the answer says so, and nobody is held to it
                self.statuses["not logged"] += 1
                continue
            self.statuses[answer["status"]] += 1
            self.open.extend(
                Sent(
                    decision_id=answer["decision_id"],
                    rank=action["rank"],
                    at=dt.datetime.fromisoformat(action["send_at"]),
                )
                for action in answer["action"]
            )

    def answer(self, pool: ThreadPoolExecutor) -> None:
        """Delivers some of what was sent, late or never; some people answer, some leave."""
        now = self.plane.clock.now()
        kept: list[Sent] = []
        told: list[list[Outcome]] = []
        for contact in self.open:
            chance = self.draw.random()
            if contact.at > now or chance < 0.35:
                if contact.at > now - dt.timedelta(hours=20):
                    kept.append(contact)
                continue
            kinds = ["delivered"]
            if chance > 0.93:
                kinds = ["bounced"]
            elif chance > 0.85:
                kinds += [self.draw.choice(["open", "click", "machine_open", "convert"])]
            elif chance > 0.83:
                kinds += [self.draw.choice(["unsubscribe", "complaint", "reject"])]
            told.append([self._outcome(contact, kind, now) for kind in kinds])
        for _ in pool.map(self._tell, told):
            pass
        self.open = kept

    def _outcome(self, contact: Sent, kind: str, now: dt.datetime) -> Outcome:
        self.told += 1
        return Outcome.model_validate(
            {
                "outcome_id": f"x{self.told}",
                "decision_id": contact.decision_id,
                "rank": contact.rank,
                "type": kind,
                "occurred_at": min(now, contact.at + dt.timedelta(minutes=5)),
            }
        )

    def _tell(self, outcomes: Sequence[Outcome]) -> None:
        for outcome in outcomes:
            self.intake.outcome(outcome)

    def change_minds(self) -> None:
        """Consents given and withdrawn, customers put on lists."""
        now, draw = self.plane.clock.now(), self.draw
        consents = [
            Consent(
                customer_id=f"c{draw.randrange(CUSTOMERS)}",
                channel=draw.choice(CHANNELS),
                purpose=draw.choice(PURPOSES),
                granted=draw.random() < 0.7,
                at=now,
                source="proof",
            )
            for _ in range(150)
        ]
        entries = [
            SuppressionEntry(
                customer_id=f"c{draw.randrange(CUSTOMERS)}",
                channel=draw.choice(["*", *CHANNELS]),
                purpose=draw.choice(["*", "marketing"]),
                reason="proof",
                until=draw.choice([None, now + dt.timedelta(hours=30)]),
            )
            for _ in range(3)
        ]
        self.plane.state.write(lambda connection: add_consents(connection, consents))
        self.plane.state.write(lambda connection: add_suppressions(connection, entries, now))


def run(folder: Path, decisions: int, *, threads: int = 8, say: bool = True) -> Campaign:
    """Makes the decisions; the log is in ``folder`` afterwards."""
    draw = random.Random(SEED)
    workspace = make_workspace(folder, dt.datetime.fromisoformat(MOMENTS[0]))
    clock = ManualClock(workspace.clock_file)
    everyone = people(draw)
    start = dt.datetime.fromisoformat(MOMENTS[0]) - dt.timedelta(days=1)
    per_step = max(decisions // (len(MOMENTS) * STEPS), 1)
    with Dataplane(workspace, features=Features()) as plane, ThreadPoolExecutor(threads) as pool:
        plane.state.write(lambda connection: upsert_customers(connection, everyone))
        consents = [
            Consent(
                customer_id=person.customer_id, channel=channel, purpose=purpose, granted=True, at=start, source="proof"
            )
            for person in everyone
            for channel in CHANNELS
            for purpose in PURPOSES
            if draw.random() < 0.85
        ]
        plane.state.write(lambda connection: add_consents(connection, consents))
        campaign = Campaign(plane, draw)
        made = 0
        for moment in MOMENTS:
            if moment == MODELS_FROM:
                write_models(workspace, CHANNELS)
                plane.bundles.refresh()
            for step in range(STEPS):
                jump = dt.timedelta(hours=step * STEP_HOURS, minutes=step * 7)
                clock.set(dt.datetime.fromisoformat(moment) + jump)
                campaign.change_minds()
                campaign.answer(pool)
                # No answer arrives at the very moment of a decision: their order would be nobody's to tell.
                clock.set(dt.datetime.fromisoformat(moment) + jump + dt.timedelta(seconds=1))
                last = moment == MOMENTS[-1] and step == STEPS - 1
                count = decisions - made if last else per_step
                campaign.decide(count, pool)
                made += count
            if say:
                print(f"{made} decisions up to {clock.now():%Y-%m-%d %H:%M}", file=sys.stderr)
    return campaign


def main() -> int:
    """Runs the proof and keeps its result; exit code 1 if a promise was broken."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--decisions", type=int, default=200_000)
    parser.add_argument("--folder", type=Path, help="keep the workspace here")
    parser.add_argument("--out", type=Path, default=Path("docs/results"))
    options = parser.parse_args()
    started = time.perf_counter()
    with tempfile.TemporaryDirectory() as scratch:
        folder = options.folder or Path(scratch) / "rules"
        campaign = run(folder, options.decisions)
        decided = time.perf_counter() - started
        checker = Checker(folder / "state.db")
        found = list(checker.run())
    by_rule = Counter(violation.rule for violation in found)
    figures = {
        "decisions": checker.counted["decisions"],
        "contacts": checker.counted["contacts"],
        "outcomes": campaign.told,
        "statuses": dict(campaign.statuses),
        "time_zones": len({person["zone"] for person in checker.log.people.values()}),
        "violations": len(found),
        "violations_by_rule": dict(by_rule),
        "decisions_a_second": checker.counted["decisions"] / decided,
    }
    command = f"python benchmarks/rule_proof.py --decisions {options.decisions}"
    path = write(options.out, "rules", command=command, seconds=time.perf_counter() - started, figures=figures)
    for violation in found[:20]:
        print(f"{violation.decision_id}: {violation.rule}: {violation.detail}")
    print(json.dumps(figures, indent=2))
    print(f"written to {path}")
    return 1 if found else 0


if __name__ == "__main__":
    raise SystemExit(main())
