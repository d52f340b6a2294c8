"""Starts a cluster of real processes of one program: what a test kills, freezes and reshards."""

from __future__ import annotations

import os
import secrets
import socket
import tempfile
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, suppress
from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

import pytest
from eventually import eventually
from redis import Redis
from redis.backoff import NoBackoff
from redis.exceptions import RedisError, ResponseError
from redis.retry import Retry
from server_process import ServerProcess
from taglane.store import keys
from taglane.store.cluster import ClusterClient
from taglane.store.command_keys import slot_of
from taglane.store.connect import connect
from taglane_scheduler.child_process import ChildProcess

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from taglane_scheduler.embedded import ServerBinary

CLUSTERED = os.environ.get("TAGLANE_TEST_SERVER", "").endswith("cluster")
"""Whether the tests run on a cluster."""

SLOTS = 16_384

STARTS = 3
"""How often to try to start a cluster."""

NODE_TIMEOUT_MS = 1_000
"""After which the other nodes say of one that it has failed, and its replica takes its place."""

PATIENT_MS = 15_000
"""Likewise, where no node is to fail: on a busy machine, a link that is late is dropped with what was on it."""

TAKEOVER = 15.0
"""Seconds that a failover may take on a busy machine; it takes about two."""


class ClusterNode(ServerProcess):
    """One process of a cluster. It may be killed, frozen, and started again as who it was."""

    def __init__(
        self, binary: ServerBinary, home: Path, password: str, ports: tuple[int, int], timeout_ms: int
    ) -> None:
        self.password = password
        self._timeout_ms = timeout_ms
        self.port, self._bus_port = ports
        self._home = home / str(self.port)
        self._home.mkdir()
        configuration = self._home / "node.conf"
        configuration.write_text("".join(f"{line}\n" for line in self._directives()))
        self._command = [str(binary.path), str(configuration)]
        self.id = ""
        """Its id in the cluster, once it was started."""
        self.client: Any = Redis(
            port=self.port,
            password=password,
            protocol=2,
            driver_info=None,
            socket_timeout=5.0,
            retry=Retry(NoBackoff(), 0),
        )

    def __repr__(self) -> str:
        return f"<node at {self.port}>"

    def _directives(self) -> Iterator[str]:
        yield from ("bind 127.0.0.1", f"port {self.port}", f"cluster-port {self._bus_port}", f"dir {self._home}")
        yield from (f"requirepass {self.password}", f"masterauth {self.password}")
        yield from ("cluster-enabled yes", f"cluster-node-timeout {self._timeout_ms}", "appendonly no", 'save ""')
        yield "cluster-require-full-coverage no"  # or all tenants would wait for those of a node that is gone
        yield from ("repl-diskless-sync-delay 0", "repl-ping-replica-period 1", "cluster-migration-barrier 9")
        yield from ("cluster-replica-validity-factor 0", "maxmemory-policy noeviction")

    @property
    def url(self) -> str:
        """Where it is, as a plain url that knows of no cluster."""
        return f"redis://:{self.password}@127.0.0.1:{self.port}/0"

    @property
    def address(self) -> tuple[str, int]:
        """Host and port."""
        return "127.0.0.1", self.port

    def start(self) -> None:
        """Start it; returns before it answers."""
        self._process = ChildProcess(self._command, log=self._home / "node.log", environment={"LC_ALL": "C"})

    def wait_ready(self) -> None:
        """Wait until it answers."""
        eventually(self.answers, 10, f"no answer from {self._command}")
        self.id = self.id or _text(self.client.execute_command("CLUSTER MYID"))

    def answers(self) -> bool:
        """Whether it answers PING."""
        with suppress(RedisError):
            return bool(self.client.ping())
        return False

    @property
    def running(self) -> bool:
        """Whether its process lives; a frozen one does."""
        return self._process is not None and self._process.alive

    @property
    def pid(self) -> int:
        """Its process id."""
        assert self._process is not None
        return self._process.pid

    def stop(self) -> None:
        """SIGTERM, if it runs; it is thawed before."""
        super().stop()
        self.client.close()

    def restart(self) -> None:
        """Start it again as who it was, and wait until it answers. What it had in memory is gone."""
        self.start()
        self.wait_ready()


