"""What `doctor` reads of a real server, as the operator and as a tenant."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING, Any

import pytest
from factories import HandWorker, enqueue, make_job, make_server
from taglane.errors import Refused, ServerUnavailable
from taglane.settings import load_settings
from taglane.store import functions, keys
from taglane_scheduler.firing.peers import Peers
from taglane_scheduler.services import Services, build

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from redis import Redis
    from taglane_scheduler.embedded import EmbeddedServer


@pytest.fixture
def services_for() -> Iterator[Callable[..., Services]]:
    """Builds services of a url; they are closed in the end."""
    built: list[Services] = []

    def make(url: str, **settings: Any) -> Services:
        built.append(build(load_settings(url=url, **settings)))
        built[-1].doctor.beats_apart = 0.3  # longer than those of this test's schedulers
        return built[-1]

    yield make
    for services in built:
        services.close()


@pytest.fixture
def services(url: str, services_for: Callable[..., Services]) -> Services:
    made = services_for(url)
    made.prepare()
    return made


@pytest.mark.one_server("a node of a cluster says the same of itself")
def test_an_operator_sees_the_server(services: Services, server: EmbeddedServer, redis: Redis) -> None:
    """Its settings, as they are at this moment."""
    facts = services.doctor.read()

    assert facts.server is not None
    assert (server.binary.flavour, server.binary.version) == (facts.server.flavour, facts.server.version)
    assert ("master", False, 0, "noeviction") == (
        facts.server.role,
        facts.server.cluster,
        facts.server.replicas,
        facts.server.policy,
    )
    assert (False, "", 0) == (facts.server.aof, facts.server.save, facts.server.timeout)
    assert 0 < facts.server.used < facts.server.limit
    assert facts.server.open_default is False
    assert abs(facts.skew_ms) < 1_000
    assert 0 < facts.latency_ms < 1_000
    assert functions.version() == facts.library == facts.wanted_library

    redis.config_set("maxmemory-policy", "allkeys-lru")
    try:
        (eviction,) = (check for check in services.doctor.examine() if check.check == "eviction")
    finally:
        redis.config_set("maxmemory-policy", "noeviction")
    assert "fail" == eviction.status


@pytest.mark.one_server("a node of a cluster says the same of itself")
def test_an_open_default_user_is_seen(services: Services, redis: Redis) -> None:
    """Who has no password needs none: until it is given one again."""
    password = redis.get_connection_kwargs()["password"]
    redis.execute_command("ACL", "SETUSER", "default", "nopass")  # type: ignore[no-untyped-call]
    try:
        facts = services.doctor.read()
    finally:
        redis.execute_command("ACL", "SETUSER", "default", "resetpass", f">{password}")  # type: ignore[no-untyped-call]

    assert facts.server is not None
    assert facts.server.open_default is True


def test_only_a_scheduler_whose_counter_moves_is_alive(services: Services, url: str) -> None:
    """What one that died has left behind is no scheduler."""
    living, dead = Peers(make_server(url)), Peers(make_server(url))
    dead.beat(0.0)
    stopping = threading.Event()

    def beat() -> None:
        while not stopping.wait(0.2):
            living.beat(0.0)

    thread = threading.Thread(target=beat)
    thread.start()
    try:
        assert 1 == services.doctor.read().schedulers
    finally:
        stopping.set()
        thread.join()
    assert 0 == services.doctor.read().schedulers


def test_who_waits_for_nobody(services: Services, url: str) -> None:
    """A tag with a run or a job that no living worker serves; paused jobs and shared tags are passed over."""
    store = make_server(url)
    for tenant in ("acme", "other"):
        services.tenants.create(tenant)
        enqueue(store, tenant)
    HandWorker(store).hello()
    services.jobs.put(make_job("gpu", tag="acme.gpu"))
    services.jobs.put(make_job("paused", tag="acme.paused"))
    services.jobs.pause("acme", "paused")
    services.jobs.put(make_job("pool", tag="shared.pool"))

    facts = services.doctor.read()

    assert {"acme.gpu": (0, 1), "other": (1, 0)} == facts.unserved
    assert [] == facts.silent_workers
    store.close()


def test_a_worker_is_silent_by_its_own_lease(services: Services, url: str, redis: Redis) -> None:
    """One that may be silent for an hour is alive after a minute; one that said nothing of it is not."""
    store = make_server(url)
    services.tenants.create("acme")
    services.jobs.put(make_job("nightly"))
    HandWorker(store, id="quick").hello()
    store.call("hello", "acme", "slow", "tags", "acme", "lease", 3_600_000)
    for worker in ("quick", "slow"):
        redis.hincrby(keys.worker("acme", worker), "seen", -60_000)

    facts = services.doctor.read()

    (silent,) = facts.silent_workers
    assert silent.startswith("quick of acme, 6")
    assert {} == facts.unserved
    store.close()


def test_a_tenant_sees_what_is_its_own(services: Services, services_for: Callable[..., Services], url: str) -> None:
    """Nothing is refused, and nothing of others is seen."""
    own = services.tenants.create("acme")
    services.tenants.create("other")
    store = make_server(url)
    for tenant in ("acme", "other"):
        enqueue(store, tenant)
        store.redis.zadd(keys.dead(tenant), {f"{tenant}.1": 1})

    doctor = services_for(own.url).doctor
    facts = doctor.read()

    assert ("acme", None, None, None) == (facts.tenant, facts.server, facts.schedulers, facts.users_amiss)
    assert ({"acme": (1, 0)}, 1) == (facts.unserved, facts.dead)
    assert "NOPERM" not in str(doctor.examine())
    store.close()


def test_a_tenant_that_has_spoiled_its_keys_hides_nothing(services: Services, redis: Redis) -> None:
    """It is named, and the others are looked at."""
    for tenant in ("acme", "other"):
        services.tenants.create(tenant)
    for key in (keys.jobs("acme"), keys.tags("acme"), keys.workers("acme"), keys.dead("acme")):
        redis.set(key, "spoiled")
    services.jobs.put(make_job("nightly", tenant="other"))

    facts = services.doctor.read()

    assert ["acme"] == facts.unreadable
    assert {"other": (0, 1)} == facts.unserved


def test_users_that_are_amiss_are_told(services: Services, redis: Redis) -> None:
    """As the tenants' record has it."""
    services.tenants.create("acme")
    redis.execute_command("ACL", "DELUSER", "taglane-acme")  # type: ignore[no-untyped-call]

    assert ["acme"] == services.doctor.read().users_amiss


def test_a_server_that_nobody_has_set_up(url: str, services_for: Callable[..., Services], redis: Redis) -> None:
    """It has no functions, which is a failed check and no error."""
    redis.function_flush()

    facts = services_for(url).doctor.read()

    assert facts.library is None


def test_no_server_and_no_entry_are_errors(url: str, services_for: Callable[..., Services]) -> None:
    """There is nothing to judge then."""
    with pytest.raises(ServerUnavailable):
        services_for("redis://127.0.0.1:1/0").doctor.examine()
    with pytest.raises(Refused):
        services_for(url.replace("://:", "://:wrong")).doctor.examine()
