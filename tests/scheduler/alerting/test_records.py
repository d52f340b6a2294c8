"""Records: kept by owner and name, bounded, and read defensively."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from taglane.errors import AlertPartNotFound, OperatorNeeded, TooManyAlertParts
from taglane.store import keys
from taglane.store.server import Server
from taglane_scheduler.alerting import records as module
from taglane_scheduler.alerting.records import Records
from taglane_scheduler.alerting.rules import AlertRule, make_rule
from taglane_scheduler.tenancy.tenants import Tenants

if TYPE_CHECKING:
    from redis import Redis


def rule(name: str, owner: str = "") -> AlertRule:
    return make_rule(name=name, owner=owner, on="late", channels=["ops"])


def test_owners_don_t_see_each_others(store: Server) -> None:
    """The same name is another record of another owner, and is matched whole."""
    rules = Records(store, keys.ALERT_RULES, AlertRule, "rule")

    assert rules.put("", "nights", rule("nights"))
    assert rules.put("acme", "nights", rule("nights", "acme"))
    assert not rules.put("acme", "nights", rule("nights", "acme"))

    assert ["/nights", "acme/nights"] == list(rules.all())
    assert "acme" == rules.get("acme", "nights").tenant
    rules.delete("acme", "nights")
    for name, owner in (("nights", "acme"), ("night", ""), ("nights", "acm")):
        with pytest.raises(AlertPartNotFound):
            rules.get(owner, name)
        with pytest.raises(AlertPartNotFound):
            rules.delete(owner, name)
    assert ["/nights"] == list(rules.all())


def test_a_tenant_has_so_many_at_most(store: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    """The others' don't count, and one that is there may be changed."""
    monkeypatch.setattr(module, "MOST_OF_TENANT", 2)
    rules = Records(store, keys.ALERT_RULES, AlertRule, "rule")
    for owner in ("acme", "acme1"):
        for name in ("a", "b"):
            rules.put(owner, name, rule(name, owner))

    with pytest.raises(TooManyAlertParts, match="tenant 'acme' has 2 alert rules"):
        rules.put("acme", "c", rule("c", "acme"))
    assert not rules.put("acme", "a", rule("a", "acme"))


def test_what_can_t_be_read_hides_nothing(store: Server, redis: Redis) -> None:
    """Garbage, and what a newer one wrote, is passed over."""
    rules = Records(store, keys.ALERT_RULES, AlertRule, "rule")
    rules.put("", "a", rule("a"))
    redis.hset(
        keys.ALERT_RULES, mapping={"x": "{", "y": "[]", "/new": '{"name": "new", "on": "comet", "channels": ["a"]}'}
    )

    assert ["/a"] == list(rules.all())
    with pytest.raises(AlertPartNotFound):
        rules.get("", "new")


def test_tenants_reach_none(store: Server) -> None:
    """They are the operator's keys, secrets among them."""
    tenant = Server(Tenants(store).create("acme").url)
    rules = Records(tenant, keys.ALERT_CHANNELS, AlertRule, "channel")
    for ask in (rules.all, lambda: rules.get("acme", "a"), lambda: rules.put("acme", "a", rule("a", "acme"))):
        with pytest.raises(OperatorNeeded):
            ask()
    tenant.close()
