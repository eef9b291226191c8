"""``evaluate-policy`` on a log that the service wrote: probabilities of the pure decision, with slots, or a refusal."""

import json
from contextlib import closing
from datetime import timedelta
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from typer.testing import CliRunner

from foretouch.core.bundle import read_bundle, write_bundle
from foretouch.core.cli import build_app
from foretouch.core.errors import ConfigError, NotFoundError, NotReadyError
from foretouch.core.state.log import read_decision
from foretouch.core.state.opening import read_state
from foretouch.core.workspace import Workspace
from foretouch.training.gate.open import open_gate
from foretouch.training.off_policy.candidate import PolicyCandidate, read_candidate
from foretouch.training.off_policy.estimators import ESTIMATORS, Estimate, Rounds, estimate
from foretouch.training.off_policy.logged import LoggedDecisions, read_logged
from foretouch.training.off_policy.reward_model import cross_fitted_rewards, customer_folds
from foretouch.training.off_policy.sentence import sentences
from foretouch.training.off_policy.valuation import Valuation, by_customer, judge, paired_difference, value_policy
from tests.serving.service.world import OFFER_INPUTS, write_model
from tests.training.logged_world import logged_world

pytestmark = [
    pytest.mark.filterwarnings("ignore::DeprecationWarning"),
    pytest.mark.filterwarnings("ignore::FutureWarning"),
]

MOST = 2_000
POLICIES = {
    "same": 'kind = "softmax"\ntemperature = 0.15\nfloor = 0.02\nslot_exploration = 0.05\nexpires_after_hours = 24\n',
    "slots": 'kind = "softmax"\ntemperature = 0.15\nfloor = 0.02\nslot_exploration = 0.5\nexpires_after_hours = 24\n',
    "bold": 'kind = "softmax"\ntemperature = 0.1\nfloor = 0.02\nslot_exploration = 0.05\nexpires_after_hours = 24\n',
    "never": 'kind = "noop"\n',
}


@pytest.fixture(scope="module")
def workspace(tmp_path_factory: pytest.TempPathFactory) -> Workspace:
    made = logged_world(tmp_path_factory.mktemp("log") / "w", customers=260, history_days=30, days=14)
    folder = made.root / "policies"
    folder.mkdir(exist_ok=True)
    for name, body in POLICIES.items():
        (folder / f"{name}.toml").write_text(f'schema_version = 1\nname = "{name}"\n{body}', encoding="utf-8")
    return made


def valued(workspace: Workspace, name: str) -> Valuation:
    return value_policy(workspace, read_candidate(workspace, name), sample=MOST)


@pytest.fixture(scope="module")
def same(workspace: Workspace) -> Valuation:
    return valued(workspace, "same")


def test_the_policy_that_decided_earns_what_was_earned(same: Valuation) -> None:
    rows = same.decisions
    assert len(rows) > 100
    assert np.array_equal(rows.pi, rows.logged_pi)
    assert np.abs(rows.pi.sum(axis=1) - 1.0).max() < 1e-12
    assert (same.difference.value, same.difference.low, same.difference.high) == (0.0, 0.0, 0.0)
    assert same.ess == pytest.approx(len(rows), rel=1e-12)
    for name in ("ips", "snips", "ips_clip20"):
        assert same.estimates[name].value == pytest.approx(rows.reward.mean(), rel=1e-12)
    assert rows.timing_changed == 0.0


def test_rows_are_those_of_the_log(workspace: Workspace, same: Valuation) -> None:
    """Chosen candidate, its probability, and what the customer did, read from the records themselves."""
    rows = same.decisions
    connection = read_state(workspace)
    assert connection is not None
    with closing(connection):
        for index in range(0, len(rows), 17):
            record = read_decision(connection, str(rows.decision_id[index]))
            chosen = record.action[0] if record.action else record.candidates[0]
            assert rows.actions[rows.action[index]] == (
                chosen.offer_id or "",
                chosen.treatment_id or "",
                chosen.channel or "",
            )
            assert rows.pscore[index] == chosen.selection_probability
            for item in record.candidates:
                if item.dropped_by is None:
                    key = (item.offer_id or "", item.treatment_id or "", item.channel or "")
                    share = rows.logged_pi[index, rows.actions.index(key)] if key in rows.actions else 0.0
                    assert share == item.selection_probability
    assert set(np.unique(rows.reward)) <= {0.0, 1.0}
    assert same.decisions.left_out.get("held out by an experiment", 0) > 0


