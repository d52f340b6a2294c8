"""Exceptions that come from outside: never before the code begins, nor after it has ended."""

from __future__ import annotations

import os
import signal
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING

import pytest
from taglane.runtime.interrupt import (
    SIGNAL,
    Execution,
    InMainThread,
    InThread,
    Stopped,
    current_execution,
    interruptible,
    listen,
    make_execution,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator


@pytest.fixture(autouse=True)
def listening() -> Iterator[None]:
    """The main thread takes the signal."""
    before = signal.getsignal(SIGNAL)
    listen()
    yield
    signal.signal(SIGNAL, before)


def execute(execution: Execution, code: Callable[[], object]) -> str:
    """What comes of *code*: its end, or what was raised in it."""
    try:
        try:
            execution.enter()
            code()
        finally:
            execution.leave()
    except (Stopped, ValueError) as error:
        return type(error).__name__
    return "ended"


def spin() -> None:
    """Go on in Python for as long as it is let."""
    until = time.monotonic() + 20
    while time.monotonic() < until:
        pass


def read() -> None:
    """Wait for what never comes."""
    receiver, sender = os.pipe()
    try:
        os.read(receiver, 1)
    finally:
        os.close(receiver)
        os.close(sender)


@pytest.mark.parametrize("code", [spin, read, lambda: time.sleep(20), lambda: threading.Event().wait(20)])
def test_the_main_thread_is_interrupted_wherever_it_is(code: Callable[[], object]) -> None:
    """In a sleep, in a read, behind a lock."""
    execution = make_execution()
    assert isinstance(execution, InMainThread)
    alarm = threading.Timer(0.05, execution.interrupt, (Stopped,))
    alarm.start()

    assert "Stopped" == execute(execution, code)


def test_another_thread_is_interrupted_in_python() -> None:
    """By another one."""
    with ThreadPoolExecutor(1) as pool:
        execution = pool.submit(make_execution).result()
        assert isinstance(execution, InThread)
        answer = pool.submit(execute, execution, spin)
        execution.interrupt(Stopped)

        assert "Stopped" == answer.result(10)


@pytest.mark.parametrize("kind", [InMainThread, InThread])
def test_what_comes_before_is_raised_at_the_start(kind: type[Execution]) -> None:
    """A cancel may overtake the run."""
    execution = kind()
    execution.interrupt(Stopped)

    assert "Stopped" == execute(execution, spin)


@pytest.mark.parametrize("kind", [InMainThread, InThread])
def test_what_comes_late_is_not_raised(kind: type[Execution]) -> None:
    """The next run's code is another's."""
    execution = kind()
    assert "ended" == execute(execution, lambda: None)
    execution.interrupt(Stopped)

    assert "ended" == execute(kind(), lambda: time.sleep(0.01))


@pytest.mark.parametrize("kind", [InMainThread, InThread])
def test_what_is_caught_may_come_again(kind: type[Execution]) -> None:
    """A soft limit, then a cancel."""
    execution = kind()
    caught = threading.Event()

    def code() -> None:
        try:
            spin()
        except ValueError:
            caught.set()
        spin()

    def ask() -> None:
        execution.interrupt(ValueError)
        caught.wait(10)
        execution.interrupt(Stopped)

    asker = threading.Timer(0.05, ask)
    asker.start()

    assert "Stopped" == execute(execution, code)
    asker.join()


def test_no_interrupt_ever_leaves_its_execution() -> None:
    """Whenever it comes: many short executions, interrupted at any instant, in threads."""
    escaped: list[BaseException] = []

    def work(executions: list[InThread]) -> None:
        try:
            for execution in executions:
                execute(execution, lambda: sum(range(50)))
        except BaseException as error:  # noqa: BLE001 - whatever escapes
            escaped.append(error)

    executions = [InThread() for _ in range(2_000)]
    worker = threading.Thread(target=work, args=(executions,))
    worker.start()
    while worker.is_alive():
        for execution in executions[::7]:
            execution.interrupt(Stopped)
    worker.join()

    assert [] == escaped


def test_the_execution_is_in_reach_of_its_code() -> None:
    """And of no other."""
    execution = make_execution()
    with interruptible(execution):
        assert execution is current_execution()
    assert current_execution() is None


def test_a_signal_without_an_execution_does_nothing() -> None:
    """It may come late, or from somebody else."""
    os.kill(os.getpid(), SIGNAL)
    assert InMainThread.innermost is None
