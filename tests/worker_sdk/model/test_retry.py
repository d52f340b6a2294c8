"""Retry policies: what a user may write, and when a failed run is tried again."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError
from taglane.errors import BadSchedule
from taglane.model.retry import LONGEST_MS, Retry, make_retry

waits = st.integers(0, LONGEST_MS)
names = st.sampled_from(["ConnectionError", "shop.Busy", "Straße"])
policies = st.builds(
    Retry,
    attempts=st.integers(1, 100),
    delay=waits,
    backoff=st.sampled_from(["exponential", "fixed"]),
    max_delay=waits,
    jitter=st.booleans(),
    on=st.lists(names, max_size=3).map(tuple),
)
json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=9),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=9), inner, max_size=3),
    max_leaves=5,
)
fields = st.sampled_from(["attempts", "delay", "backoff", "max_delay", "jitter", "on", "tries"])


@given(policies)
def test_round_trip(policy: Retry) -> None:
    """A policy read back from what was kept of it, or from what a user is shown of it, is the same policy."""
    assert policy == Retry.from_fields(json.loads(json.dumps(policy.fields())))
    if policy.delay <= policy.max_delay:
        assert policy == make_retry(policy.spelled())


@given(policies, st.integers(1, 1_000), st.floats(0, 1))
def test_a_wait_grows_and_has_a_ceiling(policy: Retry, attempt: int, chance: float) -> None:
    """It falls by the jitter alone, half of it at most; it is never over the ceiling, and never negative."""
    longest, wait, following = policy.wait(attempt, 0), policy.wait(attempt, chance), policy.wait(attempt + 1, 0)

    assert 0 <= wait <= longest <= following <= policy.max_delay
    assert (longest // 2 <= wait) if policy.jitter else (longest == wait)
    assert min(policy.delay, policy.max_delay) == policy.wait(1, 0)
    if policy.backoff == "fixed":
        assert longest == following
    else:
        assert following == min(2 * longest, policy.max_delay)


@given(st.dictionaries(fields, json_values, max_size=4) | json_values)
def test_whatever_is_given_is_a_policy_or_an_error_of_ours(given_: Any) -> None:
    """Never a traceback, and the error is one line that names the field."""
    try:
        made = make_retry(given_)
    except BadSchedule as error:
        assert "retry" == str(error)[:5]  # noqa: PT017 - either is right
    else:
        assert made is None or 1 <= made.attempts <= 100


def test_a_number_is_that_many_tries() -> None:
    """None is no policy of the job's own."""
    assert Retry(attempts=5) == make_retry(5) == make_retry({"attempts": 5}) == make_retry(Retry(attempts=5))
    assert make_retry(None) is None


def test_all_fields() -> None:
    """As a jobs file has them."""
    given_ = {
        "attempts": 5,
        "delay": "10s",
        "backoff": "fixed",
        "max_delay": "10m",
        "jitter": False,
        "on": ["ConnectionError", "shop.Busy"],
    }

    assert make_retry(given_) == Retry(
        attempts=5,
        delay=10_000,
        backoff="fixed",
        max_delay=600_000,
        jitter=False,
        on=("ConnectionError", "shop.Busy"),
    )


@pytest.mark.parametrize(
    ("given_", "text"),
    [
        ("5", "retry: '5' is neither a number of attempts nor a mapping like {attempts: 5}"),
        (True, "retry: True is neither a number of attempts nor a mapping like {attempts: 5}"),
        (0, "retry.attempts: 0 is not a whole number from 1, which is no retry, to 100"),
        ({"attempts": 101}, "retry.attempts: 101 is not a whole number from 1, which is no retry, to 100"),
        ({"attempts": True}, "retry.attempts: True is not a whole number from 1, which is no retry, to 100"),
        ({}, "retry.attempts is missing: how often is a run tried in all, the first time included?"),
        ({"atempts": 5}, "retry.atempts: there is no such field: did you mean 'attempts'?"),
        (
            {"attempts": 5, "zzz": 1},
            "retry.zzz: there is no such field: there are attempts, delay, backoff, max_delay, jitter, on",
        ),
        ({"attempts": 5, "delay": "10"}, "retry.delay: '10' is not a duration: write it like 30s, 5m, 1h30m"),
        ({"attempts": 5, "delay": 1.5}, "retry.delay: 1.5 is not a duration: write it like 30s, 5m, 1h30m"),
        ({"attempts": 5, "max_delay": "31d"}, "retry.max_delay: 31d is too long: it takes 30d at most"),
        ({"attempts": 5, "delay": "15m"}, "retry.delay: it is over max_delay, 10m: give a longer max_delay too"),
        ({"attempts": 5, "backoff": "linear"}, "retry.backoff: 'linear' is not one of exponential, fixed"),
        ({"attempts": 5, "jitter": "yes"}, "retry.jitter: 'yes' is neither true nor false"),
        (
            {"attempts": 5, "on": "ConnectionError"},
            "retry.on: 'ConnectionError' is not a list of names of exceptions, like [ConnectionError]",
        ),
        (
            {"attempts": 5, "on": ["no name"]},
            "retry.on: 'no name' is not the name of an exception, like ConnectionError or shop.Busy",
        ),
        ({"attempts": 5, "on": []}, "retry.on: it names no exception: leave it out, and it is any"),
        ({"attempts": 5, "on": ["A"] * 101}, "retry.on: 101 names are too many: it takes at most 100"),
    ],
)
def test_refusals(given_: Any, text: str) -> None:
    """A sentence that names the field and the value."""
    with pytest.raises(BadSchedule) as caught:
        make_retry(given_)

    assert text == str(caught.value)


class Busy(ConnectionError):
    """An error of an application."""


def test_errors_that_it_covers() -> None:
    """By the bare name or the dotted one, of the class or of one above it; none named: every Exception."""
    dotted = f"{Busy.__module__}.Busy"
    for name in ("Busy", dotted, "ConnectionError", "OSError", "builtins.OSError", "Exception"):
        assert Retry(attempts=2, on=(name,)).covers(Busy())
    for name in ("busy", "other.Busy", "ValueError"):
        assert not Retry(attempts=2, on=(name,)).covers(Busy())
    assert Retry(attempts=2).covers(ValueError())
    assert not Retry(attempts=2, on=("SystemExit",)).covers(SystemExit())


@pytest.mark.parametrize(
    "kept", [{}, {"attempts": "5"}, {"attempts": 5, "on": 5}, {"attempts": 5, "on": "ab"}, {"x": 1}]
)
def test_what_a_tenant_spoiled_is_a_value_error(kept: dict[str, Any]) -> None:
    """Whatever is wrong with it."""
    with pytest.raises(ValidationError):
        Retry.from_fields(kept)
