"""A cluster under load: tenants on every node, whose jobs fire, whose callers enqueue, whose workers work."""

from __future__ import annotations

import threading
import time
from collections import Counter
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from typing import TYPE_CHECKING, Any, Self

from eventually import eventually
from factories import make_job
from processes import SchedulerProcess
from redis.exceptions import RedisError
from taglane import Taglane
from taglane.errors import NotReplicated, Refused, ServerUnavailable
from taglane.store import keys
from taglane.store.jobs import Jobs
from taglane.store.server import Server
from taglane_scheduler.tenancy.tenants import Tenants

if TYPE_CHECKING:
    from collections.abc import Sequence

    from cluster import Cluster, ClusterNode

JOBS = 3
EVERY_MS = 1_000
LATE_MS = 1_500
"""A fire that comes later than this is late: a busy machine takes a part of it, a failover far more."""


@dataclass
class Fires:
    """The due instants of one tenant's jobs that were fired, by job, and how many of them late."""

    dues: dict[str, list[int]]
    waits: dict[int, int]
    """How long, ms, the slowest fire of each instant was behind it."""

    @property
    def count(self) -> int:
        """How many there were."""
        return sum(map(len, self.dues.values()))

    @property
    def late(self) -> int:
        """Instants of which one fire was late."""
        return sum(wait > LATE_MS for wait in self.waits.values())

    @property
    def newest(self) -> int:
        """The last instant, ms."""
        return max(self.waits, default=0)

    def longest_wait(self, *, after: int) -> int:
        """How long, ms, the slowest fire was behind its instant, of those after one."""
        return max((wait for due, wait in self.waits.items() if due > after), default=0)

    @property
    def missed(self) -> int:
        """Instants between the first and the last of a job that have no run."""
        return sum((dues[-1] - dues[0]) // EVERY_MS + 1 - len(set(dues)) for dues in self.dues.values())

    @property
    def doubled(self) -> int:
        """Instants that have two runs."""
        return sum(len(dues) - len(set(dues)) for dues in self.dues.values())


@dataclass
class Busy:
    """One tenant: a thread that enqueues, each run with a key of its own and asked again with it, and works."""

    name: str
    url: str
    confirmed: dict[str, str] = field(default_factory=dict)
    executed: Counter[str] = field(default_factory=Counter)
    finished: Counter[str] = field(default_factory=Counter)
    errors: Counter[str] = field(default_factory=Counter)
    longest_gap: float = 0.0
    """Between two runs that were confirmed, s."""

    def __post_init__(self) -> None:
        self._confirmed_at = time.monotonic()
        self._stopping, self._draining = threading.Event(), threading.Event()
        self._thread = threading.Thread(target=self._loop, name=self.name)

    def start(self) -> None:
        self._thread.start()

    def drain(self) -> None:
        """Enqueue no more; go on working."""
        self._draining.set()

    def go_on(self) -> None:
        self._confirmed_at = time.monotonic()
        self._draining.clear()

    def stop(self) -> None:
        self._stopping.set()
        if self._thread.ident is not None:
            self._thread.join(30)
            assert not self._thread.is_alive()

    def _loop(self) -> None:
        lane = Taglane(self.url)
        lane.server.replicas = 1
        fetches, leased, said_hello = 1, dict[str, int](), False
        while not self._stopping.wait(0.02):
            try:
                if not said_hello:
                    lane.server.call("hello", self.name, "hand", "tags", self.name)
                    said_hello = True
                if not self._draining.is_set():
                    self._enqueue(lane)
                answer = lane.server.call("fetch", self.name, "hand", fetches, 50, "1", self.name)
                lane.server.call("beat", self.name, "hand")
                if isinstance(answer, int):  # the replica that took over has not heard of this worker
                    said_hello = False
                    continue
                fetches += 1  # after a lost answer it is asked again under its number
                for run, token, *_ in answer[2]:
                    self.executed[run.decode()] += 1
                    leased[run.decode()] = token
                if leased:
                    words = [word for run, token in leased.items() for word in (run, token, "succeeded", "1", "{}", "")]
                    for run, ended in zip(leased, lane.server.call("finish", self.name, *words), strict=True):
                        self.finished[run] += ended
                    leased = {}
            except (ServerUnavailable, Refused) as error:
                self.errors[f"{type(error).__name__}: {error}"[:200]] += 1
        lane.close()

    def _enqueue(self, lane: Taglane) -> None:
        key = f"key-{len(self.confirmed)}"
        try:
            self.confirmed[key] = lane.enqueue("a.b", tenant=self.name, key=key).id
            now = time.monotonic()
            self.longest_gap, self._confirmed_at = max(self.longest_gap, now - self._confirmed_at), now
        except NotReplicated as error:  # made, but not confirmed: asked again
            self.errors[f"{type(error).__name__}: {error}"[:200]] += 1


class BusyCluster:
    """A cluster, two tenants on each of its nodes, and two schedulers. A context manager."""

    def __init__(self, cluster: Cluster, *, schedulers: int = 2) -> None:
        self.cluster = cluster
        self.operator = Server(cluster.url)
        self.tenants: dict[str, Busy] = {}
        self._fired: dict[tuple[str, date], int] = {}
        self.paused: set[str] = set()
        """The tenants of nodes to which something has happened."""
        self._schedulers = [SchedulerProcess(cluster.url) for _ in range(schedulers)]

    def __enter__(self) -> Self:
        try:
            self._begin()
        except BaseException:
            self.__exit__()
            raise
        return self

    def _begin(self) -> None:
        tenants, jobs = Tenants(self.operator), Jobs(self.operator, 100_000)
        for name in spread(self.cluster, 2):
            self.tenants[name] = Busy(name, tenants.create(name).url)
            fields: dict[str, Any] = {"every": "1s", "overlap": "allow", "misfire": "all"}
            jobs.put_many(make_job(f"j{number}", tenant=name, **fields) for number in range(JOBS))
        for scheduler in self._schedulers:
            scheduler.start()
        for scheduler in self._schedulers:
            scheduler.wait_ready()
        for busy in self.tenants.values():
            busy.start()
        self.wait_fires(2)

    def __exit__(self, *_: object) -> None:
        for busy in self.tenants.values():
            busy.stop()
        for scheduler in self._schedulers:
            scheduler.__exit__()
        self.operator.close()

    def of(self, node: ClusterNode) -> list[str]:
        """The tenants of a node."""
        return [name for name in self.tenants if self.cluster.node_of(name) is node]

    def wait_fires(self, seconds: int, names: Sequence[str] = ()) -> None:
        """Wait until each job of these tenants, of all without any, was fired so often more, and runs confirmed."""
        __tracebackhide__ = True
        wanted = {
            name: (self.fired(name) + seconds * JOBS, len(self.tenants[name].confirmed))
            for name in names or self.tenants
        }
        for name, (fired, confirmed) in wanted.items():
            tenant = self.tenants[name]
            eventually(lambda name=name, fired=fired: self.fired(name) >= fired, 20, f"{name} is not fired any more")  # type: ignore[misc]
            eventually(
                lambda tenant=tenant, confirmed=confirmed: len(tenant.confirmed) > confirmed,  # type: ignore[misc]
                20,
                f"{name} enqueues no more: {tenant.errors}",
            )

    def fired(self, name: str) -> int:
        """How often a tenant's jobs were fired; as last known, while its node is gone."""
        today = datetime.now(UTC).date()
        for day in (today, today - timedelta(days=1)):
            with suppress(RedisError):
                told = self.operator.redis.hget(keys.ledger(name, f"{day:%Y%m%d}"), "fired")
                self._fired[name, day] = int(told or 0)
        return sum(count for (of, _), count in self._fired.items() if of == name)

    def fires(self, name: str) -> Fires:
        """Return what of a tenant was fired until now; its node may be gone for a while."""
        __tracebackhide__ = True
        found = eventually(lambda: self._fires(name), 20, f"{name} has no node")
        assert found is not None
        return found

    def _fires(self, name: str) -> Fires | None:
        try:
            return self._read_fires(name)
        except RedisError:
            return None

    def _read_fires(self, name: str) -> Fires:
        redis = self.operator.redis
        pipeline = redis.pipeline(transaction=False)
        for run in redis.zrange(keys.runs(name), 0, -1):
            pipeline.hmget(keys.run(name, run.decode()), "job", "due", "queued_at")
        dues: dict[str, list[int]] = {}
        waits: dict[int, int] = {}
        for job, due, queued_at in pipeline.execute():
            if job and due:
                dues.setdefault(job.decode(), []).append(int(due))
                waits[int(due)] = max(waits.get(int(due), 0), int(queued_at or due) - int(due))
        return Fires({job: sorted(each) for job, each in dues.items()}, waits)

    def settle(self) -> None:
        """Let callers pause, and wait until all that was confirmed has ended."""
        __tracebackhide__ = True
        for name, busy in self.tenants.items():
            busy.drain()
            eventually(lambda name=name: not self.unfinished(name), 30, f"{name} does not end")  # type: ignore[misc]
        for busy in self.tenants.values():
            busy.go_on()

    def unfinished(self, name: str) -> list[str]:
        """Runs of a tenant that were confirmed and have not succeeded: lost, or not worked on yet."""
        pipeline = self.operator.redis.pipeline(transaction=False)
        confirmed = list(self.tenants[name].confirmed.values())
        for run in confirmed:
            pipeline.hget(keys.run(name, run), "state")
        return [run for run, state in zip(confirmed, pipeline.execute(), strict=True) if state != b"succeeded"]


def spread(cluster: Cluster, each: int) -> list[str]:
    """Names of tenants, so many on each primary."""
    found: dict[ClusterNode, list[str]] = {node: [] for node in cluster.primaries}
    number = 0
    while any(len(names) < each for names in found.values()):
        name = f"t{number}"
        names = found[cluster.node_of(name)]
        if len(names) < each:
            names.append(name)
        number += 1
    return [name for names in found.values() for name in names]
