"""Judges what `doctor` has read: each check is ok, a warning or a failure, with the command that mends it. Pure."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal

from taglane.store.functions import number_of

from taglane_scheduler.care.cluster_checks import of_the_cluster

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from taglane_scheduler.care.cluster_checks import ClusterFacts

Status = Literal["ok", "warn", "fail"]
Waits = tuple[int, int]
"""Of a tag: runs that wait for it, and jobs that make such runs."""

OLDEST = {"redis": (7, 0), "valkey": (7, 2)}
SLOW_MS = 50.0
SKEW_MS = (1_000, 5_000)
"""How far this machine's clock may be from the server's, before that is worth a warning, and a failure."""

FILLING, NEARLY_FULL = 0.8, 0.95
MOST_TAGS, MOST_NAMES = 20, 5
"""Tags with a check of their own, at most; and names in one check."""

SCHEDULER = "taglane scheduler"

_ALSO = "(and in its configuration file)"


@dataclass(frozen=True, slots=True)
class Check:
    """One thing that was looked at: what was *seen*, and what *mends* it, empty when there is nothing to mend."""

    check: str
    status: Status
    seen: str
    mend: str = ""


@dataclass(frozen=True, slots=True)
class ServerFacts:
    """What a server says of itself to its operator. None is what it would not say: on a managed one, its settings."""

    flavour: str
    version: tuple[int, ...]
    role: str
    cluster: bool
    replicas: int
    used: int
    limit: int
    """Bytes that it may use: maxmemory, or all that the machine has."""
    has_maxmemory: bool
    policy: str
    aof: bool
    written: bool
    """Whether what it last wrote to disk, append-only file or snapshot, was written."""
    fsync: str | None
    save: str | None
    timeout: int | None
    keepalive: int | None
    min_replicas: int | None
    open_default: bool | None
    """Whether the user `default` needs no password."""
    name: str = ""
    """Which node of a cluster it is; empty for one server."""


@dataclass(frozen=True, slots=True)
class Facts:
    """All that `doctor` reads. A tenant sees *server*, *schedulers* and *users_amiss* as None: they aren't its own."""

    address: str
    latency_ms: float
    skew_ms: int
    """The server's clock less this machine's."""
    library: str | None
    """The version of the functions on the server; None when it has none."""
    wanted_library: str
    tenant: str | None = None
    server: ServerFacts | None = None
    cluster: ClusterFacts | None = None
    """In the place of *server*, where that is a cluster of them."""
    awaited: int = 0
    """The replicas that `enqueue` waits for, as this machine's settings have it."""
    schedulers: int | None = None
    """How many are alive."""
    users_amiss: Sequence[str] | None = None
    """The tenants whose ACL user is missing, or not as it is wanted."""
    fenced: bool = True
    """Whether the server keeps tenants apart: the operator's credential may make users."""
    unserved: Mapping[str, Waits] = field(default_factory=dict)
    """Tags without a living worker: how many runs wait for each, and how many jobs make such."""
    unreadable: Sequence[str] = ()
    """The tenants whose jobs can't be read: they, or whoever has their credential, have spoiled their keys."""
    silent_workers: Sequence[str] = ()
    """Those that have been silent for longer than their lease, and that nobody has taken over from yet."""
    dead: int = 0


def checks_of(facts: Facts) -> list[Check]:
    """Judge everything that could be read."""
    return [
        *_of_the_connection(facts),
        *(_of_the_server(facts.server, facts.awaited) if facts.server else ()),
        *(of_nodes(facts.cluster, facts.awaited) if facts.cluster else ()),
        *_of_the_operator(facts),
        *_of_the_work(facts),
    ]


def _of_the_connection(facts: Facts) -> Iterator[Check]:
    slow = facts.latency_ms > SLOW_MS
    seen = f"{facts.address} answers in {facts.latency_ms:.1f} ms"
    yield Check(
        "server", "warn" if slow else "ok", seen, "bring workers and schedulers near the server" if slow else ""
    )
    if facts.tenant:
        seen = f"this is tenant {facts.tenant}'s credential: the server's own settings are the operator's to check"
        yield Check("scope", "ok", seen)
    yield _library(facts.library, facts.wanted_library)
    apart = abs(facts.skew_ms)
    seen = f"this machine's clock and the server's are {apart / 1000:.1f} s apart"
    status: Status = "fail" if apart > SKEW_MS[1] else "warn" if apart > SKEW_MS[0] else "ok"
    yield Check("clock", status, seen, "" if status == "ok" else "let NTP set both clocks (timedatectl set-ntp true)")


