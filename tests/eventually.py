"""Waits for a condition with a deadline: what a test says instead of `sleep`."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, TypeVar

import pytest

if TYPE_CHECKING:
    from collections.abc import Callable

T = TypeVar("T")


def eventually(condition: Callable[[], T], timeout: float = 10.0, message: str = "") -> T:
    """Ask until the condition answers something truthy, and return that; fail the test after `timeout` seconds.

    It is asked at least once, and once more after the deadline, so a slow machine fails no condition that holds.
    What the condition raises is not caught.
    """
    __tracebackhide__ = True
    give_up = time.monotonic() + timeout
    pause = 0.002
    while True:
        late = time.monotonic() >= give_up
        answer = condition()
        if answer:
            return answer
        if late:
            pytest.fail(f"{message or 'it never held'} (waited {timeout:g} s, last answer: {answer!r})")
        time.sleep(pause)
        pause = min(pause * 1.5, 0.05)
