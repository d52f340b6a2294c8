"""Rounds: what begins and ends incidents, and how many messages that is."""

from __future__ import annotations

import json
import threading
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any

import pytest
from eventually import eventually
from factories import HandWorker, enqueue, make_job
from taglane.store import keys
from taglane.store.jobs import Jobs
from taglane_scheduler.alerting import watcher as module
from taglane_scheduler.alerting.watcher import Round

if TYPE_CHECKING:
    from scheduler.alerting.conftest import Desk

URL = "http://127.0.0.1:9/hook"


def told(desk: Desk, channel: str = "/ops") -> list[dict[str, Any]]:
    """The messages that wait for a channel."""
    bodies: list[Any] = [desk.redis.hget(keys.ALERT_MESSAGES, each.decode()) for each in desk.waiting(channel)]
    return [json.loads(each) for each in bodies]


def states(desk: Desk, channel: str = "/ops") -> list[tuple[str, str]]:
    """What they say, of what."""
    return [(each["state"], each["subject"]) for each in told(desk, channel)]


def fail(desk: Desk, job: str, state: str = "failed") -> None:
    """Let a run of a job end so."""
    jobs = Jobs(desk.server, 1_000)
    jobs.put(make_job(job))
    jobs.trigger("acme", job)
    worker = HandWorker(desk.server).hello()
    worker.fetches = desk.now()
    worker.finish(worker.fetch(1), state)


@pytest.fixture(autouse=True)
def _ops(desk: Desk) -> None:
    desk.tenant()
    desk.channel(URL)


def test_an_alert_is_told_once_and_when_it_is_over(desk: Desk) -> None:
    """However often it is looked at: one message as it begins, one as it ends, in this order."""
    desk.rule()
    desk.alerts.raise_alert("no_worker", "acme", "acme.gpu", "3 runs wait; start one:  taglane worker --tag acme.gpu")

    for _ in range(3):
        desk.watcher.step()
    desk.alerts.end("no_worker", "acme", "acme.gpu")
    for _ in range(3):
        desk.watcher.step()

    first, last = told(desk)
    assert ("firing", "acme", "acme.gpu", "no_worker") == tuple(
        first[field] for field in ("state", "tenant", "subject", "kind")
    )
    assert "acme: 3 runs wait; start one" == first["text"]
    assert "taglane worker --tag acme.gpu" == first["command"]
    assert "over" == last["state"]
    assert last["text"].startswith("over: acme: 3 runs wait")
    assert first["incident"] == last["incident"]
    assert {} == desk.alerting.outbox.incidents()


def test_many_schedulers_send_one_message(desk: Desk) -> None:
    """As it begins, and as it ends; whoever of them is first."""
    desk.rule()
    watchers = [desk.alerting.watcher(desk.alerts) for _ in range(8)]
    with ThreadPoolExecutor(8) as pool:
        desk.alerts.raise_alert("no_worker", "acme", "acme", "none")
        list(pool.map(lambda watcher: watcher.step(), watchers))
        desk.alerts.end("no_worker", "acme", "acme")
        list(pool.map(lambda watcher: watcher.step(), watchers))

    assert [("firing", "acme"), ("over", "acme")] == states(desk)


def test_a_job_that_fails_is_told_until_it_succeeds(desk: Desk) -> None:
    """Three times in a row; of each job for itself, and of no other tenant's."""
    desk.rule(on="failed", job="*", in_a_row=True)
    desk.rule(name="other", on="failed", tenant="globex")
    for _ in range(3):
        fail(desk, "report")
        desk.watcher.step()
    fail(desk, "report")
    fail(desk, "bill")
    desk.watcher.step()
    assert [("firing", "report")] == states(desk)

    fail(desk, "report", "succeeded")
    desk.watcher.step()

    assert [("firing", "report"), ("over", "report")] == states(desk)


def test_rules_without_anything_to_read_read_nothing(desk: Desk) -> None:
    """Without a rule, nothing at all; about alerts alone, no tenant; else the tenants that they name."""
    assert Round() == desk.watcher.step()
    desk.rule()
    assert 0 == desk.watcher.step().read
    desk.tenant("globex")
    desk.rule(on="late", tenant="globex")
    assert 1 == desk.watcher.step().read
    desk.rule(on="late")
    assert 2 == desk.watcher.step().read
    desk.rule(on="late", enabled=False)
    assert Round() == desk.watcher.step()


def test_a_silence_holds_back_what_is_wrong(desk: Desk) -> None:
    """Until it ends; a tenant's own silence holds for its own rules alone."""
    desk.channel(URL, owner="acme")
    desk.rule()
    desk.rule(owner="acme")
    silences = desk.alerting.silences
    own = silences.put(60_000, owner="acme", tenant="acme")
    desk.alerts.raise_alert("no_worker", "acme", "acme", "none")

    desk.watcher.step()

    assert ([("firing", "acme")], []) == (states(desk), states(desk, "acme/ops"))
    silences.delete(own.name, "acme")
    desk.watcher.step()
    assert [("firing", "acme")] == states(desk, "acme/ops")


