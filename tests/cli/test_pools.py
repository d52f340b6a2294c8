"""`taglane pools`, and the workers of pools in `taglane workers`."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pooling import HandPool
from taglane.store import functions

if TYPE_CHECKING:
    from cli.conftest import Cli


def test_pools_and_their_workers_are_listed(taglane: Cli, acme: Cli) -> None:
    """With who has work for them; a tenant sees neither."""
    assert "taglane worker --tag shared.small" in taglane.ok("pools").err
    pool = HandPool(taglane.url)
    functions.load(pool.redis)
    worker = pool.worker()
    acme.ok("enqueue", "a.b", "--tag", "shared.small")
    pool.keeper.connect()
    assert (fetched := worker.fetch(1, [], idle=True))
    assert 1 == len(fetched.deliveries)

    rows = taglane.ok("pools", "-o", "json").json

    assert [{"tag": "shared.small", "active": 0, "parked": 0, "held": 1, "slots": 1, "workers": 1}] == rows
    assert ["w1"] == [row["id"] for row in taglane.ok("workers", "-o", "json").json]
    refused = acme("pools")
    assert (4, True) == (refused.code, "operator's credential" in refused.error)
    assert [] == acme.ok("workers", "-o", "json").json
    pool.close()


def test_work_for_a_pool_without_a_worker_is_said(taglane: Cli, acme: Cli) -> None:
    """To the operator, who alone can start one; not once there is one."""
    told = "no worker serves tag 'shared.small' now; start one:  taglane worker --tag shared.small"
    assert told in taglane.ok("enqueue", "a.b", "-t", "acme", "--tag", "shared.small").err
    assert "" == acme.ok("enqueue", "a.b", "--tag", "shared.small").err
    pool = HandPool(taglane.url)
    pool.worker()

    assert "" == taglane.ok("enqueue", "a.b", "-t", "acme", "--tag", "shared.small").err
    pool.close()
