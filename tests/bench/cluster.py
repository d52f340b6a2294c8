"""`make bench-cluster`: what a fire costs on one server and on clusters, and for how long tenants wait for a node.

CLUSTER_JOBS (2,000, each fires once a second) of CLUSTER_TENANTS (200), CLUSTER_SECONDS (6) of it, CLUSTER_ROUNDS (3);
the kinds of server take turns, and medians are printed. Processor time alone is told: nothing of it depends on how many
cores the processes share.
"""

from __future__ import annotations

import os
import time
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from typing import TYPE_CHECKING, Any

from bench import report
from bench.cluster_pauses import lines, pauses
from cluster import Cluster, raw
from processes import SchedulerProcess
from taglane.model.job import make_job
from taglane.store import functions, keys
from taglane.store.jobs import Jobs
from taglane.store.server import Server
from taglane_scheduler.embedded import EmbeddedServer, find_server

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

RECORD = '{"created": 1, "password_hashes": []}'
TICKS = os.sysconf("SC_CLK_TCK")
WARM_S = 2.0
KINDS = {"one server": 0, "cluster of 1": 1, "cluster of 3": 3}
"""What is compared, and how many primaries it has; replicas have none of it to do but what they are sent."""


@dataclass(frozen=True, slots=True)
class Cost:
    """What one round has cost; times in us of processor time a fire."""

    fires: float
    """A second."""
    scheduler: float
    servers: float
    """All primaries together."""
    busiest: float
    """The share of one core that the busiest primary took."""
    bus: float
    """Messages a fire that the nodes sent to one another."""


@dataclass(frozen=True, slots=True)
class _Moment:
    at: float
    fires: int
    scheduler: float
    servers: Sequence[float]
    bus: int


@contextmanager
def started(primaries: int) -> Iterator[str]:
    """Start a server, or a cluster of so many primaries without replicas; give its url."""
    if not primaries:
        with EmbeddedServer() as server:
            yield server.url
        return
    with Cluster(find_server(), primaries=primaries, replicas=0) as cluster:
        yield cluster.url


def cost(primaries: int, *, tenants: int, jobs: int, seconds: float) -> Cost:
    """Let one scheduler process fire so many jobs of so many tenants, each once a second, for so long."""
    with started(primaries) as url:
        server = Server(url)
        functions.load(server.redis)
        names = [f"bench{number}" for number in range(tenants)]
        server.redis.hset(keys.TENANTS, mapping=dict.fromkeys(names, RECORD))
        each = max(1, jobs // tenants)
        fields: dict[str, Any] = {"task": "bench.tasks.noop", "every": 1_000, "overlap": "allow"}
        Jobs(server, 65_536).put_many(
            make_job(name, f"job{number}", **fields) for name in names for number in range(each)
        )
        with SchedulerProcess(url) as scheduler:
            scheduler.wait_ready()
            time.sleep(WARM_S)
            before = _moment(server, names, scheduler.pid)
            time.sleep(seconds)
            after = _moment(server, names, scheduler.pid)
        server.close()
    fires, took = after.fires - before.fires, after.at - before.at
    servers = [end - begin for begin, end in zip(before.servers, after.servers, strict=True)]
    return Cost(
        fires=fires / took,
        scheduler=(after.scheduler - before.scheduler) / fires * 1e6,
        servers=sum(servers) / fires * 1e6,
        busiest=max(servers) / took,
        bus=(after.bus - before.bus) / fires,
    )


def measure(*, tenants: int, jobs: int, seconds: float, rounds: int) -> dict[str, list[Cost]]:
    """Measure each kind once a round, in turn."""
    found: dict[str, list[Cost]] = {kind: [] for kind in KINDS}
    for _ in range(rounds):
        for kind, primaries in KINDS.items():
            found[kind].append(cost(primaries, tenants=tenants, jobs=jobs, seconds=seconds))
    return found


def table(found: dict[str, list[Cost]]) -> Iterator[str]:
    """Medians; the ratio is of the time of scheduler and servers together to that on one server."""
    yield f"{'':14} {'ratio':>6} {'fires/s':>8} {'scheduler':>10} {'servers':>8} {'busiest':>8} {'bus msg':>8}"
    base = median(each.scheduler + each.servers for each in found["one server"])
    for kind, costs in found.items():
        both = median(each.scheduler + each.servers for each in costs)
        yield (
            f"{kind:14} x{both / base:5.2f} {median(each.fires for each in costs):8,.0f} "
            f"{median(each.scheduler for each in costs):7.1f} us {median(each.servers for each in costs):5.1f} us "
            f"{median(each.busiest for each in costs):8.0%} {median(each.bus for each in costs):8.3f}"
        )


def _moment(server: Server, tenants: Sequence[str], pid: int) -> _Moment:
    pipeline = server.redis.pipeline(transaction=False)
    for tenant in tenants:
        pipeline.zcard(keys.runs(tenant))
    fires = sum(pipeline.execute())
    times = [node.info("cpu") for node in server.nodes()]
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return _Moment(
        at=time.monotonic(),
        fires=fires,
        scheduler=(int(fields[11]) + int(fields[12])) / TICKS,
        servers=[each["used_cpu_user"] + each["used_cpu_sys"] for each in times],
        bus=sum(map(_sent, server.nodes())) if server.clustered else 0,
    )


def _sent(node: Any) -> int:
    """How many messages a node has sent to the others."""
    text = raw(node, "CLUSTER INFO").decode()
    lines = dict(line.split(":", 1) for line in text.split() if ":" in line)
    return int(lines.get("cluster_stats_messages_sent", 0))


def main() -> None:
    """Measure, and print the report."""
    given = {name: int(os.environ.get(f"CLUSTER_{name}", most)) for name, most in _DEFAULTS.items()}
    with EmbeddedServer() as server:
        command = " ".join(f"CLUSTER_{name}={value}" for name, value in given.items())
        for line in report.machine(Server(server.url).redis, f"{command} make bench-cluster"):
            print(line)
    found = measure(tenants=given["TENANTS"], jobs=given["JOBS"], seconds=given["SECONDS"], rounds=given["ROUNDS"])
    for line in table(found):
        print(line)
    for line in lines(pauses()):
        print(line)


_DEFAULTS = {"TENANTS": 200, "JOBS": 2_000, "SECONDS": 6, "ROUNDS": 3}

if __name__ == "__main__":
    main()
