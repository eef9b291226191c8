"""What ``make demo`` tells in the end: models beside baselines, decisions in words, the campaign, where to look."""

from collections import Counter
from datetime import datetime
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

Json = Any
MODELS = ("lead", "churn", "value", "offer", "send-time")
DROPPED = {
    ("dates", "ends_at"): "the offer has ended",
    ("dates", "starts_at"): "the offer has not begun",
    ("channel", "not_requested"): "the request does not allow the channel",
    ("consent", "no_record"): "no consent on record",
    ("caps", "minimum_gap"): "contacted too recently",
}
"""Rules in words; others are shown by name."""


def summarise(real: Path, trained: Json, answers: Json, made: Json) -> None:
    """Prints it.

    Args:
        real: Workspace of the real data.
        trained: What ``train`` said of its models.
        answers: Decisions for households, by what they show.
        made: The simulated part: training, campaign, analysis, report, truth.
    """
    print("\n" + "=" * 100)
    print("MODELS on later data, beside their baselines (The Complete Journey, real households)")
    print("  (better: the 95 % interval of the difference excludes zero; docs/models.md defines every figure)")
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
            by = "" if line.get("cluster", "customer_id") == "customer_id" else f" (by {line['cluster']})"
            interval = f"{line['difference']:+.4f} ({line['low']:+.4f} to {line['high']:+.4f})"
            verdict = "better" if line["wins"] else ("NOT BETTER" if line.get("decisive", True) else "beside")
            print(
                f"  {name:<10} {line['metric']:<22} {line['model']:>9.4f}  {line['baseline'] + by:<34}"
                f" {line['reference']:>9.4f}  {interval}  {verdict}"
            )
            name = ""


def _show_decision(decision: Json, note: str = "") -> None:
    said = "" if decision["action"] and decision["status"] == "decided" else f" {decision['status_reason']}"
    print(f"\n  Customer {decision['customer_id']}{note}: {decision['status']}.{said}")
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
    if dropped := _ruled_out(decision["suppressed"]):
        print(f"    ruled out: {'; '.join(dropped)}")


def _ruled_out(suppressed: Json) -> list[str]:
    """What rules dropped, in words: counted by rule; a rule that dropped everything on a channel says so."""
    counts: Counter[str] = Counter()
    for item in suppressed:
        reason = DROPPED.get((item["stage"], item["rule"])) or item["text"] or f"{item['stage']}/{item['rule']}"
        if item["offer_id"] == "*":
            counts[f"everything by {item['channel'] or 'any channel'}: {reason}"] += 0
        else:
            counts[f"x {reason}"] += 1
    return [f"{count} {text}" if count else text for text, count in counts.items()]


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
