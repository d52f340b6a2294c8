from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from factories import TENANT, HandWorker, enqueue, make_server, run_field
from taglane.errors import ServerUnavailable
from taglane.store import keys
from taglane_scheduler.care.rescue import Rescue, Rescued

if TYPE_CHECKING:
    from collections.abc import Iterator

    from redis import Redis
    from taglane.store.server import Server

LEASE = 15_000


class Clock:
    """A monotonic clock, s, that stands still until it is set."""

    def __init__(self) -> None:
        self.at = 0.0

    def __call__(self) -> float:
        return self.at


@pytest.fixture
def store(url: str) -> Iterator[Server]:
    server = make_server(url)
    yield server
    server.close()


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def rescue(store: Server, clock: Clock) -> Rescue:
    return Rescue(store, LEASE, clock)


def watch(rescue: Rescue, clock: Clock, seconds: int, *beating: HandWorker) -> list[tuple[float, Rescued]]:
    """Step once a second, as these workers beat; return who was rescued, and when."""
    rescued = []
    for _ in range(seconds):
        clock.at += 1
        for worker in beating:
            assert worker.beat()
        rescued += [(clock.at, one) for one in rescue.step([TENANT])]
    return rescued


def test_dead_worker_s_runs_are_queued_again(store: Server, rescue: Rescue, clock: Clock, redis: Redis) -> None:
    """A worker that is silent for a lease is struck out, and what it held waits at the head of its queue."""
    first, second = enqueue(store), enqueue(store)
    worker = HandWorker(store).hello()
    worker.fetch(most=1)

    rescued = watch(rescue, clock, 17)

    assert [(16.0, Rescued(TENANT, "worker-1", queued=1, dead=0))] == rescued
    assert [first.encode(), second.encode()] == redis.lrange(keys.queue(TENANT, TENANT, 0), 0, -1)
    assert "queued" == run_field(redis, first, "state")
    assert 0 == worker.beat()
    assert 0 == redis.scard(keys.workers(TENANT))


def test_living_worker_keeps_its_runs(store: Server, rescue: Rescue, clock: Clock) -> None:
    """A worker that beats is never rescued, its dead neighbour is."""
    enqueue(store)
    living = HandWorker(store, id="living").hello()
    HandWorker(store, id="dead").hello()
    held = living.fetch()

    rescued = watch(rescue, clock, 40, living)

    assert ["dead"] == [one.worker for _, one in rescued]
    assert [1] == living.finish(held)


def test_silence_of_ours_kills_nobody(store: Server, rescue: Rescue, clock: Clock) -> None:
    """A scheduler that was frozen, or whose server was, counts a full lease anew before it calls anyone dead."""
    HandWorker(store).hello()
    watch(rescue, clock, 14)

    clock.at += 3_600

    assert [3_630.0] == [at for at, _ in watch(rescue, clock, 20)]


def test_reconnect_starts_anew(store: Server, rescue: Rescue, clock: Clock) -> None:
    """What was seen before a reconnect counts for nothing."""
    HandWorker(store).hello()
    watch(rescue, clock, 14)

    rescue.restart()

    assert [30.0] == [at for at, _ in watch(rescue, clock, 20)]


def test_error_starts_anew(url: str, clock: Clock) -> None:
    """A read that failed starts every watch anew, though the next one is prompt."""
    server = make_server(url)
    rescue = Rescue(server, LEASE, clock)
    HandWorker(server).hello()
    watch(rescue, clock, 14)

    server.redis.config_set("maxclients", 1)
    try:
        server.redis.client_kill_filter(skipme=False)
        other = make_server(url, load=False)
        other.redis.ping()
        with pytest.raises(ServerUnavailable):
            rescue.step([TENANT])
    finally:
        other.redis.config_set("maxclients", 10_000)
        other.close()

    assert [30.0] == [at for at, _ in watch(rescue, clock, 20)]
    server.close()


def test_worker_that_comes_back_in_time(store: Server, rescue: Rescue, clock: Clock) -> None:
    """One beat within the lease is enough."""
    worker = HandWorker(store).hello()
    watch(rescue, clock, 15)
    worker.beat()

    assert [31.0] == [at for at, _ in watch(rescue, clock, 20)]


def test_beat_between_the_reading_and_the_claim(store: Server) -> None:
    """A worker that beat after its counter was read keeps what it holds: the claim is the counter that was seen."""
    enqueue(store)
    worker = HandWorker(store).hello()
    held = worker.fetch()
    worker.beat()

    assert [0, 0] == store.call("rescue", TENANT, worker.id, "0")

    assert [1] == worker.finish(held)


def test_poison_run_goes_to_the_dead_letters(store: Server, rescue: Rescue, clock: Clock, redis: Redis) -> None:
    """A run in which workers die again and again is given up, and kept."""
    run_id = enqueue(store)
    for number in range(5):
        HandWorker(store, id=f"worker-{number}").hello().fetch()
        (rescued,) = [one for _, one in watch(rescue, clock, 17)]
        if rescued.dead:
            break

    assert "dead" == run_field(redis, run_id, "state")
    assert [run_id.encode()] == redis.zrange(keys.dead(TENANT), 0, -1)


@pytest.mark.parametrize("spoil", ["workers", "worker:worker-1"])
def test_spoiled_tenant_stops_no_other(store: Server, rescue: Rescue, clock: Clock, redis: Redis, spoil: str) -> None:
    """A tenant that spoiled its own keys is passed over; the dead worker of another is rescued."""
    HandWorker(store, tenant="evil").hello()
    HandWorker(store).hello()
    redis.delete(keys.prefix("evil") + spoil)
    redis.set(keys.prefix("evil") + spoil, "spoiled")

    rescued = []
    for _ in range(17):
        clock.at += 1
        rescued += rescue.step(["evil", TENANT])

    assert [TENANT] == [one.tenant for one in rescued]


def test_ids_that_are_no_text(rescue: Rescue, clock: Clock, redis: Redis) -> None:
    """A worker's id that nothing of ours can have written is passed over."""
    redis.sadd(keys.workers(TENANT), b"\xff\xfe")

    assert [] == watch(rescue, clock, 20)


def test_of_very_many_tenants_each_is_looked_after(store: Server, clock: Clock) -> None:
    """A part of them is read in each step: the dead are found within a quarter of a lease more, the living live."""
    tenants = [f"t{number}" for number in range(12)]
    rescue = Rescue(store, LEASE, clock, at_once=4)
    workers = [HandWorker(store, tenant).hello() for tenant in tenants]
    rescued: dict[str, float] = {}
    for _ in range(21):
        clock.at += 1
        for worker in workers[::2]:
            assert worker.beat()
        rescued |= {one.tenant: clock.at for one in rescue.step(tenants, [])}

    assert sorted(tenants[1::2]) == sorted(rescued)
    assert max(rescued.values()) <= 15 + 15 / 4 + 1


def test_who_has_come_is_watched_once_that_is_told(store: Server, rescue: Rescue, clock: Clock, redis: Redis) -> None:
    """A tenant's workers are listed again when one may have come, or one of them has gone; not for each reading."""
    first = HandWorker(store).hello()
    rescue.step([TENANT], [TENANT])
    HandWorker(store, id="late").hello()
    redis.config_resetstat()
    rescued = []
    for at in range(1, 22):
        clock.at = at
        assert first.beat()
        rescued += rescue.step([TENANT], [TENANT] if at == 4 else [])

    assert ["late"] == [one.worker for one in rescued]
    assert redis.info("commandstats")["cmdstat_srandmember"]["calls"] < 10
