"""Sending what waits: each message until it is delivered or given up, and nobody held up by another's receiver."""

from __future__ import annotations

import json
import threading
from typing import TYPE_CHECKING

import pytest
from eventually import eventually
from receivers import receiver
from taglane.errors import AlertPartNotFound
from taglane.store import keys
from taglane_scheduler.alerting.courier import TRIES, TRIES_REFUSED, Courier, pause
from taglane_scheduler.alerting.reach import Reach, read_networks
from taglane_scheduler.alerting.webhook import Webhook

if TYPE_CHECKING:
    from receivers import Receiver
    from scheduler.alerting.conftest import Desk

LOOPBACK = read_networks("A", "127.0.0.0/8")


def let_happen(desk: Desk, *subjects: str) -> None:
    """Raise an alert, and let its message be written."""
    for subject in subjects:
        desk.alerts.raise_alert("no_worker", "acme", subject, f"no worker for {subject}")
    desk.watcher.step()


def time_passes(desk: Desk, channel: str = "/ops") -> None:
    """Let a channel be due now."""
    desk.redis.zadd(keys.ALERT_OUTBOX, {channel: 0})


def said(hook: Receiver) -> list[str]:
    return [json.loads(body)["subject"] for _, _, body in hook.requests]


def test_a_message_is_tried_until_it_arrives(desk: Desk, hook: Receiver) -> None:
    """With longer and longer pauses; the very same, so that a receiver can drop a repeat; what is behind it waits."""
    desk.tenant()
    desk.channel(hook.url)
    desk.rule()
    hook.answers += [(500, {}), (503, {})]
    let_happen(desk, "a", "b")

    for _ in range(3):
        desk.alerting.courier.drain()
        time_passes(desk)

    assert ["a", "a", "a", "b"] == said(hook)
    assert 1 == len({body for _, _, body in hook.requests[:3]})
    assert 1 == len({headers["taglane-message"] for _, headers, _ in hook.requests[:3]})
    last, first = desk.alerting.outbox.deliveries()
    assert ("delivered", 3, "delivered", 1) == (first.outcome, first.tries, last.outcome, last.tries)


def test_pauses_grow() -> None:
    """From seconds to a quarter of an hour: over two hours in all."""
    pauses = [pause(tries) for tries in range(1, TRIES)]
    assert sorted(pauses) == pauses
    assert (5_000, 900_000) == (pauses[0], pauses[-1])
    assert sum(pauses) > 2 * 3_600_000 - 900_000


@pytest.mark.parametrize(("code", "tries"), [(404, TRIES_REFUSED), (500, TRIES)])
def test_a_message_is_given_up_at_last(desk: Desk, hook: Receiver, code: int, tries: int) -> None:
    """Sooner where the receiver said no; then the next has its turn, and the failure is on record."""
    desk.tenant()
    desk.channel(hook.url)
    desk.rule()
    hook.answers += [(code, {})] * tries
    let_happen(desk, "a", "b")

    for _ in range(tries):
        desk.alerting.courier.drain()
        time_passes(desk)

    assert ["a"] * tries + ["b"] == said(hook)
    last, first = desk.alerting.outbox.deliveries()
    assert ("given_up", tries) == (first.outcome, first.tries)
    assert f"HTTP {code}" in first.answer
    assert "delivered" == last.outcome


def test_a_channel_in_trouble_is_an_alert(desk: Desk, hook: Receiver) -> None:
    """From the third try in vain on, until it takes one: another channel may tell of it."""
    desk.tenant()
    desk.channel(hook.url)
    desk.rule()
    let_happen(desk, "a")
    courier = Courier(
        desk.server, desk.alerting.outbox, desk.alerting.channels, {"webhook": Webhook(Reach(LOOPBACK))}, desk.alerts
    )
    hook.answers += [(500, {})] * 3
    for count in (0, 0, 1, 0):
        courier.drain()
        time_passes(desk)
        found = [alert for alert in desk.alerts.list() if alert.kind == "alert_channel"]
        assert count == len(found)
        if found:
            text = (
                "alert channel ops takes no messages: HTTP 500 Internal Server Error:  taglane alert channel test ops"
            )
            assert ("", "ops", text) == (found[0].tenant, found[0].subject, found[0].text)


