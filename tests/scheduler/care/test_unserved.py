"""The alert that runs wait for a tag that nobody serves."""

from __future__ import annotations

import logging
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import pytest
from factories import TENANT, HandWorker, enqueue, make_server, server_time
from taglane.errors import ServerUnavailable
from taglane.model.envelope import of_call
from taglane.model.names import new_run_id
from taglane.store import keys
from taglane.store.server import Server
from taglane_scheduler.care.rescue import Rescue
from taglane_scheduler.care.unserved import BATCH, EVERY_S, PATIENCE_MS, PLACES, REFRESH_S, Unserved, Waiting

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from redis import Redis


class Clock:
    """A monotonic clock, s, that stands still until it is set."""

    def __init__(self) -> None:
        self.at = 0.0

    def __call__(self) -> float:
        return self.at


@dataclass(frozen=True)
class Standing:
    kind: str
    tenant: str
    subject: str


@dataclass
class Board:
    """Alerts in memory: what several schedulers share."""

    texts: dict[tuple[str, str, str], str] = field(default_factory=dict)

    @property
    def tags(self) -> list[str]:
        return [tag for _, _, tag in self.texts]

    def raise_alert(self, kind: str, tenant: str, subject: str, text: str) -> bool:
        is_new = (kind, tenant, subject) not in self.texts
        self.texts[kind, tenant, subject] = text
        return is_new

    def raise_all(self, kind: str, found: Sequence[tuple[str, str, str]]) -> Sequence[bool]:
        return [self.raise_alert(kind, *each) for each in found]

    def end(self, kind: str, tenant: str, subject: str) -> bool:
        return self.texts.pop((kind, tenant, subject), None) is not None

    def list(self, tenant: str | None = None) -> Sequence[Standing]:
        return [Standing(*key) for key in self.texts if tenant in {None, key[1]}]


@pytest.fixture
def store(url: str) -> Iterator[Server]:
    server = make_server(url)
    yield server
    server.close()


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def board() -> Board:
    return Board()


@pytest.fixture
def unserved(store: Server, board: Board, clock: Clock) -> Unserved:
    return Unserved(store, board, clock=clock)


def wait_for(store: Server, tag: str, *, since: int = PATIENCE_MS, tenant: str = TENANT, step: int = 0) -> str:
    """Queue a run that has waited for so long, ms."""
    run_id = new_run_id(tenant)
    store.call("enqueue", tenant, run_id, "a.b", tag, step, of_call({}), "", "", "", "")
    redis: Any = store.redis
    redis.hset(keys.run(tenant, run_id), "queued_at", server_time(redis) - since)
    return run_id


def look(unserved: Unserved, clock: Clock, *tenants: str) -> list[Waiting]:
    """Step when the next turn has come."""
    clock.at += EVERY_S
    return unserved.step(tenants or [TENANT])


def test_an_alert_says_what_waits_and_what_to_start(
    unserved: Unserved, store: Server, board: Board, caplog: pytest.LogCaptureFixture
) -> None:
    """The queue's length over all steps, its oldest age, and the command; logged once."""
    wait_for(store, "acme.gpu", since=65_000, step=9)
    wait_for(store, "acme.gpu", since=20_000)

    (waiting,) = unserved.step([TENANT])

    assert ("acme", "acme.gpu", 2) == (waiting.tenant, waiting.tag, waiting.queued)
    assert waiting.oldest is not None
    assert 65_000 <= waiting.oldest < 75_000
    told = board.texts["no_worker", "acme", "acme.gpu"]
    assert told.startswith("2 runs wait for tag acme.gpu, the oldest for 1m")
    assert told.endswith("and no living worker serves it; start one:  taglane worker --tag acme.gpu")
    assert "tag_unserved tenant=acme tag=acme.gpu queued=2 oldest=1m" in caplog.text
    assert caplog.text.strip().endswith("start=taglane worker --tag acme.gpu")


def test_an_incident_is_logged_once(
    unserved: Unserved, store: Server, board: Board, clock: Clock, caplog: pytest.LogCaptureFixture
) -> None:
    """While it lasts the alert follows the queue now and then, and nothing more is logged; nor by another scheduler."""
    wait_for(store, "acme")
    unserved.step([TENANT])
    wait_for(store, "acme")
    look(unserved, clock)
    assert board.texts["no_worker", "acme", "acme"].startswith("1 run waits")
    clock.at += REFRESH_S
    look(unserved, clock)
    Unserved(store, board).step([TENANT])

    assert board.texts["no_worker", "acme", "acme"].startswith("2 runs wait")
    assert 1 == caplog.text.count("tag_unserved")


