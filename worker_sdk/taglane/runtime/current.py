"""The holdings of this process, and how it stands: Celery's channels and pools come and go, and find them here."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from taglane.runtime.holdings import Holdings
    from taglane.runtime.standing import Standing

_holdings: Holdings | None = None
_standing: Standing | None = None


def holdings() -> Holdings | None:
    """What this process holds, or None in one that executes no runs."""
    return _holdings


def hold(what: Holdings | None) -> None:
    """Make *what* this process's holdings."""
    global _holdings  # noqa: PLW0603 - one worker is one process
    _holdings = what


def standing() -> Standing | None:
    """How this process, or the one that forked it, stands with the server; None in one that executes no runs."""
    return _standing


def stand(how: Standing | None) -> None:
    """Make *how* this process's standing, and that of the children that it forks."""
    global _standing  # noqa: PLW0603 - one worker is one process
    _standing = how
