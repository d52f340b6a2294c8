"""Who does what is to be done once."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from threading import Barrier

from taglane.runtime.turn import Turn


def test_one_has_it() -> None:
    """The first, of many at once; nobody after that."""
    turn, together = Turn(), Barrier(8)

    def take(_: int) -> bool:
        together.wait(10)
        return turn.take()

    with ThreadPoolExecutor(8) as pool:
        assert 1 == sum(pool.map(take, range(8)))
    assert not turn.take()
