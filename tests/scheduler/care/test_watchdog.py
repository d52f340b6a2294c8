"""Connections, bandwidth and memory by tenant: measured, alarmed, and cut off by the operator's rule alone."""

from __future__ import annotations

import json
import logging
from typing import TYPE_CHECKING, Any

import pytest
from cluster import everywhere
from eventually import eventually
from factories import make_server
from redis.exceptions import OutOfMemoryError
from scheduler.care.conftest import connections, is_alive
from taglane.errors import OperatorNeeded, Refused, ServerUnavailable, TenantNotFound
from taglane.model.limits import Limits
from taglane.model.names import new_run_id
from taglane.store import keys
from taglane.store.limits import LimitStore
from taglane.store.server import Server, connect
from taglane_scheduler.care import watchdog as module
from taglane_scheduler.care.alerts import Alerts
from taglane_scheduler.care.watchdog import Watchdog
from taglane_scheduler.embedded import EmbeddedServer
from taglane_scheduler.tenancy.tenants import Tenants, url_for

if TYPE_CHECKING:
    from collections.abc import Iterator

    from redis import Redis
    from taglane_scheduler.embedded import ServerBinary

MIB = 1 << 20


@pytest.fixture
def store(url: str) -> Iterator[Server]:
    server = make_server(url)
    yield server
    server.close()


@pytest.fixture
def acme(store: Server) -> str:
    """Acme's url, beside a tenant other."""
    Tenants(store).create("other")
    return Tenants(store).create("acme").url


@pytest.fixture
def other(store: Server, acme: str) -> str:
    return Tenants(store).rotate("other").url if acme else ""


class Guard:
    """A watchdog, the clock it goes by, and what it has cut off."""

    def __init__(self, server: Server) -> None:
        self.at = 0.0
        self.cut: list[tuple[str, str]] = []
        self.alerts = Alerts(server)
        self.dog = Watchdog(server, self.alerts, LimitStore(server), cut=self._cut, clock=lambda: self.at)

    def _cut(self, tenant: str, reason: str) -> bool:
        self.cut.append((tenant, reason))
        return True

    def look(self) -> dict[str, Any]:
        """Step until nothing is left to measure; then ten seconds pass."""
        found: dict[str, Any] = {}
        while measures := self.dog.step():
            found |= {measure.tenant: measure for measure in measures}
        self.at += module.LOOK_S
        return found

    def alarms(self) -> list[tuple[str, str]]:
        return [(alert.kind, alert.tenant) for alert in self.alerts.list()]


@pytest.fixture
def guard(store: Server) -> Guard:
    return Guard(store)


def limit(server: Server, tenant: str = "acme", **fields: Any) -> None:
    LimitStore(server).put(tenant, Limits(**fields))


