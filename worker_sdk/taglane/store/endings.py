"""Waits for the ends of runs, without polling: a run's last step says so on a channel of its own."""

from __future__ import annotations

import os
import time
from typing import TYPE_CHECKING, Any

from redis.exceptions import AuthenticationError, RedisError
from redis.exceptions import TimeoutError as TimedOut

from taglane.errors import Refused, ServerUnavailable
from taglane.model.run import ENDED
from taglane.store.connect import NODE_TIMEOUT
from taglane.store.server import rename

if TYPE_CHECKING:
    from redis.client import PubSub

    from taglane.store.server import Server

PATIENCE = 60.0
"""Seconds that a waiter bears a server that is gone."""

LOGIN_PATIENCE = 10.0
"""Seconds that a waiter bears a server that does not know it: a scheduler makes the tenants' users at its connect."""

LASTED = 20.0
"""Seconds after which a wait that breaks off had a server: no timeout is as long."""

CONFIRMED = 10.0
"""Seconds that the server has to say that it has heard of a waiter."""

RECHECK = 5.0
"""Seconds after which a waiter looks for itself: a message is lost when its connection drops."""


class Endings:
    """Hears of the ends of runs; its subscriptions are used again. Safe to share between threads."""

    def __init__(self, server: Server) -> None:
        self._server = server
        # Of each process, since a fork has the connections of its parent; and of each server: in a cluster, of the one
        # that has the run.
        self._listeners: dict[tuple[int, Any], list[PubSub]] = {}

    def state(self, key: str) -> str | None:
        """The state of the run at *key*; None when there is none."""
        with self._server.renamed("reading a run"):
            state = self._server.redis.hget(key, "state")
        return state.decode() if state is not None else None

    def until(self, key: str, channel: str, deadline: float | None, *, must_exist: bool = False) -> None:
        """Return when the run at *key* has ended, or at the *deadline* (monotonic seconds).

        Where it *must_exist*, also when it is gone. A server that is gone is borne for a minute, a login that is
        refused for some seconds.

        Raises:
            Refused: the credential does not reach it, or not any more.
            ServerUnavailable: it stayed away.
        """
        gone_since: float | None = None
        while deadline is None or time.monotonic() < deadline:
            began = time.monotonic()
            try:
                self._listen(key, channel, deadline, must_exist=must_exist)
            except (RedisError, OSError, ServerUnavailable) as error:
                renamed = error if isinstance(error, ServerUnavailable) else rename(error, "waiting", self._server.url)
                self._server.failed(key, error)
                now = time.monotonic()
                if gone_since is None or now - began > LASTED:
                    gone_since = now
                patience = PATIENCE
                if isinstance(renamed, Refused):  # a server just restarted knows its tenants a moment later
                    patience = LOGIN_PATIENCE if isinstance(error, AuthenticationError) else 0.0
                if now - gone_since >= patience:
                    raise renamed from error
                time.sleep(0.2)
            else:
                return

    def _listen(self, key: str, channel: str, deadline: float | None, *, must_exist: bool) -> None:
        node = self._server.node_at(key)
        kept = self._listeners.setdefault((os.getpid(), node), [])
        try:
            listener: Any = kept.pop()
        except IndexError:
            listener = node.pubsub()
        try:
            self._subscribe(listener, channel)
            while True:
                state = self.state(key)
                left = RECHECK if deadline is None else min(RECHECK, deadline - time.monotonic())
                if state in ENDED or left <= 0 or (must_exist and state is None):
                    break
                if _heard(listener, "smessage", channel.encode(), left):
                    break
            listener.sunsubscribe(channel)
        except BaseException:
            listener.close()
            raise
        kept.append(listener)

    def _subscribe(self, listener: PubSub, channel: str) -> None:
        """Subscribe, and wait until it is so: else a run could end between our question for its state and that."""
        listener.ssubscribe(channel)
        if not _heard(listener, "ssubscribe", channel.encode(), NODE_TIMEOUT if self._server.clustered else CONFIRMED):
            raise TimedOut("it confirms no subscription")


def _heard(listener: PubSub, kind: str, channel: bytes, seconds: float) -> bool:
    """Wait for what is of a *kind* and a *channel*, at most that long; late messages of others are passed over."""
    deadline = time.monotonic() + seconds
    while (left := deadline - time.monotonic()) > 0:
        message = listener.get_message(ignore_subscribe_messages=False, timeout=left)
        if not message or message["channel"] != channel:
            continue
        if message["type"] == kind:
            return True
        if message["type"] == "sunsubscribe" and kind == "smessage":  # the channel has moved, which this will tell
            listener.ssubscribe(channel)
    return False
