"""The holdings of this process: Celery's channels and pools come and go, and find them here."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from taglane.runtime.holdings import Holdings

_holdings: Holdings | None = None


def holdings() -> Holdings | None:
    """What this process holds, or None in one that executes no runs."""
    return _holdings


def hold(what: Holdings | None) -> None:
    """Make *what* this process's holdings."""
    global _holdings  # noqa: PLW0603 - one worker is one process
    _holdings = what
