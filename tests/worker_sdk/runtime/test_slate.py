"""What one process shows to another, in memory that they share."""

from __future__ import annotations

import os

from taglane.runtime.slate import EVERY_S, Slate
from taglane.runtime.tally import LONGEST, MOST_ERRORS, MOST_PLACES, Tally


def make_tally(received: int = 1) -> Tally:
    tally = Tally()
    for _ in range(received):
        tally.received("a.b", "acme")
    tally.slots = 1
    return tally


def test_a_child_shows_it_to_who_forked_it() -> None:
    """And what it showed stays, when another takes its place."""
    slate, found = Slate(), []
    for received in (2, 3):
        child = os.fork()
        if not child:
            slate.write(make_tally(received))
            os._exit(0)
        os.waitpid(child, 0)
        read = slate.read()
        found.append((read.places["a.b", "acme"].received, read.slots))
        slate.retire()
    last = slate.read()

    assert [(2, 1), (5, 1)] == found
    assert (5, 0) == (last.places["a.b", "acme"].received, last.slots)


def test_what_was_met_half_written_is_read_as_it_was() -> None:
    """The sum does not fit; the last one that did is told."""
    slate = Slate()
    slate.write(make_tally(2))
    assert 2 == slate.read().places["a.b", "acme"].received

    slate._memory[20:24] = b"####"  # noqa: SLF001 - as a writer leaves it that is at it

    assert 2 == slate.read().places["a.b", "acme"].received
    slate.retire()
    assert 2 == slate.read().places["a.b", "acme"].received


def test_nothing_was_shown_yet() -> None:
    """All counts are 0."""
    slate = Slate()

    assert {} == slate.read().places
    slate.retire()
    assert {} == slate.read().places


def test_it_is_written_now_and_then() -> None:
    """A busy worker's loop turns hundreds of times a second."""
    now = [10.0]
    slate = Slate(lambda: now[0])
    assert slate.is_due()

    slate.write(make_tally())
    assert not slate.is_due()
    now[0] += EVERY_S
    assert slate.is_due()


def test_the_largest_tally_has_room() -> None:
    """With the longest names, and counts of years."""
    tally = Tally()
    for number in range(MOST_PLACES + 1):
        tally.received(f"{number:0{LONGEST}}", "t" * LONGEST)
    for place in tally.places.values():
        place.received = place.begun = 10**12
        place.seconds = 1e12 / 3
        place.buckets = [10**12] * len(place.buckets)
        place.ended = dict.fromkeys(("succeeded", "failed", "cancelled", "dead", "retry", "requeue", "died"), 10**12)
        place.errors = {f"{number:0<{LONGEST}}": 10**12 for number in range(MOST_ERRORS + 1)}
    slate = Slate()

    slate.write(tally)

    assert tally.dump() == slate.read().dump()