def test_a_slow_receiver_holds_up_itself_alone(desk: Desk, hook: Receiver) -> None:
    """Others' messages go on meanwhile; nobody tries it a second time at once."""
    desk.tenant()
    with receiver() as slow:
        slow.hold.clear()
        desk.channel(slow.url, "slow")
        desk.channel(hook.url, "ops")
        desk.rule(channels=["slow", "ops"])
        let_happen(desk, "a")
        desk.alerting.courier.step()
        eventually(lambda: slow.requests and hook.requests)

        let_happen(desk, "b")
        assert desk.alerting.courier.step() == 1
        eventually(lambda: said(hook) == ["a", "b"])
        assert ["a"] == said(slow)
        slow.hold.set()
        eventually(lambda: not desk.waiting("/slow"))


def test_of_a_tenants_channels_one_is_served_at_a_time(desk: Desk, hook: Receiver) -> None:
    """However many slow ones it has, others find a sender."""
    desk.tenant()
    desk.alerting.courier  # noqa: B018 - it is made with the settings that there are
    for name in ("a", "b", "c"):
        desk.channel(hook.url, name, owner="acme")
    desk.rule(owner="acme", channels=["a", "b", "c"])
    let_happen(desk, "x")

    assert {"acme/a", "acme/b", "acme/c"} == set(desk.alerting.outbox.due(desk.now(), 10))
    assert 1 == desk.alerting.courier.step()


def test_a_channel_that_is_gone_ends_its_messages(desk: Desk, hook: Receiver) -> None:
    """They say so where deliveries are listed."""
    desk.tenant()
    desk.channel(hook.url)
    desk.rule()
    let_happen(desk, "a")
    desk.alerting.channels.delete("ops")

    desk.alerting.courier.drain()

    (gone,) = desk.alerting.outbox.deliveries()
    assert ("given_up", "no alert channel 'ops': see  taglane alert channel list") == (gone.outcome, gone.answer)
    assert [] == desk.waiting()


def test_a_tenants_own_webhook_reaches_no_local_network(desk: Desk, hook: Receiver) -> None:
    """Though the operator's may."""
    desk.tenant()
    desk.channel(hook.url, owner="acme")
    desk.rule(owner="acme")
    let_happen(desk, "a")

    desk.alerting.courier.drain()

    assert [] == hook.requests
    (waiting,) = desk.alerting.outbox.deliveries()
    assert "no public address" in waiting.answer


def test_a_channel_can_be_tried(desk: Desk, hook: Receiver) -> None:
    """A real message, at once; what came back is told, and nothing is tried again."""
    desk.channel(hook.url)
    hook.answers.append((503, {}))

    assert not desk.alerting.courier.test("ops").ok
    assert desk.alerting.courier.test("ops").ok
    assert ["test", "test"] == [json.loads(body)["state"] for _, _, body in hook.requests]
    with pytest.raises(AlertPartNotFound):
        desk.alerting.courier.test("nope")


def test_it_sends_until_it_is_stopped(desk: Desk, hook: Receiver, monkeypatch: pytest.MonkeyPatch) -> None:
    """As a thread of a scheduler; what is no message is left behind."""
    monkeypatch.setattr("taglane_scheduler.alerting.courier.EVERY_S", 0.01)
    desk.tenant()
    desk.channel(hook.url)
    desk.rule()
    over = threading.Event()
    thread = threading.Thread(target=desk.alerting.courier.run, args=(over,))
    thread.start()
    desk.redis.rpush(keys.alert_queue("/ops"), "nothing")
    let_happen(desk, "a")
    eventually(lambda: said(hook) == ["a"])
    over.set()
    thread.join(5)
    assert not thread.is_alive()
    eventually(lambda: not desk.waiting())
