"""Long jobs of the pages, in a process of their own: ``python -m foretouch.experiments.app.aside WORKSPACE``.

Reads ``{"job", "arguments"}`` from stdin and answers ``{"value"}`` or ``{"failure"}`` on stdout, one line of JSON each.
Heavy imports happen inside each job, once. It ends when the service does, or when nobody has asked for a while; other
workers' jobs go first come, first served.
"""

import fcntl
import json
import os
import re
import select
import sys
import threading
import traceback
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from foretouch.core.errors import ConfigError, ForetouchError, NotReadyError
from foretouch.core.workspace import Workspace

NICE = 10
IDLE_SECONDS = 120.0
FAILED = {"code": "internal", "message": "the analysis failed; the service's log says more", "hint": None}
PARENT_SECONDS = 1.0
LOCK = ".pages-aside"
POWER = 0.8
SPLITS = 1000
"""Of an A/A trial."""
_NOT_ALLOWED = re.compile(r"<(style|script)\b.*?</\1>", re.DOTALL)
_STYLE = re.compile(r'\sstyle="([^"]*)"')
_MAIN = re.compile(r"<main[^>]*>(.*)</main>", re.DOTALL)
_FONT = re.compile(r"(?:(italic|oblique)\s+)?(?:(bold|\d{3})\s+)?([\d.]+px)\s+(.+)")


def experiment(workspace: Workspace, arguments: Mapping[str, Any]) -> Any:
    """The results of one experiment, and what it needs."""
    from foretouch.experiments.log.design import design  # noqa: PLC0415
    from foretouch.experiments.log.experiment import analyze_experiment, refused_experiment  # noqa: PLC0415
    from foretouch.experiments.specs import spec_of  # noqa: PLC0415

    key, now = str(arguments["key"]), workspace.clock.now()
    try:
        results = analyze_experiment(workspace, key, now=now)
    except ConfigError as error:
        results = refused_experiment(workspace, spec_of(workspace, key), error)
    try:
        planned = design(workspace, key, now=now, power=POWER).metrics
    except (NotReadyError, ConfigError):
        planned = ()
    plan = [
        {
            "name": item.name,
            "units": {f"{lift:g}": units for lift, units in item.units.items()},
            "detectable_lift": item.detectable_lift,
        }
        for item in planned
    ]
    parts = _parts(workspace, key) if results.verdict.code != "broken" else None
    return {"results": results.model_dump(mode="json"), "plan": plan, "parts": parts}


def _parts(workspace: Workspace, key: str) -> Any:
    """What each part of the decision earns, of the experiment whose arms stand for parts."""
    from foretouch.experiments.log.decompose import decompose  # noqa: PLC0415
    from foretouch.experiments.specs import spec_of  # noqa: PLC0415

    if not spec_of(workspace, key).portfolio:
        return None
    return decompose(workspace, key, now=workspace.clock.now()).model_dump(mode="json")


def report(_: Workspace, arguments: Mapping[str, Any]) -> Any:
    """The report of results, as the inside of a page."""
    from foretouch.experiments.report.page import render  # noqa: PLC0415
    from foretouch.experiments.results import Results  # noqa: PLC0415

    results = Results.model_validate(arguments["results"])
    return inside(render(results, str(arguments["language"])))


def what_if(workspace: Workspace, arguments: Mapping[str, Any]) -> Any:
    """A policy over a sample of the log."""
    from foretouch.serving.history.what_if_log import what_if_here  # noqa: PLC0415

    found = what_if_here(
        workspace,
        str(arguments["policy"]),
        sample=int(arguments["sample"]),
        segments=tuple(arguments["segments"]),
    )
    return found.model_dump(mode="json")


def valuation(workspace: Workspace, arguments: Mapping[str, Any]) -> Any:
    """What a policy would have earned, from the log alone."""
    from foretouch.training.off_policy.candidate import read_candidate  # noqa: PLC0415
    from foretouch.training.off_policy.valuation import value_policy  # noqa: PLC0415

    candidate = read_candidate(workspace, str(arguments["policy"]), tuned_through=None)
    document = value_policy(workspace, candidate, sample=int(arguments["sample"])).document()
    return {name: document[name] for name in ("verdict", "sentence", "reasons", "n", "ess", "difference", "logged")}


def insights(workspace: Workspace, arguments: Mapping[str, Any]) -> Any:
    """What happened and why, as the inside of a page."""
    from foretouch.core.moments import moment_of  # noqa: PLC0415
    from foretouch.experiments.insights.insights import insights as found_in  # noqa: PLC0415
    from foretouch.experiments.insights.page import render  # noqa: PLC0415

    since, until = (moment_of(f"--{name}", arguments[name]) for name in ("since", "until"))
    return inside(render(found_in(workspace, since, until), str(arguments["language"])))


def uplift(workspace: Workspace, arguments: Mapping[str, Any]) -> Any:
    """Whom to contact: a score on the rows of an experiment."""
    from foretouch.experiments.uplift.judge import Worth  # noqa: PLC0415
    from foretouch.experiments.uplift.of_experiment import judge_experiment  # noqa: PLC0415

    worth = None
    if arguments["value"] is not None:
        currency = workspace.config.workspace.currency
        worth = Worth(value=float(arguments["value"]), cost=float(arguments["cost"] or 0.0), currency=currency)
    found = judge_experiment(
        workspace, str(arguments["key"]), score=arguments["score"] or None, worth=worth, now=workspace.clock.now()
    )
    return found.model_dump(mode="json")


