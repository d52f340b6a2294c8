"""Memory by tenant: an estimate within what the guarantees say, at a cost that does not grow with the data."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from factories import HandWorker, make_job, make_server
from taglane.model.envelope import of_call
from taglane.model.names import new_run_id
from taglane.store import keys
from taglane.store.jobs import Jobs
from taglane_scheduler.care.footprint import Footprints
from taglane_scheduler.embedded import EmbeddedServer
from taglane_scheduler.tenancy.tenants import url_for

if TYPE_CHECKING:
    from collections.abc import Iterator

    from redis import Redis
    from taglane.store.server import Server
    from taglane_scheduler.embedded import ServerBinary


@pytest.fixture
def store(url: str) -> Iterator[Server]:
    server = make_server(url)
    yield server
    server.close()


def enqueue_many(server: Server, count: int, tenant: str = "acme", size: int = 300) -> None:
    """Runs whose texts are from nothing to twice *size* characters long."""
    for start in range(0, count, 500):
        server.calls(
            (
                "enqueue",
                tenant,
                [
                    new_run_id(tenant),
                    "shop.tasks.report",
                    tenant,
                    0,
                    of_call({"text": "x" * (number * 7919 % (2 * size))}),
                    *([""] * 4),
                ],
            )
            for number in range(start, min(start + 500, count))
        )


def data_of(server: Server) -> int:
    return int(server.redis.memory_stats()["dataset.bytes"])


def test_the_estimate_is_near_the_truth(binary: ServerBinary) -> None:
    """Of 10,000 runs, a third ended, and 200 jobs: within a third of what the server grew by."""
    with EmbeddedServer(binary=binary) as running:
        server = make_server(running.url)
        before = server.redis.info("memory")["used_memory"]
        jobs = Jobs(server, 100_000)
        for number in range(200):
            jobs.put(make_job(f"job{number}", cron="H * * * *"))
        enqueue_many(server, 10_000)
        worker = HandWorker(server).hello()
        for _ in range(50):
            worker.finish(worker.fetch(64))
        grown = server.redis.info("memory")["used_memory"] - before

        estimates = [Footprints(server).measure(["acme"])["acme"] or 0 for _ in range(5)]

        server.close()
    assert all(0.67 < estimate / grown < 1.33 for estimate in estimates), (estimates, grown)


def test_tenants_are_measured_apart(store: Server) -> None:
    """Each has its own; one that has nothing has 0."""
    enqueue_many(store, 1_000, "acme")
    enqueue_many(store, 10, "other")

    found = Footprints(store).measure(["acme", "acme1", "other"])

    assert 0 == found["acme1"]
    assert (found["acme"] or 0) > 20 * (found["other"] or 0) > 0
    assert {} == Footprints(store).measure([])


def test_it_costs_the_same_for_much_and_for_more(store: Server, redis: Redis) -> None:
    """The number of commands does not grow with a tenant's runs."""
    costs = []
    for count in (100, 2_000):
        enqueue_many(store, count)
        redis.config_resetstat()
        Footprints(store).measure(["acme"])
        stats: Any = redis.info("commandstats")
        costs.append(sum(stats[name]["calls"] for name in stats if "info" not in name and "config" not in name))

    assert costs[0] == costs[1] < 100


def test_queues_and_parked_runs_of_many_tags_count(store: Server, redis: Redis) -> None:
    """A few tags stand for all of them."""
    before = Footprints(store).measure(["acme"])["acme"] or 0
    for number in range(40):
        redis.rpush(keys.queue("acme", f"acme.t{number}", 3), *[f"acme.{each:030}" for each in range(500)])
        redis.sadd(keys.tags("acme"), f"acme.t{number}")

    after = Footprints(store).measure(["acme"])["acme"] or 0

    true = sum(redis.memory_usage(keys.queue("acme", f"acme.t{number}", 3)) or 0 for number in range(40))
    assert after - before == pytest.approx(true, rel=0.05)


CORRUPTED = {
    "runs is a text": lambda redis: redis.set(keys.runs("acme"), "x" * 1_000_000),
    "jobs is a list": lambda redis: redis.rpush(keys.jobs("acme"), *(["x" * 1_000] * 1_000)),
    "runs have long names": lambda redis: redis.zadd(keys.runs("acme"), {f"{n}" + "x" * 100_000: n for n in range(10)}),
    "tags are no text": lambda redis: redis.sadd(keys.tags("acme"), *(bytes([255]) * (n + 1_000) for n in range(999))),
    "due has many": lambda redis: redis.zadd(keys.due("acme"), {f"job{number}": number for number in range(20_000)}),
    "what runs name is no run": lambda redis: (
        redis.zadd(keys.runs("acme"), {"acme.1": 1}),
        redis.set(keys.run("acme", "acme.1"), "x" * 1_000_000),
    ),
}


@pytest.mark.parametrize("corrupt", CORRUPTED.values(), ids=CORRUPTED)
def test_corrupted_keys_are_measured_too(store: Server, redis: Redis, corrupt: Any) -> None:
    """What a tenant has put in place of ours takes memory all the same; its neighbour's figure is right."""
    enqueue_many(store, 50, "other")
    alone = Footprints(store).measure(["other"])
    corrupt(redis)

    found = Footprints(store).measure(["acme", "other"])

    assert (found["acme"] or 0) > 400_000
    assert found["other"] == pytest.approx(alone["other"], rel=0.5)


def test_a_server_that_wont_say(redis: Redis, url: str) -> None:
    """A managed one, on which MEMORY is not allowed: not known is not 0."""
    redis.execute_command("ACL", "SETUSER", "ops", "on", ">p", "~*", "+@all", "-memory")  # type: ignore[no-untyped-call]
    server = make_server(url_for(url, "ops", "p"), load=False)
    assert {"acme": None} == Footprints(server).measure(["acme"])
    server.close()
