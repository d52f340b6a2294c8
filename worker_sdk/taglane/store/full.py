"""Writes a little of the operator's to a server that may be full: who fills it, and that this one is shut out."""

from __future__ import annotations

from typing import Any

_WRITE = "#!lua flags=allow-oom\nreturn redis.call(ARGV[1], KEYS[1], unpack(ARGV, 2))"


def write(redis: Any, command: str, key: str, *args: str | bytes) -> Any:
    """Do one command on one key, also where `maxmemory` is reached; in a pipeline, its answer comes with the others.

    For keys that are bounded, and not a tenant's.
    """
    return redis.eval(_WRITE, 1, key, command, *args)
