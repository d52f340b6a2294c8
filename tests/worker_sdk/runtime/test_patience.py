from __future__ import annotations

import threading
import time
from concurrent.futures import ThreadPoolExecutor

import pytest
from taglane.errors import LibraryMissing, Refused, ServerUnavailable, TaglaneError
from taglane.runtime import patience as module
from taglane.runtime.patience import Patience

GONE = ServerUnavailable("no server at h:1")


class Clock:
    """A clock that moves by what is slept, and by what a test adds."""

    def __init__(self) -> None:
        self.now = 1_000.0
        self.slept: list[float] = []

    def monotonic(self) -> float:
        return self.now

    def sleep(self, seconds: float) -> None:
        self.slept.append(seconds)
        self.now += seconds


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    clock = Clock()
    monkeypatch.setattr(module, "time", clock)
    return clock


def test_it_bears_a_server_for_so_long(clock: Clock) -> None:
    """Then it gives up, once, with the last reason."""
    given_up: list[str] = []
    patience = Patience(60.0, given_up.append)

    while clock.now < 1_060.0:
        patience.bear(GONE)
        assert [] == given_up
    for _ in range(3):
        patience.bear(LibraryMissing())

    assert [str(LibraryMissing())] == given_up


def test_an_answer_restores_it(clock: Clock) -> None:
    """The time counts from the last answer on."""
    given_up: list[str] = []
    patience = Patience(60.0, given_up.append)
    for _ in range(5):
        patience.bear(GONE)
        clock.now += 50
        patience.restore()

    assert [] == given_up


def test_one_line_when_it_goes_and_one_when_it_is_back(clock: Clock, caplog: pytest.LogCaptureFixture) -> None:
    """However often it is asked in between; an answer that was never missed says nothing."""
    patience = Patience(60.0, lambda _: None)
    patience.restore()
    for _ in range(5):
        patience.bear(GONE)
    for _ in range(2):
        patience.restore()

    assert ["server_gone error=no server at h:1", "server_back after=1.0"] == caplog.messages
    assert 1_001.0 == pytest.approx(clock.now)


def test_the_answer_to_one_thread_is_none_to_another(clock: Clock, caplog: pytest.LogCaptureFixture) -> None:
    """Its old connection may go on where a new one is refused: the time of that one counts on."""
    given_up: list[str] = []
    patience = Patience(60.0, given_up.append)
    refused = Refused("the login")

    with ThreadPoolExecutor(1) as other:
        while clock.now < 1_060.0:
            other.submit(patience.bear, refused).result(5)
            assert [] == given_up
            assert not patience.restore()
        for _ in range(2):
            other.submit(patience.bear, refused).result(5)
        assert [str(refused)] == given_up
        assert other.submit(patience.restore).result(5)

    assert [f"server_gone error={refused}", "server_back after=62.0"] == caplog.messages


@pytest.mark.parametrize(("error", "pause"), [(GONE, 0.2), (Refused("fetch"), 1.0), (LibraryMissing(), 1.0)])
def test_it_pauses(clock: Clock, error: TaglaneError, pause: float) -> None:
    """Shortly for a server that may be back at once; longer for what an operator has to mend."""
    Patience(60.0, lambda _: None).bear(error)

    assert [pause] == clock.slept


def test_two_threads_give_up_once() -> None:
    """Which share it."""
    given_up: list[str] = []
    both = threading.Barrier(2)
    patience = Patience(-1.0, given_up.append)

    def bear() -> None:
        both.wait(5)
        patience.bear(GONE)

    start = time.monotonic()
    with ThreadPoolExecutor(2) as pool:
        for each in [pool.submit(bear) for _ in range(2)]:
            each.result(5)
    assert [str(GONE)] == given_up
    assert time.monotonic() - start < 2
