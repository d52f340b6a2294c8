"""What a scrape is told."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import pytest
from factories import HandWorker, enqueue
from redis.exceptions import ConnectionError as Gone
from scraping import Page, add_tenants
from taglane.errors import ServerUnavailable
from taglane.store import keys
from taglane.store.standings import Standings
from taglane.store.tallies import Tallies
from taglane_scheduler.metrics.exposition import Exposition
from taglane_scheduler.metrics.gathering import OTHER, Gathering

if TYPE_CHECKING:
    from redis import Redis
    from taglane.store.server import Server


@dataclass(frozen=True)
class Wrong:
    """An alert that stands."""

    kind: str
    tenant: str
    subject: str


class Scene:
    """An exposition of a server's tenants, *most* of them by name."""

    def __init__(
        self, store: Server, redis: Redis, *tenants: str, most: int = 10, alerts: tuple[Wrong, ...] = ()
    ) -> None:
        add_tenants(redis, *tenants)
        tallies, standings = Tallies(store), Standings(store, 15_000)
        self.now = 0.0
        self.gathering = Gathering(tallies, standings, lambda: tenants, most=most, clock=self.clock)
        self.exposition = Exposition(
            self.gathering, tallies, standings, lambda: alerts, holds_fire=lambda: False, clock=self.clock
        )
        self.step()

    def clock(self) -> float:
        return self.now

    def step(self) -> None:
        self.now += 60
        self.gathering.step()

    def page(self, tenant: str | None = None) -> Page:
        return Page(self.exposition.render(tenant))


def test_what_a_run_leaves_behind(store: Server, redis: Redis) -> None:
    """From its queue to its end: counters, histograms with sums, gauges."""
    scene = Scene(store, redis, "acme")
    worker = HandWorker(store).hello()
    for _ in range(2):
        enqueue(store)
    scene.step()
    waiting = scene.page()
    worker.finish(worker.fetch(1))
    scene.step()

    page = scene.page()

    assert 2.0 == waiting("taglane_queue_runs", tenant="acme", tag="acme", priority="0")
    assert (2.0, 1.0) == (
        page("taglane_runs_made_total", tenant="acme"),
        page("taglane_queue_runs", tenant="acme", tag="acme", priority="0"),
    )
    assert (1.0, 0.0) == tuple(
        page("taglane_runs_total", tenant="acme", state=state) for state in ("succeeded", "failed")
    )
    for name in ("taglane_run_wait_seconds", "taglane_run_duration_seconds"):
        assert (1.0, 1.0) == (page(f"{name}_count", tenant="acme"), page(f"{name}_bucket", tenant="acme", le="+Inf"))
        assert page(f"{name}_sum", tenant="acme") is not None
    assert (1.0, 1.0) == (page("taglane_workers", tenant="acme", tag="acme"), page("taglane_tenants"))
    assert 0.0 == page("taglane_scheduler_holds_fire")


def test_labels_say_no_run_worker_or_host(store: Server, redis: Redis) -> None:
    """So there are as many series as there are tenants, tags and states."""
    scene = Scene(store, redis, "acme")
    HandWorker(store).hello()
    enqueue(store)
    scene.step()

    labels = scene.page().labels("taglane_")

    assert {"tenant", "tag", "priority", "state", "limit", "le"} == labels


def test_others_are_one(store: Server, redis: Redis) -> None:
    """Their tags, too, but for those of a shared pool."""
    scene = Scene(store, redis, "acme", "globex", "initech", most=1)
    for tenant in ("acme", "acme", "globex", "initech"):
        enqueue(store, tenant)
    store.call("enqueue", "globex", "globex.x", "a.b", "shared.small", 3, "{}", "", "", "", "")
    scene.step()
    scene.step()

    page = scene.page()

    assert {"acme", OTHER} == page.values("tenant") or {"globex", OTHER} == page.values("tenant")
    assert 3.0 == page("taglane_tenants")
    total = sum(page("celery_queue_length", queue_name=tag) or 0 for tag in ("acme", "globex", OTHER, "shared.small"))
    assert 5.0 == total


def test_one_tenant_is_told_of_itself_alone(store: Server, redis: Redis) -> None:
    """Read at that moment; its sums begin when it first asks."""
    alerts = (Wrong("no_worker", "globex", "globex"), Wrong("no_worker", "acme", "acme.gpu"))
    scene = Scene(store, redis, "acme", "globex", alerts=alerts)
    scene.page("acme")
    enqueue(store)

    page = scene.page("acme")

    assert {"acme"} == page.values("tenant")
    assert 1.0 == page("taglane_runs_made_total", tenant="acme")
    assert 1.0 == page("taglane_queue_runs", tenant="acme", tag="acme", priority="0")
    assert 1.0 == page("taglane_unserved_tags", tenant="acme", tag="acme.gpu")
    assert "globex" not in page.text


def test_alerts_are_counted(store: Server, redis: Redis) -> None:
    """By tenant and kind; what nobody serves by its tag."""
    alerts = (
        Wrong("no_worker", "acme", "acme.gpu"),
        Wrong("memory", "acme", ""),
        Wrong("denied", "", "x"),
        Wrong("no_worker", "nobody", "nobody.x"),
    )
    page = Scene(store, redis, "acme", alerts=alerts).page()

    assert 1.0 == page("taglane_unserved_tags", tenant="acme", tag="acme.gpu")
    assert 1.0 == page("taglane_unserved_tags", tenant=OTHER, tag=OTHER)
    assert (1.0, 1.0) == (
        page("taglane_alerts", tenant="acme", kind="memory"),
        page("taglane_alerts", tenant="", kind="denied"),
    )


def test_a_scrape_asks_the_server_for_nothing_but_alerts(
    store: Server, redis: Redis, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It takes as long as writing takes; while the server is gone, it tells what was known last."""
    scene = Scene(store, redis, "acme")
    enqueue(store)
    scene.step()

    def gone(*_: object, **__: object) -> None:
        raise Gone

    for node in store.nodes():
        monkeypatch.setattr(node.connection_pool, "get_connection", gone)
    with pytest.raises(ServerUnavailable):
        scene.exposition.render("acme")

    assert 1.0 == scene.page()("taglane_runs_made_total", tenant="acme")


def test_open_metrics_for_who_accepts_it(store: Server, redis: Redis) -> None:
    """Prometheus asks for it first; the text ends with its mark."""
    exposition = Scene(store, redis, "acme").exposition

    accepted = "application/openmetrics-text;version=1.0.0,text/plain;version=0.0.4;q=0.5"
    content_type, text = exposition.page(accepted)

    assert content_type.startswith("application/openmetrics-text; version=1.0.0")
    assert text.endswith(b"# EOF\n")
    assert exposition.page("")[0].startswith("text/plain")


def test_what_a_tenant_writes_into_its_keys_breaks_no_page(store: Server, redis: Redis) -> None:
    """Names with quotes and line ends are no tags of ours; huge counts are no counts."""
    scene = Scene(store, redis, "acme", "globex")
    redis.sadd(keys.tags("acme"), 'a"b\n} 1', "x" * 5_000)
    redis.set(keys.workers("acme"), "other")
    enqueue(store, "globex")
    scene.step()

    page = scene.page()

    assert 1.0 == page("taglane_runs_made_total", tenant="globex")
    assert len(page.text) < 50_000
