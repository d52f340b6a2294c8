"""A worker's side of the moves: hello, fetch, finish, renew, leave; and waiting on bells."""

from __future__ import annotations

import json
import time
from typing import TYPE_CHECKING, Any, NamedTuple

from redis.exceptions import ConnectionError as LostConnection
from redis.exceptions import RedisError

from taglane.errors import TaglaneError
from taglane.model.envelope import Delivery
from taglane.store import keys
from taglane.store.server import Server, connect, rename
from taglane.store.workers import MOST, Workers

if TYPE_CHECKING:
    from collections.abc import Callable


OVERDUE = 2.0
"""Seconds after the end of a wait in which the server has to say that it is over; then its connection is dead."""


class Beat(NamedTuple):
    """A worker's heartbeat: its counter, and after how many seconds of silence it means to count as dead."""

    counter: str
    lease: float = 0.0


def read_beat(counter: bytes | None, lease: bytes | None) -> Beat:
    """Read what a worker has written; whatever can't be read is absent."""
    return Beat((counter or b"").decode(errors="replace"), _number(lease) / 1000)


def _number(text: bytes | None) -> int:
    return int(text) if text and text.isdigit() else 0


class Leases:
    """The leases of one worker, in one tenant."""

    def __init__(self, server: Server, tenant: str, worker: str) -> None:
        self._server = server
        self._tenant = tenant
        self.worker = worker
        self._was_recorded = False
        self._sequence = 0
        self._asked: list[Any] | None = None
        self._introduction: list[Any] = []
        self._waiter: Any = None
        self._waits_no_more = False
        self._waiters = connect(server.url, timeout=None).connection_pool

    def hello(self, info: dict[str, Any], tags: list[str], tasks: list[str], lease_ms: int = 0) -> None:
        """Enter the tenant's workers, as one that may be silent for *lease_ms*; 0: as long as its watchers think."""
        self._introduction = ["info", json.dumps(info), "tags", " ".join(tags), "tasks", json.dumps(tasks)]
        self._introduction += ["lease", lease_ms]
        self._was_recorded = self._is_recorded()
        self.hello_again()

    def hello_again(self) -> None:
        """Enter them once more, after we were given up for dead."""
        self._server.call("hello", self._tenant, self.worker, *self._introduction)

    def is_tenant_gone(self) -> bool:
        """Whether the tenant was deleted since `hello`: a worker with the operator's credential would live on in it."""
        return self._was_recorded and not self._is_recorded()

    def _is_recorded(self) -> bool:
        if self._server.tenant is not None:  # only the operator's credential reads the record, and outlives the tenant
            return False
        with self._server.renamed("reading the tenants' record"):
            record = self._server.redis.hget(keys.TENANTS, self._tenant)
        # One that is being deleted opens to no password any more.
        return record is not None and bool(json.loads(record).get("password_hashes"))

    def leave(self) -> None:
        """Leave the tenant's workers; what is still held goes back to its queue."""
        self._server.call("leave", self._tenant, self.worker)

    def fetch(self, most: int, tags: list[str], *, idle: bool) -> tuple[int, list[Delivery]] | None:
        """Lease up to *most* runs; answers ms until a delayed run is due (-1: none) and the runs.

        After a lost reply the same question is asked again, word for word, and gets the same runs. None: the server
        does not know this worker.
        """
        if self._asked is None:
            self._sequence += 1
            self._asked = [self.worker, self._sequence, most, "1" if idle else "0", *tags]
        answer = self._server.call("fetch", self._tenant, *self._asked)
        self._asked = None
        if answer == 0:
            return None
        return answer[1], [self._delivery(fields) for fields in answer[2]]

    def _delivery(self, fields: list[bytes]) -> Delivery:
        run, token, envelope, attempts, tag, job, due, rescues, ended, of, task = fields
        return Delivery(
            run=run.decode(),
            token=int(token),
            envelope=envelope,
            attempt=_number(attempts),
            tenant=self._tenant,
            tag=tag.decode(),
            job=job.decode(),
            due=_number(due) or None,
            rescues=_number(rescues),
            ended=ended.decode(),
            of=of.decode() if ended else "",
            task=task.decode(),
        )

    def say(self, calls: list[tuple[str, list[Any]]], hear: Callable[[str, Any], None]) -> None:
        """Make several moves in one round trip, and hand each answer to *hear*.

        All may be said again after an error: tokens make a repetition harmless.

        Raises:
            TaglaneError: one of them got no answer.
        """
        if len(calls) == 1:
            move, arguments = calls[0]
            hear(move, self._server.call(move, self._tenant, *arguments))
            return
        answers = self._server.calls([(move, self._tenant, arguments) for move, arguments in calls])
        for answer in answers:
            if isinstance(answer, TaglaneError):
                raise answer
        for (move, _), answer in zip(calls, answers, strict=True):
            hear(move, answer)

    def wait(self, tags: list[str], seconds: float) -> None:
        """Wait until one of the tags' bells rings, *seconds* at most.

        Raises:
            ServerUnavailable: the connection broke.
        """
        if seconds <= 0.001 or self._waits_no_more:
            return
        try:
            connection = self._waiter
            if connection is None:
                connection = self._waiter = self._waiters.get_connection()
            bells = [keys.bell(self._tenant, tag) for tag in tags]
            connection.send_command("BLPOP", *bells, f"{seconds:.3f}")
            deadline = time.monotonic() + seconds + OVERDUE
            # In slices: what `stop_waiting` closes may be opened again, by `can_read` itself, in the same instant.
            while not connection.can_read(timeout=max(0.0, min(0.5, deadline - time.monotonic()))):
                if self._waits_no_more or time.monotonic() >= deadline:
                    self._drop_waiter()
                    if not self._waits_no_more:  # the other connections are as dead, and would cost 10 s each
                        self._server.redis.connection_pool.disconnect(inuse_connections=False)
                    return
            connection.read_response()
        except (
            RedisError,
            OSError,
            AttributeError,
            TypeError,
            ValueError,
        ) as error:  # closed under us: see stop_waiting
            self._drop_waiter()
            lost = error if isinstance(error, RedisError) else LostConnection(str(error))
            raise rename(lost, "waiting", self._server.url) from error

    def stop_waiting(self) -> None:
        """Wake whoever waits, from another thread, and let nobody wait again: its connection is closed under it."""
        self._waits_no_more = True
        connection = self._waiter
        if connection is not None:
            connection.disconnect()

    def _drop_waiter(self) -> None:
        connection, self._waiter = self._waiter, None
        if connection is not None:
            connection.disconnect()
            self._waiters.release(connection)

    def beats(self) -> dict[str, Beat]:
        """The heartbeats of all workers of the tenant; of more than `MOST`, of any so many."""
        with self._server.renamed("looking after the workers"):
            members = self._server.redis.srandmember(keys.workers(self._tenant), MOST)
            workers = [worker.decode(errors="replace") for worker in members]
            pipeline = self._server.redis.pipeline(transaction=False)
            for worker in workers:
                pipeline.hmget(keys.worker(self._tenant, worker), "beat", "lease")
            counters = pipeline.execute()
        return {worker: read_beat(counter, lease) for worker, (counter, lease) in zip(workers, counters, strict=True)}

    def rescue(self, worker: str, beat: str) -> tuple[int, int]:
        """Take over what a worker held whose counter stood still at *beat*; answers runs queued again, dead letters."""
        queued, dead = self._server.call("rescue", self._tenant, worker, beat)
        return queued, dead

    def who_knows(self, task: str, tags: list[str]) -> tuple[bool, list[str]]:
        """Ask whether another worker that serves one of *tags* knows *task*; and what all of them know, sorted."""
        serving = [
            worker for worker in Workers(self._server).list(self._tenant) if not set(tags).isdisjoint(worker.tags)
        ]
        somebody = any(task in worker.tasks for worker in serving if worker.id != self.worker)
        known = {name for worker in serving for name in worker.tasks}
        return somebody, sorted(name for name in known if not name.startswith(("celery.", "taglane.")))