class Cluster:
    """Primaries that share the slots, each with its replicas. A context manager.

    binary     what to run
    primaries  how many
    replicas   how many each
    timeout_ms after which a node is said to have failed
    """

    def __init__(
        self, binary: ServerBinary, *, primaries: int = 3, replicas: int = 1, timeout_ms: int = NODE_TIMEOUT_MS
    ) -> None:
        self._binary = binary
        self._counts = (primaries, replicas)
        self._timeout_ms = timeout_ms
        self.password = secrets.token_hex(8)
        self._stack = ExitStack()
        self.nodes: list[ClusterNode] = []

    def __enter__(self) -> Self:
        for attempt in range(STARTS):
            try:
                home = self._stack.enter_context(tempfile.TemporaryDirectory(prefix="taglane-cluster-"))
                self._home = Path(home)
                self._start(*self._counts)
            except pytest.fail.Exception:  # somebody took a port between our asking for it and a node's binding it
                self._stack.close()
                self.nodes.clear()
                if attempt == STARTS - 1:
                    raise
            except BaseException:
                self._stack.close()
                raise
            else:
                break
        return self

    def __exit__(self, *_: object) -> None:
        self._stack.close()

    @property
    def url(self) -> str:
        """The operator's: it names all nodes that run."""
        hosts = ",".join(f"127.0.0.1:{node.port}" for node in self.nodes if node.running)
        return f"cluster://:{self.password}@{hosts}"

    def client(self) -> EveryNode:
        """The operator's client, for a test."""
        return every_node(self.url)

    @property
    def primaries(self) -> list[ClusterNode]:
        """The nodes that have slots, as most of those that answer say."""
        return [self._by_id(node_id) for node_id in dict.fromkeys(self._owners().values())]

    def node_of(self, tenant: str) -> ClusterNode:
        """The primary that serves a tenant."""
        return self.node_at(keys.prefix(tenant))

    def node_at(self, key: str) -> ClusterNode:
        """The primary that has a key."""
        return self._by_id(self._owners()[slot_of(key)])

    def replica_of(self, node: ClusterNode) -> ClusterNode:
        """The (first) replica of a primary, as a node that answers knows it."""
        table = self._table()
        wanted = next(words[0] for words in table if words[1].startswith(f"127.0.0.1:{node.port}@"))
        return self._by_id(next(words[0] for words in table if words[3] == wanted))

    def wait_failed_over(self, old: ClusterNode) -> ClusterNode:
        """Wait until another node than *old*, which was killed or frozen, has its slots, and return that one."""
        slot = next(slot for slot, owner in self._owned.items() if owner == old.id)
        eventually(lambda: self._owners().get(slot, old.id) != old.id, TAKEOVER, "nobody took over")
        return self._by_id(self._owners()[slot])

    def mend(self) -> None:
        """Thaw and restart whatever was frozen or killed, and wait until all is well; or begin anew."""
        try:
            for node in self.nodes:
                if node.running:
                    node.thaw()
                else:
                    node.start()
            for node in self.nodes:
                node.wait_ready()
            self.wait_healthy(10)
        except pytest.fail.Exception:  # nodes of which two take a slot for theirs don't always settle that
            self._stack.close()
            self.nodes.clear()
            self.__enter__()

    def wait_healthy(self, seconds: float = 20) -> None:
        """Wait until every primary has as many replicas in step as it began with, and all nodes agree on all slots."""
        eventually(self._is_healthy, seconds, "the cluster does not come to agree")
        self._owned = self._owners()

    def move(self, tenant: str, to: ClusterNode | None = None) -> ClusterNode:
        """Move the tenant's slot to another primary, key by key, as redis-cli does; return where it is now."""
        source = self.node_of(tenant)
        target = to or next(node for node in self.primaries if node is not source)
        self.move_slot(slot_of(keys.prefix(tenant)), source, target)
        return target

    def move_slot(self, slot: int, source: ClusterNode, target: ClusterNode) -> None:
        """Move one slot, key by key."""
        self.begin_move(slot, source, target)
        while self.move_keys(slot, source, target, 50):
            pass
        self.end_move(slot, source, target)

    def begin_move(self, slot: int, source: ClusterNode, target: ClusterNode) -> None:
        """Let a slot begin to move: from here on neither node has all of it."""
        target.client.execute_command("CLUSTER SETSLOT", slot, "IMPORTING", source.id)
        source.client.execute_command("CLUSTER SETSLOT", slot, "MIGRATING", target.id)

    def move_keys(self, slot: int, source: ClusterNode, target: ClusterNode, count: int) -> int:
        """Move some keys of a slot, and return how many."""
        found: Any = source.client.execute_command("CLUSTER GETKEYSINSLOT", slot, count)
        if found:
            auth = ("AUTH", self.password)
            source.client.execute_command("MIGRATE", *target.address, "", 0, 5_000, *auth, "KEYS", *found)
        return len(found)

    def end_move(self, slot: int, source: ClusterNode, target: ClusterNode) -> None:
        """The slot is the target's from here on: return when all nodes that run have heard it."""
        owner = target.id
        told = (target, source, *(each for each in self.primaries if each not in {source, target}))
        running = [node for node in self.nodes if node.running]

        def heard() -> bool:
            """All know the new owner, and the epoch of its claim: the next move's claim has to be a later one."""
            epochs = {_epoch(node) for node in running}
            return len(epochs) == 1 and all(self._owners(node).get(slot) == owner for node in running)

        for node in told:
            node.client.execute_command("CLUSTER SETSLOT", slot, "NODE", owner)
        eventually(heard, 10, "not all have heard of it")

    def move_whole(self, tenant: str, to: ClusterNode) -> bool:
        """Move the tenant's slot at once, as Valkey 9 can; False where the server can't."""
        slot, source = slot_of(keys.prefix(tenant)), self.node_of(tenant)
        try:
            source.client.execute_command("CLUSTER MIGRATESLOTS", "SLOTSRANGE", slot, slot, "NODE", to.id)
        except ResponseError:
            return False
        eventually(lambda: self._owners(source).get(slot) == to.id, 10, "the slot does not move")
        return True

    def add(self, *, replica_of: ClusterNode | None = None) -> ClusterNode:
        """Let another node join: a primary without any slot, or a replica; return when it takes part."""
        ((port, bus_port),) = _free_ports(1)
        node = ClusterNode(self._binary, self._home, self.password, (port, bus_port), self._timeout_ms)
        self._stack.callback(node.stop)
        node.restart()
        members = list(self.nodes)
        self.nodes.append(node)
        for other in members:
            other.client.execute_command("CLUSTER MEET", *node.address, bus_port)
        eventually(lambda: all(len(self._table(each)) == len(self.nodes) for each in self.nodes), 10, "they don't meet")
        if replica_of is not None:
            eventually(lambda: _replicate(node, replica_of.id), 10, "it is no replica")
        eventually(lambda: b"cluster_state:ok" in _bytes(raw(node.client, "CLUSTER INFO")), 10, "it does not take part")
        return node

    def announce(self, node: ClusterNode, port: int) -> None:
        """Let clients, and the node's replica, find a node at another port, that of a proxy."""
        node.client.config_set("cluster-announce-port", port)
        there = [node.id, f"127.0.0.1:{port}@"]
        eventually(
            lambda: all(
                any([words[0], words[1][: len(there[1])]] == there for words in self._table(each))
                for each in self.nodes
            ),
            10,
            "not all have heard of it",
        )

    def take_away(self, node: ClusterNode) -> None:
        """Stop a node that has no slot, and let the others forget it."""
        self.nodes.remove(node)
        node.stop()
        for other in self.nodes:
            other.client.execute_command("CLUSTER FORGET", node.id)

    def _start(self, primaries: int, replicas: int) -> None:
        for ports in _free_ports(primaries * (1 + replicas)):
            node = ClusterNode(self._binary, self._home, self.password, ports, self._timeout_ms)
            self._stack.callback(node.stop)
            self.nodes.append(node)
            node.start()
        for node in self.nodes:
            node.wait_ready()
        owners, others = self.nodes[:primaries], self.nodes[primaries:]
        for place, node in enumerate(owners):
            first, last = SLOTS * place // primaries, SLOTS * (place + 1) // primaries - 1
            node.client.execute_command("CLUSTER ADDSLOTSRANGE", first, last)
        for epoch, node in enumerate(self.nodes, 1):
            node.client.execute_command("CLUSTER SET-CONFIG-EPOCH", epoch)
        for node in self.nodes:  # each meets each: gossip alone would take seconds
            for other in self.nodes:
                if other is not node:
                    node.client.execute_command("CLUSTER MEET", *other.address, other._bus_port)  # noqa: SLF001
        eventually(lambda: all(len(self._table(node)) == len(self.nodes) for node in self.nodes), 10, "they don't meet")
        for place, node in enumerate(others):
            owner = owners[place % primaries].id
            eventually(lambda node=node, owner=owner: _replicate(node, owner), 10, "it is no replica")  # type: ignore[misc]
        self.wait_healthy()

    def _is_healthy(self) -> bool:
        running = [node for node in self.nodes if node.running]
        told = [self._owners(node) for node in running]
        if len(told[0]) != SLOTS or any(each != told[0] for each in told):
            return False
        states = [node.client.info("replication") for node in running]
        linked = [
            state["master_link_status"] == "up" and not state.get("master_sync_in_progress")
            for state in states
            if state["role"] == "slave"
        ]
        ready = [state["connected_slaves"] for state in states if state["role"] == "master"]
        whole = len(running) < len(self.nodes) or (len(ready), set(ready)) == (self._counts[0], {self._counts[1]})
        is_up = all(b"cluster_state:ok" in _bytes(raw(node.client, "CLUSTER INFO")) for node in running)
        return all(linked) and whole and is_up

    def _owners(self, node: ClusterNode | None = None) -> dict[int, str]:
        """Who has which slot, as one node says: the first that answers."""
        found = {}
        for words in self._table(node):
            if "master" in words[2]:
                for text in words[8:]:
                    if not text.startswith("["):
                        first, _, last = text.partition("-")
                        found.update(dict.fromkeys(range(int(first), int(last or first) + 1), words[0]))
        return found

    def _table(self, node: ClusterNode | None = None) -> list[list[str]]:
        for each in [node] if node else [each for each in self.nodes if each.running]:
            with suppress(RedisError):
                text = _bytes(raw(each.client, "CLUSTER NODES")).decode()
                return [line.split() for line in text.splitlines() if line]
        return []

    def _by_id(self, node_id: str) -> ClusterNode:
        return next(node for node in self.nodes if node.id == node_id)