def uplift_page(_: Workspace, arguments: Mapping[str, Any]) -> Any:
    """The same as the inside of a page."""
    from foretouch.experiments.uplift.contract import UpliftResults  # noqa: PLC0415
    from foretouch.experiments.uplift.page import render_uplift  # noqa: PLC0415

    found = UpliftResults.model_validate(arguments["results"])
    return inside(render_uplift(found, str(arguments["language"]), scripts=False))


def policies(workspace: Workspace, arguments: Mapping[str, Any]) -> Any:
    """What policies would have earned on the log that others wrote, beside each other."""
    from foretouch.experiments.policy.compare import compare_policies  # noqa: PLC0415
    from foretouch.training.off_policy.candidate import read_candidate  # noqa: PLC0415

    candidates = [read_candidate(workspace, str(name), tuned_through=None) for name in arguments["policies"]]
    found = compare_policies(workspace, candidates, sample=int(arguments["sample"]), reward=arguments["reward"] or None)
    return found.model_dump(mode="json")


def policies_page(_: Workspace, arguments: Mapping[str, Any]) -> Any:
    """The same as the inside of a page."""
    from foretouch.experiments.policy.contract import PolicyResults  # noqa: PLC0415
    from foretouch.experiments.policy.page import render_policies  # noqa: PLC0415

    return inside(render_policies(PolicyResults.model_validate(arguments["results"]), str(arguments["language"])))


def arms(workspace: Workspace, arguments: Mapping[str, Any]) -> Any:
    """What each offer earned where the policy explored."""
    from foretouch.experiments.log.arms import arms as read_arms  # noqa: PLC0415

    return read_arms(workspace, by=arguments["by"], now=workspace.clock.now()).model_dump(mode="json")


def aa(workspace: Workspace, arguments: Mapping[str, Any]) -> Any:
    """An A/A trial of an experiment's metrics on past customers, with what gives it again."""
    from dataclasses import asdict  # noqa: PLC0415

    from foretouch.experiments.analysis.aa import FAMILY, trial  # noqa: PLC0415
    from foretouch.experiments.log.experiment import place_of  # noqa: PLC0415
    from foretouch.experiments.log.past import past_units  # noqa: PLC0415
    from foretouch.experiments.past_trials import keep_trial  # noqa: PLC0415
    from foretouch.experiments.specs import spec_of  # noqa: PLC0415

    key, now = str(arguments["key"]), workspace.clock.now()
    rows, ready = past_units(workspace, spec_of(workspace, key), now=now)
    tried = trial(rows, ready, splits=SPLITS)
    keep_trial(workspace, key, tried, as_of=now, seed=0)
    found = asdict(tried)
    for item in found["metrics"]:
        item["whole"] = item["name"] == FAMILY
    command = f"foretouch experiment aa {key} --as-of {now.isoformat()} {place_of(workspace)} --splits {SPLITS}"
    return {**found, "titles": {item.name: item.title for item in ready.metrics}, "command": command}


JOBS: Mapping[str, Callable[[Workspace, Mapping[str, Any]], Any]] = {
    "experiment": experiment,
    "report": report,
    "what_if": what_if,
    "valuation": valuation,
    "insights": insights,
    "uplift": uplift,
    "uplift_page": uplift_page,
    "policies": policies,
    "policies_page": policies_page,
    "arms": arms,
    "aa": aa,
}


def inside(page: str) -> str:
    """What stands within ``<main>`` of a whole page, fit for a page that allows nothing inline."""
    found = _MAIN.search(page)
    return without_inline(page if found is None else found.group(1))


def without_inline(html: str) -> str:
    """HTML whose charts carry no style of their own: what ``style`` said of an SVG element, attributes say as well."""
    return _STYLE.sub(_as_attributes, _NOT_ALLOWED.sub("", html))


def _as_attributes(found: re.Match[str]) -> str:
    said = dict(part.split(":", 1) for part in found.group(1).split(";") if ":" in part)
    attributes = {name.strip(): value.strip() for name, value in said.items()}
    font = _FONT.fullmatch(attributes.pop("font", ""))
    if font is not None:
        style, weight, size, family = font.groups()
        named = {"font-style": style, "font-weight": weight, "font-size": size, "font-family": family}
        attributes |= {name: value for name, value in named.items() if value is not None}
    return "".join(f' {name}="{value}"' for name, value in attributes.items())


def _end_with_the_service() -> None:
    parent = os.getppid()

    def watch() -> None:
        while os.getppid() == parent:
            threading.Event().wait(PARENT_SECONDS)
        os._exit(1)

    threading.Thread(target=watch, daemon=True).start()


def answer(root: Path, line: str) -> str:
    """The answer to a line: its job is run."""
    asked = json.loads(line)
    try:
        with (root / LOCK).open("w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            value = JOBS[asked["job"]](Workspace.open(root), asked["arguments"])
        return json.dumps({"value": value}, ensure_ascii=False)
    except ForetouchError as error:
        failure = {"code": error.code, "message": error.message, "hint": error.hint}
        return json.dumps({"failure": failure}, ensure_ascii=False)
    except Exception:  # noqa: BLE001 - one job's fault is no reason to end the others; the service's log has it
        traceback.print_exc()
        return json.dumps({"failure": FAILED})


def main() -> None:
    """Answers line by line, until there is nothing more to do."""
    os.nice(NICE)
    _end_with_the_service()
    root = Path(sys.argv[1])
    answers = os.fdopen(os.dup(sys.stdout.fileno()), "w", encoding="utf-8")
    os.dup2(sys.stderr.fileno(), sys.stdout.fileno())  # what a library prints is no answer
    while select.select([sys.stdin], [], [], IDLE_SECONDS)[0]:
        line = sys.stdin.readline()
        if not line:
            return
        answers.write(answer(root, line) + "\n")
        answers.flush()


if __name__ == "__main__":
    main()
