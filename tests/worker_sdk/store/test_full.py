from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from redis.exceptions import OutOfMemoryError
from taglane.store import keys
from taglane.store.full import swap, write
from taglane.store.server import connect
from taglane_scheduler.embedded import EmbeddedServer

if TYPE_CHECKING:
    from taglane_scheduler.embedded import ServerBinary


def test_a_full_server_takes_it(binary: ServerBinary) -> None:
    """Where HSET is refused; alone, and in a pipeline."""
    options = {"maxmemory": "1", "maxmemory-policy": "noeviction"}
    with EmbeddedServer(binary=binary, options=options) as server, connect(server.url) as redis:
        with pytest.raises(OutOfMemoryError):
            redis.hset(keys.ALERTS, "a", "1")

        assert 1 == write(redis, "HSETNX", keys.ALERTS, "a", "1")
        pipeline = redis.pipeline(transaction=False)
        write(pipeline, "HSET", keys.ALERTS, "b", b"2", "c", "3")
        assert [2] == pipeline.execute()

        assert not swap(redis, keys.ALERTS, "c", b"2", "4")
        assert swap(redis, keys.ALERTS, "c", b"3", "4")
        assert not swap(redis, keys.ALERTS, "d", b"", "4")

        assert {b"a": b"1", b"b": b"2", b"c": b"4"} == redis.hgetall(keys.ALERTS)
