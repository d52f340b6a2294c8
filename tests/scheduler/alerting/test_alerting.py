"""Alerting in a real scheduler: what is wrong reaches a receiver, also when the scheduler that found it is killed."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest
from eventually import eventually
from processes import SchedulerProcess
from taglane.errors import BadSetting
from taglane.settings import Settings
from taglane.store import keys
from taglane.store.server import Server
from taglane_scheduler.alerting.alerting import Alerting
from taglane_scheduler.tenancy.tenants import Tenants

if TYPE_CHECKING:
    from receivers import Receiver
    from scheduler.alerting.conftest import Desk

ALLOW = {"TAGLANE_WEBHOOK_ALLOW": "127.0.0.0/8"}


def test_a_message_outlives_the_scheduler_that_wrote_it(desk: Desk, hook: Receiver, url: str) -> None:
    """Killed while its receiver holds the request, it leaves the message in its place: another has it after the lease.

    It is the very same message, so that the receiver can drop it.
    """
    Tenants(desk.server).create("acme")
    desk.channel(hook.url)
    desk.rule(on="tenant_cut")
    desk.alerts.raise_alert("tenant_cut", "acme", "", "cut off: it took too much memory")
    hook.hold.clear()
    with SchedulerProcess(url, ALLOW) as first:
        first.wait_ready()
        eventually(lambda: hook.requests, 20)
        first.kill()
    assert 1 == len(desk.waiting())
    hook.hold.set()
    desk.redis.zadd(keys.ALERT_OUTBOX, {"/ops": 0})  # the time of its lease passes

    with SchedulerProcess(url, ALLOW) as second:
        second.wait_ready()
        eventually(lambda: len(hook.requests) == 2 and not desk.waiting(), 20)

    assert hook.requests[0][2] == hook.requests[1][2]
    assert "firing" == json.loads(hook.requests[0][2])["state"]
    assert ["delivered"] == [each.outcome for each in desk.alerting.outbox.deliveries()]


@pytest.mark.parametrize(
    ("name", "value"),
    [("webhook_allow", "here"), ("webhook_allow_tenants", "10.0.0.1/8"), ("smtp", "mail.example.com")],
)
def test_a_setting_that_says_nothing_stops_a_scheduler_at_its_start(url: str, name: str, value: str) -> None:
    """And not when the first alert is to be sent: the error names it."""
    server = Server(url)
    with pytest.raises(BadSetting, match=f"TAGLANE_{name.upper()}="):
        assert Alerting(Settings(url=url, **{name: value}), server).courier  # type: ignore[arg-type]
    server.close()
