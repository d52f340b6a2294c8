"""Celery's worker as a tagged one: which queues it selects, and when it begins and ends to hold leases."""

from __future__ import annotations

import os
import secrets
import signal
import socket
import threading
from typing import Any

from celery import bootsteps
from celery.signals import worker_process_shutdown, worker_shutdown, worker_shutting_down
from celery.worker import state as worker_state

from taglane.errors import BadName, BadSetting, OperatorNeeded, Refused, TaglaneError, TagNotOwned
from taglane.model.names import SHARED, check_tag, owner_of, pool_of
from taglane.runtime import capture, current, holdings, tracing
from taglane.runtime.carry import UNTOLD, Outcome
from taglane.runtime.farewell import EX_OVERDUE, Farewell
from taglane.runtime.fetcher import Fetcher
from taglane.runtime.guard import guard_tasks
from taglane.runtime.heart import Heart
from taglane.runtime.holdings import logger
from taglane.runtime.limits import Interrupting
from taglane.runtime.pace import SHARED_HORIZON
from taglane.runtime.patience import Patience
from taglane.runtime.pools import Carrying, Solo
from taglane.runtime.publisher import server_for
from taglane.runtime.pulse import Pulse
from taglane.runtime.sender import BEAT, FAREWELL, Sender
from taglane.runtime.slate import Slate
from taglane.runtime.standing import Standing
from taglane.runtime.worker_metrics import tell
from taglane.settings import load_settings
from taglane.store.leases import Leases
from taglane.store.pool_leases import PoolLeases
from taglane.store.server import Server

EX_UNAVAILABLE = 69
"""The exit code of a worker whose server was gone for longer than its patience."""

EX_REFUSED = 4
"""The exit code of a worker whose login was refused for longer than its patience: deleted, or given a new password.

A server that has just started, or taken over, refuses everybody until a scheduler connects: so it is not the first
refusal that ends a worker. The same code says at the start that a credential does not reach the tenant.
"""

EX_TENANT_GONE = 67
"""The exit code of a worker whose tenant was deleted."""


class TagMissing(TaglaneError):
    """A worker was started without a tag."""

    def __init__(self) -> None:
        super().__init__("this worker has no tag: name one, as in  --tag tenant_a")


