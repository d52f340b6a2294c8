"""Starts a primary, its replicas and sentinels, as real processes of one program: what a test lets fail over."""

from __future__ import annotations

import secrets
import tempfile
from contextlib import ExitStack, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

from eventually import eventually
from redis import Redis
from redis.exceptions import RedisError
from server_process import ServerProcess
from taglane_scheduler.child_process import ChildProcess
from taglane_scheduler.embedded import free_port

if TYPE_CHECKING:
    from taglane_scheduler.embedded import ServerBinary

MASTER = "main"
QUORUM = 2


class Node(ServerProcess):
    """One process: a server, or with *sentinel* a sentinel. It may be killed, frozen, and started again."""

    def __init__(self, binary: ServerBinary, home: Path, password: str, lines: list[str], *, sentinel: bool) -> None:
        self.port = free_port()
        self.password = password
        self._home = home / str(self.port)
        self._home.mkdir()
        self._configuration = self._home / "node.conf"
        directives = [f"port {self.port}", "bind 127.0.0.1", f"dir {self._home}", f"requirepass {password}", *lines]
        self._configuration.write_text("".join(f"{line}\n" for line in directives))
        self._command = [str(binary.path), str(self._configuration), *(["--sentinel"] if sentinel else [])]

    @property
    def url(self) -> str:
        """Where it is, and nobody else, with its password."""
        return f"redis://:{self.password}@127.0.0.1:{self.port}/0"

    def client(self) -> Redis:
        """A client of this very process."""
        return Redis.from_url(self.url, protocol=2, driver_info=None, socket_timeout=2.0)

    def start(self) -> None:
        """Start it, and wait until it answers."""
        log = self._home / "node.log"
        self._process = ChildProcess(self._command, log=log, environment={"LC_ALL": "C"})
        eventually(self.answers, 10, f"no answer from {self._command}: {log.read_text(errors='replace')[-500:]}")

    def answers(self) -> bool:
        """Whether it answers PING."""
        with suppress(RedisError), self.client() as client:
            return bool(client.ping())
        return False

    def info(self, section: str) -> dict[str, Any]:
        """One section of what it says of itself."""
        with self.client() as client:
            found: dict[str, Any] = client.info(section)
            return found


class Group:
    """A primary, replicas that are in step with it, and sentinels that agree on it. A context manager.

    binary        what to run
    replicas      how many
    sentinels     how many; with none, a test promotes a replica itself
    """

    def __init__(self, binary: ServerBinary, *, replicas: int = 1, sentinels: int = 3) -> None:
        self._binary = binary
        self._counts = (replicas, sentinels)
        self._password, self._sentinel_password = secrets.token_hex(8), secrets.token_hex(8)
        self._stack = ExitStack()
        self.nodes: list[Node] = []
        self.sentinels: list[Node] = []

    def __enter__(self) -> Self:
        try:
            self._home = Path(self._stack.enter_context(tempfile.TemporaryDirectory(prefix="taglane-sentinel-")))
            self._start(*self._counts)
        except BaseException:
            self._stack.close()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        self._stack.close()

    @property
    def url(self) -> str:
        """The operator's: it names the sentinels."""
        hosts = ",".join(f"127.0.0.1:{node.port}" for node in self.sentinels)
        return f"sentinel://:{self._password}@{hosts}/0?master={MASTER}&sentinel_password={self._sentinel_password}"

    def add_replica(self, port: int) -> Node:
        """Start one more replica, of the server at *port*: of a proxy before the primary, for one."""
        node = self._node([f"replicaof 127.0.0.1 {port}"])
        eventually(lambda: is_in_step(node), 20, "the replica is not in step")
        eventually(lambda: any(knows(other, node) for other in self.nodes), 20, "no primary knows of it")
        return node

    def _start(self, replicas: int, sentinels: int) -> None:
        primary = self._node([])
        for _ in range(replicas):
            self.add_replica(primary.port)
        for _ in range(sentinels):
            self._sentinel(primary.port)
        if sentinels:
            eventually(self._is_agreed, 20, "the sentinels do not know one another, or not the replicas")

    def _node(self, lines: list[str]) -> Node:
        ours = [f"masterauth {self._password}", "appendonly no", 'save ""', "repl-diskless-sync-delay 0"]
        node = Node(self._binary, self._home, self._password, [*ours, *lines], sentinel=False)
        self._stack.callback(node.stop)
        node.start()
        self.nodes.append(node)
        return node

    def _sentinel(self, port: int) -> None:
        lines = [
            f"sentinel monitor {MASTER} 127.0.0.1 {port} {QUORUM}",
            f"sentinel auth-pass {MASTER} {self._password}",
            f"sentinel sentinel-pass {self._sentinel_password}",
            f"sentinel down-after-milliseconds {MASTER} 1000",
            f"sentinel failover-timeout {MASTER} 4000",
        ]
        node = Node(self._binary, self._home, self._sentinel_password, lines, sentinel=True)
        self._stack.callback(node.stop)
        node.start()
        self.sentinels.append(node)

    def _is_agreed(self) -> bool:
        states = [node.info("sentinel")["master0"] for node in self.sentinels]
        replicas, sentinels = self._counts
        return all(
            (state["status"], state["slaves"], state["sentinels"]) == ("ok", replicas, sentinels) for state in states
        )


def is_in_step(node: Node) -> bool:
    """Whether a replica has a link to its primary, and all of its data."""
    state = node.info("replication")
    return bool(state["role"] == "slave" and state["master_link_status"] == "up")


def knows(primary: Node, replica: Node) -> bool:
    """Whether a server counts another one among its replicas: a moment after that one is in step."""
    if not primary.answers():
        return False
    with primary.client() as client:
        role: Any = client.execute_command("ROLE")
    return role[0] in {b"master", "master"} and replica.port in {int(port) for _, port, *_ in role[2]}


def is_primary(node: Node) -> bool:
    """Whether a server takes writes."""
    return bool(node.info("replication")["role"] == "master")
