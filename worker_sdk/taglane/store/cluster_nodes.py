"""Knows a cluster's nodes: which of them has a slot, and which of them gives no answer.

A node that fails is asked once more at once, with little patience. If it does not answer, whoever wants it is refused
without being sent there, until a thread of ours has heard of it again, or of the one that took its place. So a dead
node costs nothing, and a frozen one the time that the first command waited for it.
"""

from __future__ import annotations

import logging
import os
import random
import threading
import time
import weakref
from contextlib import closing, suppress
from typing import TYPE_CHECKING, Any

import redis as redis_py
from redis.exceptions import (
    AuthenticationError,
    BusyLoadingError,
    MaxConnectionsError,
    NoPermissionError,
    RedisError,
    ResponseError,
)
from redis.exceptions import ConnectionError as LostConnection
from redis.exceptions import TimeoutError as TimedOut

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from redis.client import PubSub

log = logging.getLogger(__name__)

SLOTS = 16_384

PROBE = 0.5
"""Seconds that a node has to say that it lives, when a command has failed there."""

ASK_AGAIN = 0.2
"""Seconds after which a node that is gone is asked again, and the others who has its slots."""

REFRESH_EVERY = 0.2
"""Seconds between two questions who has which slots, at least."""

MAP_TIMEOUT = 1.0
"""Seconds that a node has to answer that question."""

Address = tuple[str, int]


class NodeGone(LostConnection):
    """A node of the cluster gives no answer; the commands of its slots fail at once until one does."""


class Node:
    """One server of a cluster. Its *client* is a plain one; `gone` says that it is not worth asking now."""

    def __init__(self, address: Address, client: redis_py.Redis) -> None:
        self.address = address
        self.client: Any = client
        self.id = ""
        self.gone = False
        self.why = ""

    def __repr__(self) -> str:
        return f"<Node {self.name}>"

    @property
    def name(self) -> str:
        """Where it is: ``host:port``."""
        return f"{self.address[0]}:{self.address[1]}"

    def refusal(self) -> NodeGone:
        """What is raised instead of asking it."""
        return NodeGone(f"node {self.name} of the cluster gives no answer: {self.why}")


class NodeClient(redis_py.Redis):
    """A plain client of one node, which is refused at once while that is gone, and says when it has failed."""

    node: Node
    nodes: Nodes

    def execute_command(self, *args: Any, **options: Any) -> Any:
        """Ask the node, unless it is known to be gone."""
        node = self.node
        if node.gone:
            raise node.refusal()
        try:
            return super().execute_command(*args, **options)  # type: ignore[no-untyped-call]
        except (LostConnection, TimedOut) as error:
            self.nodes.failed(node, error)
            raise

    def pubsub(self, **options: Any) -> PubSub:
        """Listen there, unless it is known to be gone."""
        if self.node.gone:
            raise self.node.refusal()
        listener: PubSub = super().pubsub(**options)  # type: ignore[no-untyped-call]
        return listener