def test_other_hours_weigh_candidate_and_slot_together(workspace: Workspace) -> None:
    rows = read_logged(workspace, read_candidate(workspace, "slots"), sample=MOST)
    connection = read_state(workspace)
    assert connection is not None
    sent = np.flatnonzero(rows.action > 0)
    with closing(connection):
        for index in sent[::7]:
            record = read_decision(connection, str(rows.decision_id[index]))
            send = record.action[0].send
            assert send is not None
            best = record.action[0].send_at == send.best_at
            logged = send.slot_probability
            count = 0.05 / (logged - (0.95 if best else 0.0))  # logged = 0.05 / slots + 0.95 where it is the best
            changed = 0.5 / count + (0.5 if best else 0.0)
            assert rows.slot_ratio[index] == pytest.approx(changed / logged, rel=1e-6)
    chance, ratio = rows.slots
    assert np.abs(chance.sum(axis=1) - 1.0).max() < 1e-9
    assert np.abs((chance * ratio).sum(axis=1) - 1.0).max() < 1e-9
    assert np.abs(np.where(chance > 0.0, ratio, np.inf) - rows.slot_ratio[:, None]).min(axis=1).max() < 1e-12
    assert rows.timing_changed > 0.9
    assert (rows.slot_ratio[rows.action == 0] == 1.0).all()
    spread = rows.slot_ratio[sent].std() / np.sqrt(len(sent))
    assert rows.slot_ratio[sent].mean() == pytest.approx(1.0, abs=5.0 * spread)


def test_a_policy_that_hardly_resembles_the_log_is_refused(workspace: Workspace) -> None:
    found = valued(workspace, "never")
    assert found.verdict == "refused"
    assert "ess_below_200" in {reason.code for reason in found.reasons}
    told = found.document()["sentence"]
    assert "too few decisions resemble" in told["en"]
    assert "相近的决策太少" in told["zh"]


def test_outcomes_that_a_policy_was_tuned_on_do_not_score_it(workspace: Workspace, same: Valuation) -> None:
    middle = same.decisions.decided_at.min().to_pydatetime() + timedelta(days=7)
    later = value_policy(workspace, read_candidate(workspace, "same", tuned_through=middle), sample=MOST)
    assert later.since == middle
    assert later.decisions.decided_at.min() >= middle
    assert 0 < len(later.decisions) < len(same.decisions)
    path = workspace.root / "foretouch.toml"
    before = path.read_text(encoding="utf-8")
    path.write_text(f"{before}\n[off_policy.tuned_through]\nsame = {middle.isoformat()}\n", encoding="utf-8")
    try:
        assert read_candidate(Workspace.open(workspace.root), "same").tuned_through == middle
    finally:
        path.write_text(before, encoding="utf-8")
    with pytest.raises(NotFoundError, match="no decision is in the log in that range"):
        value_policy(
            workspace, read_candidate(workspace, "same", tuned_through=middle + timedelta(days=400)), sample=MOST
        )


def test_names_that_are_none_say_what_to_do(workspace: Workspace) -> None:
    with pytest.raises(ConfigError, match="no policy 'bolder'"):
        read_candidate(workspace, "bolder")
    with pytest.raises(ConfigError, match=r"must be a policy's name or <model>@<version or alias>"):
        read_candidate(workspace, "weather@champion")
    with pytest.raises(NotReadyError, match="offer has no challenger"):
        read_candidate(workspace, "offer@challenger")


