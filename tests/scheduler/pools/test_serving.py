"""Which shared tags have a worker."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pooling import HandPool
from taglane.store import functions
from taglane_scheduler.pools.serving import KEPT_S, Serving

if TYPE_CHECKING:
    from redis import Redis


def test_a_pool_is_served_while_it_has_a_worker(url: str, redis: Redis) -> None:
    """What was read stands for a moment; a pool that never had one is not served."""
    functions.load(redis)
    pool = HandPool(url)
    serving = Serving(pool.pools, lambda: pool.clock)
    assert not serving("shared.small")

    worker = pool.worker()
    assert not serving("shared.small")
    pool.clock += KEPT_S + 0.1
    assert serving("shared.small")
    assert not serving("shared.large")

    worker.leave()
    assert serving("shared.small")
    pool.clock += KEPT_S + 0.1
    assert not serving("shared.small")
    pool.close()
