"""The languages of the console: the texts in code and templates are the English ones, and the keys of the catalogs.

A catalog is all files `locale/<language>*.json` together. `tests/scheduler/web/console/test_languages.py` finds texts
that a catalog lacks and entries that nothing says.
"""

from __future__ import annotations

import json
from functools import cache
from importlib.resources import files
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping

LANGUAGES = {"en": "English", "zh": "中文"}
"""What the console speaks, by the short names of the languages."""


def text(said: str) -> str:
    """Return *said*: marks a text that is translated elsewhere, `_(variable)` in a template, for the catalogs."""
    return said


@cache
def catalog(language: str) -> Mapping[str, str]:
    """Return a language's texts by the English ones; English has none."""
    found: dict[str, str] = {}
    for part in sorted(files(__package__ or "").joinpath("locale").iterdir(), key=lambda each: each.name):
        if language != "en" and part.name.startswith(language) and part.name.endswith(".json"):
            found |= json.loads(part.read_text("utf-8"))
    return found


def translate(language: str, said: str, /, **values: Any) -> str:
    """Return a text in a language, with its ``{names}`` filled in; English where the catalog has nothing."""
    known = catalog(language if language in LANGUAGES else "en").get(said, said)
    return known.format(**values) if values else known


def language_of(wanted: str | None, accepted: str) -> str:
    """Return the language to speak: the one that was chosen, or the first of Accept-Language that we have."""
    if wanted in LANGUAGES:
        return wanted
    for part in accepted.split(","):
        short = part.partition(";")[0].strip().lower()[:2]
        if short in LANGUAGES:
            return short
    return "en"