def _free_ports(nodes: int) -> list[tuple[int, int]]:
    """Ports of the loopback interface that nobody has at this moment: two a node, all different."""
    with ExitStack() as stack:
        sockets = [stack.enter_context(socket.socket()) for _ in range(2 * nodes)]
        for each in sockets:
            each.bind(("127.0.0.1", 0))
        ports = [int(each.getsockname()[1]) for each in sockets]
    return list(zip(ports[::2], ports[1::2], strict=True))


def _replicate(node: ClusterNode, owner: str) -> bool:
    with suppress(RedisError):  # it does not know of the other yet, or not that it has slots
        node.client.execute_command("CLUSTER REPLICATE", owner)
        return True
    return False


class EveryNode(ClusterClient):
    """The operator's client in a test: a command that is about one server is asked of every primary.

    Lists are joined and numbers added up; of anything else, the first answer is given. Of users,
    replicas are asked as well, and one answer stands for all, but for who was denied something.
    """

    borrows = False
    """Whether its connections are another client's, which closes them."""

    def close(self) -> None:
        """Close what is its own; redis-py does so when it forgets a client, too."""
        if not self.borrows:
            super().close()

    def execute_command(self, *args: Any, **options: Any) -> Any:
        """Ask one node or all."""
        try:
            return super().execute_command(*args, **options)
        except ValueError as error:
            if "ask each of" not in str(error):
                raise
        everywhere = str(args[0]).upper().startswith("ACL")
        clients: list[Any] = self.nodes.clients(replicas=everywhere)
        found = [each.execute_command(*args, **options) for each in clients]
        return found[0] if everywhere and str(args[0]).upper() != "ACL LOG" else _together(found)

    def scan_iter(self, *args: Any, **options: Any) -> Iterator[Any]:
        """Yield the keys of all primaries."""
        return chain.from_iterable(each.scan_iter(*args, **options) for each in self.nodes.clients())


