"""The outbox: a record and its messages are one step, and a message is there until it is settled."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest
from taglane.errors import OperatorNeeded
from taglane.store import keys
from taglane.store.server import Server
from taglane_scheduler.alerting import outbox as module
from taglane_scheduler.alerting.incidents import Incident
from taglane_scheduler.alerting.outbox import LEASE_MS, Outbox
from taglane_scheduler.tenancy.tenants import Tenants

if TYPE_CHECKING:
    from redis import Redis

INCIDENT = Incident("1f", "/r", "late", "acme", "report", "late", 1, "", since=1, seen=1, state="firing")


def message(number: int = 1, channel: str = "/ops") -> tuple[str, dict[str, Any]]:
    return channel, {"id": f"{number}.firing.ops", "text": f"text {number}"}


def put(outbox: Outbox, number: int, channel: str = "/ops") -> None:
    """Let a message wait."""
    made = replace(INCIDENT, subject=str(number))
    assert outbox.change(made.key, b"", made, [message(number, channel)], now=1_000)


@pytest.fixture
def outbox(store: Server) -> Outbox:
    return Outbox(store)


def test_of_many_who_saw_the_same_one_writes(store: Server, outbox: Outbox, redis: Redis) -> None:
    """With its messages; who was slower writes neither. Likewise a change, and the end."""

    def race(before: bytes, after: Incident | None) -> int:
        with ThreadPoolExecutor(8) as pool:
            return sum(
                pool.map(
                    lambda number: Outbox(store).change(INCIDENT.key, before, after, [message(number)], now=1_000),
                    range(8),
                )
            )

    assert 1 == race(b"", INCIDENT)
    (found, kept) = outbox.incidents()[INCIDENT.key]
    assert INCIDENT == found
    over = replace(INCIDENT, state="over")
    assert 1 == race(kept, over)
    assert 0 == race(kept, INCIDENT)
    assert 1 == race(over.kept().encode(), None)
    assert {} == outbox.incidents()
    assert 3 == redis.llen(keys.alert_queue("/ops"))


def test_a_channel_is_served_in_order_by_one(outbox: Outbox) -> None:
    """The first message stays the first until it is settled; who takes the channel has it for a while."""
    put(outbox, 1)
    put(outbox, 2)
    put(outbox, 3, "acme/own")
    assert {"/ops", "acme/own"} == set(outbox.due(1_000, 10))

    first = outbox.take("/ops", 1_000)

    assert first
    assert ("1.firing.ops", 1) == (first.id, first.tries)
    assert ["acme/own"] == outbox.due(1_000, 10)
    assert None is outbox.take("/ops", 1_000)
    outbox.settle(first, "delivered", "HTTP 204", now=2_000)
    second = outbox.take("/ops", 2_000)
    assert second
    assert "2.firing.ops" == second.id
    outbox.settle(second, "waiting", "HTTP 500", now=2_000, again=9_000)
    assert None is outbox.take("/ops", 8_999)
    again = outbox.take("/ops", 9_000)
    assert again
    assert (second.id, 2) == (again.id, again.tries)
    outbox.settle(again, "delivered", "HTTP 204", now=9_000)
    assert ["acme/own"] == outbox.due(99_000, 10)


def test_who_dies_with_a_message_loses_none(outbox: Outbox, redis: Redis) -> None:
    """Another takes it when the lease is over; whose lease is over settles no other's, but what is delivered is."""
    put(outbox, 1)
    put(outbox, 2)
    dead = outbox.take("/ops", 1_000)
    other = outbox.take("/ops", 1_000 + LEASE_MS)
    assert dead
    assert other
    assert (dead.id, 2) == (other.id, other.tries)

    outbox.settle(dead, "waiting", "late", now=5_000, again=6_000)
    assert None is outbox.take("/ops", 7_000)
    outbox.settle(dead, "delivered", "late", now=7_000)
    assert None is outbox.take("/ops", 8_000)
    outbox.settle(other, "delivered", "ok", now=1_000 + LEASE_MS)

    last = outbox.take("/ops", 1_000 + LEASE_MS)
    assert last
    assert "2.firing.ops" == last.id
    outbox.settle(last, "delivered", "ok", now=1_000 + LEASE_MS)
    assert [] == [*redis.hgetall(keys.ALERT_MESSAGES), *redis.zrange(keys.ALERT_OUTBOX, 0, -1)]


def test_what_waits_is_bounded(outbox: Outbox, redis: Redis, monkeypatch: pytest.MonkeyPatch) -> None:
    """Of too many for a channel the oldest go; so of outcomes that are kept."""
    monkeypatch.setattr(module, "MOST_QUEUED", 3)
    monkeypatch.setattr(module, "KEPT", 2)
    for number in range(5):
        put(outbox, number)
    assert 3 == redis.llen(keys.alert_queue("/ops")) == redis.hlen(keys.ALERT_MESSAGES)

    while taken := outbox.take("/ops", 1_000):
        outbox.settle(taken, "delivered", "ok", now=1_000)

    assert ["4.firing.ops", "3.firing.ops"] == [each.id for each in outbox.deliveries()]


def test_deliveries_say_what_waits_and_what_went(outbox: Outbox, redis: Redis) -> None:
    """Of all, or of one owner's channels; garbage hides nothing."""
    for number in range(3):
        put(outbox, number)
    put(outbox, 9, "acme/own")
    redis.lpush(keys.ALERT_DELIVERIES, "{", "[]", "7")
    first = outbox.take("/ops", 1_000)
    assert first
    outbox.settle(first, "given_up", "HTTP 404", now=1_000)
    second = outbox.take("/ops", 1_000)
    assert second
    outbox.settle(second, "waiting", "HTTP 500", now=1_000, again=6_000)

    own, waiting, gone = outbox.deliveries()

    assert ("acme/own", "waiting", 0, "") == (own.channel, own.outcome, own.tries, own.answer)
    assert ("/ops", "waiting", 1, "HTTP 500", 6_000) == (
        *(waiting.channel, waiting.outcome, waiting.tries, waiting.answer, waiting.at),
    )
    assert ("given_up", "HTTP 404", "text 0") == (gone.outcome, gone.answer, gone.message["text"])
    assert [own] == outbox.deliveries(owner="acme")
    outbox.hurry("/ops")
    assert second.id == getattr(outbox.take("/ops", 1_000), "id", None)


def test_a_channel_may_be_forgotten(outbox: Outbox, redis: Redis) -> None:
    """With all that waits for it."""
    put(outbox, 1)
    put(outbox, 2, "/other")
    taken = outbox.take("/ops", 1_000)
    assert taken
    outbox.forget("/ops")
    outbox.settle(taken, "waiting", "no", now=1_000, again=2_000)

    assert [b"2.firing.ops"] == redis.hkeys(keys.ALERT_MESSAGES)
    assert None is outbox.take("/ops", 999_999)
    assert ["/other"] == outbox.due(999_999, 10)


def test_what_is_no_incident_is_passed_over(outbox: Outbox, redis: Redis) -> None:
    """Whatever somebody has written there."""
    redis.hset(keys.ALERT_INCIDENTS, mapping={"a": "{", INCIDENT.key: INCIDENT.kept()})
    assert [INCIDENT.key] == list(outbox.incidents())


def test_tenants_reach_none(store: Server) -> None:
    """Incidents and messages are the operator's keys."""
    tenant = Server(Tenants(store).create("acme").url)
    own = Outbox(tenant)
    for ask in (own.incidents, own.deliveries, lambda: own.take("/ops", 1), lambda: put(own, 1)):
        with pytest.raises(OperatorNeeded):
            ask()
    tenant.close()
