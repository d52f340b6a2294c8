"""What stands in a server, by key: not how it is laid out there, which a server changes by itself (DUMP would tell)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from cluster import everywhere

if TYPE_CHECKING:
    from collections.abc import Callable

    from redis import Redis


def content(redis: Redis, key: Any) -> object:
    """What stands under one key; None when there is none."""
    read: dict[bytes, Callable[[], Any]] = {
        b"hash": lambda: redis.hgetall(key),
        b"set": lambda: redis.smembers(key),
        b"zset": lambda: redis.zrange(key, 0, -1, withscores=True),
        b"list": lambda: redis.lrange(key, 0, -1),
        b"string": lambda: redis.get(key),
        b"none": lambda: None,
    }
    kind: Any = redis.type(key)
    return read[kind]()


def snapshot(redis: Redis, pattern: str = "*") -> dict[Any, object]:
    """What stands under every key that matches."""
    return {key: content(redis, key) for key in everywhere(redis).keys(pattern)}