class TagStep(bootsteps.StartStopStep):
    """Between the pool and the consumer: the pool's children are forked before there are threads."""

    requires = ("celery.worker.components:Pool", "celery.worker.components:Hub")

    def __init__(
        self,
        worker: Any,
        tag: tuple[str, ...] = (),
        pulse: Pulse | None = None,
        supervised: bool = False,
        **options: Any,
    ) -> None:
        super().__init__(worker, **options)
        from taglane.runtime.app import is_installed, tag_queue  # noqa: PLC0415 - app imports this step

        self.enabled = is_installed(worker.app)
        if not self.enabled:
            return
        self._url = worker.app.conf.broker_transport_options["secret_url"]
        server = Server(self._url)
        self.tags = list(dict.fromkeys(tag)) or [name for name in (server.tenant,) if name]
        try:
            self.tenant = check_tags(self.tags, server)
            self._pulse = pulse or own_pulse()
            self._capture = capture.Capture(lambda: server_for(self._url), load_settings(url=self._url))
        except TaglaneError as error:
            raise SystemExit(f"error: {error}") from None  # Celery would print a traceback
        queues = worker.app.amqp.queues
        for name in self.tags:
            queues.add(tag_queue(name))
        queues.select(self.tags)
        self._holdings: holdings.Holdings | None = None
        self._heart: Heart | None = None
        self._supervised = supervised
        self._standing = Standing()
        current.stand(self._standing)  # before the pool forks
        if tracing.is_on():
            worker_process_shutdown.connect(_flush_child, weak=False)
        guard_tasks(worker.app)
        self._capture.start()

    def start(self, worker: Any) -> None:
        """Enter the tenant's workers."""
        capture.hear_streams()
        settings = load_settings(url=self._url)
        whose = self.tags[0] if self.tenant == SHARED else self.tenant
        name = f"{whose}@{socket.gethostname()}-{os.getpid()}-{secrets.token_hex(3)}"
        pool = type(worker.pool).__name__.lower()
        if not isinstance(worker.pool, Carrying):
            raise BadSetting("-P", pool, "is a pool that can't carry results: choose prefork, threads or solo")
        slots = 1 if pool == "solo" else worker.concurrency
        leases = self._leases_as(name)
        info = {"host": socket.gethostname(), "pid": os.getpid(), "slots": slots, "pool": pool}
        try:
            leases.hello(info, self.tags, sorted(worker.app.tasks), settings.lease)
        except TaglaneError as error:  # what was right at the start of its supervisor may not be at its own
            logger.error("hello_failed error=%s", error)
            raise SystemExit(EX_REFUSED if isinstance(error, Refused) else EX_UNAVAILABLE) from None
        lease = settings.lease / 1000
        if pool != "prefork":
            self._heart = Heart(self._url, leases.heartbeat, min(lease / 5, BEAT))
            self._heart.start()
        held = holdings.Holdings(lease=lease, batch=settings.batch)
        held.looks_ahead = worker.pool.looks_ahead
        held.tally.slots = slots
        if isinstance(leases, PoolLeases):
            held.pace.horizon = SHARED_HORIZON
        held.on_stuck = lambda messages: worker.hub.call_soon(_recall, worker, held, messages)
        held.on_cancel = lambda message: _cancel(worker, held, message)
        self._patience = patience = Patience(settings.patience / 1000, self._lose_patience)
        worker.app.conf.broker_transport_options["who_knows"] = lambda task, tag: leases.who_knows(task, [tag])
        current.hold(held)
        self._leases, self._holdings = leases, held
        self._fetcher = Fetcher(held, leases, self.tags, patience)
        self._sender = Sender(held, leases, patience, self._pulse, self._standing)
        if self._heart is not None:
            self._sender.on_beat = self._heart.beaten
        self._sender.on_tenant_gone = lambda why: self._give_up(EX_TENANT_GONE, why)
        self._worker = worker
        self._farewell = Farewell(settings.grace / 1000, self._stop_taking, self._give_back)
        self._fetcher.on_drain = self._drain
        self._farewell.start(supervised=self._supervised)
        if isinstance(worker.pool, Solo):
            worker.pool.on_overdue = lambda: self._depart(EX_OVERDUE, "a hard time limit")
        self._sender.start()
        self._fetcher.start()
        worker_shutdown.connect(self.leave)

    def _leases_as(self, name: str) -> Leases | PoolLeases:
        server = Server(self._url)
        if self.tenant == SHARED:
            return PoolLeases(server, pool_of(self.tags[0]), name)
        return Leases(server, self.tenant, name)

    def leave(self, **_: Any) -> None:
        """Say what is unsaid, hand back the rest, leave the tenant's workers: the last act, after the pool's."""
        held, self._holdings = self._holdings, None
        if held is None:
            return
        if not self._farewell.take_turn():
            threading.Event().wait()  # another thread is ending this process
        held.stop_serving()
        self._part(FAREWELL)
        self._farewell.over()
        self._capture.stop()
        current.hold(None)

    def _part(self, patience: float) -> None:
        """Say what is unsaid, and leave: what is still held goes back."""
        self._fetcher.stop(patience)
        self._sender.stop(2 * FAREWELL)
        try:
            self._leases.leave()
        except TaglaneError as error:
            logger.warning("leave_failed error=%s", error)
        if self._heart is not None:
            self._heart.stop()
        tracing.flush()

    def _stop_taking(self, number: int) -> None:
        """Hand back what was not begun, at once, whatever the main loop is at."""
        held, worker = self._holdings, self._worker
        if held is None:
            return
        held.stop_serving()
        for message in reversed(worker.pool.recall_all()):  # the last first: each goes to the head
            _forget(message)
            lease = held.lease_of(message)
            if lease is not None:
                held.recalled(lease[0])
        held.wake()
        name, how = signal.Signals(number).name if number else "", "Cold" if number == signal.SIGQUIT else "Warm"
        worker_shutting_down.send(sender=worker.hostname, sig=name, how=how, exitcode=worker_state.should_stop)

    def _drain(self) -> None:
        """Stop as after SIGTERM: an operator has asked for it on the server."""
        logger.info("worker_drained")
        self._farewell.ask()

    def _give_back(self, why: str) -> None:
        self._depart(int(worker_state.should_stop or os.EX_OK), why)

    def _depart(self, code: int, why: str) -> None:
        """End this process now: what its pool still executes goes back to its queue, uncounted."""
        held = self._holdings
        if held is None or not self._farewell.take_turn():
            return
        runs = held.abandon()
        logger.warning("worker_departs runs_given_back=%d code=%d why=%s", runs, code, why)
        self._worker.pool.kill()
        capture.flush(1.0)
        self._part(1.0)
        if getattr(self._worker, "pidlock", None):
            self._worker.pidlock.release()
        self._farewell.exit(code)

    def _lose_patience(self, why: str) -> None:
        self._give_up(EX_REFUSED if self._patience.was_refused else EX_UNAVAILABLE, why)

    def _give_up(self, code: int, why: str) -> None:
        """Stop by ourselves, for a reason that lasts."""
        if code == EX_TENANT_GONE:
            logger.error("tenant_gone error=%s", why)
        elif code == EX_REFUSED:
            hint = f"deleted, or given a new password? (taglane tenant show {self.tenant})"
            logger.error("credential_refused_for_good tenant=%s hint=%s error=%s", self.tenant, hint, why)
        else:
            logger.error("server_gone_for_good error=%s", why)
        worker_state.should_stop = code
        self._farewell.ask()


