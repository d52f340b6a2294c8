"""Reading many keys at once."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from taglane.errors import ServerUnavailable
from taglane.store.reading import BATCH, read_all, read_each
from taglane.store.server import Server

if TYPE_CHECKING:
    from redis import Redis


def test_what_a_tenant_has_spoiled_reads_as_none(url: str, redis: Redis) -> None:
    """Beside what can be read; what is no fault of a key is raised."""
    redis.set("spoiled", "1")
    redis.rpush("whole", "a")
    server = Server(url)

    assert [None, 1] == read_all(server, "reading", [("LLEN", "spoiled"), ("LLEN", "whole")])
    with pytest.raises(ServerUnavailable, match="reading"):
        read_all(server, "reading", [("LLEN", "whole", "more")])
    server.close()


def test_the_same_of_very_many_keys(url: str, redis: Redis) -> None:
    """In the order of the keys, over several round trips; what is refused has its error in its place."""
    names = [f"list-{number}" for number in range(2 * BATCH + 1)]
    redis.rpush(names[0], "a", "b")
    redis.rpush(names[-1], "c")
    redis.set(names[1], "spoilt")
    server = Server(url)

    answers = read_each(server, "reading", "LRANGE", names, 0, -1)

    assert [b"a", b"b"] == answers[0]
    assert isinstance(answers[1], Exception)
    assert [[]] * (2 * BATCH - 2) == answers[2:-1]
    assert [b"c"] == answers[-1]
    assert 2 == server.redis.llen(names[0])  # its connection goes on
    server.close()


def test_a_server_that_is_gone_is_said_to_be(url: str) -> None:
    """As for any other call."""
    server = Server(f"{url.partition('@')[0]}@127.0.0.1:1")

    with pytest.raises(ServerUnavailable):
        read_each(server, "reading", "GET", ["a"])
