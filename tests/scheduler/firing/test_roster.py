"""Whom a loop of one server looks after."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from factories import make_server, server_time
from taglane.store import keys
from taglane_scheduler.firing.roster import Roster

if TYPE_CHECKING:
    from collections.abc import Iterator

    from redis import Redis


@pytest.fixture
def roster(url: str, redis: Redis) -> Iterator[Roster]:
    redis.hset(keys.TENANTS, mapping={"acme": "{}", "globex": "{}"})
    server = make_server(url, load=False)
    yield Roster(server)
    server.close()


def test_all_tenants_are_its(roster: Roster) -> None:
    """Those of the record, and nobody else."""
    assert {"acme", "globex"} == roster.tenants()
    assert [True, False] == [roster.has(name) for name in ("acme", "initech")]
    assert ["acme"] == roster.keep(["acme"])


def test_it_goes_by_the_servers_clock(roster: Roster, redis: Redis) -> None:
    """Alone, it leaves nothing to others; and it goes without a trace."""
    before = server_time(redis)

    assert before - 1_000 <= roster.time() <= roster.beat(0.0) + 1_000
    assert [roster.me.encode()] == redis.hkeys(keys.SCHEDULERS)
    assert 0 == roster.delay("acme")
    roster.leave()
    assert not redis.hkeys(keys.SCHEDULERS)
