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
from collections import Counter
from datetime import datetime
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

from demo_service import Door, serving
from demo_steps import BIN, REPOSITORY, Steps, foretouch, foretouch_json, run

Json = Any
MODELS = ("lead", "churn", "value", "offer", "send-time")
CAMPAIGN_MODELS = ("offer", "send-time")
FEATURES = ("core", "features")
MODELLING = ("core", "features", "serving", "training")
SERVING = ("core", "features", "serving", "examples")
HOUSEHOLDS = ("1", "7", "13", "22", "67", "82", "165", "256", "371", "475", "512", "634")
EXPERIMENT = "contact-or-not"


def main() -> None:
    """Runs what is left to do, then shows everything."""
    parser = argparse.ArgumentParser(description="The main job end to end.")
    parser.add_argument("--root", type=Path, default=REPOSITORY / ".demo", help="where the demo's workspaces are kept")
    parser.add_argument("--trials", type=int, default=4, help="tuning trials per model")
    parser.add_argument("--customers", type=int, default=3_000, help="people of the simulated world")
    parser.add_argument("--days", type=int, default=120, help="days of simulated history")
    given = parser.parse_args()
    started = time.perf_counter()
    root: Path = given.root.resolve()
    steps = Steps(folder=root / ".steps", total=14)
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
    _summary(real, real_models, answers, made)
    print(f"\nDone in {time.perf_counter() - started:.0f} s.")


