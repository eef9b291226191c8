"""``make demo``: the main job end to end, through the public command line and HTTP alone.

First on real data (The Complete Journey, published by 84.51°): workspace, features, five models, the service,
decisions for real households. Then in a simulated world, where outcomes can be drawn: models, the service, a campaign
engine, an experiment and its report. A second run skips what is done and checks that the service answers.
"""

import argparse
import json
import shlex
import shutil
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from demo_service import Door, serving
from demo_steps import BIN, REPOSITORY, Steps, alone, code_key, foretouch, foretouch_json, run
from demo_summary import summarise

Json = Any
CAMPAIGN_MODELS = ("offer", "send-time")
FEATURES = ("core", "features")
MODELLING = ("core", "features", "serving", "training")
KEPT = "real-before-service"
SERVING = ("core", "features", "serving", "examples")
HOUSEHOLDS = ("13", "22", "67", "82", "165", "256", "371", "475", "512", "634", *map(str, range(100, 160)))
"""Asked in this order until there are three telling answers; others than those of the README, who stay free to ask."""
FIRST_HOUSEHOLDS = 10
OWED = {"offer_id": "order-confirmation", "channel": "email"}
"""What the shop itself sends: no offer of the catalogue is meant for purpose ``transactional``."""
EXPERIMENT = "contact-or-not"


def main() -> None:
    """Runs the demo; an interruption loses the step it is in, no more."""
    try:
        demonstrate()
    except KeyboardInterrupt:
        print("\nStopped. Run it again: what is done stays done, and the demo goes on from this step.", file=sys.stderr)
        raise SystemExit(130) from None


def demonstrate() -> None:
    """Runs what is left to do, then shows everything."""
    parser = argparse.ArgumentParser(description="The main job end to end.")
    parser.add_argument("--root", type=Path, default=REPOSITORY / ".demo", help="where the demo's workspaces are kept")
    parser.add_argument("--trials", type=int, default=4, help="tuning trials per model")
    parser.add_argument("--customers", type=int, default=3_000, help="people of the simulated world")
    parser.add_argument("--days", type=int, default=120, help="days of simulated history")
    given = parser.parse_args()
    started = time.perf_counter()
    root: Path = given.root.resolve()
    root.mkdir(parents=True, exist_ok=True)
    with alone(root):
        _everything(root, given, started)


def _everything(root: Path, given: argparse.Namespace, started: float) -> None:
    steps = Steps(folder=root / ".steps", total=15)
    print("\nForetouch demo, part 1: real data (The Complete Journey, published by 84.51°)\n")
    real = root / "complete-journey"
    real_models, answers = _real(steps, real, given.trials)
    print("\nPart 2: a SIMULATED world: nobody in it is real, and its truth is known\n")
    simulated = root / "simulated"
    made = _simulated(steps, simulated, given.customers, given.days)
    if steps.skipped == steps.total:
        print("\nEverything was done before; asking the service once more …")
        with serving(real) as door:
            answers["check"] = _ask_and_replay(door, HOUSEHOLDS[0])
    summarise(real, real_models, answers, made)
    print(f"\nDone in {time.perf_counter() - started:.0f} s.")


def _real(steps: Steps, workspace: Path, trials: int) -> tuple[Json, Json]:
    """Part 1; returns the training results and the decisions."""

    def init() -> Json:
        steps.fresh(workspace)
        return foretouch_json("init", workspace, "--sample", "complete-journey")

    steps.step(
        "real-init",
        "Sample data into a workspace",
        after=None,
        code=FEATURES,
        work=init,
        makes=workspace / "foretouch.toml",
    )
    steps.step(
        "real-features",
        "Features as of every week, into Feast's offline and online stores",
        after="real-init",
        code=FEATURES,
        work=lambda: _features(workspace),
        makes=workspace / "features",
    )
    trained = steps.step(
        "real-train",
        f"Five models: {trials} tuning trials each, judged on later data, logged to MLflow",
        after="real-features",
        code=MODELLING,
        work=lambda: foretouch_json("train", "all", "--trials", str(trials), "--workspace", workspace),
    )
    steps.step(
        "real-promote",
        "Promote what beats its baselines",
        after="real-train",
        code=MODELLING,
        work=lambda: foretouch_json("promote", "all", "--workspace", workspace),
        makes=workspace / "bundles",
    )
    steps.step(
        "real-kept",
        "A copy as it is before anybody is contacted",
        after="real-promote",
        code=MODELLING,
        work=lambda: _keep(workspace, steps.folder / KEPT),
        makes=steps.folder / KEPT,
    )
    answers = steps.step(
        "real-decisions",
        "Serve; decisions for real households, an outcome, the record, its replay",
        after="real-promote",
        code=SERVING,
        work=lambda: _decide_for_households(workspace),
        makes=workspace / "state.db",
    )
    scores = workspace / "reports" / "lead-scores.csv"
    steps.step(
        "real-scores",
        "Lead scores for everyone, as a CSV for the CRM",
        after="real-promote",
        code=SERVING,
        work=lambda: foretouch_json("score", "lead", "--out", scores, "--workspace", workspace),
        makes=scores,
    )
    return trained, answers