def write(url: str, size: int, tenant: str = "acme") -> None:
    """Runs with params of so many bytes in all, by the tenant's own client."""
    server = make_server(url, load=False)
    params = json.dumps({"text": "x" * 99_950})
    runs = [
        ("enqueue", tenant, [new_run_id(tenant), "a.b", tenant, 0, params, "", "", "", ""])
        for _ in range(size // 100_000)
    ]
    for start in range(0, len(runs), 50):
        assert not [answer for answer in server.calls(runs[start : start + 50]) if isinstance(answer, Exception)]
    server.close()


def test_who_opens_too_many_connections_is_alarmed(store: Server, acme: str, other: str, guard: Guard) -> None:
    """Of 200 and 20, with a limit of 100 each, the one; the alert has figure, limit and command, and all live on."""
    limit(store, "acme", connections=100)
    limit(store, "other", connections=100)
    with connections(acme, 200) as many, connections(other, 20):
        found = guard.look()
        (alert,) = guard.alerts.list()
        assert all(map(is_alive, many))

    assert (200, 20) == (found["acme"].connections, found["other"].connections)
    assert ("connections", "acme") == (alert.kind, alert.tenant)
    assert "200 connections, and the limit is 100:  taglane tenant limit acme connections=N" in alert.text
    assert [] == guard.cut


def test_tenants_without_limits_have_the_default(store: Server, acme: str, other: str) -> None:
    """One that has its own has that."""
    dog = Watchdog(store, Alerts(store), LimitStore(store), cut=lambda *_: True, default=Limits(connections=10))
    limit(store, "other", connections=100)
    with connections(acme, 11), connections(other, 11):
        dog.step()

    assert ["acme"] == [alert.tenant for alert in Alerts(store).list()]


def test_an_alert_ends_when_it_is_over(store: Server, acme: str, guard: Guard) -> None:
    """Well below the limit, not just below it; and when the limit is taken away."""
    limit(store, connections=20)
    with connections(acme, 21) as many:
        guard.look()
        assert [("connections", "acme")] == guard.alarms()
        for each in many[:2]:
            each.disconnect()
        eventually(lambda: 19 == everywhere(store.redis).execute_command("CLIENT", "LIST").count(b"user=taglane-acme "))
        guard.look()
        assert [("connections", "acme")] == guard.alarms()
        limit(store, connections=30)
        guard.look()
        assert [] == guard.alarms()
        limit(store, connections=5)
        guard.look()
        assert [("connections", "acme")] == guard.alarms()
        limit(store)
        guard.look()
        assert [] == guard.alarms()


def test_the_newest_connections_are_ended_where_the_rule_is_to_cut(
    store: Server, acme: str, other: str, guard: Guard
) -> None:
    """Those above the limit, of that tenant; the older ones and its neighbours' live on, and it may log in again."""
    limit(store, "acme", connections=100, overuse="cut")
    with connections(acme, 150) as many, connections(other, 150) as neighbours:
        guard.look()

        assert all(map(is_alive, many[:100]))
        assert not any(map(is_alive, many[100:]))
        assert all(map(is_alive, neighbours))
        (alert,) = guard.alerts.list()
        assert "150 connections, and the limit is 100, of which the newest were ended: 50:" in alert.text
        assert 100 == guard.look()["acme"].connections
    with connect(acme) as client:
        assert client.ping()
    assert [] == guard.cut


def test_who_writes_much_is_alarmed_within_a_step(store: Server, acme: str, guard: Guard) -> None:
    """50 MB of runs, and a limit of 30 MiB of memory; its neighbour is not."""
    limit(store, "acme", memory=30 * MIB)
    limit(store, "other", memory=30 * MIB)
    guard.look()
    write(acme, 50_000_000)

    found = guard.look()

    (alert,) = guard.alerts.list()
    assert ("memory", "acme") == (alert.kind, alert.tenant)
    assert "MiB of memory, and the limit is 30MiB:  taglane tenant limit acme memory=N" in alert.text
    assert 40 * MIB < found["acme"].memory < 75 * MIB
    assert found["other"].memory < MIB
    assert [] == guard.cut


def test_keys_that_no_index_names_show_in_the_bandwidth(store: Server, redis: Redis, acme: str, guard: Guard) -> None:
    """What a tenant writes beside its runs is not in the estimate; it is sent, and that is counted."""
    limit(store, bandwidth=MIB)
    with connect(acme) as client:
        client.ping()
        guard.look()
        for number in range(50):
            client.set(f"taglane:{{acme}}:junk{number}", "x" * 1_000_000)
        found = guard.look()

        counts = "tot-net-in" in redis.client_info()
        assert ([("bandwidth", "acme")] if counts else []) == guard.alarms()
        assert (pytest.approx(5_000_000, rel=0.1) if counts else None) == found["acme"].bandwidth


def test_keys_that_no_index_names_show_when_they_are_most_of_all(
    store: Server, redis: Redis, acme: str, guard: Guard
) -> None:
    """Whose they are is not known; who moves most is named, where the server counts that."""
    with connect(acme) as client:
        client.ping()
        guard.look()
        for number in range(80):
            client.set(f"taglane:{{acme}}:junk{number}", "x" * (1 << 20))
        guard.look()

    (alert,) = guard.alerts.list()
    assert ("memory", "", "unexplained") == (alert.kind, alert.tenant, alert.subject)
    assert "tot-net-in" not in redis.client_info() or "to and from acme:" in alert.text
    assert store


def test_who_is_over_its_memory_twice_is_cut_off_where_the_rule_says_so(store: Server, acme: str, guard: Guard) -> None:
    """First an alert, at the next look a cut, with the figure as its reason; without the rule, never."""
    limit(store, "acme", memory=MIB, overuse="cut")
    write(acme, 3_000_000)
    guard.look()
    assert ([("memory", "acme")], []) == (guard.alarms(), guard.cut)

    guard.look()

    ((tenant, reason),) = guard.cut
    assert "acme" == tenant
    assert "MiB of memory, and the limit is 1MiB" in reason
    limit(store, "acme", memory=MIB)
    guard.look()
    assert 1 == len(guard.cut)


def test_a_tenant_that_goes_before_it_is_cut_off_is_no_error(
    store: Server, acme: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is not there any more."""
    guard = Guard(store)
    limit(store, "acme", memory=MIB, overuse="cut")
    write(acme, 3_000_000)

    def gone(tenant: str, _: str) -> bool:
        raise TenantNotFound(tenant)

    monkeypatch.setattr(guard.dog, "_cut", gone)
    guard.look()
    assert "acme" in guard.look()


def test_two_schedulers_raise_one_alert(store: Server, acme: str, caplog: pytest.LogCaptureFixture) -> None:
    """Whoever looks first; the other goes on for it when that one is gone."""
    caplog.set_level(logging.INFO, logger="taglane_scheduler.care.alerts")
    one, two = Guard(store), Guard(store)
    limit(store, connections=10)
    with connections(acme, 20):
        one.look()
        two.look()
        one.look()
    eventually(lambda: b"user=taglane-acme " not in everywhere(store.redis).execute_command("CLIENT", "LIST"))
    two.look()
    one.look()

    assert ["alert_raised", "alert_ended"] == [message.split()[0] for message in caplog.messages]
    assert [] == one.alarms()


@pytest.mark.parametrize("corrupted", [keys.runs, keys.jobs, keys.tags, keys.waiting, keys.due, keys.aside])
def test_corrupted_keys_break_nothing(store: Server, redis: Redis, acme: str, guard: Guard, corrupted: Any) -> None:
    """A key of the wrong type, with bytes that are no text: the others are measured, and so is that tenant."""
    limit(store, "acme", memory=MIB)
    redis.lpush(corrupted("acme"), bytes(range(256)), b"x" * 2_000_000)
    for key in (keys.runs, keys.jobs, keys.tags, keys.waiting):
        if key != corrupted:
            redis.execute_command(  # type: ignore[no-untyped-call]
                *(("ZADD", key("acme"), 1) if key == keys.runs else ("SADD", key("acme"))), bytes(range(256))
            )

    found = guard.look()

    assert {"acme", "other"} == set(found)
    assert [("memory", "acme")] == guard.alarms()
    assert acme


TYPES = {
    "string": ("SET", "{}", bytes(range(256))),
    "list": ("RPUSH", "{}", bytes(range(256)), ""),
    "set": ("SADD", "{}", bytes(range(256)), "", "acme"),
    "zset": ("ZADD", "{}", "inf", bytes(range(256)), "-inf", "", "1", "acme.1"),
    "hash": ("HSET", "{}", bytes(range(256)), "", "acme", "x"),
    "stream": ("XADD", "{}", "*", "field", bytes(range(256))),
}


@pytest.mark.parametrize("command", TYPES.values(), ids=TYPES)
def test_every_key_may_be_of_any_type(store: Server, redis: Redis, acme: str, guard: Guard, command: Any) -> None:
    """What an index names, too: nothing raises, and both are measured."""
    indexes = (keys.runs, keys.jobs, keys.tags, keys.waiting, keys.due, keys.aside, keys.ended, keys.workers)
    named = [keys.run("acme", "acme.1"), keys.job("acme", "acme"), keys.queue("acme", "acme", 0)]
    for key in [*(index("acme") for index in indexes), *named, keys.parked("acme", "acme")]:
        redis.execute_command(*(key if part == "{}" else part for part in command))  # type: ignore[no-untyped-call]

    assert {"acme", "other"} == set(guard.look())
    assert acme
    assert store


def test_many_tenants_are_measured_in_turn_and_the_heaviest_first(
    store: Server, redis: Redis, acme: str, guard: Guard, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A few a step; who has many connections is among the first, whatever its name."""
    record: Any = redis.hget(keys.TENANTS, "acme")
    redis.hset(keys.TENANTS, mapping={f"a{number:03}": record for number in range(100)})
    monkeypatch.setattr(module, "PORTION", 10)
    with connections(Tenants(store).create("zulu").url, 5):
        first = [measure.tenant for measure in guard.dog.step()]
        rest = guard.look()

    assert "zulu" == first[0]
    assert 10 == len(first)
    assert 103 == len({*first, *rest})
    assert acme


def test_between_two_looks_it_asks_nothing(redis: Redis, acme: str, guard: Guard) -> None:
    """Once all are measured, a step costs the server nothing until the next look."""
    guard.look()
    guard.at -= 1
    redis.config_resetstat()

    assert [] == guard.dog.step()

    assert not [name for name in redis.info("commandstats") if "client" in name or "memory" in name]
    assert acme


@pytest.mark.one_server("its commands are counted")
def test_a_long_list_of_connections_is_asked_for_less_often(store: Server, redis: Redis, acme: str) -> None:
    """One that takes 0.2 s, as with very many, again after 40 s and no sooner: half a percent of the time."""
    moments = iter([0.0, 0.0, 0.1, 0.2, 39.9, 40.0, 40.0, 40.1, 40.2])
    dog = Watchdog(store, Alerts(store), LimitStore(store), cut=lambda *_: True, clock=lambda: next(moments))
    lists = []
    for _ in range(3):
        dog.step()
        stats: Any = redis.info("commandstats")
        lists.append(stats["cmdstat_client|list"]["calls"])

    assert [0, 0, 1] == [count - lists[0] for count in lists]
    assert acme


def test_what_is_known_of_deleted_tenants_goes(store: Server, acme: str, guard: Guard) -> None:
    """Their measures, and alerts of any kind; what is nobody's stays."""
    limit(store, connections=1)
    guard.alerts.raise_alert("no_worker", "acme", "acme.gpu", "nobody")
    guard.alerts.raise_alert("no_worker", "", "shared.small", "nobody")
    guard.alerts.raise_alert("no_worker", "shared", "shared.small", "nobody")
    with connections(acme, 2):
        guard.look()
    assert 4 == len(guard.alarms())
    Tenants(store).delete("acme")

    guard.look()

    assert [("no_worker", ""), ("no_worker", "shared")] == sorted(guard.alarms())
    assert [b"other"] == store.redis.hkeys(keys.WATCH)


def test_a_server_that_lists_no_connections(
    store: Server, redis: Redis, url: str, acme: str, caplog: pytest.LogCaptureFixture
) -> None:
    """A managed one: said once, memory is measured all the same, and an alert that stands is not ended."""
    limit(store, connections=1)
    Alerts(store).raise_alert("connections", "acme", "", "2 connections")
    redis.execute_command("ACL", "SETUSER", "ops", "on", ">p", "~*", "&*", "+@all", "-client")  # type: ignore[no-untyped-call]
    server = Server(url_for(url, "ops", "p"))
    guard = Guard(server)
    write(acme, 200_000)

    guard.look()
    found = guard.look()["acme"]

    assert 1 == len([message for message in caplog.messages if message.startswith("connections_not_measured ")])
    assert (None, None) == (found.connections, found.bandwidth)
    assert found.memory > 100_000
    assert [("connections", "acme")] == guard.alarms()
    server.close()


def test_a_full_server_is_watched_too(binary: ServerBinary) -> None:
    """That is when it matters: who fills it is alarmed, and named, where nothing else can be written."""
    with EmbeddedServer(binary=binary, options={"maxmemory-policy": "noeviction"}) as running:
        server = make_server(running.url)
        Tenants(server).create("acme")
        limit(server, memory=MIB)
        server.redis.rpush(keys.aside("acme"), "x" * 2_000_000)
        server.redis.config_set("maxmemory", 1)
        with pytest.raises(OutOfMemoryError):
            server.redis.set("more", "x")
        guard = Guard(server)

        guard.look()
        guard.look()

        assert [("memory", "acme")] == guard.alarms()
        assert server.redis.hexists(keys.WATCH, "acme")
        server.close()


def test_errors_are_the_callers(acme: str) -> None:
    """A tenant's credential is refused, a server that is gone is said to be."""
    for address, error in ((acme, OperatorNeeded), ("redis://127.0.0.1:1", ServerUnavailable)):
        server = Server(address)
        with pytest.raises(error):
            Guard(server).dog.step()
        server.close()
    assert issubclass(OperatorNeeded, Refused)
