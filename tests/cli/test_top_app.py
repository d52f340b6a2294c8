"""The screen of `taglane top`, with real keys."""

from __future__ import annotations

import asyncio
import time
from typing import TYPE_CHECKING

import pytest
from factories import HandWorker, enqueue, make_server
from taglane.store.search import RunSearch
from taglane.store.standings import Standings
from taglane_cli.top_app import SORTS, TopApp
from taglane_cli.top_source import Source
from taglane_scheduler.care.attention import Attention
from textual.widgets import DataTable, Static

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from taglane.store.server import Server
    from textual.pilot import Pilot


@pytest.fixture
def store(url: str) -> Iterator[Server]:
    server = make_server(url)
    yield server
    server.close()


def names(app: TopApp) -> list[str]:
    table = app.query_one("#tenants", DataTable)
    return [str(key.value) for key in table.rows]


def text(app: TopApp, part: str) -> str:
    return str(app.query_one(f"#{part}", Static).content)


async def until(pilot: Pilot[None], holds: Callable[[], bool]) -> None:
    """Let the screen go on until something holds."""
    give_up = time.monotonic() + 10
    while not holds():
        assert time.monotonic() < give_up
        await pilot.pause(0.02)


def test_keys(store: Server) -> None:
    """Sort, filter, look closely, go back, quit: and the cursor stays with its tenant."""
    for tenant, count in (("acme", 1), ("busy", 9), ("calm", 4)):
        for _ in range(count):
            enqueue(store, tenant)
    worker = HandWorker(store, "acme").hello()
    ((run, token),) = worker.fetch(1)
    store.call("renew", "acme", worker.id, 1, 1, run, token, 5, "", run, token)
    source = Source(
        Standings(store, 30_000), RunSearch(store), tenants=lambda: ["acme", "busy", "calm"], alerts=list, where="here"
    )

    async def play() -> None:
        app = TopApp(source, every=0.05)
        async with app.run_test(size=(140, 30)) as pilot:
            await until(pilot, lambda: len(names(app)) == 3)
            assert "here  tenants 3  backlog 13" in text(app, "head")
            assert "nothing needs attention" in text(app, "attention")
            await pilot.press("b")
            await until(pilot, lambda: "[b]" in text(app, "keys") and names(app) == ["busy", "calm", "acme"])
            await pilot.press("t")
            await until(pilot, lambda: "[t]" in text(app, "keys") and names(app) == ["acme", "busy", "calm"])
            await pilot.press("slash", "c")
            await until(pilot, lambda: names(app) == ["acme", "calm"])
            await pilot.press("enter", "up", "up", "enter")
            await until(pilot, lambda: "acme  active, 0 jobs" in text(app, "whose"))
            await until(pilot, lambda: [run] == [str(key.value) for key in app.query_one("#runs", DataTable).rows])
            await pilot.press("escape")
            await until(pilot, lambda: len(names(app)) == 3)
            await pilot.press("escape")
            await until(pilot, lambda: app.query_one("#tenants", DataTable).display)
            for _ in range(3):
                enqueue(store, "acme")
            await until(pilot, lambda: "backlog 16" in text(app, "head"))
            await pilot.press("q")
        assert app.return_code == 0

    asyncio.run(play())


def test_each_sort_has_a_key_and_a_word_on_the_screen() -> None:
    assert {"attention", "tenant", "queued", "oldest", "running", "failed", "workers"} == set(SORTS.values())
    assert Attention("x", "", "", "", "", None).kind == "x"
