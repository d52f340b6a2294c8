"""One board for all who look."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from itertools import count

from taglane.model.standing import TenantStanding
from taglane_scheduler.care.board import SLICE, Board
from taglane_scheduler.care.shared_board import FRESH_S, PATIENCE_S, SharedBoard


class Reader:
    """Counts what it is asked for."""

    def __init__(self) -> None:
        self.asked: list[list[str]] = []

    def read(self, tenants: list[str]) -> list[TenantStanding]:
        self.asked.append([*tenants])
        return [TenantStanding(name, queued=len(self.asked)) for name in tenants]


def test_many_who_look_at_once_cost_one_reading() -> None:
    """Until a second is over; then the next one who looks reads, and first what was looked at of late."""
    reader, now = Reader(), [0.0]
    board = SharedBoard(Board(reader, lambda: ["acme", "globex"]), lambda: now[0])  # type: ignore[arg-type]

    with ThreadPoolExecutor(8) as pool:
        seen = set(pool.map(lambda _: board.look(lambda board: board.totals().queued, ["globex"]), range(32)))
    assert ({2}, 1) == (seen, len(reader.asked))

    now[0] += FRESH_S
    assert 4 == board.look(lambda board: board.totals().queued)
    assert "globex" == reader.asked[-1][0]


def test_a_first_look_reads_all_that_it_has_time_for() -> None:
    """So that soon after the start nobody is missing: a page is not kept waiting for longer than `PATIENCE_S`."""
    reader, ticks = Reader(), count()
    names = [f"t{number:04}" for number in range(5 * SLICE)]
    board = SharedBoard(Board(reader, lambda: names), lambda: next(ticks) * PATIENCE_S / 3)  # type: ignore[arg-type]

    first = board.look(lambda board: board.totals())

    assert (5 * SLICE, 3 * SLICE) == (first.tenants, first.read)
