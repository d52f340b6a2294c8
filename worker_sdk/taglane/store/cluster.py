"""The client of a cluster: each command goes to the node that has its key, and one node's trouble stays its own.

redis-py's own `RedisCluster` was measured and left: in a pipeline it asks again for each command of a node that is
gone, one after the other, and waits for each (docs/scaling.md has the figures).
"""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

import redis as redis_py
from redis.exceptions import AskError, ClusterDownError, MovedError, RedisError, TryAgainError

from taglane.store.cluster_nodes import Nodes
from taglane.store.cluster_pipeline import ClusterPipeline, ConfirmedPipeline, Transaction
from taglane.store.command_keys import key_of, slot_of

if TYPE_CHECKING:
    from collections.abc import Sequence

    from taglane.store.cluster_nodes import Address, Node

MOVING = 2.0
"""Seconds that a single command waits for a slot that is being moved, or served by nobody yet."""

PAUSE = 0.02
"""Seconds between two looks, meanwhile."""


class ClusterClient(redis_py.Redis):
    """Has the face of `redis.Redis`, for commands that name a key; of a tenant, all lie in one slot.

    While a slot is being moved key by key, a function of ours would see a half of the tenant. It is not called then:
    the tenant waits until its slot has moved. (A key that does not exist, as the prefix that functions are called with,
    is refused by the node that the slot leaves, and not yet served by the one that it comes to.)

    Args:
        seeds: where some of the nodes are; the others are found by them, at the addresses that they announce.
        options: what redis-py's client takes to connect to a node.
    """

    def __init__(self, seeds: Sequence[Address], options: dict[str, Any]) -> None:
        host, port = seeds[0]
        super().__init__(**options, host=host, port=port)  # it connects to nothing by itself
        self.nodes = Nodes(seeds, options)

    def execute_command(self, *args: Any, **options: Any) -> Any:
        """Ask the node that has the command's key, and follow it when it has moved."""
        key = key_of(args)
        if key is None:
            return self.nodes.any().client.execute_command(*args, **options)
        slot = slot_of(key)
        node = self.nodes.of_slot(slot)
        try:
            return node.client.execute_command(*args, **options)
        except (MovedError, AskError, TryAgainError, ClusterDownError) as error:
            return self._follow(node, slot, error, args, options)

    def pipeline(self, transaction: bool = True, shard_hint: str | None = None) -> Any:
        """Many commands at once: of any keys, or as one *transaction* of keys that share a slot."""
        if transaction:
            return Transaction(self, self.nodes, shard_hint)
        return ClusterPipeline(self, self.nodes)

    def pubsub(self, **options: Any) -> Any:
        """Listen on some node: what is published on one is heard on all."""
        return self.nodes.any().client.pubsub(**options)

    def node_of(self, key: str) -> Node:
        """Return the node that has a key, as far as is known."""
        return self.nodes.of_slot(slot_of(key))

    def confirmed(self, notes: Sequence[str], wanted: int, timeout_ms: int) -> ConfirmedPipeline:
        """As many functions at once as there are notes, and how many replicas have what they wrote; see there."""
        return ConfirmedPipeline(self, self.nodes, notes, wanted, timeout_ms)

    def close(self) -> None:
        """Close all connections."""
        if hasattr(self, "nodes"):  # redis-py closes what was never made, too
            self.nodes.close()

    def _follow(self, node: Node, slot: int, error: RedisError, args: tuple[Any, ...], options: dict[str, Any]) -> Any:
        """Send a command on to where it is said to belong, or again, until one node has executed it."""
        deadline = time.monotonic() + MOVING
        for _ in iter(lambda: time.monotonic() < deadline, False):
            asking = False
            if isinstance(error, MovedError):
                node = self.nodes.moved(slot, error.host, error.port, node)
            elif isinstance(error, AskError) and may_be_split(args):
                node, asking = self.nodes.at((error.host or node.address[0], error.port)), True
            else:
                time.sleep(PAUSE)
                self.nodes.refresh()
                node = self.nodes.of_slot(slot)
            try:
                if asking:
                    return _asking(node, args, options)
                return node.client.execute_command(*args, **options)
            except (MovedError, AskError, TryAgainError, ClusterDownError) as again:
                error = again
                if asking:
                    node = self.nodes.of_slot(slot)
        raise error


def primaries_of(redis: redis_py.Redis) -> list[redis_py.Redis]:
    """Return a plain client of each primary of a cluster; of one server, the client itself."""
    return redis.nodes.clients() if isinstance(redis, ClusterClient) else [redis]


def may_be_split(command: Sequence[Any]) -> bool:
    """Whether a command is of one key alone, and so may be executed where only some keys of a slot are yet."""
    return command[0] not in {"FCALL", "FCALL_RO", "EVAL", "EVALSHA", "BLPOP", "DEL", "WATCH"}


def _asking(node: Node, args: tuple[Any, ...], options: dict[str, Any]) -> Any:
    """Execute a command on the node to which its slot is on the way."""
    pipeline = node.client.pipeline(transaction=False)
    pipeline.execute_command("ASKING")
    pipeline.execute_command(*args, **options)
    return pipeline.execute()[1]