def _real(steps: Steps, workspace: Path, trials: int) -> tuple[Json, Json]:
    """Part 1; returns the training results and the decisions."""

    def init() -> Json:
        steps.fresh(workspace)
        return foretouch_json("init", workspace, "--sample", "complete-journey")

    steps.step("real-init", "Sample data into a workspace", after=None, code=FEATURES, work=init)
    steps.step(
        "real-features",
        "Features as of every week, into Feast's offline and online stores",
        after="real-init",
        code=FEATURES,
        work=lambda: _features(workspace),
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
    )
    answers = steps.step(
        "real-decisions",
        "Serve; decisions for real households, an outcome, the record, its replay",
        after="real-promote",
        code=SERVING,
        work=lambda: _decide_for_households(workspace),
    )
    steps.step(
        "real-scores",
        "Lead scores for everyone, as a CSV for the CRM",
        after="real-promote",
        code=SERVING,
        work=lambda: foretouch_json(
            "score", "lead", "--out", workspace / "reports" / "lead-scores.csv", "--workspace", workspace
        ),
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
    steps.step("simulated-init", heading, after=None, code=(*MODELLING, "examples"), work=init)
    steps.step(
        "simulated-features",
        "Features of the simulated people",
        after="simulated-init",
        code=FEATURES,
        work=lambda: _features(workspace),
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


def _decide_for_households(workspace: Path) -> Json:
    """Three telling decisions, an unknown customer, and the loop of one decision to its replay."""
    with serving(workspace) as door:
        asked = [_ask(door, household) for household in HOUSEHOLDS]
        chosen = [next((item for item in asked if item["contact"]), asked[0])]
        for telling in (_explored, _no_contact, lambda item: item["contact"]):
            for item in asked:
                if len(chosen) < 3 and item not in chosen and telling(item):
                    chosen.append(item)
                    break
        stranger = _ask(door, "nobody")
        needed = door.call(
            "POST",
            "/v1/decisions",
            {
                "customer_id": "nobody",
                "touchpoint": "order-confirmation",
                "purpose": "transactional",
                "channels": ["email"],
            },
        )
        first = chosen[0]
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


def _explored(decision: Json) -> bool:
    return bool(decision["action"]) and bool(decision["action"][0]["explored"])


def _no_contact(decision: Json) -> bool:
    return not decision["contact"]


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


def _summary(real: Path, trained: Json, answers: Json, made: Json) -> None:
    print("\n" + "=" * 100)
    print("MODELS on later data, beside their baselines (The Complete Journey, real households)")
    _models_table(trained)
    print("\nMODELS of the SIMULATED world, on later data")
    _models_table(made["trained"])
    print("\nDECISIONS for real households")
    for decision in answers["decisions"]:
        _show_decision(decision)
    _show_decision(answers["stranger"])
    _show_decision(answers["transactional"], note=" (purpose: transactional)")
    print(f"  First decision: {answers['candidates']} candidates in its record, a click posted back, replay identical.")
    if "check" in answers:
        check = answers["check"]
        print(f"  Just now: {check['decision_id']} {check['status']}, replay identical: {check['replay']}")
    _show_campaign(made)
    print("\nWHERE TO LOOK")
    for language, path in made["report"]["reports"].items():
        print(f"  report ({language}), simulated     {_short(path)}")
    for model in MODELS:
        print(f"  card and plots of {model:<12} {_short(real / 'reports' / 'models' / model)}")
    print(f"  lead scores of everyone        {_short(real / 'reports' / 'lead-scores.csv')}")
    print("\nNEXT")
    print("  make serve")
    key = f"$(cat {_short(real)}/secrets/api.key)"
    print(f'  curl -s http://127.0.0.1:8000/v1/decisions -H "Authorization: Bearer {key}" \\')
    print("       -H 'Content-Type: application/json' \\")
    print('       -d \'{"customer_id": "1", "touchpoint": "weekly-email", "channels": ["email"]}\'')


def _models_table(trained: Json) -> None:
    print(f"  {'model':<10} {'metric':<22} {'model':>9}  {'baseline':<34} {'baseline':>9}  difference (95 % interval)")
    for item in trained:
        name = item["model"]
        for line in item["comparisons"]:
            interval = f"{line['difference']:+.4f} ({line['low']:+.4f} to {line['high']:+.4f})"
            verdict = "better" if line["wins"] else ("NOT BETTER" if line.get("decisive", True) else "beside")
            print(
                f"  {name:<10} {line['metric']:<22} {line['model']:>9.4f}  {line['baseline']:<34}"
                f" {line['reference']:>9.4f}  {interval}  {verdict}"
            )
            name = ""


def _show_decision(decision: Json, note: str = "") -> None:
    print(f"\n  Customer {decision['customer_id']}{note}: {decision['status']}. {decision['status_reason']}")
    for action in decision["action"]:
        local = datetime.fromisoformat(action["send_at"]).astimezone(ZoneInfo("America/New_York"))
        chance = "" if action["propensity"] is None else f", propensity {action['propensity']:.2%}"
        drawn = action["selection_probability"]
        drawn_text = "" if drawn is None else f", drawn with probability {drawn:.2f}"
        print(
            f"    contact by {action['channel']} with {action['offer_id']} on {local:%a %d %b %Y, %H:%M} (local)"
            f"{chance}{drawn_text}{', explored' if action['explored'] else ''}"
        )
        for reason in action["reason_codes"][:5]:
            sign = {"up": "raises the propensity: ", "down": "lowers the propensity: "}.get(reason["direction"], "")
            print(f"      - {sign}{reason['text']}")
    if not decision["action"]:
        print("    no contact")
    dropped = Counter((rule["stage"], rule["rule"]) for rule in decision["suppressed"])
    texts = {(rule["stage"], rule["rule"]): rule["text"] for rule in decision["suppressed"]}
    for (stage, rule), count in dropped.items():
        print(f"      - {count} dropped by {stage}/{rule}, e.g. {texts[stage, rule]}")


def _show_campaign(made: Json) -> None:
    campaign, verdict = made["campaign"], made["report"]["verdict"]
    broken = sum(campaign["broken_promises"].values())
    print(
        f"\nCAMPAIGN in the SIMULATED world: {campaign['decisions']} decisions, {campaign['contacts']} contacts, "
        f"{campaign['conversions']} conversions, {campaign['events']} events"
    )
    print(f"  by status: {campaign['by_status']}; one decision over HTTP: median {campaign['decision_ms_median']} ms")
    print(
        f"  broken promises (consent, quiet hours, caps, gaps): {broken}; "
        f"repeated requests answered identically: {campaign['repeated_answers_identical']} of "
        f"{campaign['repeated_requests']}"
    )
    truth = made["truth"]
    print(
        f"  against the planted truth: mean propensity {truth['predicted']:.2%} logged, {truth['planted']:.2%} planted,"
        f" rank correlation {truth['rank_correlation']:.2f} over {truth['contacts']} contacts"
    )
    for metric in made["analysis"]["metrics"]:
        print(
            f"  {metric['name']}: {metric['control_mean']:.4g} without contact, {metric['treatment_mean']:.4g} with; "
            f"difference {metric['difference']:+.4g} ({metric['ci'][0]:+.4g} to {metric['ci'][1]:+.4g})"
        )
    print(f"  {verdict['text_en']}\n  {verdict['text_zh']}")


def _short(path: str | Path) -> str:
    given = Path(path)
    return str(given.relative_to(Path.cwd())) if given.is_relative_to(Path.cwd()) else str(given)


if __name__ == "__main__":
    main()