def _flush_child(**_: Any) -> None:
    """Export the last spans of a pool's child, which ends without what others do at exit."""
    tracing.flush()


def own_pulse() -> Pulse:
    """Return the pulse of a worker that `celery worker` has started, after the endpoint that tells of it.

    Raises:
        BadSetting: its health can't be told where the settings say.
    """
    settings = load_settings()
    pulse = Pulse(slate=Slate() if settings.health else None)
    tell(settings, [pulse])
    return pulse


def check_tags(tags: list[str], server: Server) -> str:
    """Return the one tenant whose tags these are, or `shared` for a shared pool's.

    Raises:
        TagMissing: there is none.
        BadName: one is malformed; or a shared pool's, beside another tag.
        TagNotOwned: they are of two tenants, or not of the one whose credential this is.
        OperatorNeeded: a shared pool's, under a tenant's credential.
    """
    if not tags:
        raise TagMissing
    owner = server.tenant or owner_of(check_tag(tags[0]))
    for tag in tags:
        if owner_of(check_tag(tag)) == SHARED and server.tenant is not None:
            raise OperatorNeeded(f"a worker of the shared pool {tag!r}", server.tenant)
        if SHARED in (owner_of(tag), owner) and len(tags) > 1:
            raise BadName("tag", tag, why="can't be served beside others by a worker: start one for each shared pool")
        if owner_of(tag) != owner:
            raise TagNotOwned(tag, owner)
    return owner


def _recall(worker: Any, held: holdings.Holdings, messages: list[str]) -> None:
    """Hand back runs that the pool was given and does not get to."""
    for message in messages:
        request, lease = worker_state.requests.get(message), held.lease_of(message)
        if request is not None and lease is not None and worker.pool.recall(message):
            worker_state.task_ready(request)
            held.recalled(lease[0])


def _cancel(worker: Any, held: holdings.Holdings, message: str) -> None:
    """Stop a run that the pool has: each heartbeat asks again, until it has ended."""
    pool = worker.pool
    if not isinstance(pool, Interrupting):
        worker.hub.call_soon(_terminate, worker, message)
    elif pool.recall(message):
        _forget(message)
        lease = held.lease_of(message)
        if lease is not None:
            held.settle(lease[0], Outcome("cancelled", "", UNTOLD))
    elif pool.stop_run(message):
        logger.info("cancel_passed_on run=%s", message)


def _terminate(worker: Any, message: str) -> None:
    """Kill the child that executes a run."""
    request = worker_state.requests.get(message)
    if request is not None:
        request.terminate(worker.pool, signal="TERM")


def _forget(message: str) -> None:
    """Let Celery know no more of a message."""
    request = worker_state.requests.get(message)
    if request is not None:
        worker_state.task_ready(request)
