"""The one event stream of a tab: the page that it shows, rendered anew whenever it has changed.

Server-sent events. `live`: the page's live block. `tail`: what was added to something that only grows. `gone`: the
server does not answer; `live` comes when it does again. `over`: this login has ended, the page is to be loaded anew.
"""

from __future__ import annotations

import asyncio
import hashlib
import json
from typing import TYPE_CHECKING, Any

from taglane.errors import ServerUnavailable, TaglaneError

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable

    from taglane_scheduler.web.console.view import Tail

EVERY_S = 1.0
"""Between two looks at what a page shows."""

LOOK_S = 0.1
"""Between two looks at whether the process is to end."""

SLOW_S = 5.0
"""After so long without an answer the tab is told: a server that stands still refuses nothing."""

QUIET_S = 15.0
"""After so long without an event a comment is sent, so that nobody on the way closes the stream."""


class Live:
    """What one stream has told of its page so far: says what is new. Its page's functions are called in threads.

    Args:
        look: renders the page's live block, and gives its tail if it has one.
        add: renders what is new of a tail, from a cursor.
    """

    def __init__(
        self,
        look: Callable[[], tuple[str, Tail | None]],
        add: Callable[[Tail, str], tuple[str, str]],
        cursor: str = "",
    ) -> None:
        self._look = look
        self._add = add
        self._told = ""
        self._gone = False
        self._cursor = cursor

    def forget(self) -> None:
        """Tell the page again at the next look, whatever it shows. Never while one goes on."""
        self._told = ""

    def news(self) -> list[tuple[str, dict[str, Any]]]:
        """Return the events that tell what has changed since the last call."""
        try:
            html, tail = self._look()
            found: list[tuple[str, dict[str, Any]]] = []
            digest = hashlib.sha256(html.encode()).hexdigest()
            if digest != self._told or self._gone:
                found.append(("live", {"html": html}))
            if tail is not None:
                more, self._cursor = self._add(tail, self._cursor or tail.cursor)
                if more:
                    found.append(("tail", {"target": tail.target, "html": more, "cursor": self._cursor}))
            self._told, self._gone = digest, False
        except ServerUnavailable as error:
            found = [] if self._gone else [("gone", {"text": str(error)})]
            self._gone = True
        except TaglaneError as error:  # what the page shows is there no more, or not for this login
            return [("over", {"text": str(error)})]
        return found


async def events(
    live: Live,
    in_thread: Callable[[Callable[[], Any]], Awaitable[Any]],
    is_over: Callable[[], bool] = lambda: False,
    slow: float = SLOW_S,
) -> AsyncIterator[bytes]:
    """Yield the stream's bytes until the page or the process is over; the client's going away ends it, too."""
    yield b"retry: 2000\n\n"
    quiet = 0.0
    while not is_over():
        looking = asyncio.ensure_future(in_thread(live.news))
        if not (await asyncio.wait({looking}, timeout=slow))[0]:
            yield _event("gone", {"text": ""})
            await asyncio.wait({looking})
            live.forget()
        news = await looking
        for name, data in news:
            yield _event(name, data)
            if name == "over":
                return
        quiet = 0.0 if news else quiet + EVERY_S
        if quiet >= QUIET_S:
            quiet = 0.0
            yield b": still here\n\n"
        for _ in range(round(EVERY_S / LOOK_S)):
            if is_over():
                return
            await asyncio.sleep(LOOK_S)


def _event(name: str, data: dict[str, Any]) -> bytes:
    return f"event: {name}\ndata: {json.dumps(data)}\n\n".encode()
