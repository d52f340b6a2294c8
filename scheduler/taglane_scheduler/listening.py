"""Listens on channels of tenants, and finds out when it hears nothing any more.

On a cluster one node is enough: what is published on one is heard on all. That node may freeze, and then a subscription
hears nothing and is told nothing: so the node is asked once a second whether it is there, and the next subscription is
another node's. On one server nothing is asked: whoever listens there has other business with it, and notices.
"""

from __future__ import annotations

import random
import time
from typing import TYPE_CHECKING, Any

from taglane.errors import ServerUnavailable

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from redis.client import PubSub
    from taglane.store.server import Server

SLICE_S = 0.2  # of a wait: in between whoever waits sees whether it is to stop. Nothing is asked of the server
CONFIRM_S = 5.0  # until a subscription is confirmed
ASK_S = 1.0  # between two questions to a node of a cluster
SILENT_S = 2.0  # after which a node that was asked is taken for gone

_CONFIRMED = ("subscribe", "psubscribe")


class Listening:
    """One subscription. For one thread.

    Args:
        server: with the operator's credential.
        what: what it is for, as an error says it: ``waiting for wakes``.
        patterns: of channels.
        channels: by their names.
        clock: monotonic, s.
    """

    def __init__(
        self,
        server: Server,
        what: str,
        *,
        patterns: Sequence[str] = (),
        channels: Sequence[str] = (),
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._server = server
        self._what = what
        self._patterns = patterns
        self._channels = channels
        self._clock = clock
        self._pubsub: PubSub | None = None
        self._turn = random.randrange(1 << 16)
        self._asked: float | None = None
        self._ask_at = 0.0

    def open(self) -> None:
        """Subscribe, on a new connection; return when the server has confirmed it.

        Raises:
            ServerUnavailable: it did not.
        """
        self.close()
        with self._server.renamed(f"subscribing, for {self._what}"):
            redis: Any = self._redis()  # redis-py leaves these untyped
            self._pubsub = pubsub = redis.pubsub()
            if self._patterns:
                pubsub.psubscribe(*self._patterns)
            if self._channels:
                pubsub.subscribe(*self._channels)
            left = len(self._patterns) + len(self._channels)
            give_up = self._clock() + CONFIRM_S
            while left:
                message = pubsub.get_message(timeout=SLICE_S)
                if message is not None and message["type"] in _CONFIRMED:
                    left -= 1
                elif self._clock() > give_up:
                    raise ServerUnavailable("the server does not confirm a subscription")
        self._asked, self._ask_at = None, self._clock() + ASK_S

    def read(self, seconds: float) -> dict[str, Any] | None:
        """Return the next message, None when there was none in so many seconds, or perhaps sooner.

        Raises:
            ServerUnavailable: the connection is lost: messages may be, too.
        """
        if self._pubsub is None:
            raise ServerUnavailable("there is no subscription")
        with self._server.renamed(self._what):
            message: dict[str, Any] | None = self._pubsub.get_message(timeout=seconds)
            if self._server.clustered:
                self._ask(heard=message is not None)
        if message is not None and message["type"] in _CONFIRMED:
            raise ServerUnavailable("the connection was lost and made anew: messages may be missing")
        return None if message is not None and message["type"] == "pong" else message

    def close(self) -> None:
        """End the subscription."""
        pubsub, self._pubsub = self._pubsub, None
        if pubsub is not None:
            pubsub.close()

    def _redis(self) -> Any:
        """Choose whom to listen to: of a cluster, another node each time."""
        nodes = self._server.nodes()
        self._turn += 1
        return nodes[self._turn % len(nodes)]

    def _ask(self, *, heard: bool) -> None:
        """Ask the node now and then whether it is there; whatever is heard is an answer."""
        now = self._clock()
        if heard:
            self._asked = None
        elif self._asked is not None and now > self._asked + SILENT_S:
            raise ServerUnavailable("the node that is listened to says nothing any more")
        if self._asked is None and now >= self._ask_at and self._pubsub is not None:
            self._pubsub.ping()
            self._asked, self._ask_at = now, now + ASK_S
