"""Renders views: the templates, what they may call, and the languages they speak."""

from __future__ import annotations

import hashlib
import json
import time
from datetime import UTC, datetime
from functools import cache
from importlib.resources import files
from typing import TYPE_CHECKING, Any
from urllib.parse import quote, urlencode

from jinja2 import Environment, PackageLoader, StrictUndefined, pass_context

if TYPE_CHECKING:
    from collections.abc import Mapping

    from jinja2.runtime import Context

    from taglane_scheduler.web.console.view import View

LANGUAGES = {"en": "English", "zh": "中文"}
"""What the console speaks; the texts of templates are the English ones, and the keys of the others' catalogs."""

PACKAGE = "taglane_scheduler.web.console"


@cache
def catalog(language: str) -> Mapping[str, str]:
    """Return a language's texts by the English ones; English has none."""
    if language == "en" or language not in LANGUAGES:
        return {}
    found: dict[str, str] = json.loads(files(PACKAGE).joinpath("locale", f"{language}.json").read_text("utf-8"))
    return found


def translate(language: str, text: str, /, **values: Any) -> str:
    """Return a text in a language, with its ``{names}`` filled in; English where the catalog has nothing."""
    said = catalog(language).get(text, text)
    return said.format(**values) if values else said


def language_of(wanted: str | None, accepted: str) -> str:
    """Return the language to speak: the one that was chosen, or the first of Accept-Language that we have."""
    if wanted in LANGUAGES:
        return wanted
    for part in accepted.split(","):
        short = part.partition(";")[0].strip().lower()[:2]
        if short in LANGUAGES:
            return short
    return "en"


@cache
def asset(name: str) -> str:
    """Return the path of a static file, with its content's hash: it may be kept for ever."""
    content = files(PACKAGE).joinpath("static", *name.split("/")).read_bytes()
    return f"/static/{name}?v={hashlib.sha256(content).hexdigest()[:12]}"


def ago(ms: float | None) -> str:
    """Return a duration in ms, short: `320 ms`, `4.2 s`, `5 min`, `3 h`, `2 d`."""
    if ms is None:
        return "-"
    seconds = max(0.0, ms / 1000)
    if seconds < 1:
        return f"{round(seconds * 1000)} ms"
    if seconds < 60:
        return f"{seconds:.1f} s"
    for least, unit, name in ((172_800, 86_400, "d"), (7_200, 3_600, "h"), (0, 60, "min")):
        if seconds >= least:
            return f"{seconds / unit:.0f} {name}"
    raise AssertionError


def iso(ms: int | None) -> str:
    """Return an instant as ISO 8601 in UTC, to the millisecond; '' for None or one that can't be."""
    try:
        return "" if ms is None else datetime.fromtimestamp(ms / 1000, UTC).isoformat(timespec="milliseconds")
    except (ValueError, OverflowError, OSError):
        return ""


def pretty(value: Any, most: int = 20_000) -> str:
    """Return a value as indented JSON, cut at *most* characters."""
    text = json.dumps(value, indent=2, ensure_ascii=False, default=str)
    return text if len(text) <= most else f"{text[:most]}\n… {len(text) - most} more characters"


@pass_context
def _say(context: Context, text: str, /, **values: Any) -> str:
    return translate(context.get("language", "en"), text, **values)


@pass_context
def _with(context: Context, **changes: Any) -> str:
    """Return this page's address with some of its query changed; None takes a field out."""
    ask = context["ask"]
    query = {**ask.query, **changes}
    kept = {name: value for name, value in query.items() if value not in (None, "")}
    return str(ask.path) + (f"?{urlencode(kept)}" if kept else "")


@cache
def environment() -> Environment:
    """Return the templates; all that they show is escaped."""
    made = Environment(
        loader=PackageLoader(PACKAGE), autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True
    )
    made.globals |= {
        "_": _say,
        "asset": asset,
        "with": _with,
        "languages": LANGUAGES,
        "now": lambda: time.time() * 1000,
    }
    made.filters |= {"ago": ago, "iso": iso, "pretty": pretty, "quote": lambda text: quote(str(text), safe="")}
    return made


def render(view: View, frame: Mapping[str, Any]) -> str:
    """Return the whole page; *frame* is what all pages have: who looks, language, csrf, path."""
    return environment().get_template(view.template).render(**frame, **view.data, title=view.title, view=view)


def render_live(view: View, frame: Mapping[str, Any]) -> str:
    """Return the page's block `live` alone."""
    template = environment().get_template(view.template)
    context = template.new_context({**frame, **view.data, "title": view.title, "view": view})
    return "".join(template.blocks["live"](context))


def render_part(template: str, frame: Mapping[str, Any], data: Mapping[str, Any]) -> str:
    """Return a template that is no whole page."""
    return environment().get_template(template).render(**frame, **data)