def _library(there: str | None, wanted: str) -> Check:
    if there is None:
        return Check("library", "fail", "the server has no functions of ours", SCHEDULER)
    if there == wanted:
        return Check("library", "ok", f"the functions are {there}, as this version of Taglane has them")
    if number_of(there) > number_of(wanted):
        seen = f"the functions are {there}, newer than this version of Taglane ({wanted}), which goes on with them"
        return Check("library", "ok", seen)
    seen = f"the functions are {there}; this version of Taglane has {wanted}"
    return Check("library", "warn", seen, f"{SCHEDULER}  (of this version: it loads them)")


def of_nodes(cluster: ClusterFacts, awaited: int) -> Iterator[Check]:
    """Judge the nodes of a cluster, and what they are together."""

    def judge(node: ServerFacts) -> list[Check]:
        if node.role == "master":
            return [check for check in _of_the_server(node, awaited) if check.check != "cluster"]
        found = _of_the_server(node, 0)
        return [check for check in found if check.check not in ("cluster", "role", "replicas")]

    yield from of_the_cluster(cluster, judge, Check)


def _of_the_server(server: ServerFacts, awaited: int) -> Iterator[Check]:
    name = f"{server.flavour} {'.'.join(map(str, server.version))}"
    oldest = OLDEST.get(server.flavour, (7, 0))
    if server.version < oldest:
        needed = " or ".join(f"{flavour} {'.'.join(map(str, version))}" for flavour, version in OLDEST.items())
        yield Check("version", "fail", f"{name} is too old", f"install {needed}, or newer")
    else:
        yield Check("version", "ok", name)
    if server.cluster:
        seen = "the server is a node of a cluster, and the url names it alone"
        yield Check("cluster", "fail", seen, "TAGLANE_URL=cluster://user:password@host:port,host2:port")
    if server.role != "master":
        yield Check(
            "role", "fail", "the server is a replica, which takes no writes", "let TAGLANE_URL name the primary"
        )
    yield from _memory(server)
    yield _persistence(server)
    yield _replicas(server, awaited)
    yield from _connections(server)
    if server.open_default:
        seen = "the user default needs no password: whoever reaches the port is the operator"
        yield Check("default-user", "fail", seen, "CONFIG SET requirepass ...  (and TAGLANE_URL=redis://:...@host/0)")
    elif server.open_default is not None:
        yield Check("default-user", "ok", "the user default has a password, or is off")


def _memory(server: ServerFacts) -> Iterator[Check]:
    if server.policy == "noeviction":
        yield Check("eviction", "ok", "maxmemory-policy is noeviction")
    else:
        seen = f"maxmemory-policy is {server.policy}: a full server would throw runs and jobs away"
        yield Check("eviction", "fail", seen, f"CONFIG SET maxmemory-policy noeviction  {_ALSO}")
    share = server.used / server.limit if server.limit else 0.0
    of = "maxmemory" if server.has_maxmemory else "the machine's memory (maxmemory is not set)"
    seen = f"{server.used / 2**20:.0f} MB used, {share:.0%} of {of}"
    status: Status = "fail" if share > NEARLY_FULL else "warn" if share > FILLING else "ok"
    yield Check("memory", status, seen, "" if status == "ok" else "let the workers drain, or raise maxmemory")


def _persistence(server: ServerFacts) -> Check:
    if not server.written:
        seen = "the server could not write its data to disk the last time that it tried"
        return Check("persistence", "fail", seen, "look into the server's log: is the disk full?")
    if server.aof and server.fsync == "no":
        seen = (
            "append-only file, appendfsync no: a machine that fails loses what the kernel had not written, 30 s or so"
        )
        return Check("persistence", "warn", seen, f"CONFIG SET appendfsync everysec  {_ALSO}")
    if server.aof:
        loss = {"always": "nothing answered is lost", "everysec": "a machine that fails loses a second or so"}
        seen = f"append-only file, appendfsync {server.fsync or 'unknown'}"
        return Check("persistence", "ok", f"{seen}: {loss[server.fsync]}" if server.fsync in loss else seen)
    if server.save:
        seen = f"snapshots only ({server.save}): a server that fails loses all since the last one"
        return Check("persistence", "warn", seen, f"CONFIG SET appendonly yes  {_ALSO}")
    if server.save is None:
        return Check("persistence", "warn", "no append-only file; whether there are snapshots it does not say")
    seen = "neither append-only file nor snapshots: a restart loses everything"
    return Check("persistence", "warn", seen, f"CONFIG SET appendonly yes  {_ALSO}")


