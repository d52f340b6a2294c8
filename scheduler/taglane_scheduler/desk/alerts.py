"""The desk's alerts: what is wrong, and who is told of it. A tenant's administrator has rules of that tenant's own."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING, Any

from taglane.errors import CallerError, OverLimit

if TYPE_CHECKING:
    from collections.abc import Sequence

    from taglane_scheduler.alerting.channels import Channel
    from taglane_scheduler.alerting.incidents import Incident
    from taglane_scheduler.alerting.message import Outcome
    from taglane_scheduler.alerting.outbox import Delivery
    from taglane_scheduler.alerting.rules import AlertRule
    from taglane_scheduler.alerting.silences import Silence
    from taglane_scheduler.care.alerts import Alert
    from taglane_scheduler.desk.desk import Desk


TESTS = 4
"""Channels that are tested at a time: each takes a thread of few, for as long as its receiver likes."""

_testing = threading.BoundedSemaphore(TESTS)


class TooManyTests(OverLimit):
    """As many channels are tested as may."""

    retry_after = 5.0

    def __init__(self) -> None:
        super().__init__(f"{TESTS} channels are being tested, and that is the most: try again in some seconds")


class AlertDesk:
    """What one principal may do with alerts. Every method may raise TenantNotFound and RoleNeeded.

    *owner* is whose rule, channel or silence it is: '' the operator's, which takes the role for all tenants. Who sees
    one tenant alone has that tenant's, whatever is asked for.
    """

    def __init__(self, desk: Desk) -> None:
        self._desk = desk
        self._services = desk.services
        self._alerting = desk.services.alerting

    def now(self, tenant: str | None = None) -> Sequence[Alert]:
        """Return what schedulers find wrong now, of one tenant or of all that the principal sees."""
        owner = self._about(tenant)
        return self._services.alerts.list(owner)

    def incidents(self, tenant: str | None = None) -> Sequence[Incident]:
        """Return what rules find wrong now: a tenant's administrator is told of what its own rules find."""
        principal = self._desk.principal
        principal.require("admin", "reading incidents")
        about = self._about(tenant)
        found = [each for each, _ in self._alerting.outbox.incidents().values() if each.state == "firing"]
        if principal.tenant is not None:
            found = [each for each in found if each.rule.partition("/")[0] == principal.tenant == each.tenant]
        return sorted((each for each in found if about in {None, each.tenant}), key=lambda each: (each.since, each.id))

    def deliveries(self, count: int) -> Sequence[Delivery]:
        """Return what waits to be sent, and what became of the last messages: of one's own channels."""
        self._desk.principal.require("admin", "reading deliveries")
        return self._alerting.outbox.deliveries(count, owner=self._desk.principal.tenant)

    def rules(self) -> Sequence[AlertRule]:
        """Return the rules that the principal administers."""
        self._desk.principal.require("admin", "reading alert rules")
        return self._alerting.rules.list(self._desk.principal.tenant)

    def rule(self, name: str, owner: str = "") -> AlertRule:
        """Return one rule."""
        return self._alerting.rules.get(name, self._owner(owner, "reading alert rules"))

    def put_rule(self, fields: dict[str, Any], owner: str = "") -> tuple[AlertRule, bool]:
        """Write a rule, and return it, and whether it is new; raises as `make_rule` and `Rules.put` do."""
        from taglane_scheduler.alerting.rules import make_rule  # noqa: PLC0415 - with what it checks

        whose = self._owner(owner, "changing alert rules")
        given = {**fields, "owner": whose} if whose else fields
        self._check_about(given.get("tenant"), whose)
        made = make_rule(**given)
        is_new = self._alerting.rules.put(made)
        self._desk.note("alert-rule", "" if made.tenant == "*" else made.tenant, rule=made.id, on=made.says)
        return made, is_new

    def delete_rule(self, name: str, owner: str = "") -> None:
        """Forget a rule; what it has told of is told as over."""
        whose = self._owner(owner, "deleting alert rules")
        self._alerting.rules.delete(name, whose)
        self._desk.note("alert-rule-delete", whose, rule=f"{whose}/{name}")

    def channels(self) -> Sequence[Channel]:
        """Return the channels that the principal administers; show `Channel.shown` alone."""
        self._desk.principal.require("admin", "reading alert channels")
        return self._alerting.channels.list(self._desk.principal.tenant)

    def put_channel(self, fields: dict[str, Any], owner: str = "") -> tuple[Channel, bool]:
        """Write a channel, and return it, and whether it is new; raises as `make_channel` and `Channels.put` do."""
        from taglane_scheduler.alerting.channels import make_channel  # noqa: PLC0415 - with what it checks

        whose = self._owner(owner, "changing alert channels")
        made = make_channel(**{**fields, "owner": whose} if whose else fields)
        is_new = self._alerting.channels.put(made)
        self._alerting.outbox.hurry(made.id)
        self._desk.note("alert-channel", whose, channel=made.id, kind=made.kind, target=made.target)
        return made, is_new

    def delete_channel(self, name: str, owner: str = "") -> None:
        """Forget a channel that no rule uses, with what waits for it."""
        whose = self._owner(owner, "deleting alert channels")
        found = self._alerting.channels.get(name, whose)
        self._alerting.rules.require_unused(name, whose)
        self._alerting.channels.delete(name, whose)
        self._alerting.outbox.forget(found.id)
        self._desk.note("alert-channel-delete", whose, channel=found.id)

    def test_channel(self, name: str, owner: str = "") -> Outcome:
        """Send a real message, now, and return what came back."""
        whose = self._owner(owner, "testing alert channels")
        if not _testing.acquire(blocking=False):
            raise TooManyTests
        try:
            outcome = self._alerting.courier.test(name, whose)
        finally:
            _testing.release()
        self._desk.note("alert-channel-test", whose, channel=f"{whose}/{name}", taken=str(outcome.ok).lower())
        return outcome

    def silences(self) -> Sequence[Silence]:
        """Return the silences that last, of those that the principal administers."""
        self._desk.principal.require("operate", "reading alert silences")
        return self._alerting.silences.list(self._desk.principal.tenant)

    def silence(self, duration: int, *, tenant: str = "", rule: str = "", why: str = "", owner: str = "") -> Silence:
        """Tell nobody from now on, for *duration*, ms."""
        whose = self._owner(owner, "silencing alerts", "operate")
        about = tenant or whose or "*"
        self._check_about(about, whose)
        if rule:
            self._alerting.rules.get(rule, whose)
        by = self._desk.principal.name
        made = self._alerting.silences.put(duration, tenant=about, rule=rule, why=why, by=by, owner=whose)
        self._desk.note("alert-silence", "" if about == "*" else about, silence=made.name, rule=rule or "*")
        return made

    def end_silence(self, name: str, owner: str = "") -> None:
        """End a silence before its time."""
        whose = self._owner(owner, "ending silences", "operate")
        self._alerting.silences.delete(name, whose)
        self._desk.note("alert-silence-end", whose, silence=name)

    def _about(self, tenant: str | None) -> str | None:
        """Return the tenant that a list is about; None for all."""
        if tenant:
            return self._desk.tenant(tenant, "read", "reading alerts")
        self._desk.principal.require("read", "reading alerts")
        return self._desk.principal.tenant

    def _owner(self, given: str, what: str, role: Any = "admin") -> str:
        """Return whose it is that is asked for."""
        principal = self._desk.principal
        if principal.tenant is None:
            principal.require(role, what)
            return self._desk.tenant(given, role, what) if given else ""
        return self._desk.tenant(given or principal.tenant, role, what)

    def _check_about(self, tenant: Any, owner: str) -> None:
        """Raise unless what is said is about a tenant that there is, and that the principal sees."""
        if isinstance(tenant, str) and tenant not in {"", "*"}:
            self._desk.tenant(tenant, "read", "reading alerts")
        elif owner and tenant == "*":
            raise CallerError(f"tenant: a rule of tenant {owner!r} is about {owner!r}")
