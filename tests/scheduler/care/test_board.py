"""The board: how all tenants stood when they were last read."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from factories import HandWorker, enqueue, make_server
from taglane.model.standing import Minute, TagStanding, TenantStanding
from taglane.store.standings import Standings
from taglane_scheduler.care import board as boards
from taglane_scheduler.care.board import NAMES_S, Board

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from taglane.store.server import Server


@pytest.fixture
def store(url: str) -> Iterator[Server]:
    server = make_server(url)
    yield server
    server.close()


class Counted(Standings):
    """Notes whom it was asked for."""

    def __init__(self, server: Server) -> None:
        super().__init__(server, 30_000)
        self.asked: list[list[str]] = []

    def read(self, tenants: Sequence[str]) -> list[TenantStanding]:
        """Read, and note it."""
        self.asked.append(list(tenants))
        return super().read(tenants)


class Clock:
    """Stands still until it is moved."""

    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


def test_a_step_reads_who_is_wanted_and_a_slice_of_the_others(store: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    """In turn: whoever was read longest ago comes first, so all are read in so many steps."""
    monkeypatch.setattr(boards, "SLICE", 3)
    names = [f"t{number}" for number in range(8)]
    standings = Counted(store)
    board = Board(standings, lambda: names)

    for _ in range(4):
        board.step(["t7", "nobody"])

    assert [
        ["t7", "t0", "t1", "t2"],
        ["t7", "t3", "t4", "t5"],
        ["t7", "t6", "t0", "t1"],
        ["t7", "t2", "t3", "t4"],
    ] == standings.asked
    assert board.get("nobody") is None
    assert 8 == board.totals().read


def test_tenants_that_come_and_go(store: Server) -> None:
    """New ones are read first; of those that are gone nothing is told any more."""
    names, clock = ["a", "b"], Clock()
    board = Board(Standings(store, 30_000), lambda: list(names), clock)
    board.fill()
    names[:] = ["b", "c"]
    board.step()
    assert 2 == board.totals().tenants
    clock.now = NAMES_S
    board.step()

    assert ["b", "c"] == [each.tenant for each in board.page(sort="tenant")[0]]
    assert board.get("a") is None


def test_what_is_read_is_sorted_summed_and_told(store: Server) -> None:
    """From the server, in one go."""
    for tenant, count in (("acme", 3), ("busy", 5), ("idle", 0)):
        for _ in range(count):
            enqueue(store, tenant)
    worker = HandWorker(store, "acme").hello()
    worker.finish(worker.fetch(2), "dead")
    board = Board(Standings(store, 30_000), lambda: ["idle", "busy", "acme"])
    board.fill()

    found, count = board.page(sort="queued")

    assert (["busy", "acme", "idle"], 3) == ([each.tenant for each in found], count)
    assert (3, 3, 6, 1, 2, 2) == (
        (totals := board.totals()).tenants,
        totals.read,
        totals.queued,
        totals.workers,
        totals.dead,
        totals.failed,
    )
    assert [("dead", "acme")] == [(each.kind, each.tenant) for each in board.attention()]
    assert [] == board.attention(among=["busy"])
    assert 5 == board.totals(["busy", "nobody"]).queued


class Fixed(Standings):
    """Answers what it was given."""

    def __init__(self, *standings: TenantStanding) -> None:
        self.of = {each.tenant: each for each in standings}

    def read(self, tenants: Sequence[str]) -> list[TenantStanding]:
        """Return those."""
        return [self.of[tenant] for tenant in tenants]


def standing(tenant: str, **fields: Any) -> TenantStanding:
    return TenantStanding(tenant, at=10**12, **fields)


@pytest.mark.parametrize(
    ("sort", "order"),
    [
        ("tenant", "abcd"),
        ("queued", "bcad"),
        ("oldest", "cbad"),
        ("running", "abcd"),
        ("failed", "dabc"),
        ("workers", "cabd"),
        ("attention", "cbad"),
    ],
)
def test_sorts(sort: Any, order: str) -> None:
    """Each by what it is called, the most first; and pages of it."""
    board = Board(
        Fixed(
            standing("a", running=5),
            standing("b", queued=9, oldest=20_000, tags=(TagStanding("b", queued=9, oldest=20_000, workers=1),)),
            standing("c", queued=2, oldest=99_000, workers=3, tags=(TagStanding("c", queued=2, oldest=99_000),)),
            standing("d", recent=(Minute(0, 1, 2),)),
        ),
        lambda: list("abcd"),
    )
    board.fill()

    assert list(order) == [each.tenant for each in board.page(sort=sort)[0]]
    assert list(order)[1:3] == [each.tenant for each in board.page(sort=sort, start=1, limit=2)[0]]
    assert (["c"], 1) == ([each.tenant for each in board.page(sort=sort, pattern="c")[0]], board.page(pattern="c")[1])
    assert 2 == board.page(among=["a", "b", "nobody"])[1]
