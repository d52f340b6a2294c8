"""Waits for the tenants' wake channels, through one subscription to all of them.

A message may be lost: with the connection, or before it was there. So whoever waits reads everything anew after
`subscribe`, and sweeps all tenants now and then.
"""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from taglane.store import keys

from taglane_scheduler.listening import SLICE_S, Listening

if TYPE_CHECKING:
    import threading
    from collections.abc import Callable
    from typing import Protocol

    from taglane.store.server import Server

    class Waker(Protocol):
        """Where a loop hears of tenants."""

        def subscribe(self) -> None:
            """Begin to hear wakes."""

        def wait(self, seconds: float, stopping: threading.Event) -> list[Wake]:
            """Wait for wakes, so long at most."""

        def close(self) -> None:
            """Hear no more."""


MOST = 1_000  # messages taken at once


@dataclass(frozen=True, slots=True)
class Wake:
    """A tenant that may have something to do at *instant*, ms; 0 is now."""

    tenant: str
    instant: int


class Wakes:
    """The subscription. For one thread.

    Args:
        server: with the operator's credential.
        clock: monotonic, s.
    """

    def __init__(self, server: Server, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._listening = Listening(server, "waiting for wakes", patterns=[keys.WAKE_ALL], clock=clock)

    def subscribe(self) -> None:
        """Subscribe, on a new connection; return when the server has confirmed it.

        Raises:
            ServerUnavailable: it did not.
        """
        self._listening.open()

    def wait(self, seconds: float, stopping: threading.Event) -> list[Wake]:
        """Wait until there is a wake, the time is over or we are to stop; return all wakes that are there.

        Raises:
            ServerUnavailable: the connection is lost: wakes may be, too.
        """
        until = self._clock() + seconds
        wakes: list[Wake] = []
        left = max(0.0, seconds)
        while len(wakes) < MOST:
            message = self._listening.read(0.0 if wakes else min(left, SLICE_S))
            if message is not None:
                wakes += _read_wake(message)
                continue
            left = max(0.0, until - self._clock())
            if wakes or left == 0 or stopping.is_set():
                break
        return wakes

    def close(self) -> None:
        """End the subscription."""
        self._listening.close()


def _read_wake(message: dict[str, Any]) -> list[Wake]:
    """Read one message; a tenant may publish anything on its channel, and what is no instant means now."""
    if message["type"] != "pmessage":
        return []
    tenant = message["channel"].decode(errors="replace").partition("{")[2].partition("}")[0]
    data = message["data"]
    return [Wake(tenant, int(data) if data.isdigit() and len(data) < 16 else 0)]
