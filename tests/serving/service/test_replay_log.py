"""Every logged decision comes out the same again, after restarts, a model swap and policy edits; and what HTTP says."""

import math
from contextlib import closing

import pytest

from foretouch.core.bundle import read_aliases, write_aliases
from foretouch.core.decisions import DecisionRequest
from foretouch.core.errors import NotFoundError
from foretouch.core.state.log import read_decisions
from foretouch.core.state.opening import open_state
from foretouch.core.workspace import Workspace
from foretouch.serving.history.replay_log import Replayer
from foretouch.serving.runtime.dataplane import Dataplane
from foretouch.serving.web.call import Call
from foretouch.serving.web.decisions import get_decision
from foretouch.serving.web.problems import Problem
from foretouch.serving.web.simulate import simulate
from tests.serving.service.world import OFFER_INPUTS, consenting, write_model

EDITS = (
    'kind = "softmax"\ntemperature = 0.3\nfloor = 0.1\n',
    'kind = "epsilon"\nepsilon = 0.3\nfatigue_cost = 0.05\n',
    'kind = "shuffle"\n',
)


def ask(name: str, number: int) -> DecisionRequest:
    return DecisionRequest.model_validate(
        {
            "customer_id": name,
            "n": 1 + number % 3,
            "personalised": number % 7 != 0,
            "options": {"explain": ("none", "brief", "full")[number % 3], "language": ("en", "zh", None)[number % 3]},
        }
    )


def test_replays_are_identical_after_restarts_a_model_swap_and_policy_edits(fresh: Workspace) -> None:
    people = consenting(fresh)[:12]
    for number, policy in enumerate(EDITS):
        (fresh.root / "policy.toml").write_text(policy, encoding="utf-8")
        if number == 1:
            write_model(fresh, "offer", "v2", OFFER_INPUTS, seed=9, promote=False)
            aliases = read_aliases(fresh.bundles, "offer")
            write_aliases(fresh.bundles, "offer", {**aliases, "champion": "v2", "previous": "v1"})
        with Dataplane(Workspace.open(fresh.root)) as plane:
            for index, name in enumerate((*people, "nobody")):
                assert plane.decide_one(ask(name, index)).decision.logged
    with closing(open_state(fresh)) as state:
        replayer = Replayer(state, fresh.bundles, {})
        records = list(read_decisions(state.read()))
        assert len(records) == 39
        assert {ref.version for record in records for ref in record.models if ref.name == "offer"} == {"v1", "v2"}
        assert len({record.versions.policy for record in records}) == 3
        for record in records:
            found = replayer.replay(record)
            assert found.identical, found.differences
            left = [item for item in record.candidates if item.dropped_by is None]
            assert abs(math.fsum(item.selection_probability or 0.0 for item in left) - 1.0) <= 1e-12


def test_a_replay_names_what_is_gone(fresh: Workspace) -> None:
    with Dataplane(fresh) as plane:
        given = plane.decide_one(ask(consenting(fresh)[0], 1))
        (fresh.bundles / "offer" / "v1" / "model.txt").write_text("altered", encoding="utf-8")
        record = plane.get_decision(given.decision.decision_id)
        with pytest.raises(NotFoundError, match="offer v1"):
            Replayer(plane.state, fresh.bundles, {}).replay(record)
        assert plane.replay(record.decision_id).identical, "what is in memory is used as it is"


class OnlyPlane:
    """What the handlers here need of ``Api``."""

    def __init__(self, plane: Dataplane) -> None:
        self.plane = plane


def test_simulate_takes_a_policy_inline_or_by_name(fresh: Workspace) -> None:
    with Dataplane(fresh) as plane:
        for name in consenting(fresh)[:8]:
            plane.decide_one(ask(name, 1))
        api = OnlyPlane(plane)
        inline = simulate(api, Call(body={"policy": {"kind": "noop"}, "sample": 5, "evidence": False}))  # type: ignore[arg-type]
        named = simulate(api, Call(body={"policy_name": "policy"}))  # type: ignore[arg-type]
        assert b'"sampled":5' in inline.body
        assert b'"sampled":8' in named.body
        for body, code in (
            ({"policy": {"kind": "noop"}, "policy_name": "policy"}, "policy"),
            ({"policy_name": "absent"}, "policy"),
            ({"policy": {"kind": "bandit"}}, "validation"),
            ({"policy": {"kind": "noop"}, "sample": 10_001}, "validation"),
        ):
            with pytest.raises(Problem) as refused:
                simulate(api, Call(body=body))  # type: ignore[arg-type]
            assert (refused.value.status, refused.value.code) == (422, code)


def test_a_record_is_explained_in_full_when_it_is_asked_for(fresh: Workspace) -> None:
    with Dataplane(fresh) as plane:
        given = [plane.decide_one(ask(name, 1)) for name in consenting(fresh)[:10]]
        api = OnlyPlane(plane)
        chosen = next(item.decision for item in given if item.decision.contact)
        path = {"decision_id": chosen.decision_id}
        full = get_decision(api, Call(path=path, query={"explain": "full", "language": "zh"}))  # type: ignore[arg-type]
        brief = get_decision(api, Call(path=path))  # type: ignore[arg-type]
        assert b"feature_" in full.body
        assert "优先级".encode() in full.body or "探索".encode() in full.body
        assert brief.body == plane.get_decision(chosen.decision_id).to_line().encode()
        with pytest.raises(Problem, match="must be brief or full"):
            get_decision(api, Call(path=path, query={"explain": "all"}))  # type: ignore[arg-type]