def test_what_goes_is_over(desk: Desk) -> None:
    """A rule that is deleted, a tenant that is: who was told hears that it is over."""
    desk.rule()
    desk.rule(name="second")
    desk.alerts.raise_alert("no_worker", "acme", "acme", "none")
    desk.watcher.step()
    desk.alerting.rules.delete("first")
    desk.watcher.step()
    assert [("firing", "first"), ("firing", "second"), ("over", "first")] == [
        (each["state"], each["rule"]) for each in told(desk)
    ]
    desk.rule(name="third", on="dead_letter", silence=0)
    fail(desk, "report", "dead")
    desk.watcher.step()
    desk.redis.hdel(keys.TENANTS, "acme")
    desk.watcher.step()
    assert [("firing", "third"), ("over", "third")] == [(each["state"], each["rule"]) for each in told(desk)][3:]


def test_a_tenant_that_can_t_be_read_is_neither_wrong_nor_well(desk: Desk) -> None:
    """Its incidents stay, and others' begin and end."""
    desk.rule(on="failed")
    fail(desk, "report")
    desk.watcher.step()
    desk.redis.delete(keys.unwell("acme"))
    desk.redis.set(keys.unwell("acme"), "spoiled")
    desk.watcher.step()
    assert [("firing", "")] == states(desk)
    desk.redis.delete(keys.unwell("acme"))
    desk.watcher.step()
    assert [("firing", ""), ("over", "")] == states(desk)


def test_what_has_no_beginning_is_watched_for_a_while(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    """A queue that is long must be so for as long as its rule says; a new scheduler doesn't end what another began."""
    now = desk.now()
    watcher = desk.watcher
    monkeypatch.setattr(type(watcher), "_now", lambda _: now)
    desk.rule(on="queue_longer", threshold=1, after="1m")
    for _ in range(2):
        enqueue(desk.server)
    watcher.step()
    now += 59_000
    watcher.step()
    assert [] == states(desk)
    now += 1_000
    watcher.step()
    assert [("firing", "acme")] == states(desk)
    desk.alerting.watcher(desk.alerts).step()
    assert [("firing", "acme")] == states(desk)


def test_missed_instants_are_told_until_the_window_is_over(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    """A scheduler that has just begun to count says nothing of what was before."""
    now = desk.now()
    watcher = desk.watcher
    monkeypatch.setattr(type(watcher), "_now", lambda _: now)
    monkeypatch.setattr("taglane_scheduler.alerting.readings.key_day", lambda _: "today")
    desk.rule(on="missed", window="10m")
    desk.redis.hset(keys.ledger("acme", "today"), "missed", 5)
    watcher.step()
    assert [] == states(desk)
    desk.redis.hset(keys.ledger("acme", "today"), "missed", 7)
    now += 5_000
    watcher.step()
    desk.alerting.watcher(desk.alerts).step()
    (message,) = told(desk)
    assert ("firing", 2) == (message["state"], message["count"])
    now += 600_000
    watcher.step()
    assert [("firing", ""), ("over", "")] == states(desk)


def test_incidents_are_bounded(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    """Of too many of a tenant, those that come are told when others are over; no other tenant waits for that."""
    monkeypatch.setattr(module, "MOST_OF_TENANT", 2)
    desk.rule()
    desk.alerts.raise_alert("no_worker", "globex", "x", "none")
    for subject in ("a", "b", "c"):
        desk.alerts.raise_alert("no_worker", "acme", subject, "none")
    desk.watcher.step()
    assert ["a", "b", "x"] == sorted(subject for _, subject in states(desk))
    desk.alerts.end("no_worker", "acme", "a")
    desk.watcher.step()
    desk.watcher.step()
    assert ("firing", "c") == states(desk)[-1]


def test_a_rule_that_a_newer_one_wrote_is_left_alone(desk: Desk) -> None:
    """What it told of is its scheduler's to end; so it is with a message for a channel that can't be read."""
    rule = desk.rule()
    desk.alerts.raise_alert("no_worker", "acme", "acme", "none")
    desk.watcher.step()
    desk.redis.hset(keys.ALERT_RULES, rule.id, rule.model_dump_json()[:-1] + ',"colour":"red"}')
    desk.redis.hset(keys.ALERT_CHANNELS, "/ops", "{}")
    desk.watcher.step()
    desk.alerting.courier.drain()

    assert [("firing", "acme")] == states(desk)
    (waiting,) = desk.alerting.outbox.deliveries()
    assert ("waiting", True) == (waiting.outcome, "newer Taglane" in waiting.answer)


def test_it_goes_round_until_it_is_stopped(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    """As a thread of a scheduler; an alert that nobody can read stops it not."""
    monkeypatch.setattr(module, "FIRST_S", 0.01)
    monkeypatch.setattr(module, "EVERY_S", 0.01)
    desk.redis.hset(keys.ALERT_INCIDENTS, "x", "{")
    desk.rule()
    over = threading.Event()
    thread = threading.Thread(target=desk.watcher.run, args=(over,))
    thread.start()
    desk.alerts.raise_alert("no_worker", "acme", "acme", "none")
    eventually(lambda: states(desk))
    over.set()
    thread.join(5)
    assert not thread.is_alive()