class Nodes:
    """The nodes of one cluster, as one process knows them. Safe to share between threads, and kept by a fork.

    Args:
        seeds: where some of its nodes are.
        options: what redis-py's client is given to connect to any of them.
    """

    def __init__(self, seeds: Sequence[Address], options: dict[str, Any]) -> None:
        self.options = options
        self.seeds = list(seeds)
        self._by_address: dict[Address, Node] = {}
        self._slots: list[Node | None] = []
        self.primaries: list[Node] = []
        self.replicas: list[Node] = []
        self._closed = False
        self._refreshed = float("-inf")
        self._begin()
        _ALL.add(self)

    def _begin(self) -> None:
        """What a forked child begins anew: it has none of our threads, and perhaps a lock that one of them held."""
        self._lock = threading.Lock()
        self._watching = False

    def of_slot(self, slot: int) -> Node:
        """Return the node that has a slot.

        Raises:
            NodeGone: none has it, or nobody says who does.
        """
        node = (self._slots or self._read())[slot]
        if node is None:
            self.refresh()
            node = self._slots[slot]
        if node is None:
            raise NodeGone(f"no node of the cluster has slot {slot}")
        return node

    def any(self) -> Node:
        """Return some primary that is not known to be gone."""
        self.known()
        return next((node for node in self.primaries if not node.gone), self.primaries[0])

    def known(self) -> None:
        """Read who has which slots, unless that was done."""
        if not self._slots:
            self._read()

    def shards(self) -> list[str]:
        """Return the ids of the primaries that have slots."""
        self.known()
        return [node.id for node in self.primaries]

    def clients(self, *, replicas: bool = False) -> list[redis_py.Redis]:
        """Return the client of each primary, and of each replica that is in step."""
        self.known()
        return [node.client for node in (*self.primaries, *(self.replicas if replicas else ()))]

    def moved(self, slot: int, host: str, port: int, asked: Node) -> Node:
        """Take note that a slot is elsewhere, as the *asked* node says; return where."""
        node = self.at((host or asked.address[0], port))
        if node not in self.primaries:
            self._read_from(asked)
        if self._slots:
            self._slots[slot] = node
        return node

    def at(self, address: Address) -> Node:
        """Return the node at an address, which may be a new one."""
        node = self._by_address.get(address)
        if node is None:
            host, port = address
            client = NodeClient(**self.options, host=host, port=port)
            node = client.node = Node(address, client)
            client.nodes = self
            node = self._by_address.setdefault(address, node)
        return node

    def failed(self, node: Node, error: Exception) -> None:
        """Find out whether a node is gone with which a command has failed, and remember it."""
        if node.gone or isinstance(error, (AuthenticationError, BusyLoadingError, MaxConnectionsError)):
            return
        if self._answers(node):
            return
        node.why = str(error)
        node.gone = True
        node.client.connection_pool.disconnect(inuse_connections=False)
        log.warning("node_gone node=%s error=%s", node.name, error)
        self._watch()

    def refresh(self) -> bool:
        """Ask some node who has which slots, unless somebody just did; return whether one has told."""
        if time.monotonic() - self._refreshed < REFRESH_EVERY or not self._lock.acquire(blocking=False):
            return False
        try:
            self._refreshed = time.monotonic()
            alive = [node for node in self._all() if not node.gone]
            random.shuffle(alive)  # one that is cut off from the others tells what was
            return any(map(self._read_from, alive)) or any(self._read_from(self.at(seed)) for seed in self.seeds)
        finally:
            self._lock.release()

    def close(self) -> None:
        """Close all connections."""
        self._closed = True
        for node in self._all():
            node.client.connection_pool.disconnect()

    def _read(self) -> list[Node | None]:
        """Read for the first time who has which slots. Whoever comes meanwhile waits for that."""
        with self._lock:
            errors: list[Exception] = []
            for seed in self.seeds:
                if self._slots or self._read_from(self.at(seed), errors.append):
                    return self._slots
        refused = (error for error in errors if isinstance(error, (AuthenticationError, NoPermissionError)))
        raise next(refused, None) or errors[-1]

    def _read_from(self, node: Node, tell: Callable[[Exception], object] = lambda _: None) -> bool:
        """Take one node's word for who has which slots; return whether it gave it."""
        try:
            with closing(self._passing(node, MAP_TIMEOUT)) as client:
                found: Any = client.execute_command("CLUSTER SLOTS")  # type: ignore[no-untyped-call]
        except (RedisError, OSError) as error:
            tell(error)
            return False
        if not found:
            tell(ResponseError(f"node {node.name} knows of no slots: it is of no cluster, or of one that is not made"))
            return False
        self._take(node, found)
        return True

    def _take(self, told_by: Node, ranges: Iterable[Any]) -> None:
        slots: list[Node | None] = [None] * SLOTS
        primaries: dict[Node, None] = {}
        replicas: dict[Node, None] = {}
        for start, end, *servers in ranges:
            holders = [self._holder(told_by, server) for server in servers]
            slots[start : end + 1] = [holders[0]] * (end + 1 - start)
            primaries[holders[0]] = None
            replicas.update(dict.fromkeys(holders[1:]))
        self.primaries, self.replicas = list(primaries), list(replicas)
        self._slots = slots
        for address in self._by_address.keys() - {node.address for node in (*primaries, *replicas)}:
            if gone := self._by_address.pop(address, None):
                gone.client.connection_pool.disconnect(inuse_connections=False)

    def _holder(self, told_by: Node, server: Sequence[Any]) -> Node:
        host = _text(server[0] or b"")
        node = self.at((host if host not in {"", "?"} else told_by.address[0], int(server[1])))
        node.id = _text(server[2])
        return node

    def _passing(self, node: Node, timeout: float) -> redis_py.Redis:
        """A client of a node for one question, with little patience."""
        host, port = node.address
        patience = {"socket_timeout": timeout, "socket_connect_timeout": timeout, "max_connections": None}
        plain: Any = {**self.options, **patience, "response_callbacks": None}
        kept = {name: value for name, value in plain.items() if value is not None or name == "driver_info"}
        return _Plain(**kept, host=host, port=port)

    def _answers(self, node: Node) -> bool:
        """Whether a node says anything; an error is an answer, but for one that it is not ready."""
        try:
            with closing(self._passing(node, PROBE)) as client:
                client.execute_command("PING")  # type: ignore[no-untyped-call]
        except (AuthenticationError, NoPermissionError):
            return True
        except (RedisError, OSError) as error:
            return isinstance(error, ResponseError)
        return True

    def _watch(self) -> None:
        """Have a thread look after the nodes that are gone; it ends when none is."""
        with self._lock:
            if self._watching or self._closed:
                return
            self._watching = True
        threading.Thread(target=_watch, args=(weakref.ref(self),), name="cluster-watch", daemon=True).start()

    def look_after(self) -> bool:
        """Ask those that are gone whether they are back, and the others who has their slots; whether to go on."""
        for node in [node for node in self._all() if node.gone]:
            if self._answers(node):
                log.info("node_back node=%s", node.name)
                node.gone = False
        with suppress(RedisError, OSError):
            self.refresh()
        with self._lock:  # one that goes in this very moment finds either us at it, or nobody
            self._watching = not self._closed and any(node.gone for node in self._all())
            return self._watching

    def _all(self) -> list[Node]:
        """All nodes that are known; a copy, since other threads add some meanwhile."""
        return list(self._by_address.values())


class _Plain(redis_py.Redis):
    """For one question: its answer is as the server gave it."""

    def __init__(self, **options: Any) -> None:
        super().__init__(**options)
        self.response_callbacks.clear()


def _watch(ref: weakref.ref[Nodes]) -> None:
    while True:
        time.sleep(ASK_AGAIN)
        nodes = ref()
        try:
            if nodes is None or not nodes.look_after():
                return
        except Exception:  # whatever it is, the next look may go well: without any, a node would be gone for ever
            log.exception("look_after_failed")
        del nodes


def _text(value: Any) -> str:
    return value.decode() if isinstance(value, bytes) else str(value)


_ALL: weakref.WeakSet[Nodes] = weakref.WeakSet()


def _begin_anew() -> None:
    for nodes in list(_ALL):
        nodes._begin()  # noqa: SLF001 - of this module
        if any(node.gone for node in nodes.primaries):
            nodes._watch()  # noqa: SLF001


os.register_at_fork(after_in_child=_begin_anew)
