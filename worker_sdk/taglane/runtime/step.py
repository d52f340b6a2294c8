"""Celery's worker as a tagged one: which queues it selects, and when it begins and ends to hold leases."""

from __future__ import annotations

import os
import secrets
import socket
from typing import Any

from celery import bootsteps
from celery.signals import worker_shutdown
from celery.worker import state as worker_state

from taglane.errors import BadName, BadSetting, TaglaneError, TagNotOwned
from taglane.model.names import SHARED, check_tag, owner_of
from taglane.runtime import current, holdings
from taglane.runtime.fetcher import Fetcher
from taglane.runtime.heart import Heart
from taglane.runtime.holdings import logger
from taglane.runtime.patience import Patience
from taglane.runtime.pools import Carrying
from taglane.runtime.sender import BEAT, FAREWELL, Sender
from taglane.settings import load_settings
from taglane.store.leases import Leases
from taglane.store.server import Server

EX_UNAVAILABLE = 69


class TagMissing(TaglaneError):
    """A worker was started without a tag."""

    def __init__(self) -> None:
        super().__init__("this worker has no tag: name one, as in  --tag tenant_a")


class TagStep(bootsteps.StartStopStep):
    """Between the pool and the consumer: the pool's children are forked before there are threads."""

    requires = ("celery.worker.components:Pool", "celery.worker.components:Hub")

    def __init__(self, worker: Any, tag: tuple[str, ...] = (), **options: Any) -> None:
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
        except TaglaneError as error:
            raise SystemExit(f"error: {error}") from None  # Celery would print a traceback
        queues = worker.app.amqp.queues
        for name in self.tags:
            queues.add(tag_queue(name))
        queues.select(self.tags)
        self._holdings: holdings.Holdings | None = None
        self._heart: Heart | None = None

    def start(self, worker: Any) -> None:
        """Enter the tenant's workers."""
        settings = load_settings(url=self._url)
        name = f"{self.tenant}@{socket.gethostname()}-{os.getpid()}-{secrets.token_hex(3)}"
        pool = type(worker.pool).__name__.lower()
        if not isinstance(worker.pool, Carrying):
            raise BadSetting("-P", pool, "is a pool that can't carry results: choose prefork, threads or solo")
        slots = 1 if pool == "solo" else worker.concurrency
        leases = Leases(Server(self._url), self.tenant, name)
        info = {"host": socket.gethostname(), "pid": os.getpid(), "slots": slots, "pool": pool}
        leases.hello(info, self.tags, sorted(worker.app.tasks), settings.lease)
        lease = settings.lease / 1000
        if pool != "prefork":
            self._heart = Heart(self._url, self.tenant, name, min(lease / 5, BEAT))
            self._heart.start()
        held = holdings.Holdings(lease=lease, batch=settings.batch)
        held.looks_ahead = worker.pool.looks_ahead
        held.on_stuck = lambda messages: worker.hub.call_soon(_recall, worker, held, messages)
        held.on_cancel = lambda message: worker.hub.call_soon(_terminate, worker, message)
        patience = Patience(settings.patience / 1000, lambda why: worker.hub.call_soon(_give_up, why))
        worker.app.conf.broker_transport_options["who_knows"] = lambda task, tag: leases.who_knows(task, [tag])
        current.hold(held)
        self._leases, self._holdings = leases, held
        self._fetcher = Fetcher(held, leases, self.tags, patience)
        self._sender = Sender(held, leases, patience)
        self._sender.start()
        self._fetcher.start()
        worker_shutdown.connect(self.leave)

    def leave(self, **_: Any) -> None:
        """Say what is unsaid, hand back the rest, leave the tenant's workers: the last act, after the pool's."""
        held, self._holdings = self._holdings, None
        if held is None:
            return
        held.stop_serving()
        self._fetcher.stop(FAREWELL)
        self._sender.stop(2 * FAREWELL)
        try:
            self._leases.leave()
        except TaglaneError as error:
            logger.warning("leave_failed error=%s", error)
        current.hold(None)
        if self._heart is not None:
            self._heart.stop()


def check_tags(tags: list[str], server: Server) -> str:
    """Return the one tenant whose tags these are.

    Raises:
        TagMissing: there is none.
        BadName: one is malformed, or a shared pool's.
        TagNotOwned: they are of two tenants, or not of the one whose credential this is.
    """
    if not tags:
        raise TagMissing
    owner = server.tenant or owner_of(check_tag(tags[0]))
    for tag in tags:
        if owner_of(check_tag(tag)) == SHARED:
            raise BadName("tag", tag, why="is a shared pool: workers serve one tenant's tags, as in  --tag tenant_a")
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


def _terminate(worker: Any, message: str) -> None:
    """Stop a run that is being executed, where the pool can."""
    request = worker_state.requests.get(message)
    if request is None:
        return
    try:
        request.terminate(worker.pool, signal="TERM")
    except NotImplementedError:
        if hasattr(request, "taglane_cancel_asked"):
            return  # a cancel is repeated with each heartbeat
        request.taglane_cancel_asked = True
        logger.warning("cancel_asked run=%s pool=%s: this pool can't stop a task", message, worker.pool)


def _give_up(why: str) -> None:
    logger.error("server_gone_for_good error=%s", why)
    worker_state.should_stop = EX_UNAVAILABLE
