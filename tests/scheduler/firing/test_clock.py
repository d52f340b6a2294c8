from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from taglane_scheduler.firing.clock import APART_MS, Reading, ServerClock

HOUR = 3_600_000
START = 1_800_000_000_000
"""What both wall clocks show when the monotonic one shows 0."""

JUMPS = st.one_of(st.floats(-10 * HOUR, -2 * APART_MS), st.floats(2 * APART_MS, 10 * HOUR))


def reading(at: float, *, server: float = 0, wall: float = 0, took: float = 0.002) -> Reading:
    """What is read *at* seconds, when the server's and our wall clock have moved by so many ms since the start."""
    told = at - took / 2
    return Reading(round(START + told * 1000 + server), at - took, at, START + at * 1000 + wall)


def started() -> ServerClock:
    clock = ServerClock()
    assert 0 == clock.take(reading(1))
    return clock


@given(st.lists(st.floats(0.001, 100), min_size=1), JUMPS)
def test_our_wall_clock_may_show_anything(pauses: list[float], jump: float) -> None:
    """When our wall clock alone jumps, and jumps back, the server's time is reckoned as before."""
    clock, at = started(), 1.0
    for turn, pause in enumerate(pauses):
        at += pause
        assert 0 == clock.take(reading(at, wall=jump if turn % 2 == 0 else 0))

        assert clock.apart_ms is None
        assert START + at * 1000 == pytest.approx(clock.now(at), abs=5)


@given(JUMPS)
def test_a_jump_of_the_servers_clock_is_not_believed(jump: float) -> None:
    """Not at first and not later; our reckoning goes on as if nothing had happened, until the two agree again."""
    clock = started()
    for at in (2, 3, 600):
        assert 0 == clock.take(reading(at, server=jump))
        assert jump == pytest.approx(clock.apart_ms, abs=5)
        assert START + at * 1000 == pytest.approx(clock.now(at), abs=5)

    assert 0 == clock.take(reading(601))
    assert clock.apart_ms is None


@given(JUMPS)
def test_a_jump_that_both_clocks_made_is_believed(jump: float) -> None:
    """At once: a machine has slept, or both were put right. That is the truth from then on."""
    clock = started()

    assert jump == pytest.approx(clock.take(reading(2, server=jump, wall=jump)), abs=5)
    assert clock.apart_ms is None
    assert START + 2_000 + jump == pytest.approx(clock.now(2), abs=5)
    assert 0 == clock.take(reading(3, server=jump, wall=jump))


@given(JUMPS, st.booleans())
def test_the_two_need_not_be_put_right_together(jump: float, server_first: bool) -> None:
    """Whichever moves first: once the other has followed, both show the time, and it is believed."""
    clock = started()
    clock.take(reading(2, server=jump) if server_first else reading(2, wall=jump))
    assert server_first == (clock.apart_ms is not None)

    assert jump == pytest.approx(clock.take(reading(30, server=jump, wall=jump)), abs=5)
    assert clock.apart_ms is None


@given(st.lists(st.tuples(st.floats(0.01, 100), st.floats(0, 60)), min_size=1))
def test_an_answer_that_took_long_is_no_jump(turns: list[tuple[float, float]]) -> None:
    """Whoever stood still, before it told the time or after: nobody's clock has jumped."""
    clock, at = started(), 1.0
    for pause, took in turns:
        at += pause + took
        for told in (at - took, at):
            assert 0 == clock.take(Reading(round(START + told * 1000), at - took, at, START + at * 1000))
            assert clock.apart_ms is None
            assert START + at * 1000 == pytest.approx(clock.now(at), abs=5)


def test_reckoning_does_not_begin_with_an_answer_that_took_long() -> None:
    """What the first answer leaves open, the next one settles."""
    clock = ServerClock()
    clock.take(Reading(START, 0, 60, START + 60_000))

    assert 0 == clock.take(reading(61))
    assert clock.apart_ms is None
    assert START + 61_000 == pytest.approx(clock.now(61), abs=5)


def test_drift_is_followed() -> None:
    """Two clocks that drift apart by ten minutes in the end have never jumped."""
    clock = started()
    for at in range(2, 602):
        assert 0 == clock.take(reading(at, server=1_000 * (at - 1), wall=-500 * (at - 1)))

    assert clock.apart_ms is None
    assert START + 601_000 + 600_000 == pytest.approx(clock.now(601), abs=5)