def _simulated(steps: Steps, workspace: Path, customers: int, days: int) -> Json:
    """Part 2; returns the training results, the campaign's counts and the report."""
    size = ("--customers", str(customers), "--days", str(days))

    def init() -> Json:
        steps.fresh(workspace)
        shutil.rmtree(steps.folder / "simulated-before-campaign", ignore_errors=True)
        return foretouch_json("simulate", "--workspace", workspace, *size)

    # All code counts here: a campaign changes its workspace, so that nothing after it can be done anew by itself.
    heading = f"Simulate {customers} people over {days} days"
    steps.step(
        "simulated-init",
        heading,
        after=None,
        code=(*MODELLING, "examples"),
        work=init,
        makes=workspace / "foretouch.toml",
    )
    steps.step(
        "simulated-features",
        "Features of the simulated people",
        after="simulated-init",
        code=FEATURES,
        work=lambda: _features(workspace),
        makes=workspace / "features",
    )
    trained = steps.step(
        "simulated-train",
        "Models that the campaign needs: offer and send-time, with default parameters",
        after="simulated-features",
        code=MODELLING,
        work=lambda: [
            item
            for model in CAMPAIGN_MODELS
            for item in foretouch_json("train", model, "--trials", "0", "--workspace", workspace)
        ],
    )
    steps.step(
        "simulated-promote",
        "Promote them",
        after="simulated-train",
        code=MODELLING,
        work=lambda: _promote_winners(workspace, trained, steps.folder / "simulated-before-campaign"),
    )
    campaign = steps.step(
        "simulated-campaign",
        "Serve; a campaign engine asks, contacts and posts back over 14 simulated days and 7 more",
        after="simulated-promote",
        code=SERVING,
        work=lambda: _campaign(workspace, steps.folder / "simulated-before-campaign"),
        makes=workspace / "state.db",
    )
    analysis = steps.step(
        "simulated-analyze",
        "Analyse the experiment: contact or not",
        after="simulated-campaign",
        code=("core", "features", "serving", "experiments"),
        work=lambda: foretouch_json("experiment", "analyze", EXPERIMENT, "--workspace", workspace),
    )
    report = steps.step(
        "simulated-report",
        "Report for marketers, in English and Chinese",
        after="simulated-analyze",
        code=("core", "features", "serving", "experiments"),
        work=lambda: foretouch_json("experiment", "report", EXPERIMENT, "--workspace", workspace),
        makes=workspace / "reports" / f"experiment-{EXPERIMENT}.en.html",
    )
    rank = steps.step(
        "simulated-truth",
        "Hold the offer scores against the planted truth",
        after="simulated-campaign",
        code=SERVING,
        work=lambda: _against_truth(workspace),
    )
    return {"trained": trained, "campaign": campaign, "analysis": analysis, "report": report, "truth": rank}


def _features(workspace: Path) -> Json:
    for verb in ("build", "apply", "materialize"):
        foretouch("features", verb, "--workspace", workspace)
    return {}


def _promote_winners(workspace: Path, trained: Json, before: Path) -> Json:
    """Promotes the models that beat their baselines; the gate would refuse the others anyway."""
    shutil.rmtree(before, ignore_errors=True)
    winners = [item["model"] for item in trained if item["beats_baselines"]]
    for model in winners:
        foretouch("promote", model, "--workspace", workspace)
    return winners


