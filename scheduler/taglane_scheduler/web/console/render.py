"""Renders views: the templates, what they may call, and the languages they speak."""

from __future__ import annotations

import hashlib
import json
import shlex
import time
from datetime import UTC, datetime
from functools import cache
from importlib.resources import files
from typing import TYPE_CHECKING, Any
from urllib.parse import quote, urlencode

from jinja2 import Environment, PackageLoader, StrictUndefined, pass_context
from taglane.model.limits import spelled
from taglane.model.size import about

from taglane_scheduler.web.console import charts
from taglane_scheduler.web.console.languages import LANGUAGES, translate

if TYPE_CHECKING:
    from collections.abc import Mapping

    from jinja2.runtime import Context

    from taglane_scheduler.web.console.view import View

PACKAGE = "taglane_scheduler.web.console"

_UNITS = {
    "en": {"ms": " ms", "s": " s", "min": " min", "h": " h", "d": " d"},
    "zh": {"ms": " 毫秒", "s": " 秒", "min": " 分钟", "h": " 小时", "d": " 天"},
}


@cache
def asset(name: str) -> str:
    """Return the path of a static file, with its content's hash: it may be kept for ever."""
    content = files(PACKAGE).joinpath("static", *name.split("/")).read_bytes()
    return f"/static/{name}?v={hashlib.sha256(content).hexdigest()[:12]}"


def ago(ms: float | None, language: str = "en") -> str:
    """Return a duration in ms, short: `320 ms`, `4.2 s`, `5 min`, `3 h`, `2 d`."""
    if ms is None:
        return "-"
    units = _UNITS.get(language, _UNITS["en"])
    seconds = max(0.0, ms / 1000)
    if seconds < 1:
        return f"{round(seconds * 1000)}{units['ms']}"
    if seconds < 60:
        return f"{seconds:.1f}{units['s']}"
    for least, unit, name in ((172_800, 86_400, "d"), (7_200, 3_600, "h"), (0, 60, "min")):
        if seconds >= least:
            return f"{seconds / unit:.0f}{units[name]}"
    raise AssertionError


def number(value: float | None) -> str:
    """Return a count with its thousands apart: `12,345`."""
    return "-" if value is None else f"{value:,}"


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


def cut(value: Any, most: int = 120) -> str:
    """Return a text with an end: what a tenant wrote may be of any size."""
    text = str(value)
    return text if len(text) <= most else f"{text[: most - 1]}…"


@pass_context
def _say(context: Context, text: str, /, **values: Any) -> str:
    return translate(context.get("language", "en"), text, **values)


@pass_context
def _ago(context: Context, ms: float | None) -> str:
    return ago(ms, context.get("language", "en"))


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
        "charts": charts,
        "now": lambda: round(time.time() * 1000),
    }
    made.tests["startingwith"] = lambda text, start: str(text).startswith(start)
    made.filters |= {
        "ago": _ago,
        "cut": cut,
        "iso": iso,
        "number": number,
        "pretty": pretty,
        "size": lambda value: "-" if value is None else about(round(value)),
        "rate": lambda limits: spelled(limits).get("rate", "∞"),
        "quote": lambda text: quote(str(text), safe=""),
        "sh": lambda text: shlex.quote(str(text)),
    }
    return made


def render(view: View, frame: Mapping[str, Any]) -> str:
    """Return the whole page; *frame* is what all pages have: who looks, language, csrf, path."""
    return _sendable(
        environment().get_template(view.template).render(**frame, **view.data, title=view.title, view=view)
    )


def render_live(view: View, frame: Mapping[str, Any]) -> str:
    """Return the page's block `live` alone."""
    template = environment().get_template(view.template)
    context = template.new_context({**frame, **view.data, "title": view.title, "view": view})
    return _sendable("".join(template.blocks["live"](context)))


def render_part(template: str, frame: Mapping[str, Any], data: Mapping[str, Any]) -> str:
    """Return a template that is no whole page."""
    return _sendable(environment().get_template(template).render(**frame, **data))


def _sendable(html: str) -> str:
    """Return it without halves of surrogate pairs: JSON that tenants wrote may have them, and UTF-8 has none."""
    return html.encode("utf-8", "replace").decode()
