"""Users that are not as the record of tenants asks for."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from taglane.store.server import Server
from taglane_scheduler.tenancy.amiss import amiss_at
from taglane_scheduler.tenancy.record import Record
from taglane_scheduler.tenancy.tenants import Tenants

if TYPE_CHECKING:
    from collections.abc import Iterator


@pytest.fixture
def node(url: str) -> Iterator[Server]:
    server = Server(url)
    yield server
    server.close()


def test_one_that_is_missing_or_may_more_is_told(node: Server) -> None:
    """And one that is as it should be is not."""
    digest = "0" * 64
    for name in ("acme", "globex"):
        Tenants(node).create(name)
    records = [(name, Record(created=1, password_hashes=(digest,))) for name in ("acme", "globex", "initech")]
    redis = node.nodes()[0]
    redis.execute_command("ACL", "SETUSER", "taglane-acme", *records[0][1].rules("acme", 0))  # type: ignore[no-untyped-call]
    redis.execute_command("ACL", "SETUSER", "taglane-globex", "+flushall")  # type: ignore[no-untyped-call]

    assert ["globex", "initech"] == amiss_at(redis, records, 0)
