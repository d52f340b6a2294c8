"""The stream of a tab, while its server comes and goes."""

from __future__ import annotations

import asyncio
import threading
import time
from itertools import count
from typing import TYPE_CHECKING, Any

from eventually import eventually
from taglane.errors import RoleNeeded
from taglane.settings import load_settings
from taglane_scheduler.access.principal import Principal
from taglane_scheduler.desk.desk import Desk
from taglane_scheduler.embedded import EmbeddedServer
from taglane_scheduler.services import build
from taglane_scheduler.web.console import overview
from taglane_scheduler.web.console.stream import EACH, RATHER, Live, Streams, events
from taglane_scheduler.web.console.view import Ask, Tail

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Callable
    from pathlib import Path

    from taglane_scheduler.embedded import ServerBinary


def no_tail(_: Tail, cursor: str) -> tuple[str, str]:
    return "", cursor


def test_a_page_is_told_when_it_changes_and_not_else() -> None:
    """The same block twice is one event."""
    shown = ["a"]
    live = Live(lambda: (shown[0], None), no_tail)

    assert [("live", {"html": "a"})] == live.news()
    assert [] == live.news()
    shown[0] = "b"
    assert [("live", {"html": "b"})] == live.news()


def test_a_tail_is_told_from_where_it_was_left() -> None:
    """A tab that comes back brings its cursor along."""
    tail = Tail("log", lambda _: ({}, ""), "x.html", lambda: "0")
    live = Live(lambda: ("", tail), lambda _, cursor: (f"after {cursor}", str(int(cursor) + 1)), cursor="7")

    assert ("tail", {"target": "log", "html": "after 7", "cursor": "8"}) == live.news()[-1]
    assert "after 8" == live.news()[-1][1]["html"]


def test_nobody_has_more_streams_than_their_share() -> None:
    """One more is told that it is over; others have theirs, and one that ends makes place."""

    async def first(streams: Streams, who: str, opened: list[AsyncGenerator[bytes]]) -> bytes:
        stream = streams.of(who, Live(lambda: ("a", None), no_tail), lambda: False)
        opened.append(stream)
        return await anext(stream)

    async def scene() -> None:
        streams = Streams()
        opened: list[AsyncGenerator[bytes]] = []
        told = [await first(streams, "ann", opened) for _ in range(EACH)]
        assert [b"retry: 2000\n\n"] * EACH == told
        assert b"event: over" in await first(streams, "ann", opened)
        assert b"retry" in await first(streams, "bob", opened)
        await opened[0].aclose()
        assert b"retry" in await first(streams, "ann", opened)
        for each in opened:
            await each.aclose()

    asyncio.run(scene())


def test_a_page_that_is_slow_is_looked_at_less_often() -> None:
    """It rests for longer than it took."""
    looks: list[float] = []

    async def in_thread(do: Callable[[], Any]) -> Any:
        looks.append(time.monotonic())
        await asyncio.sleep(0.4)
        return do()

    async def scene() -> None:
        live = Live(lambda: ("a", None), no_tail)
        _ = [each async for each in events(live, in_thread, lambda: len(looks) > 1)]

    asyncio.run(scene())

    assert looks[1] - looks[0] >= 0.4 * (1 + RATHER) - 0.2


def test_the_server_goes_and_comes_back(binary: ServerBinary, tmp_path: Path) -> None:
    """It is said once that it is gone; when it is there again, the page comes by itself, and whole."""
    server = EmbeddedServer(binary=binary, directory=tmp_path)
    server.start()
    services = build(load_settings(url=server.url))
    services.prepare()
    services.tenants.create("acme")
    desk = Desk(services, Principal("ann", "acme", "read"))

    def look() -> tuple[str, None]:
        view = overview.show(desk, Ask("/"))
        return view.data["standing"].tenant, None

    live = Live(look, no_tail)
    try:
        assert [("live", {"html": "acme"})] == live.news()
        server.kill()
        assert ["gone"] == [name for name, _ in live.news()]
        assert [] == live.news()
        server.restart()
        assert [("live", {"html": "acme"})] == eventually(lambda: live.news() or None)
    finally:
        services.close()
        server.stop()


def test_a_login_that_has_ended_ends_the_stream() -> None:
    """And so does a page that this login may see no more: the tab loads it anew, and is told there."""
    turn = count()

    def look() -> tuple[str, None]:
        if next(turn):
            raise RoleNeeded("reading runs", "read", "none")
        return "a", None

    async def all_of_it() -> list[bytes]:
        return [each async for each in events(Live(look, no_tail), in_thread)]

    async def in_thread(ask: Callable[[], Any]) -> Any:
        return ask()

    told = b"".join(asyncio.run(all_of_it()))
    assert [b"live", b"over"] == [line.split()[1] for line in told.splitlines() if line.startswith(b"event:")]


def test_a_server_that_stands_still_is_told_of() -> None:
    """It refuses nothing, so no error says it; what comes when it goes on takes the banner away, changed or not."""
    goes_on = threading.Event()

    def look() -> tuple[str, None]:
        goes_on.wait(10)
        return "a", None

    async def until_it_is_back() -> list[bytes]:
        told: list[bytes] = []
        async for each in events(
            Live(look, no_tail), asyncio.to_thread, lambda: b"event: live" in b"".join(told), slow=0.05
        ):
            told.append(each)
            if each.startswith(b"event: gone"):
                goes_on.set()
        return told

    told = [each for each in asyncio.run(until_it_is_back()) if each.startswith(b"event:")]
    assert [b"gone", b"live"] == [each.split()[1] for each in told]
