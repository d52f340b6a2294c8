"""Finds the key by which a command is routed to a node of a cluster. Pure."""

from __future__ import annotations

from typing import Any

from redis.crc import key_slot

ANYWHERE = frozenset({"PING", "TIME", "ECHO", "COMMAND"})
"""Commands without a key that any node answers alike, or nearly: each has a clock of its own."""

_NODE_COMMANDS = frozenset(
    "ACL BGSAVE BGREWRITEAOF CLIENT CLUSTER CONFIG DBSIZE DEBUG FAILOVER FLUSHALL FLUSHDB FUNCTION INFO KEYS LASTSAVE "  # noqa: SIM905
    "LATENCY MODULE MONITOR PUBSUB RANDOMKEY REPLICAOF ROLE SAVE SCAN SCRIPT SHUTDOWN SLOWLOG WAIT".split()
)
"""Commands that are about one node: who means one says which."""

_CALLS = frozenset({"FCALL", "FCALL_RO", "EVAL", "EVALSHA", "EVAL_RO", "EVALSHA_RO"})
_SUBJECTS = frozenset({"OBJECT", "XINFO", "XGROUP", "MEMORY USAGE", "MEMORY"})
_STREAMS = frozenset({"XREAD", "XREADGROUP"})


def key_of(command: tuple[Any, ...]) -> Any:
    """Return the first key of a command, as it was given; None for one that any node answers.

    Raises:
        ValueError: it is about one node, and so names none.
    """
    name = command[0] if isinstance(command[0], str) else str(command[0], "ascii")
    if name == "FCALL":  # most are
        return command[3] if int(command[2]) else None
    name = name.upper()
    first, _, second = name.partition(" ")
    if name in ANYWHERE:
        return None
    if first in _NODE_COMMANDS:
        raise ValueError(f"{name} is about one server, and a cluster has several: ask each of Server.nodes()")
    if name in _CALLS and int(command[2]):
        return command[3]
    if name in _STREAMS:
        return command[[_word(each) for each in command].index("STREAMS") + 1]
    if first in _SUBJECTS:
        return command[1 if second else 2]
    if len(command) < 2:
        raise ValueError(f"{name} names no key, and a cluster has several nodes: ask one of Server.nodes()")
    return command[1]


def slot_of(key: Any) -> int:
    """Return the slot of a cluster that a key, given as bytes or text, lies in: 0 to 16383."""
    return key_slot(key if isinstance(key, bytes) else str(key).encode())


def _word(part: Any) -> str:
    return (part.decode("latin-1") if isinstance(part, bytes) else str(part)).upper()
