"""What a worker process counts."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

from factories import make_held
from taglane.runtime.carry import Outcome
from taglane.runtime.tally import BOUNDS, LONGEST, MOST_ERRORS, MOST_PLACES, OTHER, Tally


def ended(tally: Tally, kind: str, ran: float | None = 0.02, *, task: str = "a.b", result: str = "") -> None:
    held = make_held()
    held.delivery = replace(held.delivery, task=task)
    tally.ended(held, Outcome(kind, result), ran)


def failure(name: str) -> str:
    return json.dumps({"e": {"exc_type": name, "exc_message": ["x"]}})


def test_an_attempt_is_counted_when_it_ends() -> None:
    """With how it ended, how long it took, and what it raised; one that never began took no time."""
    tally = Tally()
    tally.received("a.b", "acme")
    ended(tally, "succeeded")
    ended(tally, "failed", 20.0, result=failure("ValueError"))
    ended(tally, "cancelled", None)

    place = tally.places["a.b", "acme"]
    assert (1, 2, 20.02) == (place.received, place.begun, place.seconds)
    assert {"succeeded": 1, "failed": 1, "cancelled": 1} == place.ended
    assert {"ValueError": 1} == place.errors
    assert [0, 0, 1] + [0] * (len(BOUNDS) - 3) + [1] == place.buckets


def test_what_is_counted_is_bounded() -> None:
    """Whatever tasks are called, and raise."""
    tally = Tally()
    for number in range(MOST_PLACES + 5):
        tally.received(f"task{number}", "acme")
    for number in range(MOST_ERRORS + 5):
        ended(tally, "failed", result=failure(f"Error{number}"), task="task1")
    ended(tally, "dead", result="no error of ours", task="task1")
    tally.received("x" * 500, "acme")

    assert MOST_PLACES + 1 == len(tally.places)
    assert 6 == tally.places[OTHER, OTHER].received
    assert (MOST_ERRORS + 1, 6) == (
        len(tally.places["task1", "acme"].errors),
        tally.places["task1", "acme"].errors[OTHER],
    )
    assert max(len(task) for task, _ in tally.places) <= LONGEST


def test_what_goes_on_is_counted_anew_each_time() -> None:
    """By who holds it: a lease that waits is no run that executes."""
    tally, waiting, going = Tally(), make_held(), make_held("acme.2")
    going.started_at = 11.0

    tally.look([waiting, going])
    assert (2, 1, 1) == (tally.held, tally.busy, tally.places["a.b", "acme"].going)

    tally.look([])
    assert (0, 0, 0) == (tally.held, tally.busy, tally.places["a.b", "acme"].going)


def test_tallies_add_up() -> None:
    """Of a process that is gone all that it has counted, and nothing that it held: what it executed is over."""

    def make() -> Tally:
        tally, going = Tally(), make_held()
        going.started_at = 11.0
        tally.fetches, tally.lost, tally.reconnects, tally.slots = 3, 2, 1, 4
        ended(tally, "succeeded")
        tally.look([going])
        return tally

    there, gone = Tally(), Tally()
    there.add(make())
    gone.add(make(), is_gone=True)

    assert (3, 2, 1) == (there.fetches, there.lost, there.reconnects) == (gone.fetches, gone.lost, gone.reconnects)
    assert ((4, 1, 1), (0, 0, 0)) == ((there.slots, there.held, there.busy), (gone.slots, gone.held, gone.busy))
    assert (1, 1) == (there.places["a.b", "acme"].begun, there.places["a.b", "acme"].going)
    assert (2, 0) == (gone.places["a.b", "acme"].begun, gone.places["a.b", "acme"].going)


def test_a_dump_is_all_of_it() -> None:
    """As JSON, for another process."""
    tally = Tally()
    tally.fetches = 5
    tally.received("a.b", "acme")
    ended(tally, "failed", result=failure("ValueError"))

    dumped: Any = json.loads(json.dumps(tally.dump()))

    assert tally.dump() == Tally.load(dumped).dump()
