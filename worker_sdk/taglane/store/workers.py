"""Reads who works: what each worker said of itself when it came, and its heartbeat since (hello.lua, renew.lua)."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from taglane.errors import WorkerNotFound
from taglane.model.names import owner_of
from taglane.store import keys

if TYPE_CHECKING:
    from collections.abc import Sequence

    from taglane.store.server import Server

MOST = 4_000
"""Workers of one tenant that are looked at: its set may hold millions of names, and reading these must delay nobody.

Of a tenant with more, any so many: who looks again sees others.
"""

LARGEST, LARGEST_ALL = 500_000, 32_000_000
"""Bytes that one worker, and all of one tenant, may have said of themselves: what is beyond that is not read."""

SAID = ("info", "tags", "tasks")

FIELDS = ("info", "tags", "tasks", "active", "seen", "drain", "beat")


@dataclass(frozen=True, slots=True)
class WorkerInfo:
    """A worker as the server knows it. Times are ms since 1970; what it did not say is None or empty."""

    id: str
    tenant: str
    """Whose it is; empty for the operator's, of a shared pool."""
    tags: tuple[str, ...]
    tasks: tuple[str, ...]
    """The names of the tasks that it has loaded."""
    host: str | None
    pid: int | None
    slots: int | None
    """How many runs it executes at once."""
    pool: str | None
    active: int
    """How many it executed at its last heartbeat."""
    last_seen: int
    silent: int
    """For how long, ms, there has been no heartbeat: over a lease, and others take its runs."""
    draining: bool = False
    """Whether it was asked to take no more, and to end when it has done what it holds."""


class Workers:
    """The workers of every tenant that the server's credential reaches."""

    def __init__(self, server: Server) -> None:
        self._server = server
        self._redis: Any = server.redis

    def list(self, tenant: str | None = None) -> Sequence[WorkerInfo]:
        """Return the workers of one tenant or of all, by tenant and id: dead ones too, until they are rescued.

        `MOST` of one tenant.
        """
        return self.list_of([tenant] if tenant else self._tenants())

    def list_of(self, tenants: Sequence[str]) -> Sequence[WorkerInfo]:
        """Return the workers of these tenants, in three round trips: as `list` does."""
        with self._server.renamed("listing workers"):
            pipeline = self._redis.pipeline(transaction=False)
            pipeline.time()
            for each in tenants:
                pipeline.srandmember(keys.workers(each), MOST)
            (seconds, micros), *members = _execute(pipeline)
            found = [
                (each, member.decode(errors="replace"))
                for each, ids in zip(tenants, members, strict=True)
                for member in sorted(ids)
            ]
            for each, worker in found:
                for field in SAID:
                    pipeline.hstrlen(keys.worker(each, worker), field)
            sizes = _execute(pipeline)
            left = dict.fromkeys(tenants, LARGEST_ALL)
            for number, (each, worker) in enumerate(found):
                size = sum(size or 0 for size in sizes[number * len(SAID) : (number + 1) * len(SAID)])
                is_read = size <= min(LARGEST, left[each])
                left[each] -= size if is_read else 0
                pipeline.hmget(keys.worker(each, worker), FIELDS if is_read else [*("-" for _ in SAID), *FIELDS[3:]])
            rows = _execute(pipeline)
        now = seconds * 1000 + micros // 1000
        return [
            read_worker(worker, each, dict(zip(FIELDS, row, strict=True)), now)
            for (each, worker), row in zip(found, rows, strict=True)
            if row and row[-1] is not None
        ]

    def drain(self, tenant: str, worker: str) -> None:
        """Let one of a tenant's own workers take no more: it ends, as after SIGTERM, when it has done what it holds.

        It learns of it with its next fetch, within seconds. Of a worker of several processes all end with one.

        Raises:
            WorkerNotFound: there is none of that id.
        """
        if not self._server.call("drain", tenant, worker):
            raise WorkerNotFound(tenant, worker)

    def serving(self, tag: str, *, within: int) -> Sequence[WorkerInfo]:
        """Return the workers of *tag*'s tenant that take its runs and were heard of *within* so many ms."""
        return [worker for worker in self.list(owner_of(tag)) if tag in worker.tags and worker.silent <= within]

    def _tenants(self) -> Sequence[str]:
        if self._server.tenant:
            return [self._server.tenant]
        with self._server.renamed("listing workers"):
            return self._server.reachable(sorted(name.decode() for name in self._redis.hkeys(keys.TENANTS)))

    def holding(self, workers: Sequence[WorkerInfo], most: int = 5) -> dict[tuple[str, str], Sequence[str]]:
        """Return of tenants' own workers, by tenant and id, some runs that each holds: *most*, any of them."""
        asked = [(each.tenant, each.id) for each in workers if each.tenant]
        with self._server.renamed("asking what workers hold"):
            pipeline = self._redis.pipeline(transaction=False)
            for tenant, worker in asked:
                pipeline.srandmember(keys.held(tenant, worker), most)
            found = _execute(pipeline)
        runs = (sorted(run.decode(errors="replace") for run in each) for each in found)
        return dict(zip(asked, runs, strict=True))


def read_worker(worker: str, tenant: str, fields: dict[str, bytes | None], now: int) -> WorkerInfo:
    """Read what a worker has said of itself, at the server's time *now*, ms."""
    info = _read(fields["info"], dict)
    seen = _int(fields["seen"])
    return WorkerInfo(
        id=worker,
        tenant=tenant,
        tags=tuple((fields["tags"] or b"").decode(errors="replace").split()),
        tasks=tuple(str(task) for task in _read(fields["tasks"], list)),
        host=_of(str, info, "host"),
        pid=_of(int, info, "pid"),
        slots=_of(int, info, "slots"),
        pool=_of(str, info, "pool"),
        active=_int(fields["active"]),
        last_seen=seen,
        silent=max(0, now - seen),
        draining=bool(fields.get("drain")),
    )


def _execute(pipeline: Any) -> list[Any]:
    """Execute; a key that its tenant has made something else of reads as empty, so it hides nobody else's."""
    answers = pipeline.execute(raise_on_error=False)
    for answer in answers:
        if isinstance(answer, Exception) and not str(answer).startswith("WRONGTYPE"):
            raise answer
    return [() if isinstance(answer, Exception) else answer for answer in answers]


def _of(kind: type[Any], info: Any, name: str) -> Any:
    value = info.get(name)
    return value if isinstance(value, kind) else None


def _int(text: bytes | None) -> int:
    try:
        return int(text or 0)
    except ValueError:
        return 0


def _read(text: bytes | None, kind: type[Any]) -> Any:
    try:
        loaded = json.loads(text or b"null")
    except (ValueError, RecursionError):
        loaded = None
    return loaded if isinstance(loaded, kind) else kind()
