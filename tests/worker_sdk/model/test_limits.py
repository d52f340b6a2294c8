"""A tenant's limits: what an operator may write, and that what is kept reads back as the same."""

from __future__ import annotations

import re
from contextlib import suppress
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from taglane.errors import BadLimit
from taglane.model.limits import FIELDS, MOST, Limits, change_limits, read_limits, spelled

numbers = st.integers(1, MOST)
rates = st.integers(1, 100_000).map(float) | st.sampled_from([0.5, 1.5, 1 / 60, 1 / 3600])
some_limits = st.builds(
    Limits,
    running=st.none() | numbers,
    rate=st.none() | rates,
    burst=st.none() | numbers,
    queued=st.none() | numbers,
    fires=st.none() | rates,
    payload=st.none() | numbers,
    weight=st.none() | st.sampled_from([0.001, 0.5, 1.0, 3.0, 1000.0]),
    guaranteed=st.none() | st.integers(0, 9),
    borrow=st.none() | st.integers(0, 9),
)
json_values = st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=9) | st.lists(st.integers())


@given(some_limits)
def test_round_trip(limits: Limits) -> None:
    """Limits read back from what is kept of them, or from what a user is shown of them, are the same limits."""
    assert limits == read_limits(limits.kept())
    assert limits == change_limits(Limits(), spelled(limits))


@given(some_limits, st.sampled_from(FIELDS))
def test_a_limit_is_taken_away_by_none(limits: Limits, name: str) -> None:
    """And every other one stays."""
    changed = change_limits(limits, {name: "none"})

    assert {**limits.kept()} == {**changed.kept(), **{key: limits.kept()[key] for key in {name} & set(limits.kept())}}
    assert name not in changed.kept()


@given(st.sampled_from([*FIELDS, "speed", ""]), json_values)
def test_whatever_is_given_is_a_limit_or_an_error_of_ours(name: str, value: Any) -> None:
    """The error names the limit and the value; what passes is positive, and can be kept."""
    changed = None
    with suppress(BadLimit):
        changed = change_limits(Limits(), {name: value})
    if changed is None:
        with pytest.raises(BadLimit, match=re.escape(f"limits.{name}: {value!r}")):
            change_limits(Limits(), {name: value})
    else:
        assert changed == read_limits(changed.kept())
        assert all(float(limit) >= 0 for limit in changed.kept().values())


@pytest.mark.parametrize(
    ("text", "rate"), [("10/s", 10.0), ("90/m", 1.5), ("3600/h", 1.0), ("2.5/s", 2.5), (4, 4.0), ("7", 7.0)]
)
def test_a_rate_is_so_many_a_second_a_minute_or_an_hour(text: Any, rate: float) -> None:
    """It is kept as so many a second."""
    assert rate == change_limits(Limits(), {"rate": text}).rate


@pytest.mark.parametrize(
    ("name", "value"),
    [
        *[(name, value) for name in FIELDS if name not in ("guaranteed", "borrow") for value in (0, -1, "0", "-3")],
        *[("guaranteed", -1), ("borrow", "-1"), ("running", 1.5), ("running", True), ("weight", "heavy")],
        *[("rate", "10/d"), ("rate", "fast"), ("rate", "1e3/s"), ("weight", float("nan")), ("queued", 10**12)],
    ],
)
def test_a_limit_of_zero_or_less_or_of_no_number_is_refused(name: str, value: Any) -> None:
    """It would stop the tenant, or mean nothing: to stop it there is `pause`."""
    with pytest.raises(BadLimit, match=rf"^limits\.{name}: "):
        change_limits(Limits(), {name: value})


def test_an_unknown_limit_names_the_one_that_was_perhaps_meant() -> None:
    """As everywhere."""
    with pytest.raises(BadLimit, match="did you mean 'running'"):
        change_limits(Limits(), {"runing": 3})


def test_what_a_newer_version_keeps_is_passed_over() -> None:
    """Fields that are not known here, and values that can't be."""
    assert Limits(running=3) == read_limits({"running": "3", "colour": "red", "queued": "many", "state": "paused"})
