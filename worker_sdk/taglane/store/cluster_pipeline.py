"""Many commands to a cluster at once: of any keys, or as one transaction of keys that share a slot."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Self

from redis.client import Pipeline
from redis.exceptions import ConnectionError as LostConnection
from redis.exceptions import MovedError, RedisError, ResponseError, WatchError
from redis.exceptions import TimeoutError as TimedOut

from taglane.store.cluster_nodes import NodeGone
from taglane.store.command_keys import key_of, slot_of

if TYPE_CHECKING:
    from collections.abc import Sequence

    import redis as redis_py

    from taglane.store.cluster_nodes import Node, Nodes

ROUNDS = 5
"""How often one command is sent on to where its slot is said to be."""

NOTED_MS = 1_000
"""How long a note is kept that is written to be waited for."""


class ClusterPipeline(Pipeline):
    """Commands of any keys: each node is sent its own, and then each is heard.

    With `raise_on_error=False` an error stands in the place of each command that it befell: of a node that is gone, in
    the places of all of its commands, and of no others.
    """

    def __init__(self, client: redis_py.Redis, nodes: Nodes) -> None:
        super().__init__(client.connection_pool, client.response_callbacks, transaction=False, shard_hint=None)
        self._nodes = nodes

    def execute_command(self, *args: Any, **options: Any) -> Self:
        """Keep a command for `execute`."""
        self.command_stack.append((args, options))
        return self

    def execute(self, raise_on_error: bool = True) -> list[Any]:
        """Send all, and return their answers in the same order.

        Raises:
            redis.RedisError: nobody tells which nodes there are.
        """
        commands: list[tuple[tuple[Any, ...], dict[str, Any]]] = self.command_stack
        self.reset()
        nodes = self._nodes
        nodes.known()
        answers: list[Any] = [None] * len(commands)
        left: dict[Node, list[int]] = {}
        slots = {}
        for place, (args, _) in enumerate(commands):
            try:
                key = key_of(args)
                slots[place] = slot = -1 if key is None else slot_of(key)
                left.setdefault(nodes.any() if slot < 0 else nodes.of_slot(slot), []).append(place)
            except (RedisError, OSError) as error:
                answers[place] = error
        for _ in range(ROUNDS):
            self._exchange(left, commands, answers)
            left = self._moved(left, slots, answers)
            if not left:
                break
        if raise_on_error:
            self._raise_first(commands, answers)
        return answers

    def _exchange(self, wanted: dict[Node, list[int]], commands: list[tuple[Any, Any]], answers: list[Any]) -> None:
        """Have each node answer the commands at these places, of those that it is thought to have."""
        exchange(self._nodes, wanted, commands, answers)

    def _moved(self, asked: dict[Node, list[int]], slots: dict[int, int], answers: list[Any]) -> dict[Node, list[int]]:
        """Return which commands have to be sent elsewhere, and where."""
        left: dict[Node, list[int]] = {}
        for node, places in asked.items():
            for place in places:
                answer = answers[place]
                if isinstance(answer, MovedError):
                    there = self._nodes.moved(slots[place], answer.host, answer.port, node)
                    left.setdefault(there, []).append(place)
        return left

    def _raise_first(self, commands: Sequence[tuple[tuple[Any, ...], Any]], answers: Sequence[Any]) -> None:
        for number, answer in enumerate(answers):
            if isinstance(answer, Exception):
                if isinstance(answer, ResponseError):
                    self.annotate_exception(answer, number + 1, commands[number][0])  # type: ignore[no-untyped-call]
                raise answer


class ConfirmedPipeline(ClusterPipeline):
    """Functions that write, each for one tenant; every node is asked how many replicas have what it was just told.

    That is asked on the connection that has written, right behind it: a node that lost its place in between, and so
    perhaps what was written, has no other node answer for it.

    A server waits for what the connection wrote last. A function that was called before writes nothing now, and so
    would confirm nothing: a note is written for certain. (A message that nobody hears is written by one server; by a
    node of a cluster it is not.)

    Args:
        notes: for each of the commands the key of a note that lies in its slot.
        wanted, timeout_ms: how many replicas to wait for, and how long.
    """

    def __init__(
        self, client: redis_py.Redis, nodes: Nodes, notes: Sequence[str], wanted: int, timeout_ms: int
    ) -> None:
        super().__init__(client, nodes)
        self._notes = notes
        self._wait = ("WAIT", wanted, timeout_ms)
        self._reached: list[Any] = []

    def reached(self) -> int:
        """How many replicas have all of it: as many as on the node that has the fewest.

        Raises:
            redis.RedisError: a node did not say.
        """
        for each in self._reached:
            if isinstance(each, Exception):
                raise each
        return min(self._reached, default=0)

    def _exchange(self, wanted: dict[Node, list[int]], commands: list[tuple[Any, Any]], answers: list[Any]) -> None:
        count = len(commands)
        asked: dict[Node, list[int]] = {}
        for node, places in wanted.items():
            asked[node] = [*places, len(commands), len(commands) + 1]
            commands += [(("SET", self._notes[places[-1]], "", "PX", NOTED_MS), {}), (self._wait, {})]
            answers += [None, None]
        super()._exchange(asked, commands, answers)
        for *places, note, wait in asked.values():
            if all(isinstance(answers[place], MovedError) for place in places):
                continue  # nothing was written here
            written = answers[note]
            if isinstance(written, MovedError):  # right behind what was written: nobody knows who has that there
                self._reached.append(0)
            else:
                self._reached.append(written if isinstance(written, Exception) else answers[wait])
        del commands[count:], answers[count:]


def exchange(
    nodes: Nodes, wanted: dict[Node, list[int]], commands: Sequence[tuple[tuple[Any, ...], Any]], answers: list[Any]
) -> None:
    """Send each node the commands at these places, then read what each answers; an error is an answer."""
    connections: dict[Node, Any] = {}
    try:
        for node, places in wanted.items():
            try:
                connections[node] = _send(nodes, node, [commands[place][0] for place in places])
            except (RedisError, OSError) as error:
                for place in places:
                    answers[place] = error
        for node in list(connections):
            places = wanted[node]
            heard = _hear(nodes, node, connections.pop(node), [commands[place] for place in places])
            for place, answer in zip(places, heard, strict=True):
                answers[place] = answer
    except BaseException:
        for node, connection in connections.items():  # whose answers nobody will read
            _lost(nodes, node, connection, None)
        raise


def _send(nodes: Nodes, node: Node, commands: Sequence[tuple[Any, ...]]) -> Any:
    """Send a node some commands, and return the connection on which the answers come."""
    if node.gone:
        raise node.refusal()
    connection = None
    try:
        connection = node.client.connection_pool.get_connection()
        connection.send_packed_command(connection.pack_commands(commands))
    except BaseException as error:
        _lost(nodes, node, connection, error)
        raise
    return connection


def _hear(nodes: Nodes, node: Node, connection: Any, commands: Sequence[tuple[tuple[Any, ...], Any]]) -> list[Any]:
    """Read what a node answers to these commands; when it breaks off, all that is missing is that error."""
    heard: list[Any] = []
    try:
        for args, options in commands:
            try:
                heard.append(node.client.parse_response(connection, args[0], **options))
            except ResponseError as error:
                heard.append(error)
    except (RedisError, OSError) as error:
        _lost(nodes, node, connection, error)
        return heard + [error] * (len(commands) - len(heard))
    except BaseException:
        _lost(nodes, node, connection, None)
        raise
    node.client.connection_pool.release(connection)
    return heard


def _lost(nodes: Nodes, node: Node, connection: Any, error: BaseException | None) -> None:
    if connection is not None:
        connection.disconnect()
        node.client.connection_pool.release(connection)
    if isinstance(error, (LostConnection, TimedOut, OSError)):
        nodes.failed(node, error)


class Transaction(Pipeline):
    """Commands of keys that share a slot, as one step of the node that has it."""

    def __init__(self, client: redis_py.Redis, nodes: Nodes, shard_hint: str | None) -> None:
        super().__init__(client.connection_pool, client.response_callbacks, transaction=True, shard_hint=shard_hint)
        self._nodes = nodes
        self._node: Node | None = None
        self._slot = 0

    def immediate_execute_command(self, *args: Any, **options: Any) -> Any:
        """Ask at once, as is done between WATCH and MULTI."""
        for attempt in range(ROUNDS):
            node = self._bound([(args, options)])
            try:
                return super().immediate_execute_command(*args, **options)  # type: ignore[no-untyped-call]
            except MovedError as error:
                self._nodes.moved(self._slot, error.host, error.port, node)
                if attempt == ROUNDS - 1 or self.watching:
                    raise
                self._unbind()
            except (LostConnection, TimedOut) as error:
                self._nodes.failed(node, error)
                raise
        return None

    def execute(self, raise_on_error: bool = True) -> list[Any]:
        """Execute all in one step.

        Raises:
            WatchError: something that was watched has changed, or moved.
        """
        commands = list(self.command_stack)
        if not commands and not self.watching:
            return []
        for _ in range(ROUNDS):
            node = self._bound(commands)
            watched = self.watching
            try:
                return super().execute(raise_on_error)
            except MovedError as error:
                self._nodes.moved(self._slot, error.host, error.port, node)
                if watched:
                    raise WatchError("what was watched has moved to another node") from error
                self._unbind()
                self.command_stack = list(commands)
            except (LostConnection, TimedOut) as error:
                self._nodes.failed(node, error)
                raise
            finally:
                self._node = None
        raise NodeGone("the keys of a transaction move too fast")

    def _bound(self, commands: Sequence[tuple[tuple[Any, ...], Any]]) -> Node:
        """Choose the node by the first key that these commands name."""
        if self._node is None:
            found = (key for key in (_key_or_none(args) for args, _ in commands) if key is not None)
            key = next(found, None)
            if key is None:
                raise ValueError("a transaction on a cluster takes a key")
            self._slot = slot_of(key)
            self._node = self._nodes.of_slot(self._slot)
            if self._node.gone:
                node, self._node = self._node, None
                raise node.refusal()
            self.connection_pool = self._node.client.connection_pool
        return self._node

    def _unbind(self) -> None:
        if self.connection is not None:
            self.connection_pool.release(self.connection)
            self.connection = None
        self._node = None


def _key_or_none(command: tuple[Any, ...]) -> Any:
    """The key of a command, if it has one: in a transaction one about the node itself may stand, beside others."""
    try:
        return key_of(command)
    except ValueError:
        return None
