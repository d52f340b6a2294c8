"""Time limits and stops of what this process executes; in real workers they are in the tests of faults."""

from __future__ import annotations

import threading
import time
from typing import Any

import pytest
from billiard.exceptions import SoftTimeLimitExceeded
from taglane.runtime.interrupt import Stopped, current_execution, listen
from taglane.runtime.limits import Interrupting, Limits


class Pool(Interrupting):
    """The part of a pool that the limits are mixed into."""

    def __init__(self, **options: Any) -> None:
        super().__init__()
        self.options = options
        self.recall = lambda _message: False


class Settled:
    """What a run is told of its limits."""

    def __init__(self) -> None:
        self.heard: list[tuple[bool, float]] = []

    def on_timeout(self, soft: bool, timeout: float) -> None:
        """Celery writes a line then."""
        self.heard.append((soft, timeout))


@pytest.fixture
def settled() -> Any:
    listen()
    return Settled()


def spin(seconds: float = 20) -> None:
    """Execute code, as the guard of a task does."""
    execution = current_execution()
    assert execution is not None
    try:
        execution.enter()
        until = time.monotonic() + seconds
        while time.monotonic() < until:
            pass
    finally:
        execution.leave()


def test_a_runs_limits_win_over_the_applications() -> None:
    """Each of the two by itself."""
    pool = Pool(soft_timeout=5.0, timeout=9.0)

    assert Limits(5.0, 9.0) == pool.or_default(Limits(None, None))
    assert Limits(1.0, 9.0) == pool.or_default(Limits(1.0, None))
    assert Limits(None, None) == Pool().or_default(Limits(None, None))


def test_a_soft_limit_is_raised(settled: Any) -> None:
    """And said."""
    with pytest.raises(SoftTimeLimitExceeded), Pool().watched("one", Limits(0.05, None), settled, lambda: None):
        spin()
    assert [(True, 0.05)] == settled.heard


def test_a_hard_limit_is_the_pools_to_enforce(settled: Any) -> None:
    """In a thread of its own, while the run goes on."""
    reached = threading.Event()
    with Pool().watched("one", Limits(None, 0.05), settled, reached.set):
        assert reached.wait(10)


def test_what_ends_in_time_hears_of_no_limit(settled: Any) -> None:
    """Its alarms end with it."""
    reached = threading.Event()
    with Pool().watched("one", Limits(0.2, 0.2), settled, reached.set):
        spin(0.01)

    assert not reached.wait(0.4)
    assert [] == settled.heard


def test_a_run_is_stopped_once(settled: Any) -> None:
    """By its message; asked again, as each heartbeat does, nothing more comes."""
    pool = Pool()
    asked: list[bool] = []

    def ask() -> None:
        asked.extend([pool.stop_run("other"), pool.stop_run("one"), pool.stop_run("one")])

    asker = threading.Timer(0.05, ask)
    asker.start()
    with pytest.raises(Stopped), pool.watched("one", Limits(None, None), settled, lambda: None):
        spin()
    asker.join()

    assert [False, True, False] == asked
    assert not pool.stop_run("one")
