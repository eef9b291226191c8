# ruff: noqa: INP001 - a script, not a package
"""Writes the pages that are made from the code, so that they cannot drift from it.

    python docs/generate.py            # writes docs/configuration.md and docs/openapi.json
    python docs/generate.py --check    # exits 1 and names the page that is out of date

The settings are read from the pydantic models that read the files; what a setting means is the text under it in the
source. The OpenAPI document is the one that the service answers at ``/openapi.json``.
"""

import argparse
import ast
import inspect
import json
import sys
import types
import typing
from collections.abc import Iterator, Mapping
from datetime import time
from pathlib import Path
from typing import Annotated, Any, Literal, Union

from pydantic import BaseModel
from pydantic.fields import FieldInfo

from foretouch.core.config import Config
from foretouch.core.contact import ContactPolicy
from foretouch.core.engagement import EngagementPolicy
from foretouch.core.experiment import ExperimentSpec
from foretouch.core.policy import PolicySpec
from foretouch.serving.web.openapi import document

DOCS = Path(__file__).resolve().parent
HEAD = """# Configuration: every setting and its default

Made by `python docs/generate.py` from the models that read the files; a test refuses a page that is out of date.
A setting that is not in a file has its default. A setting that is not listed here is refused, with the name of the file
and of the setting, before anything runs. Times without an offset are UTC; amounts of money are in the workspace's one
currency (`workspace.currency`).

A running service reads changed files by itself. A file that has become wrong is not taken over: the service goes on
with the last good one, and `/readyz` says what is wrong (`settings_error`). Every decision names the content hash of
what was in force.
"""
FILES: tuple[tuple[str, type[BaseModel], str], ...] = (
    ("foretouch.toml", Config, "The workspace: who we are, what counts as a goal, what a channel costs."),
    (
        "policy.toml",
        PolicySpec,
        "How scores become a choice. More policies, for arms of an experiment, are `policies/<name>.toml`.",
    ),
    ("contact_policy.toml", ContactPolicy, "Rules that no score can override; `docs/rules.md` tells them."),
    (
        "engagement_policy.toml",
        EngagementPolicy,
        "Which offers a customer may, needs or should be shown, besides the offers' own rules. The file may be absent.",
    ),
    (
        "experiments/<key>.toml",
        ExperimentSpec,
        """One experiment: assignment in decisions, and the analysis. `foretouch bench experiment` takes the same spec,
as TOML or JSON, for any table of units.""",
    ),
)
"""File, the model that reads it, and what it is for."""
EXAMPLES: Mapping[str, str] = {
    "ContextWeight": """[[context_weights]]      # in policy.toml: members of the club see fuel offers more often
key = "club"             # of the request's context
equals = true
category = "fuel"
percent = 30
""",
    "Cap": """[[caps]]                 # in contact_policy.toml: at most three contacts in any seven days
rule = "three_a_week"
scope = "customer"
limit = 3
days = 7
""",
    "WorkingHours": """[[working_hours]]        # in contact_policy.toml: calls on working days only
rule = "office_hours"
channels = ["call"]
start = 09:00:00
end = 18:00:00
calendar = "CN"          # public holidays and make-up working days
""",
    "CoolDown": """[[cool_downs]]           # in contact_policy.toml: three unanswered in a row, then a month's pause
rule = "unanswered"
after = ["unanswered"]
count = 3
days = 30
scope = "channel"
""",
    "EngagementRule": """[[rules]]                # in engagement_policy.toml: fuel offers only for those who buy fuel
rule = "buys_fuel"
tier = "applicability"
category = "fuel"
when = "feature.frequency_90d > 0.0"
""",
    "Metric": """[[metrics]]              # in experiments/<key>.toml: did they buy within two weeks?
name = "bought"
kind = "proportion"
event = "purchase"
measure = "occurred"
window_days = 14
role = "primary"
value_per_unit = 12.5
""",
}


def texts(model: type[BaseModel]) -> dict[str, str]:
    """The text under each field of a model's class body, by field, on one line."""
    body = ast.parse(inspect.getsource(model).lstrip()).body[0]
    found: dict[str, str] = {}
    if not isinstance(body, ast.ClassDef):
        return found
    for field, after in zip(body.body, body.body[1:], strict=False):
        if not (isinstance(field, ast.AnnAssign) and isinstance(field.target, ast.Name)):
            continue
        if isinstance(after, ast.Expr) and isinstance(after.value, ast.Constant) and isinstance(after.value.value, str):
            found[field.target.id] = one_line(after.value.value)
    return found


def one_line(text: str) -> str:
    """A text on one line, with Markdown's code marks."""
    return " ".join(text.replace("``", "`").split())


WORDS: Mapping[type, str] = {
    str: "text",
    int: "whole number",
    float: "number",
    bool: "true or false",
    time: "time of day",
}


