"""Writes a little of the operator's to a server that may be full: who fills it, and that this one is shut out."""

from __future__ import annotations

from typing import Any

_WRITE = "#!lua flags=allow-oom\nreturn redis.call(ARGV[1], KEYS[1], unpack(ARGV, 2))"

_SWAP = """#!lua flags=allow-oom
if redis.call('HGET', KEYS[1], ARGV[1]) ~= ARGV[2] then return 0 end
redis.call('HSET', KEYS[1], ARGV[1], ARGV[3])
return 1"""


def write(redis: Any, command: str, key: str, *args: str | bytes) -> Any:
    """Do one command on one key, also where `maxmemory` is reached; in a pipeline, its answer comes with the others.

    For keys that are bounded, and not a tenant's.
    """
    return redis.eval(_WRITE, 1, key, command, *args)


def swap(redis: Any, key: str, field: str, old: bytes, new: str) -> bool:
    """Write *new* to a field of a hash if it still holds *old*, also where `maxmemory` is reached.

    A transaction would do it elsewhere: Redis refuses those when it is full.
    """
    return bool(redis.eval(_SWAP, 1, key, field, old, new))
