from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from eventually import eventually
from factories import make_job
from sentinel import Group
from taglane.errors import BadSetting
from taglane.model.limits import Limits
from taglane.settings import load_settings
from taglane.store import keys
from taglane.store.limits import LimitStore
from taglane.store.server import connect
from taglane_scheduler.care import watchdog
from taglane_scheduler.firing import loop as loop_module
from taglane_scheduler.services import build

if TYPE_CHECKING:
    from collections.abc import Iterator

    from redis import Redis
    from taglane_scheduler.embedded import ServerBinary
    from taglane_scheduler.services import Services


@pytest.fixture
def services(url: str) -> Iterator[Services]:
    built = build(load_settings(url=url, lease="3s", payload_limit=2_000))
    yield built
    built.close()


def test_building_connects_nowhere() -> None:
    """Services of a server that is not there can be built and closed: only using them fails."""
    services = build(load_settings(url="redis://127.0.0.1:1/0"))

    assert services.loop is services.loop
    services.close()


def test_settings_reach_what_is_built(services: Services) -> None:
    """The lease and the payload limit are the settings'."""
    services.prepare()

    assert 0.5 == services.rescue.interval
    assert "created" == services.jobs.put(make_job(params={"text": "x" * 1_900})).change


def test_a_schedulers_sweep_reaches_the_replicas(binary: ServerBinary, monkeypatch: pytest.MonkeyPatch) -> None:
    """A replica that has lost its users gets them again while the scheduler goes on, without a reconnect."""
    monkeypatch.setattr(loop_module, "SWEEP_MS", 0)
    with Group(binary, replicas=1, sentinels=0) as group:
        primary, replica = group.nodes
        services = build(load_settings(url=primary.url))
        services.loop.step()
        services.tenants.create("acme")
        replica.stop()
        replica.start()
        eventually(services.server.replica_addresses, 20, "it does not come back")

        services.loop.step()

        with replica.client() as redis:
            assert 1 == len([name for name in redis.acl_users() if "taglane-acme" in str(name)])
        services.close()


def test_a_rule_that_says_nothing_is_a_bad_setting() -> None:
    """A scheduler does not start with one, and says which."""
    with pytest.raises(BadSetting, match=r"^TAGLANE_WATCH='connections=many': limits\.connections: 'many' can't be"):
        _ = build(load_settings(watch="connections=many")).loop


def test_a_scheduler_watches_its_tenants(services: Services, redis: Redis, monkeypatch: pytest.MonkeyPatch) -> None:
    """It measures them as it goes, and cuts off who is over a limit for which the rule is to cut, twice."""
    monkeypatch.setattr(loop_module, "WATCH_S", 0)
    monkeypatch.setattr(watchdog, "LOOK_S", 0)
    monkeypatch.setattr(watchdog, "LOOK_COST", 0)
    services.loop.step()
    services.tenants.create("acme")
    LimitStore(services.server).put("acme", Limits(memory=1_000_000, overuse="cut"))
    redis.rpush(keys.aside("acme"), "x" * 2_000_000)

    services.loop.step()
    services.loop.step()

    assert services.measures.get("acme")
    assert {"memory", "tenant_cut"} == {alert.kind for alert in services.alerts.list("acme")}
    assert "of memory, and the limit is 1000000B" in services.cutoff.reason("acme")
    services.loop.close()


def test_prepare_makes_a_fresh_server_ready(services: Services, redis: Redis) -> None:
    """After prepare a server has the functions, and the users of the tenants that are on record."""
    services.prepare()
    made = services.tenants.create("acme")
    redis.function_flush()
    redis.acl_deluser("taglane-acme")

    services.prepare()

    with connect(made.url) as tenant:
        assert tenant.ping()
    assert redis.fcall("taglane_version", 0)
