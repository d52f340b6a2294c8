"""Figures of all tenants, a portion at a time."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING, Any

import pytest
from eventually import eventually
from factories import enqueue
from scraping import add_tenants
from taglane.errors import ServerUnavailable
from taglane.store import functions, keys
from taglane.store.standings import Standings
from taglane.store.tallies import Tallies
from taglane_scheduler.metrics.gathering import FRESH_S, OTHER, RATE, Gathering

if TYPE_CHECKING:
    from redis import Redis
    from taglane.store.server import Server


class Clock:
    """A clock that stands until it is told to go on."""

    def __init__(self) -> None:
        self.now = 1_000.0

    def __call__(self) -> float:
        return self.now


class Scene:
    """Gathering from a server, by a clock of the test's."""

    def __init__(self, store: Server, redis: Redis, most: int) -> None:
        self.store, self.redis, self.clock = store, redis, Clock()
        self.gathering = Gathering(Tallies(store), Standings(store, 15_000), self.tenants, most=most, clock=self.clock)

    def tenants(self) -> list[str]:
        names: Any = self.redis.hkeys(keys.TENANTS)
        return sorted(name.decode() for name in names)

    def step(self, seconds: float = FRESH_S) -> int:
        self.clock.now += seconds
        return self.gathering.step()

    def made(self) -> dict[str, int]:
        """How many runs were made, by what tenants go by."""
        return {name: each.sums.get("made", 0) for name, each in self.gathering.ask().items()}


@pytest.fixture
def scene(store: Server, redis: Redis) -> Scene:
    add_tenants(redis, "acme", "globex", "initech")
    return Scene(store, redis, most=2)


def test_few_tenants_go_by_their_names_at_once(store: Server, redis: Redis) -> None:
    """And their sums begin with 0, whatever was counted before."""
    add_tenants(redis, "acme")
    enqueue(store)
    scene = Scene(store, redis, most=2)
    scene.step()
    enqueue(store)

    scene.step()

    assert {"acme": 1, OTHER: 0} == scene.made()
    assert 2 == scene.gathering.ask()["acme"].standings["acme"].queued
    assert ["acme"] == [each.tenant for each in scene.gathering.standings()]


def test_the_busiest_go_by_their_names(scene: Scene) -> None:
    """The others are one; who has nothing to do comes last."""
    for tenant in ("globex", "initech", "initech"):
        enqueue(scene.store, tenant)

    scene.step()

    figures = scene.gathering.ask()
    assert {"globex", "initech", OTHER} == figures.keys()
    assert ["acme"] == [*figures[OTHER].standings]


def test_no_sum_falls_when_names_change(scene: Scene) -> None:
    """A count is added to what its tenant goes by then: so what all have made together is right."""
    for tenant in ("globex", "initech") * 10:
        enqueue(scene.store, tenant)
    scene.step()
    enqueue(scene.store, "acme")
    scene.step()
    assert {"globex": 0, "initech": 0, OTHER: 1} == scene.made()
    for _ in range(9):
        enqueue(scene.store, "acme")
    scene.step()
    after = scene.made()
    scene.step()

    enqueue(scene.store, "acme")
    scene.step()

    assert 10 == after[OTHER]
    assert {"acme": 1, OTHER: 10} == {name: scene.made()[name] for name in ("acme", OTHER)}
    assert 2 == len(scene.made()) - 1


def test_a_tenant_that_is_new_counts_from_its_first_run(scene: Scene) -> None:
    """It was made after we began to read."""
    scene.step()
    add_tenants(scene.redis, "umbrella")
    enqueue(scene.store, "umbrella")

    scene.step()

    assert 1 == sum(scene.made().values())


def test_one_that_is_gone_is_forgotten(scene: Scene) -> None:
    """Neither its name nor how it stood is told any more."""
    enqueue(scene.store, "globex")
    scene.step()
    scene.redis.hdel(keys.TENANTS, "globex", "acme")

    scene.step()

    assert {"initech"} == {name for each in scene.gathering.ask().values() for name in each.standings}
    assert "globex" not in scene.gathering.ask()


def test_the_others_are_read_in_turn_and_those_with_names_each_time(store: Server, redis: Redis) -> None:
    """A second reads so many, however many there are."""
    add_tenants(redis, *(f"t{number:04}" for number in range(2 * RATE + 2)))
    scene = Scene(store, redis, most=2)
    scene.step(0)
    assert scene.gathering.is_complete

    assert [RATE, RATE, 2, RATE, RATE + 2] == [scene.step(1.0) for _ in range(5)]


def test_a_spoiled_tenant_hides_no_other(scene: Scene) -> None:
    """It is told as not readable."""
    scene.redis.set(keys.tags("acme"), "other")
    scene.redis.set(keys.jobs("acme"), "other")
    enqueue(scene.store, "globex")

    scene.step()

    standings = {each.tenant: each for each in scene.gathering.standings()}
    assert {"acme": False, "globex": True, "initech": True} == {name: e.readable for name, e in standings.items()}


def test_a_server_that_is_gone_is_asked_again(scene: Scene) -> None:
    """What was to be read is read by the next step."""
    scene.redis.function_flush()
    with pytest.raises(ServerUnavailable):
        scene.step()
    functions.load(scene.redis)

    assert 3 == scene.step()


def test_it_begins_with_the_first_who_asks(store: Server, redis: Redis) -> None:
    """Nobody pays for what nobody reads; the first is answered when all was read."""
    add_tenants(redis, "acme")
    gathering = Gathering(Tallies(store), Standings(store, 15_000), lambda: ["acme"])
    stopping = threading.Event()
    thread = threading.Thread(target=gathering.run, args=(stopping,))
    thread.start()
    try:
        assert not gathering.is_complete
        assert "acme" in gathering.ask()
        enqueue(store)
        eventually(lambda: gathering.ask()["acme"].sums.get("made") == 1, 15)
    finally:
        stopping.set()
        thread.join(5)
    assert not thread.is_alive()
