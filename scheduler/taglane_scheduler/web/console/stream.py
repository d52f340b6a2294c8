"""The one event stream of a tab: the page that it shows, rendered anew whenever it has changed.

Server-sent events. `live`: the page's live block. `tail`: what was added to something that only grows. `gone`: the
server does not answer; `live` comes when it does again. `over`: this login has ended, the page is to be loaded anew.
"""

from __future__ import annotations

import asyncio
import hashlib
import json
import time
from collections import Counter
from functools import partial
from typing import TYPE_CHECKING, Any

from anyio import CapacityLimiter, to_thread
from taglane.errors import ServerUnavailable, TaglaneError

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable

    from taglane_scheduler.web.console.view import Tail

EVERY_S = 1.0
"""Between two looks at what a page shows."""

LOOK_S = 0.1
"""Between two looks at whether the process is to end."""

SLOW_S = 5.0
"""After so long without an answer the tab is told: a server that stands still refuses nothing."""

RATHER, LONGEST_S = 4, 30.0
"""A look that takes long is followed by a rest of so many times that, up to so many seconds: pages come first."""

THREADS = 8
"""Streams look in threads of their own, so many: whoever opens hundreds leaves the others' pages theirs."""

EACH = 40
"""Streams of one person or key at a time; a browser opens four."""

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


class Streams:
    """All streams of one process: looks for them, and lets nobody have more than their share."""

    def __init__(self) -> None:
        self._threads = CapacityLimiter(THREADS)
        self._open: Counter[object] = Counter()

    async def of(self, who: object, live: Live, is_over: Callable[[], bool]) -> AsyncGenerator[bytes]:
        """Yield the bytes of a stream of theirs."""
        if self._open[who] >= EACH:
            text = f"{EACH} pages are open under this name, and that is the most: close some, and load this one again"
            yield _event("over", {"text": text})
            return
        self._open[who] += 1
        try:
            async for each in events(live, partial(to_thread.run_sync, limiter=self._threads), is_over):
                yield each
        finally:
            self._open[who] -= 1
            if not self._open[who]:
                del self._open[who]


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
        began = time.monotonic()
        looking = asyncio.ensure_future(in_thread(live.news))
        if not (await asyncio.wait({looking}, timeout=slow))[0]:
            yield _event("gone", {"text": ""})
            news = await looking
            if all(name == "tail" for name, _ in news):  # the page is told again, as it was: it takes the banner away
                live.forget()
                news += await in_thread(live.news)
        else:
            news = looking.result()
        rest = min(LONGEST_S, max(EVERY_S, RATHER * (time.monotonic() - began)))
        for name, data in news:
            yield _event(name, data)
            if name == "over":
                return
        quiet = 0.0 if news else quiet + rest
        if quiet >= QUIET_S:
            quiet = 0.0
            yield b": still here\n\n"
        for _ in range(round(rest / LOOK_S)):
            if is_over():
                return
            await asyncio.sleep(LOOK_S)


def _event(name: str, data: dict[str, Any]) -> bytes:
    return f"event: {name}\ndata: {json.dumps(data)}\n\n".encode()
