"""The catalogues: both languages complete and alike, and neither ahead of nor behind the code that asks for texts."""

import ast
import re
from collections.abc import Iterator
from pathlib import Path
from string import Formatter
from typing import get_args

import pytest
from babel.messages.pofile import read_po

from foretouch.core.experiment import ArmKind
from foretouch.experiments.report.catalogue import LANGUAGES, Catalogue
from foretouch.experiments.results import Light, VerdictCode

ROOT = Path(__file__).resolve().parents[3]
SOURCES = ROOT / "experiments" / "foretouch" / "experiments"
DOMAINS = sorted({path.stem for path in (SOURCES / "locale").rglob("*.po")})
BANNED = re.compile(r"p-value|significan|null hypothesis|\bnull\b|posterior|显著|零假设|后验|P 值", re.IGNORECASE)
CHINESE = re.compile(r"[\u4e00-\u9fff]")


@pytest.mark.parametrize("domain", DOMAINS)
def test_both_languages_have_the_same_keys_and_placeholders(domain: str) -> None:
    catalogue = Catalogue(domain)
    assert len(catalogue) > 3
    for language in LANGUAGES:
        file = SOURCES / "locale" / language / "LC_MESSAGES" / f"{domain}.po"
        with file.open("rb") as opened:
            read = read_po(opened, locale=language, abort_invalid=True)
        keys = [message.id for message in read if message.id]
        assert keys == list(catalogue), f"{file}: the same keys in the same order as English"
        assert not any(message.fuzzy for message in read if message.id)
        assert not read.obsolete
    for key, texts in catalogue.items():
        assert all(texts[language] for language in LANGUAGES), f"{key} is empty"
        fields = [sorted({name for _, name, _, _ in Formatter().parse(texts[code]) if name}) for code in LANGUAGES]
        assert fields[0] == fields[1], key
        for language in LANGUAGES:
            assert not BANNED.search(texts[language]), key


def test_chinese_is_chinese() -> None:
    allowed = {"other_language"}
    for domain in DOMAINS:
        for key, texts in Catalogue(domain).items():
            words = re.sub(r"\{\w+\}", "", texts["zh"])
            if re.search(r"[A-Za-z]{3}", texts["en"]) and re.search(r"\w", words):
                assert CHINESE.search(words) or key in allowed, f"{domain}: {key}"
            assert not CHINESE.search(texts["en"]) or key in allowed, f"{domain}: {key}"


def constants() -> Iterator[str]:
    """Every string of the sources, and the fixed parts of those put together (``f"does_{kind}"``)."""
    for path in SOURCES.rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Constant) and isinstance(node.value, str):
                yield node.value
    for path in (SOURCES / "report").rglob("*.j2"):
        yield from re.findall(r"say\('(\w+)'\)", path.read_text(encoding="utf-8"))


def composed() -> list[re.Pattern[str]]:
    """Keys that are put together, as patterns."""
    found = []
    for path in SOURCES.rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.JoinedStr):
                fixed = [str(part.value) for part in node.values if isinstance(part, ast.Constant)]
                if fixed and all(re.fullmatch(r"\w+", part) for part in fixed):
                    pattern = [str(part.value) if isinstance(part, ast.Constant) else r"[\w-]+" for part in node.values]
                    found.append(re.compile("".join(pattern)))
    return found


@pytest.mark.parametrize("domain", DOMAINS)
def test_no_text_is_left_that_nothing_asks_for(domain: str) -> None:
    known, patterns = set(constants()), composed()
    results = (SOURCES / "results.py").read_text(encoding="utf-8")
    dead = [
        key
        for key in Catalogue(domain)
        if key not in known and not any(one.fullmatch(key) for one in patterns) and f'"{key}"' not in results
    ]
    assert dead == []


def test_every_text_that_is_asked_for_is_there() -> None:
    """Calls with a literal key; the template's are among them."""
    asked = {"label": Catalogue("labels"), "say": Catalogue("sentences"), "sentence": Catalogue("sentences")}
    asked["phrase"] = asked["sentence"]
    seen = 0
    for path in SOURCES.rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id in asked and node.args:
                first = node.args[0]
                if isinstance(first, ast.Constant):
                    assert first.value in asked[node.func.id], f"{path.name}: {first.value!r}"
                    seen += 1
    assert seen > 40
    for path in (SOURCES / "report" / "templates").glob("report*.j2"):
        for key in re.findall(r"say\('(\w+)'\)", path.read_text(encoding="utf-8")):
            assert key in asked["label"], key


def test_every_kind_of_arm_and_every_light_has_its_words() -> None:
    labels = Catalogue("labels")
    assert {f"does_{kind}" for kind in get_args(ArmKind)} <= set(labels)
    assert {f"short_{name}" for name in ("split", "arms", "balance", "assignment", "fresh")} <= set(labels)
    assert set(get_args(Light)) <= set(labels)
    assert {f"ship_{code}" for code in get_args(VerdictCode)} <= set(Catalogue("answers"))
