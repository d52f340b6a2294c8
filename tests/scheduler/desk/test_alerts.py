"""The desk's alerts."""

from __future__ import annotations

from threading import BoundedSemaphore

import pytest
from desks import desk_of, services_at
from taglane.errors import AlertPartNotFound, RoleNeeded, TaglaneError, TenantNotFound
from taglane_scheduler.desk import alerts

HOOK = {"name": "hook", "kind": "webhook", "url": "https://example.com/hook"}
RULE = {"name": "nights", "on": "failed", "channels": ["hook"]}


def test_a_tenants_administrator_has_rules_of_that_tenant(url: str) -> None:
    """About that tenant; the operator's, and others', are as none."""
    with services_at(url, "acme", "globex") as services:
        every, own = desk_of(services).alerts, desk_of(services, "acme").alerts
        every.put_channel(HOOK)
        every.put_rule({**RULE, "name": "all"})
        every.silence(3_600_000)

        channel, is_new = own.put_channel(HOOK)
        rule, _ = own.put_rule(RULE)

        assert ("acme", True) == (channel.owner, is_new)
        assert ("acme", "acme") == (rule.owner, rule.tenant)
        assert ["nights"] == [each.name for each in own.rules()]
        assert ["acme"] == [each.owner for each in own.channels()]
        assert [] == own.silences()
        assert {"", "acme"} == {each.owner for each in every.rules()}
        for about in ("globex", "*"):
            with pytest.raises(TaglaneError):
                own.put_rule({**RULE, "tenant": about})
        with pytest.raises(AlertPartNotFound):
            own.delete_rule("all")
        with pytest.raises(TenantNotFound):
            own.rule("nights", "globex")
        own.delete_rule("nights")
        own.delete_channel("hook")
        assert ["all"] == [each.name for each in every.rules()]


def test_who_operates_silences_and_reads_what_is_wrong(url: str) -> None:
    """And sees neither rules nor channels."""
    with services_at(url, "acme", "globex") as services:
        for tenant in ("acme", "globex"):
            services.alerts.raise_alert("no_worker", tenant, tenant, "nobody serves it")
        desk = desk_of(services, "acme", "operate").alerts

        made = desk.silence(3_600_000, why="repair")
        assert ("acme", "acme", "ann") == (made.owner, made.tenant, made.by)
        assert [made.name] == [each.name for each in desk.silences()]
        desk.end_silence(made.name)
        assert ["acme"] == [each.tenant for each in desk.now()]
        assert [] == list(desk_of(services, "acme").alerts.incidents())
        for reading in (desk.rules, desk.channels, desk.incidents):
            with pytest.raises(RoleNeeded):
                reading()


def test_few_channels_are_tested_at_a_time(url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """A receiver may take its time, and the console has few threads: who comes then is to come again."""
    turns = BoundedSemaphore(1)
    monkeypatch.setattr(alerts, "_testing", turns)
    with services_at(url) as services:
        desk = desk_of(services)
        desk.alerts.put_channel({**HOOK, "url": "http://127.0.0.1:9/"})

        with turns, pytest.raises(alerts.TooManyTests, match="try again"):
            desk.alerts.test_channel("hook")
        assert not desk.alerts.test_channel("hook").ok
        assert turns.acquire(blocking=False)
