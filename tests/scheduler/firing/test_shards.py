"""A scheduler on a cluster: a loop for each primary, and one that is gone stops no other."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING

from cluster import Cluster
from eventually import eventually
from factories import make_job
from taglane.settings import load_settings
from taglane.store import keys
from taglane_scheduler.firing.shards import Shards
from taglane_scheduler.services import build

if TYPE_CHECKING:
    from taglane_scheduler.embedded import ServerBinary
    from taglane_scheduler.services import Services


def tenants_of_each(services: Services) -> list[str]:
    """One tenant on each primary, each with a job of every second."""
    names: dict[str, str] = {}
    for number in range(40):
        names.setdefault(services.server.shard_of(f"t{number}"), f"t{number}")
    for name in names.values():
        services.tenants.create(name)
        services.jobs.put(make_job("report", tenant=name, every="1s", overlap="allow"))
    return list(names.values())


def fired(services: Services, name: str) -> int:
    return int(services.server.redis.zcard(keys.runs(name)))


def test_each_shard_has_a_loop(cluster: Cluster) -> None:
    """And each tenant is fired by one of them; what is said of their health names them."""
    services = build(load_settings(url=cluster.url))
    names = tenants_of_each(services)
    loop = services.loop
    assert isinstance(loop, Shards)

    eventually(lambda: loop.step() and all(fired(services, name) for name in names))

    assert ["record", *(shard[:8] for shard in services.server.shards())] == [pulse.name for pulse in loop.pulses]
    assert not loop.holds_fire
    loop.close()
    assert 0 == services.server.redis.hlen(keys.SCHEDULERS)
    services.close()


def test_a_dead_node_stops_its_own_loop(binary: ServerBinary) -> None:
    """The other tenants are fired on; when it is back it is given the functions and the users that it lacks."""
    with Cluster(binary, primaries=3, replicas=0) as cluster:  # of two, the one that is left would be no majority
        services = build(load_settings(url=cluster.url))
        home = cluster.node_of(".")
        dead, lives = sorted(tenants_of_each(services), key=lambda name: cluster.node_of(name) is home)[:2]
        loop, stopping, ready = services.loop, threading.Event(), threading.Event()
        thread = threading.Thread(target=loop.run, args=(stopping, ready.set))
        thread.start()
        try:
            assert ready.wait(20)
            node = cluster.node_of(dead)
            node.kill()
            before = fired(services, lives)
            eventually(lambda: fired(services, lives) >= before + 3)

            node.restart()
            eventually(node.client.function_list, 20)
            eventually(lambda: f"taglane-{lives}" in map(_text, node.client.acl_users()), 20)
        finally:
            stopping.set()
            thread.join(20)
        assert not thread.is_alive()
        services.close()


def _text(name: bytes | str) -> str:
    return name.decode() if isinstance(name, bytes) else name
