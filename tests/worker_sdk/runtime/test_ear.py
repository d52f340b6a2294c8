"""An answer that a thread waits for, read by whoever comes to it first."""

from __future__ import annotations

import select
import socket
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from typing import TYPE_CHECKING, Any

import pytest
from taglane.runtime import ear as module
from taglane.runtime.ear import Ear, make

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from concurrent.futures import Future

FOR_EVER = 10.0

pytestmark = pytest.mark.skipif(not hasattr(select, "epoll"), reason="without Linux's poller nobody has an ear")


class Line:
    """A connection, and a thread that waits for an answer on it; the test is the loop."""

    def __init__(self, ear: Ear) -> None:
        self.ear = ear
        self.server, self.client = socket.socketpair()
        self.is_over = False
        self.heard: list[tuple[Any, int]] = []
        self._pool = ThreadPoolExecutor(1)

    def listen(self, read: Callable[[], Any] | None = None) -> Future[Any]:
        return self._pool.submit(
            self.ear.listen,
            self.client.fileno(),
            read or (lambda: self.client.recv(100)),
            lambda: self.is_over,
            lambda answer: self.heard.append((answer, threading.get_ident())),
        )

    def hear_when_there_is_something(self, within: float = FOR_EVER) -> bool:
        """What the worker's main loop does."""
        there, _, _ = select.select([self.ear.fileno()], [], [], within)
        if there:
            self.ear.hear()
        return bool(there)

    def close(self) -> None:
        self.is_over = True
        self.ear.look_up()
        self._pool.shutdown()
        self.server.close()
        self.client.close()


@pytest.fixture
def line() -> Iterator[Line]:
    ear = make()
    assert ear is not None
    line = Line(ear)
    yield line
    line.close()
    ear.close()


def test_the_loop_reads_what_a_thread_waits_for(line: Line) -> None:
    """One answer after the other; each is handed on by the loop before the thread has it."""
    for answer in (b"one", b"two"):
        waits = line.listen()
        line.server.send(answer)

        assert line.hear_when_there_is_something()
        assert answer == waits.result(FOR_EVER)
        assert (answer, threading.get_ident()) == line.heard[-1]
    assert 2 == len(line.heard)


def test_an_error_is_for_who_waits(line: Line) -> None:
    """The loop goes on; what is to end the loop does so, and who waits is not left alone."""

    def fail() -> None:
        raise OSError("gone")

    waits = line.listen(fail)
    line.server.send(b"x")
    assert line.hear_when_there_is_something()
    with pytest.raises(OSError, match="gone"):
        waits.result(FOR_EVER)

    def end() -> None:
        raise KeyboardInterrupt

    waits = line.listen(end)
    with pytest.raises(KeyboardInterrupt):
        line.hear_when_there_is_something()
    with pytest.raises(ConnectionError):
        waits.result(FOR_EVER)


def test_what_has_not_come_whole_is_for_who_waits(line: Line) -> None:
    """The loop says so at once, and hands nothing on."""
    waits = line.listen(lambda: None)
    line.server.send(b"half")

    assert line.hear_when_there_is_something()
    assert None is waits.result(FOR_EVER)
    assert [] == line.heard


def test_a_connection_that_ends_is_heard(line: Line) -> None:
    """As any answer: reading tells."""
    waits = line.listen()
    line.server.close()

    assert line.hear_when_there_is_something()
    assert b"" == waits.result(FOR_EVER)


def test_who_waits_no_longer_is_told_nothing(line: Line) -> None:
    """What comes after that is for the next wait on that connection."""
    waits = line.listen()
    line.is_over = True
    line.ear.look_up()
    assert None is waits.result(FOR_EVER)
    line.server.send(b"late")
    line.hear_when_there_is_something(0.1)
    assert [] == line.heard

    line.is_over = False
    waits = line.listen()
    assert line.hear_when_there_is_something()
    assert b"late" == waits.result(FOR_EVER)


def test_without_a_loop_who_waits_reads_for_itself(line: Line) -> None:
    """Of one that ends, and of one that has ended: at once."""
    began = time.monotonic()
    waits = line.listen()
    line.ear.close()

    assert None is waits.result(FOR_EVER)
    assert None is line.listen().result(FOR_EVER)
    assert time.monotonic() - began < FOR_EVER / 2


def test_a_descriptor_that_is_used_again_is_another_connections(line: Line) -> None:
    """What was armed for the one that is closed went with it, where no fork holds it."""
    waits = line.listen()
    line.is_over = True
    line.ear.look_up()
    waits.result(FOR_EVER)
    number = line.client.fileno()
    line.server.close()
    line.client.close()
    line.server, line.client = socket.socketpair()
    if line.client.fileno() != number:
        line.server, line.client = line.client, line.server
    line.is_over = False

    waits = line.listen()
    assert not line.hear_when_there_is_something(0.1)
    line.server.send(b"new")
    assert line.hear_when_there_is_something()
    assert b"new" == waits.result(FOR_EVER)


def test_nothing_is_read_twice_and_nothing_is_lost(line: Line, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whether the loop or the end of the wait comes first: it is read once."""
    monkeypatch.setattr(module, "SLICE", 0.0005)
    line.is_over = True
    stop = threading.Event()

    def turn() -> None:
        while not stop.is_set():
            with suppress(ValueError):
                line.hear_when_there_is_something(0.01)

    def read() -> bytes:
        return line.client.recv(4)

    loop = threading.Thread(target=turn)
    loop.start()
    answers = []
    by_loop = 0
    for number in range(500):
        line.server.send(b"%04d" % number)
        answer = line.listen(read).result(FOR_EVER)
        by_loop += answer is not None
        answers.append(answer or read())
    stop.set()
    loop.join()

    assert [b"%04d" % number for number in range(500)] == answers
    assert by_loop == len(line.heard)