def kind(annotation: Any) -> str:
    """A type in words."""
    origin, inner = typing.get_origin(annotation), typing.get_args(annotation)
    if origin is Literal:
        return ", ".join(f"`{json.dumps(value)}`" for value in inner)
    if origin in {Annotated, Union, types.UnionType}:
        given = inner[:1] if origin is Annotated else inner
        return " or ".join(kind(item) for item in given if item is not type(None))
    if origin in {tuple, dict}:
        items = kind(inner[0] if origin is tuple else inner[1])
        return f"{'list' if origin is tuple else 'table'} of {'any of ' if items.startswith('`') else ''}{items}"
    if inspect.isclass(annotation) and issubclass(annotation, BaseModel):
        return f"[{annotation.__name__}](#{annotation.__name__.lower()})"
    return WORDS.get(annotation, "time")


def bounds(field: FieldInfo) -> str:
    """The limits of a value, in words."""
    said = []
    for limit in field.metadata:
        for name, sign in (("gt", "above"), ("ge", "at least"), ("lt", "below"), ("le", "at most")):
            if getattr(limit, name, None) is not None:
                said.append(f"{sign} {getattr(limit, name):g}")
        low, high = getattr(limit, "min_length", None), getattr(limit, "max_length", None)
        said += [f"at least {low} long"] if low and low != high and low > 1 else []
        said += [f"{low} letters"] if low and low == high else []
    return ", ".join(said)


def default(field: FieldInfo) -> str:
    """A default as it is written in a file."""
    if field.is_required():
        return "**required**"
    value = field.get_default(call_default_factory=True)
    if value is None:
        return "none"
    if isinstance(value, BaseModel) and value == type(value)():
        return "its defaults"
    if isinstance(value, BaseModel):
        value = value.model_dump(mode="json", exclude_defaults=True)
    if isinstance(value, time):
        return f"`{value.isoformat()}`"
    if isinstance(value, dict):
        value = {
            key: item.model_dump(mode="json") if isinstance(item, BaseModel) else item for key, item in value.items()
        }
    return "empty" if value in ({}, ()) else f"`{json.dumps(value)}`"


def models_within(annotation: Any) -> Iterator[type[BaseModel]]:
    """Every model that a type names."""
    if inspect.isclass(annotation) and issubclass(annotation, BaseModel):
        yield annotation
    for inner in typing.get_args(annotation):
        yield from models_within(inner)


def section(model: type[BaseModel], path: str) -> Iterator[str]:
    """The heading, text and table of one model, then those of the models within it.

    Args:
        model: What reads the section.
        path: Where it stands in the file; empty for the top of the file.
    """
    meaning = texts(model)
    if path:
        yield f"### {model.__name__}\n\n`{path}`: {one_line(inspect.getdoc(model) or '')}\n"
    yield "| setting | value | default | meaning |\n|---|---|---|---|"
    nested: list[tuple[type[BaseModel], str]] = []
    for name, field in model.model_fields.items():
        if name == "schema_version":
            yield "| `schema_version` | `1` | `1` | Of the file's form. |"
            continue
        limits = bounds(field)
        value = f"{kind(field.annotation)}{f', {limits}' if limits else ''}"
        cells = [f"`{name}`", value, default(field), meaning.get(name, "")]
        yield "| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |"
        for inner in models_within(field.annotation):
            origin = typing.get_origin(field.annotation)
            place = f"{path.strip('[]')}.{name}" if path else name
            shape = f"[[{place}]]" if origin is tuple else f"[{place}.<name>]" if origin is dict else f"[{place}]"
            nested.append((inner, shape))
    yield ""
    if model.__name__ in EXAMPLES:
        yield f"```toml\n{EXAMPLES[model.__name__]}```\n"
    for inner, shape in nested:
        yield from section(inner, shape)


def configuration() -> str:
    """The page of settings."""
    parts = [HEAD]
    for name, model, purpose in FILES:
        parts.append(f"## `{name}`\n\n{purpose}\n\n{one_line(inspect.getdoc(model) or '')}\n")
        parts += section(model, "")
    return "\n".join(parts).rstrip() + "\n"


def openapi() -> str:
    """The service's OpenAPI document, indented."""
    return json.dumps(json.loads(document()), indent=1, ensure_ascii=False) + "\n"


PAGES = {"configuration.md": configuration, "openapi.json": openapi}


def main() -> int:
    """Writes the pages, or says which are out of date."""
    parser = argparse.ArgumentParser(description="Pages made from the code.")
    parser.add_argument("--check", action="store_true", help="write nothing; exit 1 if a page is out of date")
    parser.add_argument("--folder", type=Path, default=DOCS, help="where the pages are")
    given = parser.parse_args()
    stale = []
    for name, make in PAGES.items():
        path: Path = given.folder / name
        text = make()
        if path.is_file() and path.read_text(encoding="utf-8") == text:
            continue
        stale.append(str(path))
        if not given.check:
            path.write_text(text, encoding="utf-8")
    if given.check and stale:
        print(f"out of date: {', '.join(stale)}; next: python docs/generate.py", file=sys.stderr)
        return 1
    print(f"{'up to date' if not stale else 'written'}: {', '.join(PAGES)}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
