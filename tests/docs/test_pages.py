"""What the pages promise exists: make targets, local links, commands, routes, refusals, figures."""

import ast
import re
from typing import Any, get_args

import typer

from foretouch.core.cli import build_app
from foretouch.core.decisions import Status
from foretouch.core.outcomes import OutcomeType
from foretouch.serving.models.points import POINTS_RULE
from foretouch.serving.web.problems import _BY_ERROR
from foretouch.serving.web.routes import ROUTES
from foretouch.training.churn import BG_NBD, RECENCY
from foretouch.training.lead import FOUND_AMONG_HOT
from foretouch.training.metrics import AMOUNT_METRICS, PROBABILITY_METRICS
from foretouch.training.offer import BASELINE
from foretouch.training.promotion import GATE
from foretouch.training.send_time import EVERYONE
from foretouch.training.value import BG_NBD_GAMMA_GAMMA, TREES_ALONE
from tests.e2e.readme import README, ROOT


def test_every_make_target_that_the_readme_names_exists() -> None:
    targets = set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text("utf-8"), re.MULTILINE))
    named = set(re.findall(r"^make ([a-z-]+)", README, re.MULTILINE))
    assert named >= {"demo", "test", "serve"}
    assert named <= targets


def test_every_local_link_leads_somewhere() -> None:
    pages = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *sorted((ROOT / "docs").rglob("*.md"))]
    broken = [
        f"{page.relative_to(ROOT)}: {target}"
        for page in pages
        for target in re.findall(r"\]\(([^)#:\s]+)(?:#[^)]*)?\)", page.read_text("utf-8"))
        if not (page.parent / target).exists()
    ]
    assert broken == []


HTTP = (ROOT / "docs/http.md").read_text("utf-8")
MODELS = (ROOT / "docs/models.md").read_text("utf-8")


def test_every_route_is_on_the_page_of_the_interface_with_its_scopes() -> None:
    lines = HTTP.splitlines()
    for route in ROUTES:
        found = [
            line
            for line in lines
            if re.match(r"\| `(GET|POST|PUT|DELETE) /", line) and f"`{route.method} {route.template}`" in line
        ]
        assert len(found) == 1, route
        assert set(re.findall(r"decide|events|report:read|admin", found[0].split("|")[3])) == set(route.scopes), route


def refusals() -> set[tuple[str, str]]:
    """Status and code of every refusal that the service can answer with, from its sources."""
    found: set[tuple[str, str]] = {(str(status), kind.code) for kind, status in _BY_ERROR}
    for path in (ROOT / "serving/foretouch/serving").rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text("utf-8"))):
            if isinstance(node, ast.Call) and ast.unparse(node.func) == "Problem":
                given = {word.arg: word.value for word in node.keywords}
                status, code = given.get("status"), given.get("code")
                if isinstance(status, ast.Constant) and isinstance(code, ast.Constant):
                    found.add((str(status.value), str(code.value)))
    return found


def test_every_refusal_is_on_the_page_of_the_interface() -> None:
    rows = [line for line in HTTP.splitlines() if re.match(r"\| \d{3} \|", line)]
    written = {
        (row.split("|")[1].strip(), code) for row in rows for code in re.findall(r"`([a-z_]+)`", row.split("|")[2])
    }
    found = refusals()
    assert len(found) > 15
    assert sorted(found - written) == []


def test_every_status_and_outcome_type_is_on_the_page_of_the_interface() -> None:
    for status in get_args(Status):
        assert f"| `{status}` |" in HTTP
    for kind in get_args(OutcomeType):
        assert re.search(rf"\b{kind}\b", HTTP), kind


def test_every_baseline_and_metric_is_on_the_page_of_the_models() -> None:
    names = {metric.name for metric in (*PROBABILITY_METRICS, *AMOUNT_METRICS, FOUND_AMONG_HOT)}
    names |= {POINTS_RULE, RECENCY, BG_NBD, BG_NBD_GAMMA_GAMMA, TREES_ALONE, BASELINE, EVERYONE, GATE}
    assert {name for name in names if f"`{name}`" not in MODELS} == set()


def commands() -> dict[str, set[str]]:
    """Every command of the command line, and the commands within it."""
    root: Any = typer.main.get_command(build_app())
    return {name: set(getattr(command, "commands", ())) for name, command in root.commands.items()}


def test_every_command_that_a_page_names_exists() -> None:
    known = commands()
    pages = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *sorted((ROOT / "docs").rglob("*.md"))]
    wrong = []
    for page in pages:
        text = page.read_text("utf-8")
        code = "\n".join(re.findall(r"```.*?\n(.*?)```", text, re.DOTALL) + re.findall(r"`([^`\n]+)`", text))
        for name, inner in re.findall(r"\bforetouch ([a-z][a-z-]*)(?: ([a-z][a-z-]*))?", code):
            if name not in known or (known[name] and inner and inner not in known[name]):
                wrong.append(f"{page.name}: foretouch {name} {inner}")
    assert wrong == []