def _keep(workspace: Path, copy: Path) -> Json:
    """Copies the workspace, and says of which code its models are: the end-to-end tests begin from it."""
    shutil.rmtree(copy, ignore_errors=True)
    shutil.copytree(workspace, copy)
    return {"code": code_key(MODELLING)}


def _decide_for_households(workspace: Path) -> Json:
    """Three telling decisions, an unknown customer, and the loop of one decision to its replay."""
    with serving(workspace) as door:
        asked: list[Json] = []
        for household in HOUSEHOLDS:
            asked.append(_ask(door, household))
            if len(asked) >= FIRST_HOUSEHOLDS and len(_telling(asked)) == 3:
                break
        chosen = _telling(asked)
        stranger = _ask(door, "nobody")
        needed = door.call(
            "POST",
            "/v1/decisions",
            {
                "customer_id": "nobody",
                "touchpoint": "order-confirmation",
                "purpose": "transactional",
                "channels": ["email"],
                "candidates": [OWED],
                "default_action": OWED,
            },
        )
        first = chosen[0]
        if not first["contact"]:
            raise SystemExit("no household may be contacted now; next: rm -rf .demo, then make demo")
        outcome = {
            "outcome_id": f"demo-click-{first['decision_id']}",
            "decision_id": first["decision_id"],
            "type": "click",
            "occurred_at": first["decided_at"],
        }
        door.call("POST", "/v1/outcomes", outcome, expect=202)
        record = door.call("GET", f"/v1/decisions/{first['decision_id']}")
        replayed = door.call("POST", f"/v1/decisions/{first['decision_id']}/replay", {})
    if not replayed["identical"]:
        raise SystemExit(f"the replay differs: {replayed['differences']}")
    return {
        "decisions": chosen,
        "stranger": stranger,
        "transactional": needed,
        "candidates": len(record["candidates"]),
        "replay": replayed["identical"],
    }


def _ask(door: Door, customer: str) -> Json:
    body = {"customer_id": customer, "touchpoint": "weekly-email", "channels": ["email"]}
    return door.call("POST", "/v1/decisions", body)


def _telling(asked: Sequence[Json]) -> list[Json]:
    """At most one contact by the highest priority, one that explored, and one decision not to contact."""
    contacts = [item for item in asked if item["contact"]]
    kinds = (
        [item for item in contacts if not item["action"][0]["explored"]],
        [item for item in contacts if item["action"][0]["explored"]],
        [item for item in asked if not item["contact"]],
    )
    return [items[0] for items in kinds if items]


def _ask_and_replay(door: Door, customer: str) -> Json:
    decision = _ask(door, customer)
    again = door.call("POST", f"/v1/decisions/{decision['decision_id']}/replay", {})
    return {"status": decision["status"], "decision_id": decision["decision_id"], "replay": again["identical"]}


def _campaign(workspace: Path, before: Path) -> Json:
    """The campaign, always from the same beginning: an interrupted one is taken back first."""
    if (before / "complete").is_file():
        shutil.rmtree(workspace)
        shutil.copytree(before / "workspace", workspace)
    else:
        shutil.rmtree(before, ignore_errors=True)
        shutil.copytree(workspace, before / "workspace")
        (before / "complete").touch()
    out = workspace / "reports" / "campaign.json"
    with serving(workspace) as door:
        engine = REPOSITORY / "examples" / "campaign_engine.py"
        command: list[str | Path] = [sys.executable, engine, "--workspace", workspace, "--url", door.url, "--out", out]
        for verb in ("build", "materialize"):
            text = shlex.join([str(BIN / "foretouch"), "features", verb, "--workspace", str(workspace)])
            command += ["--weekly", text]
        run(*command)
    return json.loads(out.read_text(encoding="utf-8"))


def _against_truth(workspace: Path) -> Json:
    """How well logged propensities agree with the planted ones; a check that only a simulation allows."""
    return json.loads(run(sys.executable, REPOSITORY / "examples" / "against_truth.py", "--workspace", workspace))


if __name__ == "__main__":
    main()