def test_the_command_prints_json_and_a_table_and_exits_by_the_verdict(workspace: Workspace) -> None:
    runner = CliRunner()
    done = runner.invoke(build_app(), ["evaluate-policy", "bold", "-w", str(workspace.root), "--json"])
    document = json.loads(done.stdout)
    assert done.exit_code == (0 if document["verdict"] == "ok" else 1)
    assert set(document["estimators"]) == set(ESTIMATORS)
    assert document["n"] == document["in_range"] - sum(document["left_out"].values())
    shown = runner.invoke(build_app(), ["evaluate-policy", "never", "-w", str(workspace.root)])
    assert shown.exit_code == 1
    assert "refused (ess_below_200)" in shown.stdout
    wrong = runner.invoke(build_app(), ["evaluate-policy", "bold", "-w", str(workspace.root), "--reward", "clicks"])
    assert wrong.exit_code == 2


def test_whole_customers_are_one_draw() -> None:
    """Every row twice under the same customer says no more than every row once; under other customers it would."""
    rng = np.random.default_rng(3)
    once = rng.random(200)
    twice = np.repeat(once, 2)
    names = np.array([f"c{index}" for index in range(200)], dtype=object)

    def se(values: np.ndarray, customers: np.ndarray) -> float:
        mean = float(values.mean())
        terms = values - mean
        plain = estimate_of(mean, terms)
        return by_customer(plain, customers).se

    assert se(twice, np.repeat(names, 2)) == pytest.approx(se(once, names), rel=1e-12)
    assert se(once, names) == pytest.approx(once.std(ddof=1) / np.sqrt(200), rel=1e-12)


def estimate_of(value: float, terms: np.ndarray) -> Estimate:
    return Estimate(value=value, se=float("nan"), low=float("nan"), high=float("nan"), terms=terms)


