"""The desk's alerts: what is wrong now, and the rules, channels and silences that say who is told of what."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from taglane_scheduler.alerting.channels import make_channel
from taglane_scheduler.alerting.rules import make_rule

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from taglane_scheduler.alerting.channels import Channel
    from taglane_scheduler.alerting.incidents import Incident
    from taglane_scheduler.alerting.message import Outcome
    from taglane_scheduler.alerting.outbox import Delivery
    from taglane_scheduler.alerting.rules import AlertRule
    from taglane_scheduler.alerting.silences import Silence
    from taglane_scheduler.care.alerts import Alert
    from taglane_scheduler.desk.desk import Desk


class AlertDesk:
    """What one principal may do with alerts. Every method may raise TenantNotFound and RoleNeeded.

    Who sees one tenant has the rules, channels and silences that this tenant owns; the operator's own are those of
    nobody (''), and it sees all. An *owner* that is left out is who asks.
    """

    def __init__(self, desk: Desk) -> None:
        self._desk = desk
        self._services = desk.services
        self._alerting = desk.services.alerting

    def now(self) -> Sequence[Alert]:
        """Return what schedulers find wrong now, the oldest first."""
        self._desk.principal.require("read", "reading alerts")
        return self._services.alerts.list(self._desk.principal.tenant)

    def incidents(self) -> Sequence[Incident]:
        """Return what rules find wrong now, the oldest first: those of the principal's own tenant, or of all."""
        self._desk.principal.require("read", "reading alerts")
        own = self._desk.principal.tenant
        found = [incident for incident, _ in self._alerting.outbox.incidents().values() if incident.state == "firing"]
        if own is not None:
            found = [each for each in found if each.rule.partition("/")[0] == own]
        return sorted(found, key=lambda each: (each.since, each.id))

    def rules(self) -> Sequence[AlertRule]:
        """Return the rules, by owner and name."""
        self._desk.principal.require("read", "reading alert rules")
        return self._alerting.rules.list(self._desk.principal.tenant)

    def put_rule(self, fields: Mapping[str, Any], owner: str | None = None) -> AlertRule:
        """Add a rule of these fields, or change the one of that name.

        Raises:
            BadAlertRule: names the field.
            TooManyAlertParts: its owner has as many as it may.
        """
        mine = self._owner(owner, "changing alert rules")
        about = {"tenant": mine} if mine else {}
        made = make_rule(**{**about, **fields, "owner": mine})
        if made.tenant != "*":
            self._desk.tenant(made.tenant, "admin", "changing alert rules")
        self._alerting.rules.put(made)
        self._desk.note("alert-rule", _about(made.tenant), rule=made.id, on=made.says)
        return made

    def delete_rule(self, name: str, owner: str | None = None) -> None:
        """Delete a rule; what it has told of is told as over."""
        mine = self._owner(owner, "deleting alert rules")
        self._alerting.rules.delete(name, mine)
        self._desk.note("alert-rule-delete", mine, rule=f"{mine}/{name}")

    def channels(self) -> Sequence[Channel]:
        """Return the channels, by owner and name: show `Channel.shown` alone."""
        self._desk.principal.require("read", "reading alert channels")
        return self._alerting.channels.list(self._desk.principal.tenant)

    def put_channel(self, fields: Mapping[str, Any], owner: str | None = None) -> Channel:
        """Add a channel, or change the one of that name; a secret that is made is in what is returned, this once.

        Raises:
            BadAlertRule: names the field.
            TooManyAlertParts: its owner has as many as it may.
        """
        mine = self._owner(owner, "changing alert channels")
        made = make_channel(**{**fields, "owner": mine})
        self._alerting.channels.put(made)
        self._alerting.outbox.hurry(made.id)
        self._desk.note("alert-channel", mine, channel=made.id, kind=made.kind, target=made.target)
        return made

    def delete_channel(self, name: str, owner: str | None = None) -> None:
        """Delete a channel, with its secret and what waits for it.

        Raises:
            ChannelInUse: a rule tells it.
        """
        mine = self._owner(owner, "deleting alert channels")
        found = self._alerting.channels.get(name, mine)
        self._alerting.rules.require_unused(name, mine)
        self._alerting.channels.delete(name, mine)
        self._alerting.outbox.forget(found.id)
        self._desk.note("alert-channel-delete", mine, channel=found.id)

    def test_channel(self, name: str, owner: str | None = None) -> Outcome:
        """Send a real message; return what came back."""
        mine = self._owner(owner, "testing alert channels")
        outcome = self._alerting.courier.test(name, mine)
        self._desk.note("alert-channel-test", mine, channel=f"{mine}/{name}", taken=str(outcome.ok).lower())
        return outcome

    def silences(self) -> Sequence[Silence]:
        """Return the silences that last, the one that ends first first."""
        self._desk.principal.require("read", "reading alert silences")
        return self._alerting.silences.list(self._desk.principal.tenant)

    def silence(self, duration: int, *, tenant: str = "", rule: str = "", why: str = "") -> Silence:
        """Tell nobody about a tenant, or about any, by one rule or by any, for *duration*, ms."""
        mine = self._owner(None, "silencing alerts", role="operate")
        about = tenant or mine or "*"
        if about != "*":
            self._desk.tenant(about, "operate", "silencing alerts")
        if rule:
            self._alerting.rules.get(rule, mine)
        by = self._desk.principal.name
        made = self._alerting.silences.put(duration, tenant=about, rule=rule, why=why, by=by, owner=mine)
        self._desk.note("alert-silence", _about(about), silence=made.name, rule=rule or "*", ms=duration)
        return made

    def end_silence(self, name: str, owner: str | None = None) -> None:
        """End a silence before its time."""
        mine = self._owner(owner, "ending alert silences", role="operate")
        self._alerting.silences.delete(name, mine)
        self._desk.note("alert-silence-end", mine, silence=name)

    def deliveries(self, count: int = 20) -> Sequence[Delivery]:
        """Return what waits to be sent, a message a channel, and what became of the last messages."""
        self._desk.principal.require("read", "reading deliveries")
        return self._alerting.outbox.deliveries(count, owner=self._desk.principal.tenant)

    def _owner(self, given: str | None, what: str, role: Any = "admin") -> str:
        """Return whose part it is: the tenant of who asks, or the one that an operator names; '' for nobody's."""
        principal = self._desk.principal
        principal.require(role, what)
        owner = given if given is not None else principal.tenant or ""
        if owner:
            return self._desk.tenant(owner, role, what)
        principal.require_all(role, what)
        return ""


def _about(tenant: str) -> str:
    """Return the tenant as the audit log names it: empty for all."""
    return "" if tenant == "*" else tenant