def test_without_alerts_it_is_logged_alone(store: Server, clock: Clock, caplog: pytest.LogCaptureFixture) -> None:
    """Once an incident, and its end."""
    caplog.set_level(logging.INFO)
    unserved = Unserved(store, clock=clock)
    wait_for(store, "acme")
    for _ in range(3):
        look(unserved, clock)
    HandWorker(store).hello()
    look(unserved, clock)

    assert (1, 1) == (caplog.text.count("tag_unserved"), caplog.text.count("tag_served_again tenant=acme tag=acme"))


def test_a_worker_that_comes_ends_it(unserved: Unserved, store: Server, board: Board, clock: Clock) -> None:
    """One for the tag: one for another tag does not."""
    wait_for(store, "acme")
    unserved.step([TENANT])
    store.call("hello", TENANT, "other", "tags", "acme.gpu acme2")
    look(unserved, clock)
    assert ["acme"] == board.tags

    HandWorker(store).hello()
    look(unserved, clock)

    assert [] == board.tags


def test_an_empty_queue_ends_it(unserved: Unserved, store: Server, board: Board, clock: Clock) -> None:
    """Whatever has emptied it: a cancel, a purge, an expiry."""
    run_id = wait_for(store, "acme")
    unserved.step([TENANT])
    store.call("cancel", TENANT, run_id, "by a test")

    assert [] == look(unserved, clock)
    assert [] == board.tags


def test_it_is_ended_when_no_scheduler_looks_at_its_tenant_any_more(
    unserved: Unserved, store: Server, board: Board, clock: Clock, redis: Redis
) -> None:
    """A tenant that was deleted leaves no alert behind."""
    wait_for(store, "acme")
    unserved.step([TENANT])
    redis.flushdb()

    clock.at += EVERY_S
    unserved.step([])

    assert [] == board.tags


def test_an_alert_of_an_earlier_scheduler_is_ended(store: Server, board: Board) -> None:
    """A scheduler that starts takes over what stands; what is another's kind it leaves alone."""
    board.raise_alert("no_worker", "acme", "acme.gone", "")
    board.raise_alert("connections", "acme", "acme", "")

    Unserved(store, board).step([])

    assert [("connections", "acme", "acme")] == list(board.texts)


def test_the_death_of_the_last_worker_raises_it(unserved: Unserved, store: Server, board: Board, clock: Clock) -> None:
    """Once it was found dead, as the rescue finds it: what it held waits for nobody."""
    worker = HandWorker(store).hello()
    wait_for(store, "acme", since=60_000)
    worker.fetch()
    wait_for(store, "acme", since=30_000)
    rescue = Rescue(store, 15_000, clock)
    assert [] == unserved.step([TENANT])

    for _ in range(17):
        clock.at += 1
        rescue.step([TENANT])
    unserved.step([TENANT])

    assert board.texts["no_worker", "acme", "acme"].startswith("2 runs wait for tag acme,")


def test_a_moment_is_no_incident(unserved: Unserved, store: Server, board: Board, clock: Clock, redis: Redis) -> None:
    """A worker that is replaced is away for some seconds; what goes on waiting is looked at again, unasked."""
    run_id = wait_for(store, "acme", since=0)
    assert [] == unserved.step([TENANT])
    redis.hset(keys.run(TENANT, run_id), "queued_at", server_time(redis) - 10_000)

    clock.at += EVERY_S
    assert 1 == len(unserved.step([]))
    assert ["acme"] == board.tags


def test_an_alert_stands_while_anything_waits(unserved: Unserved, store: Server, board: Board, clock: Clock) -> None:
    """Though what had waited longest is gone: nobody has come."""
    run_id = wait_for(store, "acme")
    unserved.step([TENANT])
    wait_for(store, "acme", since=0)
    store.call("cancel", TENANT, run_id, "by a test")

    assert 1 == len(look(unserved, clock))
    assert ["acme"] == board.tags


