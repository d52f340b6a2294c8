"""kombu's transport onto runs and leases: what Celery publishes becomes a run, what it consumes is a lease.

Celery's channels and connections come and go; what is leased lies in `holdings`, and the network is its threads'
business. So there is nothing here that a lost connection could break.
"""

from __future__ import annotations

import logging
import os
from contextlib import suppress
from queue import Empty
from typing import TYPE_CHECKING, Any

from kombu import transport as kombu_transport
from kombu.transport import virtual

from taglane.errors import TaglaneError
from taglane.model.envelope import Delivery, unpack
from taglane.runtime import current, ear
from taglane.runtime.carry import UNTOLD, Outcome, error_json
from taglane.runtime.publisher import publish

if TYPE_CHECKING:
    from taglane.runtime.ear import Ear
    from taglane.runtime.holdings import Holdings

logger = logging.getLogger("taglane.worker")


TURN = 64
"""Runs handed out in one turn of the loop."""


class QoS(virtual.QoS):
    """Celery's window on what is leased. Ends are written by `holdings`, so there is nothing to restore."""

    restore_at_shutdown = False

    def append(self, message: Any, delivery_tag: str) -> None:
        """Keep nothing: the lease does."""

    def can_consume(self) -> bool:
        """Whether the pool has room."""
        held = current.holdings()
        return held is not None and held.has_room()

    def ack(self, delivery_tag: str) -> None:
        """Take an acknowledgement: of what the pool was not given it is the end.

        What the pool has is settled by its outcome, a moment later; an early one is told by the pool, when it begins.
        """
        held = current.holdings()
        run = held.run_of_lease(delivery_tag) if held else None
        if held is not None and run is not None and not held.is_in_pool(run):
            held.settle(run, None)

    def reject(self, delivery_tag: str, requeue: bool = False) -> None:
        """Take a rejection by Celery's own worker code; a task's Reject is carried with its outcome."""
        held = current.holdings()
        run = held.run_of_lease(delivery_tag) if held else None
        if held is None or run is None or held.is_in_pool(run):
            return
        if requeue:
            held.refuse(run)
        else:
            held.settle(run, None)

    def restore_unacked_once(self, stderr: Any = None) -> None:
        """Restore nothing: a lease that is not renewed ends by itself."""


class Message(virtual.Message):
    """A delivery, whose body was read when it was checked."""

    def __init__(self, payload: dict[str, Any], channel: Any = None, **kwargs: Any) -> None:
        super().__init__(payload, channel, **kwargs)
        self._decoded_cache = payload.get("decoded")


class Channel(virtual.Channel):
    """Publishes runs; consumes leases."""

    QoS = QoS
    Message = Message
    body_encoding = None
    do_restore = False
    supports_fanout = False

    def _put(self, queue: str, message: dict[str, Any], **_: Any) -> None:
        app = self.connection.client.transport_options["app"]()
        publish(self.connection.url, queue, message, app.conf.task_default_queue)

    def _get(self, queue: str, timeout: float | None = None) -> Any:
        raise Empty

    def _purge(self, queue: str) -> int:
        return 0

    def basic_consume(self, queue: str, no_ack: bool, callback: Any, consumer_tag: str, **kwargs: Any) -> Any:
        """Begin to serve the tag that is called like the queue."""
        answer = super().basic_consume(queue, no_ack, callback, consumer_tag, **kwargs)
        self.connection.serve(self)
        return answer

    @property
    def is_consuming(self) -> bool:
        """Whether anybody consumes from it."""
        return bool(self._consumers)

    def basic_cancel(self, consumer_tag: str) -> Any:
        """Stop to serve; what was fetched and not started goes back."""
        held = current.holdings()
        if held is not None and consumer_tag in self._consumers:
            held.stop_serving()
        return super().basic_cancel(consumer_tag)

    def basic_qos(self, prefetch_size: int = 0, prefetch_count: int = 0, apply_global: bool = False) -> None:
        """Set how many runs the pool executes at once."""
        super().basic_qos(prefetch_size, prefetch_count, apply_global)
        self.connection.serve(self)


