"""Alerts: one for each thing that is wrong, whoever finds it; gone when it no longer is."""

from __future__ import annotations

import logging
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING

import pytest
from eventually import eventually
from factories import make_server, server_time
from taglane.errors import OperatorNeeded
from taglane.store import keys
from taglane.store.server import Server
from taglane_scheduler.care import alerts as module
from taglane_scheduler.care.alerts import Alert, Alerts
from taglane_scheduler.tenancy.tenants import Tenants

if TYPE_CHECKING:
    from collections.abc import Iterator

    from redis import Redis


@pytest.fixture
def store(url: str) -> Iterator[Server]:
    server = make_server(url)
    yield server
    server.close()


@pytest.fixture
def alerts(store: Server) -> Alerts:
    return Alerts(store)


def test_an_alert_says_what_is_wrong_and_since_when(alerts: Alerts, redis: Redis) -> None:
    """Times are the server's; it is there until it is ended."""
    before = server_time(redis)
    assert alerts.raise_alert("connections", "acme", "", "200 connections,\n  limit 100")

    (found,) = alerts.list()

    assert Alert("connections", "acme", "", "200 connections, limit 100", found.since, found.since) == found
    assert before <= found.since <= server_time(redis)
    assert alerts.end("connections", "acme", "")
    assert not alerts.end("connections", "acme", "")
    assert [] == alerts.list()


def test_an_alert_that_is_there_is_seen_again(alerts: Alerts, redis: Redis) -> None:
    """Its text and when it was seen change; since when it holds does not."""
    alerts.raise_alert("memory", "acme", "", "2 MiB")
    (first,) = alerts.list()
    eventually(lambda: server_time(redis) > first.seen)

    assert not alerts.raise_alert("memory", "acme", "", "3 MiB")

    (second,) = alerts.list()
    assert ("3 MiB", first.since) == (second.text, second.since)
    assert second.seen > first.seen


def test_many_alerts_in_one_go(alerts: Alerts, caplog: pytest.LogCaptureFixture) -> None:
    """As each by itself: one that is there keeps its beginning, one that is new is logged."""
    alerts.raise_alert("no_worker", "acme", "acme", "1 run waits")
    caplog.clear()

    new = alerts.raise_all("no_worker", [("acme", "acme", "9 runs wait"), ("globex", "globex", "2 runs wait")])

    assert [False, True] == list(new)
    assert {"9 runs wait", "2 runs wait"} == {alert.text for alert in alerts.list()}
    assert ["alert_raised kind=no_worker tenant=globex subject=globex text=2 runs wait"] == caplog.messages


def test_schedulers_that_find_the_same_raise_it_once(
    store: Server, alerts: Alerts, caplog: pytest.LogCaptureFixture
) -> None:
    """One of eight makes it, and one line is logged; so for its end."""
    caplog.set_level(logging.INFO, logger=module.__name__)
    with ThreadPoolExecutor(8) as pool:
        made = list(pool.map(lambda _: Alerts(store).raise_alert("memory", "acme", "q", "much"), range(8)))
        ended = list(pool.map(lambda _: Alerts(store).end("memory", "acme", "q"), range(8)))

    assert (1, 1) == (sum(made), sum(ended))
    assert [
        "alert_raised kind=memory tenant=acme subject=q text=much",
        "alert_ended kind=memory tenant=acme subject=q",
    ] == caplog.messages
    assert [] == alerts.list()


def test_a_list_may_be_one_tenants(alerts: Alerts) -> None:
    """Matched whole; what kind, tenant and subject hold never runs into one another."""
    alerts.raise_alert("a", "acme", 'x","y', "1")
    alerts.raise_alert("a", "acme1", "x", "2")
    alerts.raise_alert("a", "", "acme", "3")

    assert ["1"] == [alert.text for alert in alerts.list("acme")]
    assert ["3"] == [alert.text for alert in alerts.list("")]
    assert 3 == len(alerts.list())


def test_alerts_are_bounded(alerts: Alerts, redis: Redis, monkeypatch: pytest.MonkeyPatch) -> None:
    """Of too many, those go that nobody has seen for the longest; a text is cut."""
    monkeypatch.setattr(module, "MOST", 20)
    monkeypatch.setattr(module, "_SPARE", 5)
    alerts.raise_alert("old", "acme", "", "x" * 10_000)
    assert module.LONGEST == len(alerts.list()[0].text)
    eventually(lambda: server_time(redis) > alerts.list()[0].seen)

    for number in range(20):
        alerts.raise_alert("new", "acme", str(number), "text")

    assert 15 == len(alerts.list())
    assert "old" not in {alert.kind for alert in alerts.list()}


def test_what_is_no_alert_is_left_alone(alerts: Alerts, redis: Redis) -> None:
    """Garbage in the hash hides nothing."""
    redis.hset(keys.ALERTS, mapping={"garbage": "{}", "[1]": "{}", "7": "{}", '["a","b","c"]': "[]"})
    alerts.raise_alert("memory", "acme", "", "much")

    assert ["much"] == [alert.text for alert in alerts.list()]


def test_tenants_see_no_alerts(store: Server, alerts: Alerts) -> None:
    """They are the operator's."""
    tenant = Server(Tenants(store).create("acme").url)

    for ask in (
        lambda: Alerts(tenant).list(),
        lambda: Alerts(tenant).raise_alert("a", "acme", "", ""),
        lambda: Alerts(tenant).end("a", "acme", ""),
    ):
        with pytest.raises(OperatorNeeded):
            ask()

    assert [] == alerts.list()
    tenant.close()
