from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from factories import make_job
from taglane.settings import load_settings
from taglane.store.server import connect
from taglane_scheduler.services import build

if TYPE_CHECKING:
    from collections.abc import Iterator

    from redis import Redis
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