def synthetic(seed: int, *, n: int = 4000) -> tuple[LoggedDecisions, float]:
    """Logged decisions of a known world, two per customer, and the value of the candidate in it."""
    rng = np.random.default_rng(seed)
    x = np.repeat(rng.normal(size=(n // 2, 3)), 2, axis=0)
    truth = 1.0 / (1.0 + np.exp(-(x @ np.array([[0.5, 0.0, -0.5], [0.0, 0.8, 0.0], [0.2, 0.0, 0.4]]) - 1.0)))
    logging, pi = (np.exp(0.5 * x @ rng.normal(size=(3, 3))) for _ in range(2))
    logging, pi = logging / logging.sum(axis=1, keepdims=True), pi / pi.sum(axis=1, keepdims=True)
    action = (logging.cumsum(axis=1) > rng.random((n, 1))).argmax(axis=1)
    here = np.arange(n)
    made = LoggedDecisions(
        actions=(("", "", ""), ("tea", "", "email"), ("mug", "", "sms")),
        decision_id=here.astype(str).astype(object),
        customer_id=np.repeat([f"c{index}" for index in range(n // 2)], 2).astype(object),
        decided_at=pd.Series(pd.date_range("2026-01-01", periods=n, freq="min", tz="UTC")),
        action=action,
        reward=(rng.random(n) < truth[here, action]).astype(float),
        pscore=logging[here, action],
        slot_ratio=np.ones(n),
        slots=(np.ones((n, 1)), np.ones((n, 1))),
        pi=pi,
        logged_pi=logging,
        features=x,
        propensity=np.full((n, 3), np.nan),
        in_range=n,
        left_out={},
        reward_kind="goal",
    )
    return made, float((pi * truth).sum(axis=1).mean() - (logging * truth).sum(axis=1).mean())


def test_the_difference_covers_the_truth_and_is_sharper_than_two_separate_estimates() -> None:
    """24 logs: a 95 % interval misses 5 or more of them with a chance of 0.6 %."""
    candidate = PolicyCandidate(name="x", version="x")
    inside, widths = 0, []
    for seed in range(24):
        rows, truth = synthetic(seed, n=800)
        found = judge(rows, candidate, since=None, seed=1)
        inside += found.difference.low <= truth <= found.difference.high
        widths.append(found.difference.se / np.hypot(found.estimates["dr"].se, found.logged.se))
    assert inside >= 20
    assert np.mean(widths) < 0.8


def test_the_reward_model_has_not_seen_the_customer_it_scores() -> None:
    rows, _ = synthetic(1, n=800)
    fold = customer_folds(rows.customer_id)
    assert all(len(set(fold[rows.customer_id == name])) == 1 for name in set(rows.customer_id))
    before, how = cross_fitted_rewards(rows.reward, rows.action, rows.features, rows.propensity, fold, seed=1)
    assert how.startswith("boosted trees")
    mine = fold == fold[0]
    changed = np.where(mine, 1.0 - rows.reward, rows.reward)
    after, _ = cross_fitted_rewards(changed, rows.action, rows.features, rows.propensity, fold, seed=1)
    assert np.array_equal(before[mine], after[mine])
    assert not np.array_equal(before[~mine], after[~mine])


def test_sentences_say_the_same_in_both_languages() -> None:
    def told(low: float, high: float, **changes: object) -> dict[str, str]:
        given: dict[str, object] = {"refused": False, "codes": (), "base": 0.05, "kind": "goal"} | changes
        return dict[str, str](sentences(name="bold", low=low, high=high, **given))  # type: ignore[arg-type]

    more, less, unclear = told(0.002, 0.01), told(-0.01, -0.002), told(-0.002, 0.01)
    assert "earned more: between 2.0 and 10.0" in more["en"]
    assert "多 2.0 至 10.0" in more["zh"]
    assert "earned less: between 2.0 and 10.0" in less["en"]
    assert "少 2.0 至 10.0" in less["zh"]
    assert "cannot tell yet" in unclear["en"]
    assert "-2.0 至 10.0" in unclear["zh"]
    refused = told(0.0, 1.0, refused=True, codes=("no_support",))
    assert "never tried" in refused["en"]
    assert "从未尝试" in refused["zh"]


def test_ips_by_hand_with_positions() -> None:
    """Four rows: weights 2, 0.5, 0, 1; rewards 1, 0, 1, 1: IPS 3/4; SNIPS 3/3.5; se with n - 1."""
    rounds = Rounds(
        reward=np.array([1.0, 0.0, 1.0, 1.0]),
        weight=np.array([2.0, 0.5, 0.0, 1.0]),
        direct=np.zeros(4),
        predicted=np.zeros(4),
    )
    ips = estimate(rounds, ESTIMATORS["ips"])
    assert ips.value == 0.75
    assert ips.se == pytest.approx(np.std([2.0, 0.0, 0.0, 1.0], ddof=1) / 2.0)
    assert estimate(rounds, ESTIMATORS["snips"]).value == pytest.approx(3.0 / 3.5)


def test_the_log_of_a_workspace_without_decisions_says_so(tmp_path: Path) -> None:
    (tmp_path / "foretouch.toml").write_text("schema_version = 1\n", encoding="utf-8")
    (tmp_path / "policy.toml").write_text('schema_version = 1\nkind = "softmax"\n', encoding="utf-8")
    empty = Workspace.open(tmp_path)
    with pytest.raises(NotFoundError, match="no decision is in the log"):
        value_policy(empty, read_candidate(empty, "policy"))


def test_the_gate_values_a_challenger_that_chooses_on_later_decisions(workspace: Workspace, same: Valuation) -> None:
    """Two offer models of which the log knows neither: the challenger's row is ``evaluate-policy``'s own figure."""
    begin = same.decisions.decided_at.min().to_pydatetime()
    for version in ("1", "2"):
        write_model(workspace, "offer", version, OFFER_INPUTS, seed=int(version), promote=version == "1")
    made = read_bundle(workspace.bundles, "offer", "2")
    card = made.card.replace(version="3", trained_through=begin)
    write_bundle(workspace.bundles, card, made.model_text, made.golden)
    few = open_gate(workspace, "offer", made.card, champion="1")
    (row,) = [row for row in few.rows if row.check == "policy"]
    assert (few.basis, row.passed) == ("no_log", None)
    assert "decisions are later than its data, need 1000" in row.why
    path = workspace.root / "foretouch.toml"
    before = path.read_text(encoding="utf-8")
    path.write_text(f"{before}\n[promotion]\npolicy_rows = 50\n", encoding="utf-8")
    try:
        opened = Workspace.open(workspace.root)
        gate = open_gate(opened, "offer", card, champion="1")
        other = open_gate(opened, "offer", card.replace(goal={"window_days": 1}), champion="1")
        first = open_gate(opened, "offer", card, champion=None)
    finally:
        path.write_text(before, encoding="utf-8")
    (row,) = [row for row in gate.rows if row.check == "policy"]
    found = value_policy(workspace, read_candidate(workspace, "offer@3"), sample=MOST)
    assert gate.basis == "log"
    assert gate.policy is not None
    assert gate.policy["difference"] == found.document()["difference"]
    needed = -opened.config.promotion.retrain_margin * found.logged.value
    assert row.passed == (not found.reasons and found.difference.low >= needed)
    assert row.bound.startswith("routine retrain: lower bound of the gain -5%")
    assert f"({needed:+.5f} per decision)" in row.bound
    (strict,) = [row for row in other.rows if row.check == "policy"]
    assert strict.bound.startswith("goal changed: lower bound of the gain +0%")
    assert strict.passed == (not found.reasons and found.difference.low >= 0.0)
    assert not np.array_equal(found.decisions.pi, found.decisions.logged_pi)
    assert found.gains.mean() == pytest.approx(found.difference.value)
    assert (first.basis, [item.passed for item in first.rows if item.check == "policy"]) == ("no_log", [None])


def test_a_retrain_is_held_against_its_champion_as_that_was_judged(workspace: Workspace, same: Valuation) -> None:
    """The champion serves newer rows than it was judged with: a retrain that is the judged one loses nothing to it."""
    begin = same.decisions.decided_at.min().to_pydatetime()
    for version, seed in (("11", 1), ("12", 2), ("13", 1)):
        write_model(workspace, "offer", version, OFFER_INPUTS, seed=seed, promote=version == "12")
    judged, alike = (read_bundle(workspace.bundles, "offer", version) for version in ("11", "13"))
    own = judged.card.replace(version="12", trained_through=begin)
    write_bundle(workspace.reports / "judged", own, judged.model_text, judged.golden)
    card = alike.card.replace(version="14", trained_through=begin)
    write_bundle(workspace.bundles, card, alike.model_text, alike.golden)
    path = workspace.root / "foretouch.toml"
    before = path.read_text(encoding="utf-8")
    path.write_text(f"{before}\n[promotion]\npolicy_rows = 50\n", encoding="utf-8")
    try:
        gate = open_gate(Workspace.open(workspace.root), "offer", card, champion="12")
    finally:
        path.write_text(before, encoding="utf-8")
    (row,) = [row for row in gate.rows if row.check == "policy"]
    assert row.bound.startswith("routine retrain, both as judged: lower bound of the gain at least -5%")
    assert row.figure.startswith("+0.00000 [+0.00000, +0.00000] per decision")
    second = read_bundle(workspace.bundles, "offer", "12")
    write_bundle(
        workspace.bundles, second.card.replace(version="15", trained_through=begin), second.model_text, second.golden
    )
    mine, theirs = (
        value_policy(workspace, read_candidate(workspace, f"offer@{version}"), sample=MOST) for version in ("14", "15")
    )
    apart = paired_difference(mine, theirs)
    assert apart.value == pytest.approx(mine.difference.value - theirs.difference.value)
    assert apart.low < apart.value < apart.high
    assert apart.se < mine.difference.se + theirs.difference.se
