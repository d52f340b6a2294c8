"""Reads what `taglane doctor` judges: the server's settings, its users, who is alive and who waits for nobody."""

from __future__ import annotations

import time
from collections import Counter
from typing import TYPE_CHECKING, Any, TypeVar

from redis.exceptions import ConnectionError as LostConnection
from redis.exceptions import RedisError, ResponseError
from redis.exceptions import TimeoutError as TimedOut
from taglane.errors import LibraryMissing, NodeUnavailable, NotFenced, ServerUnavailable
from taglane.model.names import SHARED, owner_of
from taglane.store import functions, keys
from taglane.store.leases import read_beat
from taglane.store.server import address_of, rename

from taglane_scheduler.care.checks import Check, Facts, checks_of, of_nodes
from taglane_scheduler.care.server_facts import facts_of, facts_of_all

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from taglane.settings import Settings
    from taglane.store.jobs import Jobs
    from taglane.store.queues import Queues
    from taglane.store.server import Server
    from taglane.store.workers import WorkerInfo, Workers

    from taglane_scheduler.care.checks import Waits

T = TypeVar("T")

PINGS = 5
BEATS_APART = 1.5

READINGS = 3
"""How often they are read, at most: a scheduler that was busy for a moment is no dead one."""


class Doctor:
    """Looks at one server, under the operator's credential or a tenant's own.

    Args:
        server: the connection.
        settings: this machine's.
        jobs: where jobs are listed.
        queues: where queues are.
        workers: where workers are.
        users_amiss: tells the tenants whose ACL user is not as it should be; raises NotFenced where none can be.
    """

    def __init__(  # noqa: PLR0913 - each is a store of its own
        self,
        server: Server,
        settings: Settings,
        *,
        jobs: Jobs,
        queues: Queues,
        workers: Workers,
        users_amiss: Callable[[], Sequence[str]],
    ) -> None:
        self._server = server
        self._redis: Any = server.redis
        self._settings = settings
        self._jobs = jobs
        self._queues = queues
        self._workers = workers
        self._users_amiss = users_amiss
        self.beats_apart = BEATS_APART
        """Seconds between two readings of the schedulers' counters, which move once a second."""

    def examine(self) -> list[Check]:
        """Read everything, and judge it.

        Raises:
            ServerUnavailable: there is no server.
            Refused: it does not let us in.
        """
        try:
            with self._server.renamed("the doctor's reading"):
                return checks_of(self.read())
        except NodeUnavailable:
            if self._server.tenant is not None:
                raise
            with self._server.renamed("the doctor's reading"):  # that node has what the rest is read from
                return list(of_nodes(facts_of_all(self._server), self._settings.replicas))

    def read(self) -> Facts:
        """Read everything that this credential may see. It takes two seconds, or five when no scheduler is alive."""
        latency = min(_took(self._redis.ping) for _ in range(PINGS)) * 1000  # the first one also connects
        library = self._library()
        is_operator = self._server.tenant is None
        tenants = self._tenants()
        living, silent = self._living_and_silent()
        unserved, unreadable = self._unserved(tenants, living)
        fenced, amiss = self._users() if is_operator else (True, None)
        return Facts(
            address=address_of(self._server.url),
            latency_ms=latency,
            skew_ms=self._skew(),
            library=library,
            wanted_library=functions.version(),
            tenant=self._server.tenant,
            server=facts_of(self._redis) if is_operator and not self._server.clustered else None,
            cluster=facts_of_all(self._server) if is_operator and self._server.clustered else None,
            awaited=self._settings.replicas,
            schedulers=self._schedulers() if is_operator else None,
            users_amiss=amiss,
            fenced=fenced,
            unserved=unserved,
            unreadable=unreadable,
            silent_workers=[f"{worker.id} of {worker.tenant}, {worker.silent // 1000} s" for worker in silent],
            dead=self._count_dead(tenants),
        )

    def _library(self) -> str | None:
        """The version of the functions; of a cluster's nodes, first that of one that has not what we have."""
        found = self._of_nodes(self._library_at)
        return next((each for each in found if each != functions.version()), functions.version())

    def _library_at(self, node: Any) -> str | None:
        try:
            return str(node.fcall("taglane_version", 0).decode())
        except ResponseError as error:
            if isinstance(rename(error, "the library's version", self._server.url), LibraryMissing):
                return None
            raise

    def _skew(self) -> int:
        """How far the server's clock is from ours, ms; of a cluster's nodes, the one that is furthest."""
        return max(self._of_nodes(_skew_of), key=abs)

    def _of_nodes(self, read: Callable[[Any], T]) -> list[T]:
        """What is read of each primary; one of a cluster that gives no answer is told elsewhere."""
        found = []
        for node in self._server.nodes():
            try:
                found.append(read(node))
            except (LostConnection, TimedOut):
                if not self._server.clustered:
                    raise
        return found

    def _users(self) -> tuple[bool, Sequence[str] | None]:
        """Whether tenants have users at all, and those whose user is not as it should be."""
        try:
            return True, self._users_amiss()
        except NotFenced:
            return False, None

    def _schedulers(self) -> int:
        """Count those whose counter moves."""
        first: dict[bytes, bytes] = self._redis.hgetall(keys.SCHEDULERS)
        for _ in range(READINGS - 1):
            time.sleep(self.beats_apart)
            now: dict[bytes, bytes] = self._redis.hgetall(keys.SCHEDULERS)
            moved = [name for name, counter in now.items() if first.get(name) != counter]
            if moved:
                return len(moved)
        return 0

    def _unserved(self, tenants: Sequence[str], living: Sequence[WorkerInfo]) -> tuple[dict[str, Waits], list[str]]:
        """What waits, or may come, for tags that nobody serves; and the tenants whose jobs can't be read.

        A shared tag is left out: its workers are of no tenant.
        """
        runs = {queue.tag: queue.queued + queue.delayed for queue in self._queues.list(self._server.tenant)}
        jobs: Counter[str] = Counter()
        unreadable = []
        for tenant in tenants:
            try:
                jobs.update(stored.job.tag for stored in self._jobs.list(tenant) if not stored.paused)
            except (
                ServerUnavailable
            ):  # its keys hold something else than ours; or there is no server: the next call says
                unreadable.append(tenant)
        served = {tag for worker in living for tag in worker.tags}
        waited_for = sorted(tag for tag in {*runs, *jobs} - served if runs.get(tag) or jobs[tag])
        return {tag: (runs.get(tag, 0), jobs[tag]) for tag in waited_for if owner_of(tag) != SHARED}, unreadable

    def _living_and_silent(self) -> tuple[list[WorkerInfo], list[WorkerInfo]]:
        """The workers, each by the lease that it has told."""
        workers = self._workers.list(self._server.tenant)
        pipeline = self._redis.pipeline(transaction=False)
        for worker in workers:
            pipeline.hmget(keys.worker(worker.tenant, worker.id), "beat", "lease")
        living: list[WorkerInfo] = []
        silent: list[WorkerInfo] = []
        for worker, beat in zip(workers, pipeline.execute(raise_on_error=False), strict=True):
            lease = _lease(beat) or self._settings.lease
            (living if worker.silent <= lease else silent).append(worker)
        return living, silent

    def _count_dead(self, tenants: Sequence[str]) -> int:
        pipeline = self._redis.pipeline(transaction=False)
        for tenant in tenants:
            pipeline.zcard(keys.dead(tenant))
        return sum(count for count in pipeline.execute(raise_on_error=False) if isinstance(count, int))

    def _tenants(self) -> list[str]:
        if self._server.tenant:
            return [self._server.tenant]
        return sorted(name.decode(errors="replace") for name in self._redis.hkeys(keys.TENANTS))


def _lease(beat: Any) -> float:
    """The lease that a worker has told, ms; 0 for none, or what can't be read."""
    return 0.0 if isinstance(beat, RedisError) else read_beat(*beat).lease * 1000


def _skew_of(node: Any) -> int:
    before = time.time()
    seconds, micros = node.time()
    middle = (before + time.time()) / 2
    return round(int(seconds) * 1000 + int(micros) / 1000 - middle * 1000)


def _took(call: Callable[[], object]) -> float:
    start = time.monotonic()
    call()
    return time.monotonic() - start
