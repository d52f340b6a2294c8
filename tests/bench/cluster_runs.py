"""`make bench-cluster`: what a run costs its caller, its worker and the servers, on one server and on clusters.

CLUSTER_RUNS (20,000) of CLUSTER_RUN_TENANTS (30), CLUSTER_ROUNDS (3); the kinds of server take turns, and medians are
printed. Processor time alone is told. A caller makes runs one by one, then two hundred at once; a worker's moves are
made by hand, 64 runs at once: what Celery takes beside them is the same everywhere.
"""

from __future__ import annotations

import os
import resource
from dataclasses import dataclass, fields
from statistics import median
from typing import TYPE_CHECKING, Any

from bench import report
from bench.cluster import KINDS, started
from taglane.client import Taglane
from taglane.store import functions
from taglane.store.leases import Leases
from taglane.store.server import Server
from taglane_scheduler.embedded import EmbeddedServer

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

BATCH = 64
MANY = 200


@dataclass(frozen=True, slots=True)
class RunCost:
    """Times of one round, us of processor time a run: the client's, and that of all servers together."""

    enqueue: float
    enqueue_server: float
    many: float
    many_server: float
    work: float
    """Fetch and finish."""
    work_server: float


class Stage:
    """Some tenants on one kind of server, a client, and a worker of each tenant whose moves are made by hand."""

    def __init__(self, url: str, tenants: int) -> None:
        self.server, self.client = Server(url), Taglane(url)
        functions.load(self.server.redis)
        self.names = [f"bench{number}" for number in range(tenants)]
        self._servers = {name: Server(url) for name in self.names}
        self.workers = {name: Leases(server, name, "w") for name, server in self._servers.items()}
        for name, worker in self.workers.items():
            self.client.enqueue("bench.noop", tenant=name)
            worker.hello({}, [name], [])

    def one_by_one(self, each: int) -> int:
        """Make so many runs of each tenant, a call a run; return how many."""
        for _ in range(each):
            for name in self.names:
                self.client.enqueue("bench.noop", tenant=name, params={"number": 1})
        return each * len(self.names)

    def at_once(self, each: int) -> int:
        """Make so many runs of each tenant, many a call; return how many."""
        for start in range(0, each, MANY):
            some = [{"number": 1}] * min(MANY, each - start)
            for name in self.names:
                self.client.enqueue_many("bench.noop", tenant=name, params=some)
        return each * len(self.names)

    def work(self) -> int:
        """Fetch and finish all there is; return how many runs."""
        return sum(map(_work_off, self.names, self.workers.values()))

    def close(self) -> None:
        """Close all connections."""
        for worker in self.workers.values():
            worker.stop_waiting()
        self.client.close()
        for server in (self.server, *self._servers.values()):
            server.close()


def cost(primaries: int, *, tenants: int, runs: int) -> RunCost:
    """Make so many runs of so many tenants in each way, and do the moves of their workers."""
    with started(primaries) as url:
        stage = Stage(url, tenants)
        each = max(1, runs // tenants)
        enqueue = _timed(stage.server, lambda: stage.one_by_one(max(1, each // 4)))
        many = _timed(stage.server, lambda: stage.at_once(each))
        worked = _timed(stage.server, stage.work)
        stage.close()
    return RunCost(*enqueue, *many, *worked)


def _work_off(tenant: str, worker: Leases) -> int:
    done = 0
    while (answer := worker.fetch(BATCH, [tenant], idle=True)) and answer.deliveries:
        ends = [end for run in answer.deliveries for end in (run.run, run.token, "succeeded", 1, "{}", "")]
        worker.say([("finish", ends)], lambda _move, _answer: None)
        done += len(answer.deliveries)
    return done


def table(found: dict[str, list[RunCost]]) -> Iterator[str]:
    """Medians, us a run: client and servers."""
    columns = ("enqueue", "enqueue_many", "fetch+finish")
    yield f"{'':14} " + " ".join(f"{column:>22}" for column in columns) + "   us a run, client + servers"
    for kind, costs in found.items():
        values = [median(getattr(each, field.name) for each in costs) for field in fields(RunCost)]
        pairs = zip(values[::2], values[1::2], strict=True)
        yield f"{kind:14} " + " ".join(f"{mine:10.1f} + {theirs:9.1f}" for mine, theirs in pairs)


def _timed(server: Server, work: Callable[[], int]) -> tuple[float, float]:
    """The processor time, us a run, that this process and the servers took for some work, which says how many."""
    before, mine = _servers(server), _self()
    runs = work()
    return (_self() - mine) * 1e6 / runs, (_servers(server) - before) * 1e6 / runs


def _servers(server: Server) -> float:
    nodes: list[Any] = server.nodes()
    times = [node.info("cpu") for node in nodes]
    return float(sum(each["used_cpu_user"] + each["used_cpu_sys"] for each in times))


def _self() -> float:
    used = resource.getrusage(resource.RUSAGE_SELF)
    return used.ru_utime + used.ru_stime


def main() -> None:
    """Measure, and print the report."""
    names = {"RUNS": 20_000, "RUN_TENANTS": 30, "ROUNDS": 3}
    given = {name: int(os.environ.get(f"CLUSTER_{name}", most)) for name, most in names.items()}
    with EmbeddedServer() as server:
        command = " ".join(f"CLUSTER_{name}={value}" for name, value in given.items())
        for line in report.machine(Server(server.url).redis, f"{command} make bench-cluster"):
            print(line)
    found: dict[str, list[RunCost]] = {kind: [] for kind in KINDS}
    for _ in range(given["ROUNDS"]):
        for kind, primaries in KINDS.items():
            found[kind].append(cost(primaries, tenants=given["RUN_TENANTS"], runs=given["RUNS"]))
    for line in table(found):
        print(line)


if __name__ == "__main__":
    main()
