"""A scene of a fault test: a server of its own, one tenant on it, and what its tasks wrote down."""

from __future__ import annotations

from collections import Counter
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING

from cluster import Cluster
from processes import SchedulerProcess, WorkerProcess
from proxy import Proxy
from taglane.store import functions, keys
from taglane_scheduler.tenancy.tenants import Tenants

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from taglane import Taglane
    from taglane.store.server import Server
    from taglane_scheduler.embedded import EmbeddedServer


LEASE = 2.0
"""Seconds; short, so that a scene need not last."""


@dataclass
class Scene:
    """A server, one tenant on it, a client with the tenant's credential, and what its tasks wrote down."""

    server: EmbeddedServer
    operator: Server
    url: str
    lane: Taglane
    folder: Path
    record: bytes

    def restore_tenant(self) -> None:
        """Apply what a server without persistence has forgotten: the library, the tenant's record and user."""
        functions.load(self.operator.redis)
        self.operator.redis.hset(keys.TENANTS, "acme", self.record)
        Tenants(self.operator).apply_all()

    def worker(
        self, pool: str = "prefork", concurrency: int = 2, url: str = "", lease: float = LEASE, **settings: str
    ) -> WorkerProcess:
        """A worker of the tenant, not started yet; *settings* are those of its environment, `grace="1s"`."""
        environment = {"FAULTY_LOG": str(self.log), "TAGLANE_LEASE": f"{round(lease * 1000)}ms"}
        environment |= {f"TAGLANE_{name.upper()}": value for name, value in settings.items()}
        return WorkerProcess(url or self.url, ["acme"], "faulty.celery", pool, concurrency, environment)

    def pool_worker(self, pool: str = "solo", concurrency: int = 1, lease: float = LEASE) -> WorkerProcess:
        """A worker of the shared pool `small`, with the operator's credential."""
        environment = {"FAULTY_LOG": str(self.log), "TAGLANE_LEASE": f"{round(lease * 1000)}ms"}
        return WorkerProcess(self.server.url, ["shared.small"], "faulty.celery", pool, concurrency, environment)

    def scheduler(self, lease: float = LEASE) -> SchedulerProcess:
        """A scheduler, not started yet."""
        return SchedulerProcess(self.server.url, {"TAGLANE_LEASE": f"{round(lease * 1000)}ms"})

    @contextmanager
    def proxied(self) -> Iterator[tuple[Proxy, str]]:
        """A proxy in front of the server, or of the node that has the tenant; and the url that leads through it."""
        if isinstance(self.server, Cluster):
            node = self.server.node_of("acme")
            with Proxy(node.port) as proxy:
                self.server.announce(node, proxy.port)
                yield proxy, self.url
        else:
            with Proxy(self.server.port) as proxy:
                yield proxy, self.through(proxy.port)

    def through(self, port: int) -> str:
        """The tenant's url, through a proxy at *port*."""
        return self.url.replace(f":{self.server.port}/", f":{port}/")

    @property
    def log(self) -> Path:
        """Where the tasks write down their starts."""
        return self.folder / "starts"

    def starts(self, what: str = "start") -> Counter[str]:
        """How often each run was started."""
        lines = self.log.read_text().splitlines() if self.log.exists() else []
        return Counter(line.split()[1] for line in lines if line.startswith(what + " "))

    def states(self) -> Counter[str]:
        """How many runs are in each state."""
        return Counter(run.state for run in self.lane.runs.list("acme", limit=10_000))