class Transport(virtual.Transport):
    """The transport behind ``taglane://``. Its url, with the credential, is a transport option."""

    Channel = Channel
    driver_type = "taglane"
    driver_name = "taglane"
    default_port = 6379
    polling_interval = None
    connection_errors = (*virtual.Transport.connection_errors,)
    channel_errors = (*virtual.Transport.channel_errors,)
    implements = virtual.Transport.implements.extend(asynchronous=True, exchange_type=frozenset(["direct"]))

    def __init__(self, client: Any, **kwargs: Any) -> None:
        super().__init__(client, **kwargs)
        self.url: str = client.transport_options.get("secret_url", "")  # without one, Celery only wants to show it
        self._wakeup: tuple[int, int] | None = None
        self._loop: Any = None
        self._rung = False
        self._ear: Ear | None = None

    def driver_version(self) -> str:
        """The version of the client library."""
        import redis  # noqa: PLC0415 - only Celery's report asks

        return str(redis.__version__)

    def serve(self, channel: Any) -> None:
        """Let the holdings fetch for a channel that consumes."""
        held = current.holdings()
        if held is not None and channel.is_consuming and self._loop is not None:
            held.serve(channel.qos.prefetch_count)

    def register_with_event_loop(self, connection: Any, loop: Any) -> None:
        """Let the loop wake when there is something to take."""
        self.unregister()
        receiver, sender = os.pipe()
        os.set_blocking(receiver, False)
        os.set_blocking(sender, False)
        self._wakeup, self._loop, self._rung = (receiver, sender), loop, False
        loop.add_reader(receiver, self._on_wake, receiver)
        held = current.holdings()
        if held is not None:
            before = getattr(held.wake, "__self__", None)
            if isinstance(before, Transport):  # of a loop that is no more
                before.unregister()
            held.wake = self.wake
            self._ear = held.ear = ear.make()
            if self._ear is not None:
                loop.add_reader(self._ear.fileno(), self._on_heard, self._ear)

    def unregister(self) -> None:
        """Let go of the loop."""
        if self._ear is not None:
            mine, self._ear = self._ear, None
            self._loop.remove_reader(mine.fileno())
            held = current.holdings()
            if held is not None and held.ear is mine:
                held.ear = None
            mine.close()
        if self._wakeup is not None:
            wakeup, self._wakeup = self._wakeup, None
            self._loop.remove_reader(wakeup[0])
            for descriptor in wakeup:
                os.close(descriptor)

    def wake(self) -> None:
        """Wake the loop, from any thread."""
        if self._wakeup is not None and not self._rung:
            self._rung = True
            with suppress(OSError):  # closed: there is no loop any more
                os.write(self._wakeup[1], b"1")

    def _on_wake(self, receiver: int) -> None:
        with suppress(BlockingIOError):
            os.read(receiver, 4096)
        self._rung = False
        self._hand_out()

    def _on_heard(self, mine: Ear) -> None:
        self._rung = True  # nobody need wake who is awake
        try:
            mine.hear()
        finally:
            self._rung = False
        self._hand_out()

    def _hand_out(self) -> None:
        """Give the pool what it has room for."""
        held = current.holdings()
        if held is None:
            return
        tasks = self.client.transport_options["app"]().tasks
        for _ in range(TURN):
            delivery = held.take()
            if delivery is None:
                return
            if delivery.task in tasks or delivery.ended:
                self._hand_over(held, delivery)
            else:
                self._on_unknown(held, delivery)
        self.wake()  # the loop has its turn, timers, results, signals, and comes back

    def _hand_over(self, held: Holdings, delivery: Delivery) -> None:
        try:
            self._deliver(unpack(delivery), delivery.tag)
        except (ValueError, KeyError, TypeError) as error:
            logger.exception("unreadable_run run=%s", delivery.run)
            held.settle(delivery.run, Outcome("failed", error_json(type(error), [f"unreadable envelope: {error}"])))

    def _on_unknown(self, held: Holdings, delivery: Delivery) -> None:
        """Hand a run back when another worker knows its task (a rolling deploy); else it fails, and says why."""
        try:
            somebody, known = self.client.transport_options["who_knows"](delivery.task, delivery.tag)
        except TaglaneError:
            held.refuse(delivery.run)
            return
        if somebody:
            logger.info("task_handed_back run=%s task=%s", delivery.run, delivery.task)
            held.refuse(delivery.run)
            return
        tasks = ", ".join(known) or "none"
        reason = f"no live worker of tag {delivery.tag} knows the task {delivery.task!r}; they know: {tasks}"
        logger.error("task_unknown run=%s task=%s", delivery.run, delivery.task)
        held.settle(delivery.run, Outcome("failed", error_json(NotRegistered, [reason]), UNTOLD))


class NotRegistered(KeyError):
    """No worker of the tag knows the task."""


NotRegistered.__module__ = "celery.exceptions"


def register() -> None:
    """Make ``taglane://`` a transport that kombu knows."""
    kombu_transport.TRANSPORT_ALIASES["taglane"] = f"{__name__}:Transport"
