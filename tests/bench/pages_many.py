"""What the console costs with many small tenants: its first look after it began, its pages then, a scrape.

PAGES_MANY (10,000) tenants have two jobs each; every hundredth has a worker and a queue.
"""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from bench import pages_http
from bench.reads import Reads
from factories import make_job
from taglane.model.envelope import of_call
from taglane.model.names import new_run_id
from taglane.store import functions, keys
from taglane.store.jobs import Jobs
from taglane.store.server import Server
from taglane_scheduler.tenancy.record import Record
from taglane_scheduler.web.console.stream import EVERY_S

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from starlette.testclient import TestClient

EACH = 2
BUSY = 100
"""One tenant of so many has something to do."""

BATCH = 500


def fill(server: Server, names: Sequence[str]) -> None:
    """Write tenants without users, since nobody logs in as them, and their jobs; for some a worker and a queue."""
    record = Record(created=1, password_hashes=()).to_json()
    for start in range(0, len(names), BATCH):
        some = names[start : start + BATCH]
        server.redis.hset(keys.TENANTS, mapping=dict.fromkeys(some, record))
        made = [make_job(f"job-{number}", tenant=name, every="1h") for name in some for number in range(EACH)]
        Jobs(server, 10_000).put_many(made)
    for name in names[::BUSY]:
        serve(server, name, workers=1, queued=20)


def serve(server: Server, tenant: str, *, workers: int, queued: int) -> None:
    """Let a tenant have workers, as they introduce themselves, and runs that wait."""
    runs = [(new_run_id(tenant), "shop.tasks.report", tenant, 0, of_call({}), "", "", "", "") for _ in range(queued)]
    for number in range(workers):
        told = ["info", "{}", "tags", tenant, "tasks", "[]", "lease", "600000", "slots", "4"]
        server.call("hello", tenant, f"{tenant}-{number}", *told)
    for start in range(0, queued, BATCH):
        server.call("enqueue", tenant, *(argument for run in runs[start : start + BATCH] for argument in run))


def paths(names: Sequence[str]) -> Iterator[tuple[str, str]]:
    """Yield name and address of what is looked at."""
    yield from (("overview", "/"), ("overview by queue", "/?sort=queued"), ("overview, a name", "/?name=9"))
    yield from (("tenants", "/tenants"), ("queues", "/queues"), ("workers", "/workers"), ("templates", "/templates"))
    yield from (("jobs", "/jobs"), ("runs", "/runs"), ("a tenant", f"/tenants/{names[-1]}"), ("dead letters", "/dead"))
    yield from pages_http.lists(names[-1])


def measure(url: str, tenants: int, rounds: int) -> list[Reads]:
    """Return what the first looks of a new console took, and what later ones did."""
    names = [f"t{number:05}" for number in range(tenants)]
    first = Reads(f"a new console, {tenants:,} tenants", 1_000.0)
    then = Reads(f"page over HTTP, {tenants:,} tenants", pages_http.AIM_MS)
    server = Server(url)
    functions.load(server.redis)
    fill(server, names)
    for name, path in (("overview", "/"), ("queues", "/queues"), ("API: metrics", "/metrics")):
        for _ in range(min(3, rounds)):
            with pages_http.opened(url) as console:
                pages_http.get(first, console, f"its first page is {name}", path)
    with pages_http.opened(url) as console:
        first.note("until all tenants are on its board, one tab", _until_full(console, tenants))
        where = list(paths(names))
        for _ in range(rounds):
            for name, path in where:
                pages_http.get(then, console, name, path)
    server.close()
    return [first, then]


def _until_full(console: TestClient, tenants: int) -> float:
    """Look as an open tab does until nobody is missing; answers ms."""
    began = time.perf_counter()
    while console.services.board.look(lambda board: board.totals()).read < tenants:  # type: ignore[attr-defined]
        console.get("/")
        time.sleep(EVERY_S)
    return 1_000 * (time.perf_counter() - began)
