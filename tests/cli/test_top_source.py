"""What `taglane top` reads."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from factories import HandWorker, enqueue, make_server
from taglane.errors import Refused
from taglane.store.search import RunSearch
from taglane.store.standings import Standings
from taglane_cli.top_source import Snapshot, Source, View
from taglane_scheduler.care.alerts import Alert
from taglane_scheduler.embedded import EmbeddedServer

if TYPE_CHECKING:
    from collections.abc import Iterator

    from taglane.store.server import Server
    from taglane_scheduler.server_binary import ServerBinary


@pytest.fixture
def store(url: str) -> Iterator[Server]:
    server = make_server(url)
    yield server
    server.close()


def source(store: Server, tenants: list[str]) -> Source:
    alerts = [Alert("overuse", "acme", "memory", "too much", 1, 2)]
    standings, search = Standings(store, 30_000), RunSearch(store)
    return Source(standings, search, tenants=lambda: tenants, alerts=lambda: alerts, where="here")


def test_all_tenants_and_one_closely(store: Server) -> None:
    """Sorted and filtered as they are looked at; of the one, its tags and what runs."""
    for tenant, count in (("acme", 3), ("busy", 5), ("idle", 0)):
        for _ in range(count):
            enqueue(store, tenant)
    worker = HandWorker(store, "acme").hello()
    ((run, token),) = worker.fetch(1)
    store.call("renew", "acme", worker.id, 1, 1, run, token, 5, "", run, token)
    top = source(store, ["idle", "acme", "busy"])

    everything = top.read(View("queued"))
    closely = top.read(View("tenant", "c", "acme"))

    assert ["busy", "acme", "idle"] == [each.tenant for each in everything.tenants]
    assert (3, 3, 7, "", None) == (
        everything.fitting,
        everything.totals.read,
        everything.totals.queued,
        everything.trouble,
        everything.closely,
    )
    assert ["overuse"] == [each.kind for each in everything.attention]
    assert ["acme"] == [each.tenant for each in closely.tenants]
    assert closely.closely is not None
    assert ["acme"] == [each.tag for each in closely.closely.tags]
    assert [run] == [each.id for each in closely.runs]


def test_a_server_that_goes_and_comes_back(binary: ServerBinary) -> None:
    """What was seen last stays, with the reason; then it is read anew."""
    with EmbeddedServer(binary=binary) as running:
        store = make_server(running.url)
        enqueue(store, "acme")
        top = source(store, ["acme"])
        assert 1 == top.read(View()).totals.queued
        running.kill()

        gone = top.read(View("tenant"))
        running.restart()
        empty = top.read(View())  # a scheduler gives it the functions
        make_server(running.url).close()
        back = top.read(View())

        assert (1, "tenant") == (gone.totals.queued, gone.view.sort)
        assert f"no server at 127.0.0.1:{running.port}" in gone.trouble
        assert "" != empty.trouble
        assert ("", 0) == (back.trouble, back.totals.queued)
        store.close()


def test_a_refusal_is_said_too(store: Server) -> None:
    def names() -> list[str]:
        raise Refused("it")

    top = Source(Standings(store, 1), RunSearch(store), tenants=names, alerts=list, where="x")

    assert "refused it" in top.read(View()).trouble
    assert Snapshot().read_at is None
