"""Reads places in a list from the URL. Pure."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from taglane_scheduler.web.console.view import Ask


def start_of(ask: Ask, field: str = "start") -> int:
    """Return where in a list its page begins, as the URL says; what is no place is its beginning."""
    start = ask.query.get(field, "")
    return int(start) if start.isascii() and start.isdecimal() and len(start) < 8 else 0


def place_of(ask: Ask) -> tuple[str, str]:
    """Return the tenant and the name behind which a page begins; what is no such place is the beginning."""
    tenant, _, name = ask.query.get("after", "").partition("~")
    return tenant, name
