"""Works in bulk: once per slip, seen by who began them, remembered while there is room."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING

import pytest
from eventually import eventually
from taglane.errors import Conflict, ServerFull
from taglane.store.bulk import BulkProgress
from taglane_scheduler.desk.bulk_works import KEPT, MOST_OPEN, BulkWorks

if TYPE_CHECKING:
    from collections.abc import Iterator

ANN, BEN = ("ann", "acme"), ("ben", "acme")


def test_two_clicks_begin_one_work() -> None:
    """By the same slip whatever has become of it, and by the same query while it goes on; another's is another."""
    works, go, begun = BulkWorks(), threading.Event(), []

    def do() -> Iterator[BulkProgress]:
        begun.append(1)
        go.wait(10)
        yield BulkProgress(done=7)

    first = works.start("cancel", "state:open", ANN, "slip", do)
    again = works.start("cancel", "state:open", ANN, "other", do)
    bens = works.start("cancel", "state:open", BEN, "slip", do)
    go.set()
    eventually(lambda: first.is_over and bens.is_over)

    assert first is again
    assert first is works.start("cancel", "state:open", ANN, "slip", do)
    assert first is works.get(first.id, ANN)
    assert works.get(first.id, BEN) is None
    assert ("done", 7, 2) == (first.state, first.progress.done, len(begun))


def test_a_work_that_breaks_says_so_and_one_can_be_stopped() -> None:
    """What it had done stays told."""
    works = BulkWorks()

    def broken() -> Iterator[BulkProgress]:
        yield BulkProgress(done=1)
        raise ServerFull

    def endless() -> Iterator[BulkProgress]:
        for number in range(10_000_000):
            yield BulkProgress(done=number)

    fails = works.start("retry", "", ANN, "1", broken)
    goes_on = works.start("retry", "state:failed", ANN, "2", endless)
    goes_on.stop = True
    eventually(lambda: fails.is_over and goes_on.is_over)

    assert ("broken off", 1) == (fails.state, fails.progress.done)
    assert "out of memory" in fails.error
    assert "stopped" == goes_on.state


def test_what_is_long_over_is_forgotten() -> None:
    """So the memory of a console is bounded."""
    works = BulkWorks()
    made = []
    for number in range(KEPT + 20):
        made.append(works.start("retry", str(number), ANN, str(number), lambda: iter(())))
        eventually(lambda: made[-1].is_over)

    assert works.get(made[0].id, ANN) is None
    assert made[-1] is works.get(made[-1].id, ANN)


def test_one_owner_has_so_many_at_a_time() -> None:
    """The next is refused; another's is not; when they are over, there is room."""
    works, go = BulkWorks(), threading.Event()

    def waits() -> Iterator[BulkProgress]:
        go.wait(10)
        yield BulkProgress()

    made = [works.start("cancel", str(number), ANN, str(number), waits) for number in range(MOST_OPEN)]
    with pytest.raises(Conflict, match="wait until one is done"):
        works.start("cancel", "one more", ANN, "one more", waits)
    made.append(works.start("cancel", "one more", BEN, "one more", waits))
    go.set()
    eventually(lambda: all(work.is_over for work in made))

    assert works.start("cancel", "one more", ANN, "one more", waits)
