"""Model health as JSON and as one self-contained page per language."""

from collections.abc import Sequence
from dataclasses import asdict
from functools import partial
from pathlib import Path
from typing import Any

import orjson
from jinja2 import Environment, PackageLoader, StrictUndefined

from foretouch.core.config import Config
from foretouch.training.drift.check import Health
from foretouch.training.drift.evidence import CONTACT_MODELS
from foretouch.training.drift.sentences import LEVELS, NOTES, alarm_text, bin_text, input_text, word
from foretouch.training.each import Refused

LANGUAGES = ("en", "zh")
MOST_COLUMNS = 15
"""Inputs on the page; the JSON has them all."""


def as_json(found: Sequence[Health], refused: Sequence[Refused], config: Config) -> dict[str, Any]:
    """Everything that was found, with the sentences of both languages.

    Returns:
        ``schema_version``, ``bounds``, ``models[]`` and ``not_checked[]``.
    """
    return {
        "schema_version": 1,
        "bounds": config.drift.model_dump(),
        "models": [
            {
                **asdict(health),
                "level": health.level,
                "notes": [
                    {"code": note, **{f"text_{code}": NOTES[note][code] for code in LANGUAGES}} for note in health.notes
                ],
                "alarms": [
                    {**asdict(alarm), **{f"text_{code}": alarm_text(alarm, health, config, code) for code in LANGUAGES}}
                    for alarm in health.alarms
                ],
            }
            for health in found
        ],
        "not_checked": [{"model": item.model, "why": str(item.error)} for item in refused],
    }


def write_pages(
    found: Sequence[Health], refused: Sequence[Refused], config: Config, folder: Path
) -> tuple[Path, dict[str, Path]]:
    """Writes ``drift.json``, ``drift.en.html`` and ``drift.zh.html``.

    Returns:
        The JSON's path, and each page's by language.
    """
    folder.mkdir(parents=True, exist_ok=True)
    data = folder / "drift.json"
    data.write_bytes(orjson.dumps(as_json(found, refused, config), option=orjson.OPT_INDENT_2))
    pages = {}
    for language in LANGUAGES:
        pages[language] = folder / f"drift.{language}.html"
        pages[language].write_text(render(found, refused, config, language), encoding="utf-8")
    return data, pages


def render(found: Sequence[Health], refused: Sequence[Refused], config: Config, language: str) -> str:
    """The page as text, in ``en`` or ``zh``."""
    environment = Environment(
        loader=PackageLoader("foretouch.training", "templates"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    return environment.get_template("drift.html.j2").render(
        language=language,
        other=next(code for code in LANGUAGES if code != language),
        name=config.workspace.name,
        found=found,
        refused=refused,
        bounds=config.drift,
        most=MOST_COLUMNS,
        levels={code: texts[language] for code, texts in LEVELS.items()},
        notes={code: texts[language] for code, texts in NOTES.items()},
        say=partial(word, language=language),
        bin_text=partial(bin_text, language=language),
        feature_text=lambda name: input_text(name, config, language),
        contacts=CONTACT_MODELS,
        alarm_text=lambda alarm, health: alarm_text(alarm, health, config, language),
        amount=lambda health, value: f"{value:,.2f}" if health.model == "value" else f"{value:.1%}",
    )