def _replicas(server: ServerFacts, awaited: int) -> Check:
    if not server.replicas:
        seen = "no replica is connected"
        if awaited:
            return Check(
                "replicas", "fail", f"{seen}, and TAGLANE_REPLICAS={awaited} waits for some", "start a replica"
            )
        return Check("replicas", "ok", f"{seen}: while the server is away, nothing runs")
    seen = f"{server.replicas} connected, TAGLANE_REPLICAS={awaited}, min-replicas-to-write={server.min_replicas}"
    if awaited > server.replicas:
        return Check(
            "replicas", "fail", f"{seen}: every enqueue fails", "start more replicas, or lower TAGLANE_REPLICAS"
        )
    if not awaited:
        why = "a failover loses what no replica had yet"
        return Check("replicas", "warn", f"{seen}: {why}", "TAGLANE_REPLICAS=1, where runs are enqueued")
    if not server.min_replicas:
        why = "a primary that is cut off goes on taking writes that will be lost"
        return Check("replicas", "warn", f"{seen}: {why}", "CONFIG SET min-replicas-to-write 1  (on each node)")
    return Check("replicas", "ok", seen)


def _connections(server: ServerFacts) -> Iterator[Check]:
    if server.timeout:
        seen = f"timeout is {server.timeout} s: connections that are idle for longer are cut"
        yield Check("idle-timeout", "warn", seen, f"CONFIG SET timeout 0  {_ALSO}")
    if server.keepalive == 0:
        seen = "tcp-keepalive is off: the server never learns that a machine is gone"
        yield Check("keepalive", "warn", seen, f"CONFIG SET tcp-keepalive 60  {_ALSO}")
    if server.timeout == 0 and server.keepalive:
        seen = f"idle ones are kept, and probed every {server.keepalive} s"
        yield Check("connections", "ok", seen)


def _of_the_operator(facts: Facts) -> Iterator[Check]:
    if not facts.fenced:
        seen = (
            "this credential may make no users: a tag is a convention, and every worker has the operator's credential"
        )
        yield Check("isolation", "warn", seen, f"grant it ACL SETUSER, or use a server that does; then  {SCHEDULER}")
    if facts.users_amiss:
        seen = f"ACL users that are missing, or not as they should be: {_named(facts.users_amiss)}"
        yield Check("users", "fail", seen, f"{SCHEDULER}  (it makes them at each connect)")
    elif facts.users_amiss is not None:
        yield Check("users", "ok", "every tenant's ACL user is there, and as it should be")
    if facts.schedulers == 0:
        yield Check("schedulers", "warn", "none is alive: nothing is fired", SCHEDULER)
    elif facts.schedulers is not None:
        yield Check("schedulers", "ok", f"{facts.schedulers} alive")


def _of_the_work(facts: Facts) -> Iterator[Check]:
    for tag, (runs, jobs) in list(facts.unserved.items())[:MOST_TAGS]:
        seen = f"no living worker serves {tag!r} (runs that wait: {runs}, jobs that make such runs: {jobs})"
        yield Check("workers", "warn", seen, f"taglane worker --tag {tag}")
    if len(facts.unserved) > MOST_TAGS:
        yield Check("workers", "warn", f"and {len(facts.unserved) - MOST_TAGS} more tags without a worker")
    if not facts.unserved:
        yield Check("workers", "ok", "every tag for which something waits, or may come, has a living worker")
    if facts.silent_workers:
        seen = f"silent for longer than their lease: {_named(facts.silent_workers)}"
        yield Check("silent-workers", "warn", seen, f"{SCHEDULER}  (it takes over what they held)")
    if facts.unreadable:
        seen = f"tenants whose jobs can't be read, since their keys hold something else: {_named(facts.unreadable)}"
        yield Check("jobs", "warn", seen, "let the tenant put its jobs again  (taglane apply)")
    if facts.dead:
        yield Check("dead-letters", "warn", f"runs that were given up: {facts.dead}", "taglane dead list")
    else:
        yield Check("dead-letters", "ok", "none")


def _named(names: Sequence[str]) -> str:
    """The first of them, and how many more there are."""
    more = f" and {len(names) - MOST_NAMES} more" if len(names) > MOST_NAMES else ""
    return "; ".join(names[:MOST_NAMES]) + more
