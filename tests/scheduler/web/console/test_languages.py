"""The console's languages: every text has its twin in every catalog, and no catalog has more."""

from __future__ import annotations

import ast
import json
import re
from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from taglane.model.run import STATES
from taglane_scheduler.access.principal import ROLES
from taglane_scheduler.alerting.rules import KINDS
from taglane_scheduler.web.console.languages import LANGUAGES, catalog, language_of, translate

if TYPE_CHECKING:
    from collections.abc import Iterator

WEB = Path(__file__).parents[4] / "scheduler" / "taglane_scheduler" / "web"
LOCALE = WEB / "console" / "locale"
OTHERS = sorted(LANGUAGES.keys() - {"en"})

QUOTED = r"\"((?:[^\"\\]|\\.)*)\"|'((?:[^'\\]|\\.)*)'"
SAID = re.compile(rf"\b_\(\s*(?:{QUOTED})")
CHOSEN = re.compile(rf"\b_\(\s*(?:{QUOTED})\s+if\b[^)]*?\belse\s+(?:{QUOTED})\s*\)")

ELSEWHERE = {*KINDS.values(), *ROLES, *STATES, "paused", "draining"}
"""Texts that templates show of what other floors name."""


def of_templates() -> Iterator[str]:
    for path in WEB.rglob("*.html"):
        source = path.read_text("utf-8")
        for pattern in (SAID, CHOSEN):
            for found in pattern.finditer(source):
                yield from (re.sub(r"\\(.)", r"\1", group) for group in found.groups() if group)
    frame = (WEB / "console" / "templates" / "base.html").read_text("utf-8")
    yield from re.findall(r'\("/[a-z]*"(?: ~ me\.tenant)?, "([^"]+)", "[a-z]"\)', frame)


def of_code() -> Iterator[str]:
    """What is said by `ask.say("…")` and `translate(language, "…")`, marked by `text("…")`, or a view's title."""
    places = {"say": 0, "text": 0, "translate": 1, "View": 1}
    for path in WEB.rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text("utf-8"))):
            if isinstance(node, ast.Call):
                name = node.func.attr if isinstance(node.func, ast.Attribute) else getattr(node.func, "id", "")
                place = places.get(name)
                if place is not None and len(node.args) > place:
                    yield from _constants(node.args[place])


def _constants(node: ast.expr) -> Iterator[str]:
    if isinstance(node, ast.JoinedStr):  # a name, which is called so in every language
        return
    for each in ast.walk(node):
        if isinstance(each, ast.Constant) and isinstance(each.value, str):
            yield each.value


@pytest.mark.parametrize("language", OTHERS)
def test_every_text_has_its_twin(language: str) -> None:
    """What templates and code say is in each catalog, with the same names to be filled in, and nothing else is."""
    said = {*of_templates(), *of_code(), *ELSEWHERE}
    known = catalog(language)

    assert [] == sorted(said - known.keys())
    assert [] == sorted(known.keys() - said)
    names = re.compile(r"\{(\w+)\}")
    assert [] == [text for text, twin in known.items() if set(names.findall(text)) != set(names.findall(twin))]


@pytest.mark.parametrize("language", OTHERS)
def test_no_text_is_in_two_files(language: str) -> None:
    """The parts of a catalog say nothing twice: or one of them would never be heard."""
    parts = [json.loads(path.read_text("utf-8")) for path in LOCALE.glob(f"{language}*.json")]
    times = Counter(text for part in parts for text in part)

    assert [] == [text for text, count in times.items() if count > 1]


def test_the_language_is_the_chosen_one_or_the_browsers_first_that_we_have() -> None:
    """A cookie that names none of ours is as none."""
    assert "zh" == language_of("zh", "en-US")
    assert "zh" == language_of("tlh", "fr;q=0.9, zh-CN;q=0.8, en")
    assert "en" == language_of(None, "fr")


def test_a_text_without_a_twin_is_said_in_english() -> None:
    """And its names are filled in, whatever is in them."""
    assert "a {b} c" == translate("zh", "a {what} c", what="{b}")