def test_what_does_not_wait_for_a_worker(unserved: Unserved, store: Server) -> None:
    """Runs whose time has not come, runs that are executed, and what others serve raise nothing."""
    worker = HandWorker(store).hello()
    enqueue(store)
    worker.fetch()
    later = new_run_id(TENANT)
    store.call("enqueue", TENANT, later, "a.b", "acme.gpu", 0, of_call({}), "+3600000", "", "", "")
    wait_for(store, "acme")

    assert [] == unserved.step([TENANT])


def test_a_shared_tag_is_asked_of_whoever_knows_the_pools(store: Server) -> None:
    """Its workers are of no tenant: it counts as served unless the pools say otherwise."""
    wait_for(store, "shared.small")

    assert [] == Unserved(store).step([TENANT])
    assert ["shared.small"] == [each.tag for each in Unserved(store, pool_serves=lambda _: False).step([TENANT])]


def test_a_tenant_is_looked_at_once_a_turn(unserved: Unserved, store: Server, clock: Clock) -> None:
    """However often it has something due."""
    unserved.step([TENANT])
    wait_for(store, "acme")

    assert [] == unserved.step([TENANT])
    assert 1 == len(look(unserved, clock))


def test_a_step_is_bounded(unserved: Unserved, store: Server, board: Board) -> None:
    """A tenant with many tags has some alerts, and the step goes no further than that; the next one does."""
    for number in range(100):
        wait_for(store, f"acme.p{number}")
    tenants = ["acme", *(f"t{number:03}" for number in range(PLACES))]
    for tenant in tenants[1:]:
        wait_for(store, tenant, tenant=tenant)

    unserved.step(tenants)
    first = len(board.texts)
    unserved.step([])

    assert (PLACES, 32 + PLACES) == (first, len(board.texts))
    assert set(tenants) == {tenant for _, tenant, _ in board.texts}


def test_many_incidents_starve_nobody(unserved: Unserved, store: Server, board: Board, clock: Clock) -> None:
    """So many tenants that are watched take several steps; those that a step is told of are looked at in it."""
    tenants = [f"t{number:03}" for number in range(BATCH + 10)]
    for tenant in tenants:
        wait_for(store, tenant, tenant=tenant)
    unserved.step(tenants)
    unserved.step([])
    assert BATCH + 10 == len(board.texts)
    wait_for(store, "zz", tenant="zz")
    for tenant in tenants:
        store.redis.delete(keys.tags(tenant), keys.queue(tenant, tenant, 0))

    assert ["zz"] == [each.tenant for each in look(unserved, clock, "zz")]
    assert len(tenants) > len(board.texts) > 10
    unserved.step([])
    assert ["zz"] == board.tags


@pytest.mark.parametrize("spoil", ["tags", "workers", "queue:acme:0"])
def test_a_spoiled_tenant_hides_no_other(unserved: Unserved, store: Server, redis: Redis, spoil: str) -> None:
    """A key of another type reads as empty."""
    wait_for(store, "acme")
    wait_for(store, "zz", tenant="zz")
    redis.delete(keys.prefix(TENANT) + spoil)
    redis.set(keys.prefix(TENANT) + spoil, "spoiled")

    assert "zz" in [each.tenant for each in unserved.step([TENANT, "zz"])]


def test_what_is_no_tag_is_never_said(unserved: Unserved, redis: Redis) -> None:
    """A tenant may write what it likes into its own keys: none of it becomes a command or a log line."""
    for tag in (b"acme; rm -rf /", b"acme\nserver_lost", b"globex", b"\xff"):
        redis.sadd(keys.tags(TENANT), tag)
        redis.rpush(keys.prefix(TENANT).encode() + b"queue:" + tag + b":0", "x")

    assert [] == unserved.step([TENANT])


def test_an_age_that_can_t_be_read(unserved: Unserved, store: Server, board: Board, redis: Redis) -> None:
    """An entry without a run waits all the same."""
    redis.delete(keys.run(TENANT, wait_for(store, "acme")))

    (waiting,) = unserved.step([TENANT])

    assert waiting.oldest is None
    assert board.texts["no_worker", "acme", "acme"].startswith("1 run waits for tag acme, and no living worker")


def test_a_server_that_is_gone() -> None:
    """It is named; nothing is taken for ended."""
    server = Server("redis://127.0.0.1:1/0")
    with pytest.raises(ServerUnavailable):
        Unserved(server).step([TENANT])
    server.close()
