"""The connection to the server, with its errors renamed once, here."""

from __future__ import annotations

from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING, Any

import redis as redis_py
from redis import exceptions

from taglane.errors import (
    ClusterUrlNeeded,
    LibraryMissing,
    NoCluster,
    NodeUnavailable,
    NotReplicated,
    OperatorNeeded,
    ParamsOverLimit,
    QueueFull,
    Refused,
    ServerFull,
    ServerUnavailable,
    TaglaneError,
    TenantDraining,
)
from taglane.store import keys, wire
from taglane.store.cluster import ClusterClient
from taglane.store.connect import USER, address_of, connect, connect_node, is_cluster, tenant_of_url, without_clients

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

__all__ = ["USER", "Server", "address_of", "connect", "connect_node", "rename", "tenant_of_url"]

REPLICATION_MS = 3_000
"""How long to wait for the replicas that are to have a run, where the settings ask for any."""

NODE_REPLICATION_MS = 2_000
"""Likewise on a cluster: less than a node has to answer."""

_REFUSALS = ("NOPERM", "No permissions", "ACL failure", "can't run this command")
"""What a function says that is refused a command or a key: Redis 7 and Valkey have words of their own."""

_ONLY_OF_A_CLUSTER = (
    exceptions.MovedError,
    exceptions.AskError,
    exceptions.ClusterDownError,
    exceptions.ClusterCrossSlotError,
)


def rename(error: Exception, what: str, url: str, *, operator: bool = False) -> TaglaneError:
    """Return ours for an error of redis-py; *what* is what was being done, *operator* that it takes the operator's."""
    if isinstance(error, _ONLY_OF_A_CLUSTER) and not is_cluster(url):
        return ClusterUrlNeeded(address_of(url))
    told = _of_a_node(error, what, url) if is_cluster(url) else None
    return told or _of_the_server(error, what, url, operator=operator)


def _of_the_server(error: Exception, what: str, url: str, *, operator: bool) -> TaglaneError:
    match error:
        case exceptions.AuthenticationError():
            why = str(error).rstrip(".")
            hint = "; a server just restarted knows no tenant until a scheduler connects" if tenant_of_url(url) else ""
            return _refused("the login", why + hint, url)
        case exceptions.NoPermissionError():
            return _refused(what, str(error), url, operator=operator)
        case exceptions.OutOfMemoryError():
            return ServerFull()
        case exceptions.ConnectionError() | exceptions.TimeoutError() | exceptions.BusyLoadingError():
            return ServerUnavailable(f"no server at {address_of(url)}: {without_clients(error)}")
        case exceptions.ResponseError():
            text = str(error)
            if text.startswith("Function not found"):
                return LibraryMissing()
            if over := _over_limit(text):
                return over
            if "-OOM" in text or text.startswith("OOM"):
                return ServerFull()
            if any(phrase in text for phrase in _REFUSALS):
                return _refused(what, text, url, operator=operator)
            return ServerUnavailable(f"{what}: {text}")
        case _:
            return ServerUnavailable(f"{what}: {error}")


def _of_a_node(error: Exception, what: str, url: str) -> TaglaneError | None:
    """Read what is the trouble of one node of a cluster, or of one slot."""
    match error:
        case exceptions.AuthenticationError():
            return None
        case exceptions.ConnectionError() | exceptions.TimeoutError() | exceptions.BusyLoadingError():
            return NodeUnavailable(f"no server at {address_of(url)}: {without_clients(error)}")
        case (
            exceptions.MovedError() | exceptions.AskError() | exceptions.TryAgainError() | exceptions.ClusterDownError()
        ):
            told = f"{what}: this part of the cluster is being moved, or no node serves it now: {error}"
            return NodeUnavailable(told, moving=True)
        case exceptions.ResponseError() if str(error).endswith("cluster support disabled"):
            return NoCluster(address_of(url))
    return None


def _over_limit(text: str) -> TaglaneError | None:
    """Read what the functions say of a limit (prelude_limits.lua), behind a word of their own."""
    match text.split():
        case ["QUEUEFULL", tenant, limit, waiting, milliseconds]:
            return QueueFull(tenant, int(limit), int(waiting), int(milliseconds) / 1000)
        case ["TOOLARGE", tenant, size, limit]:
            return ParamsOverLimit(tenant, int(size), int(limit))
        case ["DRAINING", tenant]:
            return TenantDraining(tenant)
    return None


def _refused(what: str, why: str, url: str, *, operator: bool = False) -> Refused:
    tenant = tenant_of_url(url)
    if tenant is not None and operator:
        return OperatorNeeded(what, tenant)
    return Refused(what, why, operator=tenant is None)


