"""Reads what `taglane doctor` judges: the server's settings, its users, who is alive and who waits for nobody."""

from __future__ import annotations

import re
import time
from collections import Counter
from typing import TYPE_CHECKING, Any

from redis.exceptions import RedisError, ResponseError
from taglane.errors import LibraryMissing, NotFenced, ServerUnavailable
from taglane.model.names import SHARED, owner_of
from taglane.store import functions, keys
from taglane.store.leases import read_beat
from taglane.store.server import address_of, rename

from taglane_scheduler.care.checks import Check, Facts, ServerFacts, checks_of

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from taglane.settings import Settings
    from taglane.store.jobs import Jobs
    from taglane.store.queues import Queues
    from taglane.store.server import Server
    from taglane.store.workers import WorkerInfo, Workers

    from taglane_scheduler.care.checks import Waits

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
        with self._server.renamed("the doctor's reading"):
            return checks_of(self.read())

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
            server=self._server_facts() if is_operator else None,
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
        try:
            return str(self._redis.fcall("taglane_version", 0).decode())
        except ResponseError as error:
            if isinstance(rename(error, "the library's version", self._server.url), LibraryMissing):
                return None
            raise

    def _skew(self) -> int:
        before = time.time()
        seconds, micros = self._redis.time()
        middle = (before + time.time()) / 2
        return round(int(seconds) * 1000 + int(micros) / 1000 - middle * 1000)

    def _server_facts(self) -> ServerFacts:
        info: dict[str, Any] = self._redis.info()
        settings = self._settings_of_the_server()
        flavour = str(info.get("server_name", "redis"))
        maxmemory = int(info["maxmemory"])
        return ServerFacts(
            flavour=flavour,
            version=tuple(map(int, re.findall(r"\d+", str(info.get(f"{flavour}_version", info["redis_version"])))[:3])),
            role=str(info["role"]),
            cluster=bool(int(info.get("cluster_enabled", 0))),
            replicas=int(info.get("connected_slaves", 0)),
            used=int(info["used_memory"]),
            limit=maxmemory or int(info.get("total_system_memory", 0)),
            has_maxmemory=bool(maxmemory),
            policy=str(info["maxmemory_policy"]),
            aof=bool(int(info["aof_enabled"])),
            written=info.get("aof_last_write_status", "ok") == "ok"
            and info.get("rdb_last_bgsave_status", "ok") == "ok",
            fsync=settings.get("appendfsync"),
            save=settings.get("save"),
            timeout=_int(settings.get("timeout")),
            keepalive=_int(settings.get("tcp-keepalive")),
            min_replicas=_int(settings.get("min-replicas-to-write")),
            open_default=self._open_default(),
        )

    def _settings_of_the_server(self) -> Mapping[str, str]:
        """Its settings; empty where CONFIG is refused, as managed servers do."""
        found: dict[str, str] = {}
        for name in ("appendfsync", "save", "timeout", "tcp-keepalive", "min-replicas-to-write"):
            try:
                answer = self._redis.config_get(name)
            except ResponseError:
                return {}
            found.update({_text(key): _text(value) for key, value in answer.items()})
        return found

    def _open_default(self) -> bool | None:
        try:
            user = self._redis.acl_getuser("default")
        except ResponseError:
            return None
        flags = {_text(flag) for flag in user["flags"]}
        return {"on", "nopass"} <= flags

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


def _took(call: Callable[[], object]) -> float:
    start = time.monotonic()
    call()
    return time.monotonic() - start


def _text(value: bytes | str) -> str:
    return value.decode() if isinstance(value, bytes) else str(value)


def _int(text: str | None) -> int | None:
    return int(text) if text is not None and text.isdigit() else None
