"""Who stands behind a request: what the app needs to know of logins and keys."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from starlette.requests import Request

    from taglane_scheduler.desk.principal import Principal


@dataclass(frozen=True, slots=True)
class Visitor:
    """Who asks. *csrf* is what a form of this login has to bring; empty for a key, whose requests no page can forge."""

    principal: Principal
    csrf: str = ""


class Gate(Protocol):
    """Tells who asks, by a session's cookie or an API key. May ask the server: called in a thread."""

    def visitor(self, request: Request) -> Visitor | None:
        """Return who asks; None for nobody that is known."""
