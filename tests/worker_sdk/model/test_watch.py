from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st
from taglane.model.watch import Watch, next_after

LEASE = 15

readings = st.lists(st.tuples(st.integers(0, 7), st.booleans()), min_size=1, max_size=60)
"""Of one worker: time since the reading before, and whether the counter moved in it."""


def stood_still(history: list[tuple[int, int]]) -> bool:
    """Whether the last reading closes a whole lease of prompt readings of one counter; `history` is (at, counter)."""
    at, counter = history[-1]
    since = at
    for (earlier, seen), (later, _) in zip(history[-2::-1], history[:0:-1], strict=True):
        if seen != counter or later - earlier > LEASE / 3:
            break
        since = earlier
    return at - since >= LEASE


@given(readings)
def test_dead_is_a_lease_of_prompt_readings(steps: list[tuple[int, bool]]) -> None:
    """A worker is dead when its counter stood still for a lease of prompt readings, and only then."""
    watch, at, counter = Watch(LEASE), 0, 0
    history: list[tuple[int, int]] = []

    for gap, moved in steps:
        at, counter = at + gap, counter + moved
        history.append((at, counter))

        assert stood_still(history) == watch.observe("w", str(counter), at)


@given(st.lists(st.tuples(st.integers(0, 4), st.integers(0, 4)), min_size=1, max_size=40))
def test_a_beating_worker_lives(steps: list[tuple[int, int]]) -> None:
    """A worker that beats at least every two thirds of a lease is never given up, however the readings fall."""
    watch, at, counter = Watch(LEASE), 0, 0

    for before, after in steps:
        assert not watch.observe("w", str(counter), at + before)
        at, counter = at + before + after, counter + 1


def test_a_counter_may_go_back() -> None:
    """A worker that began to count anew lives: what matters is that the counter moved."""
    watch = Watch(LEASE)

    dead = [watch.observe("w", counter, at) for at, counter in enumerate(["7"] * 14 + ["0"] * 15)]

    assert [False] * 29 == dead


def test_a_clock_that_goes_back_starts_anew() -> None:
    """Time that runs backwards counts for nothing."""
    watch = Watch(LEASE)

    dead = [watch.observe("w", "1", at) for at in (*range(15), 13, *range(13, 28), 28)]

    assert [28] == [at for at, gone in zip((*range(15), 13, *range(13, 28), 28), dead, strict=True) if gone]


def test_workers_are_watched_apart() -> None:
    """One worker's beats say nothing about another's."""
    watch = Watch(LEASE)

    dead = [(at, who) for at in range(16) for who in "ab" if watch.observe(who, str(at) if who == "a" else "1", at)]

    assert [(15, "b")] == dead


def test_a_worker_with_a_longer_lease_is_given_it() -> None:
    """It sends its heartbeats by its own lease; a shorter one than the watcher's changes nothing."""
    watch = Watch(LEASE)

    dead = [
        (at, who) for at in range(41) for who, own in (("long", 40), ("short", 1)) if watch.observe(who, "1", at, own)
    ]

    assert (15, "short") == dead[0]
    assert [40] == [at for at, who in dead if who == "long"]


def test_restart_forgets() -> None:
    """After a reconnect nobody is dead for another lease."""
    watch = Watch(LEASE)
    for at in range(15):
        watch.observe("w", "1", at)

    watch.restart()

    assert not any(watch.observe("w", "1", at) for at in range(15, 30))
    assert watch.observe("w", "1", 30)


def test_keep_forgets_the_others() -> None:
    """A worker that was left out of a round is watched anew when it comes back."""
    watch = Watch(LEASE)
    for at in range(15):
        watch.observe("a", "1", at)
        watch.observe("b", "1", at)

    watch.keep({"a"})

    assert watch.observe("a", "1", 15)
    assert not watch.observe("b", "1", 15)


names = st.sets(st.text("abc", min_size=1, max_size=3), max_size=12)


@given(names, st.text("abc", min_size=1, max_size=3), st.integers(0, 5))
def test_everybody_has_who_looks_after_them(workers: set[str], me: str, most: int) -> None:
    """Each looks after so many others, and whoever comes right after one alive is seen by it, whoever else is dead."""
    watched = next_after(me, workers, most)

    assert me not in watched
    assert len(watched) == len(set(watched)) == min(most, len(workers - {me}))
    ring = sorted(workers | {me})
    assert watched[:1] == [ring[(ring.index(me) + 1) % len(ring)]][: len(watched)]


def test_who_stands_still() -> None:
    """From the second reading on; for longer than is asked."""
    watch = Watch(LEASE)
    said = []
    for at in range(4):
        watch.observe("w", "1", at)
        said.append((watch.stands("w"), watch.stands("w", 2)))

    assert [(False, False), (True, False), (True, False), (True, True)] == said
    assert not watch.stands("nobody")