class Server:
    """One server under one credential: what every store of ours is built on. Safe to share between threads.

    Args:
        url: see `connect`.
        redis: a client to use instead of a new one.
        replicas: how many replicas must have what `confirmed` writes, before it returns.
    """

    def __init__(self, url: str, redis: redis_py.Redis | None = None, *, replicas: int = 0) -> None:
        self.url = url
        self.replicas = replicas
        self.redis: Any = redis if redis is not None else connect(url)  # its stubs mix bytes and str; ours are bytes
        self.clustered = isinstance(self.redis, ClusterClient)
        """Whether this is a cluster of servers, each of which has the tenants of its slots."""

        self.tenant = tenant_of_url(url)
        """The tenant whose credential this is, or None for the operator's."""
        # Another class of client has reasons of its own: it is asked as it wants to be.
        self._pool = self.redis.connection_pool if type(self.redis) is redis_py.Redis else None

    def shards(self) -> list[str]:
        """Return the ids of a cluster's primaries, as they are known now; one empty text for one server.

        Raises:
            ServerUnavailable: no node tells.
        """
        if not self.clustered:
            return [""]
        with self.renamed("asking which nodes there are"):
            return [*self.redis.nodes.shards()]

    def shard_of(self, tenant: str) -> str:
        """Return which of `shards` has a tenant, as far as is known: it may move at any time."""
        return self.shard_at(keys.prefix(tenant))

    def shard_at(self, key: str) -> str:
        """Return which of `shards` has a key."""
        if not self.clustered:
            return ""
        with self.renamed("asking which node has a key"):
            return str(self.redis.node_of(key).id)

    def reachable(self, tenants: Sequence[str]) -> list[str]:
        """Return those of the tenants whose node is not known to be gone: a list of all passes the others over.

        A node that has just gone is found out by whoever asks it next.
        """
        if not self.clustered:
            return list(tenants)
        with self.renamed("asking which node has a tenant"):
            return [tenant for tenant in tenants if not self.redis.node_of(keys.prefix(tenant)).gone]

    def node_at(self, key: str) -> Any:
        """Return a plain client of the node that has a key; of one server, its own client.

        Raises:
            ServerUnavailable: no node tells which has it.
        """
        if not self.clustered:
            return self.redis
        with self.renamed("asking which node has a key"):
            return self.redis.node_of(key).client

    def failed(self, key: str, error: Exception) -> None:
        """Tell a cluster's client of an error that was met elsewhere: the node of a key is gone, or has it no more."""
        if not self.clustered:
            return
        with suppress(exceptions.RedisError):
            node = self.redis.node_of(key)
            if isinstance(error, exceptions.MovedError):
                self.redis.nodes.moved(error.slot_id, error.host, error.port, node)
            elif isinstance(error, (exceptions.ConnectionError, exceptions.TimeoutError, OSError)):
                self.redis.nodes.failed(node, error)

    def nodes(self, *, replicas: bool = False) -> list[redis_py.Redis]:
        """Return a plain client of each primary, and of each of their replicas, too; of one server, its own client.

        One whose node is known to be gone refuses at once. They are closed with this.
        """
        if not self.clustered:
            return [self.redis]
        with self.renamed("asking which nodes there are"):
            return [*self.redis.nodes.clients(replicas=replicas)]

    @contextmanager
    def renamed(self, what: str, *, operator: bool = False) -> Iterator[None]:
        """Raise ours for whatever redis-py raises inside; *operator* says that it takes the operator's credential."""
        try:
            yield
        except exceptions.RedisError as error:
            raise rename(error, what, self.url, operator=operator) from error

    def call(self, move: str, tenant: str, *args: str | bytes | float) -> Any:
        """Call one function of the library for one tenant; answers bytes, as the server gives them.

        Raises:
            ServerUnavailable: no answer; for a move that makes runs, asking again with the same ids is safe.
            Refused: the credential is another tenant's.
        """
        return self.call_at(keys.prefix(tenant), move, *args)

    def call_at(self, prefix: str, move: str, *args: str | bytes | float) -> Any:
        """Call one function of the library with a prefix that is perhaps no tenant's, but a pool's; see `call`."""
        command = ("FCALL", f"taglane_{move}", 1, prefix, *args)
        try:
            return self.redis.execute_command(*command) if self._pool is None else wire.ask(self._pool, command)
        except exceptions.RedisError as error:
            raise rename(error, move, self.url) from error

    def calls(self, moves: Iterable[tuple[str, str, Sequence[Any]]]) -> list[Any]:
        """Call many functions in one round trip; an answer is the function's, or the TaglaneError it raised."""
        return self._execute(moves, [])

    def each(self, move: str, tenant: str, arguments: Iterable[Sequence[Any]]) -> list[Any]:
        """Call one function many times for one tenant, as the arguments come: the server is at it meanwhile.

        An answer is as `calls` has them. What *arguments* raises is raised, and what came before it is done.
        """
        name, prefix = f"taglane_{move}", keys.prefix(tenant)
        with self.renamed("a pipeline"):
            answers = self.ask_all(("FCALL", name, 1, prefix, *given) for given in arguments)
        return [rename(each, move, self.url) if isinstance(each, Exception) else each for each in answers]

    def ask(self, what: str, moves: Iterable[tuple[str, str, Sequence[Any]]]) -> list[Any]:
        """Call many functions as `calls` does; *what* is what an error says was being done."""
        return self._execute(moves, [], what)

    def confirmed(self, moves: Sequence[tuple[str, str, Sequence[Any]]]) -> list[Any]:
        """Call many functions as `calls` does, and let as many replicas have the outcome as this server was told.

        Raises:
            NotReplicated: all was written here, and too few replicas have it yet.
        """
        if not self.replicas or not moves:
            return self.calls(moves)
        if self.clustered:
            return self._confirmed_by_each(moves)
        # The server waits for what this connection wrote last. A call that was made before writes nothing now, and so
        # would confirm nothing: a message that nobody hears is written for certain.
        note = ("PUBLISH", keys.prefix(moves[-1][1]), "")
        *answers, _, reached = self._execute(moves, [note, ("WAIT", self.replicas, REPLICATION_MS)])
        if any(isinstance(answer, Exception) for answer in answers):
            return answers
        if isinstance(reached, Exception):
            raise reached
        if reached < self.replicas:
            raise NotReplicated(reached, self.replicas)
        return answers

    def _confirmed_by_each(self, moves: Sequence[tuple[str, str, Sequence[Any]]]) -> list[Any]:
        """Do what `confirmed` does on each node of a cluster that has some of these tenants."""
        notes = [keys.noted(tenant) for _, tenant, _ in moves]
        pipeline = self.redis.confirmed(notes, self.replicas, NODE_REPLICATION_MS)
        for move, tenant, args in moves:
            pipeline.execute_command("FCALL", f"taglane_{move}", 1, keys.prefix(tenant), *args)
        with self.renamed("a pipeline"):
            answers = pipeline.execute(raise_on_error=False)
        named = [
            rename(answer, move, self.url) if isinstance(answer, Exception) else answer
            for (move, *_), answer in zip(moves, answers, strict=True)
        ]
        if any(isinstance(answer, Exception) for answer in named):
            return named
        with self.renamed("waiting for replicas"):
            reached = pipeline.reached()
        if reached < self.replicas:
            raise NotReplicated(reached, self.replicas)
        return named

    def _execute(
        self, moves: Iterable[tuple[str, str, Sequence[Any]]], more: Sequence[Sequence[Any]], what: str = ""
    ) -> list[Any]:
        commands: list[wire.Command] = []
        names: list[str] = []
        for move, tenant, args in moves:
            names.append(move)
            commands.append(("FCALL", f"taglane_{move}", 1, keys.prefix(tenant), *args))
        for command in more:
            names.append(command[0])
            commands.append(tuple(command))
        with self.renamed("a pipeline"):
            answers = self.ask_all(commands)
        return [
            rename(answer, what or name, self.url) if isinstance(answer, Exception) else answer
            for name, answer in zip(names, answers, strict=True)
        ]

    def ask_all(self, commands: Iterable[wire.Command]) -> list[Any]:
        """Send many commands; return their answers as the server gives them, in bytes, and its errors among them.

        Raises:
            redis.exceptions.RedisError: an answer did not come.
        """
        if self._pool is not None:
            return wire.ask_all(self._pool, commands)
        pipeline = self.redis.pipeline(transaction=False)
        for command in commands:
            pipeline.execute_command(*command)
        answers: list[Any] = pipeline.execute(raise_on_error=False)
        return answers

    def replica_addresses(self) -> list[tuple[str, int]]:
        """Return host and port of each replica that is in step, as the primary knows it; takes the operator's."""
        with self.renamed("asking for the replicas"):
            role: Any = self.redis.execute_command("ROLE")
        found = role[2] if _text(role[0]) == "master" else []
        return [(_text(host), int(port)) for host, port, *_ in found]

    def close(self) -> None:
        """Close all connections."""
        self.redis.close()


def _text(value: bytes | str) -> str:
    return value.decode() if isinstance(value, bytes) else value