def _together(found: Sequence[Any]) -> Any:
    first = found[0]
    if isinstance(first, list):
        return [item for each in found for item in each]
    if isinstance(first, dict):
        return {name: _together([each[name] for each in found if name in each]) for name in {**found[-1], **first}}
    return sum(found) if type(first) in {int, float} else first


def every_node(url: str) -> EveryNode:
    """Return the operator's client of a cluster for a test."""
    client = connect(url)
    assert isinstance(client, ClusterClient)
    return EveryNode(client.nodes.seeds, client.nodes.options)


def everywhere(redis: Any) -> Any:
    """Return a client like *redis*, and on its connections, that on a cluster asks all nodes as `EveryNode` does."""
    if not isinstance(redis, ClusterClient) or isinstance(redis, EveryNode):
        return redis
    every = EveryNode(redis.nodes.seeds, redis.nodes.options)
    every.nodes, every.borrows = redis.nodes, True
    return every


def node_of(redis: Any, tenant: str) -> Any:
    """Return a plain client of the server that has a tenant."""
    return redis.node_of(keys.prefix(tenant)).client if isinstance(redis, ClusterClient) else redis


def flush(cluster: Cluster, known: Sequence[str] = ("default",)) -> None:
    """Empty every primary, and let every node know no user but the *known*."""
    primaries = cluster.primaries
    with ThreadPoolExecutor(len(cluster.nodes)) as pool:
        list(pool.map(lambda node: node.client.flushall(), primaries))
        list(pool.map(lambda node: _forget_users(node, known), cluster.nodes))


def _forget_users(node: ClusterNode, known: Sequence[str]) -> None:
    found: Any = node.client.execute_command("ACL", "USERS")
    strangers = [name for name in map(_text, found) if name not in known]
    if strangers:
        node.client.execute_command("ACL", "DELUSER", *strangers)


def raw(client: Any, *command: Any) -> Any:
    """The answer as the server gives it: redis-py makes tables of some."""
    pipeline = client.pipeline(transaction=False)
    pipeline.response_callbacks = {}
    pipeline.execute_command(*command)
    return pipeline.execute()[0]


def _text(value: bytes | str) -> str:
    return value.decode() if isinstance(value, bytes) else value


def _bytes(value: Any) -> bytes:
    return value if isinstance(value, bytes) else str(value).encode()


def _epoch(node: ClusterNode) -> bytes:
    """The latest epoch of the cluster that a node has heard of."""
    lines: list[bytes] = _bytes(raw(node.client, "CLUSTER INFO")).split()
    return next(line for line in lines if line.startswith(b"cluster_current_epoch:"))
