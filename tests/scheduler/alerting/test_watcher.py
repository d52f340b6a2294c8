"""Rounds: what begins and ends incidents, and how many messages that is."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from taglane.store import keys

if TYPE_CHECKING:
    from scheduler.alerting.conftest import Desk

URL = "http://127.0.0.1:9/hook"


def told(desk: Desk, channel: str = "/ops") -> list[dict[str, Any]]:
    """The messages that wait for a channel."""
    return [json.loads(desk.redis.hget(keys.ALERT_MESSAGES, each)) for each in desk.waiting(channel)]  # type: ignore[arg-type]


def test_an_alert_is_told_once_and_when_it_is_over(desk: Desk) -> None:
    """However often it is looked at: one message as it begins, one as it ends, in this order."""
    desk.tenant()
    desk.channel(URL)
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
