"""How many slots there should be."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from factories import HandWorker, enqueue
from hypothesis import given
from hypothesis import strategies as st
from scraping import add_tenants
from taglane.errors import BadName
from taglane.store.limits import LimitStore
from taglane.store.pools import Pools
from taglane.store.standings import Standings
from taglane.store.tallies import Tallies
from taglane_scheduler.metrics.scale import MEAN_S, TARGET_S, Scale, ScaleFigures, mean_of, wanted

if TYPE_CHECKING:
    from redis import Redis
    from taglane.store.server import Server

COUNTS = st.integers(0, 10_000)
SECONDS = st.floats(0.001, 3_600)


@pytest.fixture
def scale(store: Server) -> Scale:
    return Scale(store, Standings(store, 15_000), Tallies(store), Pools(store), LimitStore(store))


@pytest.mark.parametrize(
    ("backlog", "running", "mean", "slots"),
    [(0, 0, 2.0, 0), (1, 0, 0.001, 1), (600, 0, 2.0, 40), (600, 60, 2.0, 60), (3, 2, 600.0, 5), (30, 0, 1.0, 1)],
)
def test_as_many_as_begin_all_in_time(backlog: int, running: int, mean: float, slots: int) -> None:
    """Never fewer than execute now; of long runs, one each."""
    assert slots == wanted(backlog, running, mean)


@given(COUNTS, COUNTS, SECONDS, SECONDS)
def test_enough_and_no_more(backlog: int, running: int, mean: float, target: float) -> None:
    """What waits is begun in time; more than one a run is never wanted, and none where there is nothing to do."""
    slots = wanted(backlog, running, mean, target)

    assert running <= slots <= backlog + running
    assert slots * max(mean, target) >= (backlog + running) * mean * 0.999
    assert (slots == 0) == (backlog + running == 0)


def test_a_mean_is_of_what_was_counted() -> None:
    """Without any it is a guess."""
    assert 0.25 == mean_of({"ran:7": 2, "ran:9": 2, "ms": 1_000, "wait:3": 9})
    assert 0.5 == mean_of({"ran:7": 1, "ms": 900}, {"ran:7": 1, "ms": 100})
    assert MEAN_S == mean_of({"ms": 5})


def test_what_an_autoscaler_asks(store: Server, redis: Redis, scale: Scale) -> None:
    """What waits, what is delayed and due, what is held; the tenant's limit is the most that is wanted."""
    add_tenants(redis, "acme")
    worker = HandWorker(store).hello()
    for _ in range(3):
        enqueue(store)
    worker.fetch(1)
    store.call("enqueue", "acme", "acme.late", "a.b", "acme", 0, "{}", "+1", "", "", "")

    found = scale.of("acme", target=0.5)

    assert ("acme", 1, 1) == (found.tag, found.running, found.workers)
    assert found.backlog in (2, 3)  # the last one is due in 1 ms
    assert found.backlog + found.running == found.wanted
    store.call("govern", "acme", "running", 2)
    assert 2 == scale.of("acme", target=0.5).wanted
    store.call("govern", "acme", "state", "paused")
    assert (0, 1) == (scale.of("acme").backlog, scale.of("acme").wanted)


def test_a_shared_tag_is_all_tenants(store: Server, redis: Redis, scale: Scale) -> None:
    """Of which something waits for it."""
    add_tenants(redis, "acme", "globex", "idle")
    for tenant in ("acme", "globex"):
        for number in range(2):
            store.call("enqueue", tenant, f"{tenant}.{number}", "a.b", "shared.small", 0, "{}", "", "", "", "")

    found = scale.of("shared.small", target=1.0)

    assert ScaleFigures("shared.small", 4, 0, 4, 0, 0) == found


def test_a_tag_that_nobody_knows_has_nothing_to_do(scale: Scale) -> None:
    """And one that can't be is an error."""
    assert ScaleFigures("acme.gpu", 0, 0, 0, 0, 0) == scale.of("acme.gpu", TARGET_S)
    with pytest.raises(BadName):
        scale.of("Acme!")
