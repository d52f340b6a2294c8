"""Measures the connections of each tenant, and what goes through them, from the server's list of them.

One `CLIENT LIST` serves all tenants: about 1 us of the server's time and 350 bytes a connection. Valkey 8
counts the bytes of a connection, Redis 7 does not: there the bandwidth is not measured.
"""

from __future__ import annotations

import re
import time
from collections import defaultdict
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from redis.exceptions import ConnectionError as LostConnection
from redis.exceptions import TimeoutError as TimedOut
from taglane.store.server import USER

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from taglane.store.server import Server

_LINE = re.compile(
    rb"^id=(?P<id>\d+) addr=(?P<addr>\S*) .*? age=(?P<age>\d+) .*? tot-mem=(?P<memory>\d+) .*? "
    rb"user=" + USER.encode() + rb"(?P<tenant>\S+)"
    rb"(?: .*?tot-net-in=(?P<read>\d+) tot-net-out=(?P<sent>\d+))?",
    re.MULTILINE,
)
"""No field holds a space or a line's end, not even a name that a client gives itself: the server refuses those."""


@dataclass(slots=True)
class Traffic:
    """What one tenant's connections are, and have done since the look before."""

    ids: list[tuple[int, Any]] = field(default_factory=list)
    """Of its connections, as their server numbers them, the newest has the highest; and that server's client."""

    memory: int = 0
    """Bytes that the server holds for them: buffers of what it has read, and of what they have not taken yet."""

    bandwidth: float | None = None
    """Bytes a second, both ways; None when it is not known: at the first look, or on a server that does not count."""


@dataclass(frozen=True, slots=True)
class _Connection:
    id: int
    addr: bytes
    tenant: str
    age: int
    memory: int
    moved: int | None


class TrafficMeter:
    """Reads the connections, and remembers the last reading. For one thread. Takes the operator's credential.

    Args:
        server: whose connections.
        clock: monotonic, s.
    """

    def __init__(self, server: Server, clock: Callable[[], float] = time.monotonic) -> None:
        self._server = server
        self._clock = clock
        self._before: dict[tuple[int, bytes, int], int | None] = {}
        self._read_at: float | None = None

    def read(self) -> dict[str, Traffic]:
        """Return the traffic of each tenant that has a connection.

        What a connection did that has ended since the look before is not in it: the bandwidth is a lower bound. Nor are
        those to a node of a cluster that gives no answer.

        Raises:
            ServerUnavailable: no answer; the next reading is a first one.
            Refused: the server lets nobody list the connections, as managed ones do.
        """
        last, self._read_at = self._read_at, None
        with self._server.renamed("listing the connections", operator=True):
            nodes = self._server.nodes(replicas=True)
            connections = [(each, node) for node in nodes for each in self._connections_of(node)]
        now = self._clock()
        found: dict[str, Traffic] = defaultdict(Traffic)
        for each, node in connections:
            traffic = found[each.tenant]
            traffic.ids.append((each.id, node))
            traffic.memory += each.memory
            if last is not None and each.moved is not None:
                moved = self._since(each, node, now - last)
                traffic.bandwidth = (traffic.bandwidth or 0.0) + moved / max(now - last, 0.001)
        self._before = {(each.id, each.addr, id(node)): each.moved for each, node in connections}
        self._read_at = now
        return dict(found)

    def _connections_of(self, node: Any) -> list[_Connection]:
        try:
            text = node.execute_command("CLIENT", "LIST")
        except (LostConnection, TimedOut):
            if not self._server.clustered:
                raise
            return []
        return list(_connections(text if isinstance(text, bytes) else str(text).encode()))

    def _since(self, each: _Connection, node: Any, seconds: float) -> int:
        """Return the bytes that a connection has moved since the look before, which was so many seconds ago."""
        before = self._before.get((each.id, each.addr, id(node)))
        if before is None:
            before = 0 if each.age <= seconds + 1 else each.moved  # an older one was another tenant's, or nobody's
        return max(0, (each.moved or 0) - (before or 0))


def _connections(text: bytes) -> Iterator[_Connection]:
    for found in _LINE.finditer(text):
        moved = None if found["read"] is None else int(found["read"]) + int(found["sent"])
        yield _Connection(
            id=int(found["id"]),
            addr=found["addr"],
            tenant=found["tenant"].decode("ascii", "replace"),
            age=int(found["age"]),
            memory=int(found["memory"]),
            moved=moved,
        )
