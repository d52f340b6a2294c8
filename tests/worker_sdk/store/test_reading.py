"""Reading many keys at once."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from taglane.errors import ServerUnavailable
from taglane.store.reading import read_all
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
