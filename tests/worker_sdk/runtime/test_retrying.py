from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from taglane.model.retry import Retry
from taglane.runtime.carry import Outcome
from taglane.runtime.retrying import verdict


def make_header(attempt: int = 1, **fields: Any) -> dict[str, Any]:
    """What a worker is told of a run with a policy."""
    policy = Retry(**{"attempts": 3, "delay": 1_000, "jitter": False, **fields})
    return {"attempt": attempt, "retry": policy.fields()}


@pytest.mark.parametrize(
    ("attempt", "outcome"),
    [(1, Outcome("retry", wait=1_000)), (2, Outcome("retry", wait=2_000)), (3, Outcome("dead")), (4, Outcome("dead"))],
)
def test_as_many_tries_as_the_policy_has(attempt: int, outcome: Outcome) -> None:
    """With the waits that it says; after the last, the run is given up."""
    assert outcome == verdict(make_header(attempt), attempt - 1, ValueError())


def test_what_no_policy_speaks_of_is_nobodys_verdict() -> None:
    """A run without one; an error that it does not name; what is no error of the task's."""
    assert verdict({"attempt": 1}, 0, ValueError()) is None
    assert verdict(make_header(on=("KeyError",)), 0, ValueError()) is None
    assert verdict(make_header(), 0, KeyboardInterrupt()) is None


def test_tries_that_a_dead_worker_took_are_not_counted() -> None:
    """The server counts them as attempts; what failed is in the message."""
    assert Outcome("retry", wait=1_000) == verdict(make_header(attempt=3), 0, ValueError())


def test_a_run_that_is_replayed_has_all_its_tries() -> None:
    """Whatever its message says of those that the first one had."""
    assert Outcome("retry", wait=1_000) == verdict(make_header(attempt=1), 2, ValueError())


@given(attempts=st.integers(1, 10), tried=st.integers(1, 12))
def test_there_is_an_end(attempts: int, tried: int) -> None:
    """The last try is the last, whatever the policy."""
    judged = verdict(make_header(tried, attempts=attempts), tried - 1, ValueError())
    assert judged is not None
    assert ("dead" if tried >= attempts else "retry") == judged.kind
