"""Delivers the messages of the outbox: tries each until it is delivered, or given up. In threads of its own.

A channel is served by one sender at a time, in order, so that what is over is not told before it began. A receiver that
is slow or gone holds up its own channel alone; of the channels of one tenant, one is served at a time.
"""

from __future__ import annotations

import logging
import threading
from typing import TYPE_CHECKING, Protocol

from taglane.errors import AlertPartNotFound, TaglaneError

from taglane_scheduler.alerting.message import Outcome, packed, trial

if TYPE_CHECKING:
    from collections.abc import Mapping

    from taglane.store.server import Server

    from taglane_scheduler.alerting.channels import Channel, Channels
    from taglane_scheduler.alerting.outbox import Outbox, Taken

log = logging.getLogger(__name__)

EVERY_S = 1.0
SENDERS = 8
MOST_DUE = 256
"""Channels that are looked at in one turn."""

IN_A_GO = 20
"""Messages of one channel before another has its turn."""

TRIES = 15
"""Attempts before a message is given up: about two hours and a half."""

TRIES_REFUSED = 3
"""And when the receiver said no."""

KIND = "alert_channel"
"""The alert that stands while a channel does not take its messages: another channel may tell of it."""

TROUBLED = 3
"""So many tries in vain are worth an alert."""

_FIRST_MS, _LONGEST_MS = 5_000, 900_000


class Sender(Protocol):
    """One way to send; for many threads."""

    def send(self, channel: Channel, message_id: str, body: bytes) -> Outcome:
        """Send one message; whatever goes wrong is the outcome."""


class Alerts(Protocol):
    """Where schedulers keep what they find wrong by themselves."""

    def raise_alert(self, kind: str, tenant: str, subject: str, text: str) -> bool:
        """Let an alert stand."""

    def end(self, kind: str, tenant: str, subject: str) -> bool:
        """Let it stand no more."""


def pause(tries: int) -> int:
    """Return how long, ms, a channel rests after so many tries of its first message."""
    return min(_LONGEST_MS, _FIRST_MS << min(tries - 1, 10))


class Courier:
    """Sends what waits.

    Args:
        server: of its own: with the operator's credential.
        outbox: where messages wait.
        channels: where they go.
        senders: by the kind of a channel.
        alerts: where it is said that a channel takes nothing; without, it is logged alone.
    """

    def __init__(
        self,
        server: Server,
        outbox: Outbox,
        channels: Channels,
        senders: Mapping[str, Sender],
        alerts: Alerts | None = None,
    ) -> None:
        self._server = server
        self._outbox = outbox
        self._channels = channels
        self._senders = senders
        self._alerts = alerts
        self._busy: set[str] = set()
        self._lock = threading.Lock()

    def run(self, over: threading.Event) -> None:
        """Send every second until *over* is set. What is under way then is sent, or is sent again by another."""
        while not over.wait(EVERY_S):
            try:
                self.step()
            except TaglaneError as error:  # the scheduler's loop says that the server is gone
                log.debug("messages_not_read error=%s", error)

    def step(self) -> int:
        """Begin to serve the channels that have something to send, and are not served; return how many."""
        begun = 0
        for channel in self._outbox.due(self._now(), MOST_DUE):
            if self._begin(channel):
                begun += 1
                threading.Thread(target=self._serve, args=(channel,), name="taglane-sender", daemon=True).start()
        return begun

    def drain(self) -> None:
        """Send all that is due now, in this thread: for tests, and for a command that wants to know."""
        for channel in self._outbox.due(self._now(), MOST_DUE):
            self._go(channel)

    def test(self, name: str, owner: str = "") -> Outcome:
        """Send a real message to a channel, now and once.

        Raises:
            AlertPartNotFound: there is no such channel.
        """
        channel, now = self._channels.get(name, owner), self._now()
        message = trial(channel.name, f"test-{now}", now)
        return self._senders[channel.kind].send(channel, message["id"], packed(message))

    def _begin(self, channel: str) -> bool:
        """Say that a channel is being served, unless it is; of a tenant's channels one at a time."""
        owner = channel.partition("/")[0]
        mark = owner or channel
        with self._lock:
            if mark in self._busy or len(self._busy) >= SENDERS:
                return False
            self._busy.add(mark)
            return True

    def _serve(self, channel: str) -> None:
        try:
            self._go(channel)
        except TaglaneError as error:  # its lease ends, and it is tried again
            log.debug("message_not_settled channel=%s error=%s", channel, error)
        except Exception:
            log.exception("sender_failed channel=%s", channel)
        finally:
            with self._lock:
                self._busy.discard(channel.partition("/")[0] or channel)

    def _go(self, channel: str) -> None:
        for _ in range(IN_A_GO):
            taken = self._outbox.take(channel, self._now())
            if taken is None or not self._try(taken):
                return

    def _try(self, taken: Taken) -> bool:
        """Send one message; return whether the next may follow at once."""
        owner, _, name = taken.channel.partition("/")
        try:
            channel = self._channels.get(name, owner)
        except AlertPartNotFound as error:
            now = self._now()
            if self._channels.has(name, owner):
                told = "this scheduler can't read the channel: a newer Taglane wrote it"
                self._outbox.settle(taken, "waiting", told, now=now, again=now + pause(taken.tries))
                return False
            self._outbox.settle(taken, "given_up", str(error), now=now)
            return True
        outcome = self._senders[channel.kind].send(channel, taken.id, taken.body)
        now = self._now()
        if outcome.ok:
            log.info("message_delivered channel=%s id=%s tries=%d", taken.channel, taken.id, taken.tries)
            self._outbox.settle(taken, "delivered", outcome.answer, now=now)
            if self._alerts:
                self._alerts.end(KIND, owner, name)
            return True
        if self._alerts and taken.tries >= TROUBLED:
            option = f" --owner {owner}" if owner else ""
            text = f"alert channel {name} takes no messages: {outcome.answer[:200]}"
            self._alerts.raise_alert(KIND, owner, name, f"{text}:  taglane alert channel test {name}{option}")
        if taken.tries >= (TRIES_REFUSED if outcome.final else TRIES):
            log.warning("message_given_up channel=%s id=%s answer=%s", taken.channel, taken.id, outcome.answer)
            self._outbox.settle(taken, "given_up", outcome.answer, now=now)
            return True
        log.info("message_not_delivered channel=%s id=%s answer=%s", taken.channel, taken.id, outcome.answer)
        self._outbox.settle(taken, "waiting", outcome.answer, now=now, again=now + pause(taken.tries))
        return False

    def _now(self) -> int:
        with self._server.renamed("asking the time"):
            seconds, micros = self._server.redis.time()
        return int(seconds) * 1000 + int(micros) // 1000
