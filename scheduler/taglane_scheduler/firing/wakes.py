"""Waits for the tenants' wake channels, through one subscription to all of them.

A message may be lost: with the connection, or before it was there. So whoever waits reads everything anew after
`subscribe`, and sweeps all tenants now and then.
"""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from taglane.errors import ServerUnavailable
from taglane.store import keys

if TYPE_CHECKING:
    import threading
    from collections.abc import Callable

    from redis.client import PubSub
    from taglane.store.server import Server

SLICE_S = 0.2  # of a wait: in between we see whether we are to stop. Nothing is asked of the server
CONFIRM_S = 5.0  # until a subscription is confirmed
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
        self._server = server
        self._clock = clock
        self._pubsub: PubSub | None = None

    def subscribe(self) -> None:
        """Subscribe, on a new connection; return when the server has confirmed it.

        Raises:
            ServerUnavailable: it did not.
        """
        self.close()
        with self._server.renamed("subscribing to the tenants' wake channels"):
            redis: Any = self._server.redis  # redis-py leaves these untyped
            self._pubsub = pubsub = redis.pubsub()
            pubsub.psubscribe(keys.WAKE_ALL)
            give_up = self._clock() + CONFIRM_S
            while (message := pubsub.get_message(timeout=SLICE_S)) is None or message["type"] != "psubscribe":
                if self._clock() > give_up:
                    raise ServerUnavailable("the server does not confirm a subscription")

    def wait(self, seconds: float, stopping: threading.Event) -> list[Wake]:
        """Wait until there is a wake, the time is over or we are to stop; return all wakes that are there.

        Raises:
            ServerUnavailable: the connection is lost: wakes may be, too.
        """
        until = self._clock() + seconds
        wakes: list[Wake] = []
        left = max(0.0, seconds)
        while len(wakes) < MOST:
            message = self._read(0.0 if wakes else min(left, SLICE_S))
            if message is not None:
                wakes += _read_wake(message)
                continue
            left = max(0.0, until - self._clock())
            if wakes or left == 0 or stopping.is_set():
                break
        return wakes

    def close(self) -> None:
        """End the subscription."""
        pubsub, self._pubsub = self._pubsub, None
        if pubsub is not None:
            pubsub.close()

    def _read(self, seconds: float) -> dict[str, Any] | None:
        if self._pubsub is None:
            raise ServerUnavailable("there is no subscription")
        with self._server.renamed("waiting for wakes"):
            message: dict[str, Any] | None = self._pubsub.get_message(timeout=seconds)
        if message is not None and message["type"] == "psubscribe":
            raise ServerUnavailable("the connection was lost and made anew: wakes may be missing")
        return message


def _read_wake(message: dict[str, Any]) -> list[Wake]:
    """Read one message; a tenant may publish anything on its channel, and what is no instant means now."""
    if message["type"] != "pmessage":
        return []
    tenant = message["channel"].decode(errors="replace").partition("{")[2].partition("}")[0]
    data = message["data"]
    return [Wake(tenant, int(data) if data.isdigit() and len(data) < 16 else 0)]
