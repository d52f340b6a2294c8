"""The page of the alerts: what is wrong now, and who is told of it by which rules, channels and silences."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from taglane.errors import AlertPartNotFound, BadAlertRule, BadName, CallerError, TenantNotFound
from taglane.model.duration import parse_duration

from taglane_scheduler.alerting.rules import KINDS
from taglane_scheduler.care.attention import Attention
from taglane_scheduler.web.console.attention import told
from taglane_scheduler.web.console.languages import text
from taglane_scheduler.web.console.view import Action, Done, Page, View

if TYPE_CHECKING:
    from taglane_scheduler.desk.desk import Desk
from taglane_scheduler.web.console.view import Ask

SHOWN = 200
"""Lines of each list."""

OUTCOMES = {"delivered": text("delivered"), "given_up": text("given up"), "waiting": text("on its way")}
"""What is said of a message."""

DELIVERIES = 20

DURATIONS = ("window", "after", "silence")
RULE_FIELDS = ("name", "on", "tenant", "job", "tag", "threshold", *DURATIONS, "channels")
CHANNEL_FIELDS = ("name", "kind", "url", "secret", "to")


def show(desk: Desk, ask: Ask) -> View:
    """Return what is wrong, and the rules, channels and silences of who looks."""
    return _view(desk, ask)


def _view(desk: Desk, ask: Ask, wrong: dict[str, str] | None = None, **more: Any) -> View:
    """Return the page; *wrong* says what is wrong with the form that was sent, by ``form.field``."""
    now = [Attention(each.kind, each.tenant, each.subject, each.text, "", each.since) for each in desk.alerts.now()]
    administers, operates = desk.principal.may("admin"), desk.principal.may("operate")
    data = {
        "wrong_now": [told(each, ask) for each in now[:SHOWN]],
        "incidents": desk.alerts.incidents()[:SHOWN] if administers else (),
        "rules": desk.alerts.rules() if administers else (),
        "channels": desk.alerts.channels() if administers else (),
        "silences": desk.alerts.silences() if operates else (),
        "deliveries": desk.alerts.deliveries(DELIVERIES) if administers else (),
        "kinds": KINDS,
        "outcomes": OUTCOMES,
        "wrong": wrong or {},
        "form": ask.form,
        "made": None,
        **more,
    }
    bad = bool(wrong)
    return View("alerts.html", "Alerts", data, status=422 if bad else 200, live=not bad and not more)


def put_rule(desk: Desk, ask: Ask) -> Done | View:
    """Add or change a rule."""
    given: dict[str, Any] = {name: value for name in RULE_FIELDS if (value := ask.form.get(name, "").strip())}
    given["channels"] = given.get("channels", "").replace(",", " ").split()
    given["in_a_row"] = bool(ask.form.get("in_a_row"))
    given["recovered"] = bool(ask.form.get("recovered"))
    try:
        if "threshold" in given:
            given["threshold"] = _whole("rule", "threshold", given["threshold"])
        made, _ = desk.alerts.put_rule(given)
    except BadAlertRule as error:
        return _view(desk, ask, {f"rule.{error.field.partition('.')[0]}": error.why})
    except AlertPartNotFound as error:
        return _view(desk, ask, {"rule.channels": str(error)})
    except (CallerError, TenantNotFound) as error:
        return _view(desk, ask, {"rule.tenant": str(error)})
    return Done(ask.say("Rule {name} is kept.", name=made.name), "/alerts")


def delete_rule(desk: Desk, ask: Ask) -> Done:
    """Delete a rule."""
    desk.alerts.delete_rule(ask.form.get("name", ""), ask.form.get("owner", ""))
    return Done(ask.say("Rule {name} is deleted.", name=ask.form.get("name", "")), "/alerts")


def put_channel(desk: Desk, ask: Ask) -> Done | View:
    """Add or change a channel; a secret that is made for it is shown this once."""
    given: dict[str, Any] = {name: value for name in CHANNEL_FIELDS if (value := ask.form.get(name, "").strip())}
    if "to" in given:
        given["to"] = given["to"].replace(",", " ").split()
    try:
        made, _ = desk.alerts.put_channel(given)
    except BadAlertRule as error:
        return _view(desk, ask, {f"channel.{error.field.partition('.')[0]}": error.why})
    if made.secret and not given.get("secret"):
        return _view(desk, ask, made=made)
    return Done(ask.say("Channel {name} is kept.", name=made.name), "/alerts")


def delete_channel(desk: Desk, ask: Ask) -> Done:
    """Delete a channel."""
    desk.alerts.delete_channel(ask.form.get("name", ""), ask.form.get("owner", ""))
    return Done(ask.say("Channel {name} is deleted.", name=ask.form.get("name", "")), "/alerts")


def test_channel(desk: Desk, ask: Ask) -> Done:
    """Send a real message by a channel, and say what came back."""
    name = ask.form.get("name", "")
    outcome = desk.alerts.test_channel(name, ask.form.get("owner", ""))
    if outcome.ok:
        return Done(ask.say("Channel {name} took the message: {answer}", name=name, answer=outcome.answer), "/alerts")
    return Done(
        ask.say("Channel {name} did not take it: {answer}", name=name, answer=outcome.answer), "/alerts", bad=True
    )


def silence(desk: Desk, ask: Ask) -> Done | View:
    """Tell nobody for a while."""
    tenant, rule, why = (ask.form.get(field, "").strip() for field in ("tenant", "rule", "why"))
    try:
        duration = parse_duration(ask.form.get("for", "").strip())
    except ValueError as error:
        return _view(desk, ask, {"silence.for": str(error)})
    try:
        desk.alerts.silence(duration, tenant=tenant, rule=rule, why=why)
    except BadAlertRule as error:
        return _view(desk, ask, {f"silence.{error.field}": error.why})
    except AlertPartNotFound as error:
        return _view(desk, ask, {"silence.rule": str(error)})
    except (BadName, TenantNotFound) as error:
        return _view(desk, ask, {"silence.tenant": str(error)})
    return Done(ask.say("Nobody is told for {time}.", time=ask.form.get("for", "").strip()), "/alerts")


def end_silence(desk: Desk, ask: Ask) -> Done:
    """End a silence before its time."""
    desk.alerts.end_silence(ask.form.get("name", ""), ask.form.get("owner", ""))
    return Done(ask.say("The silence is over."), "/alerts")


def _whole(part: str, field: str, value: str) -> int:
    try:
        return int(value)
    except ValueError as error:
        raise BadAlertRule(part, field, value[:100], "it is a whole number") from error


PAGES = [Page("/alerts", show)]

ACTIONS = [
    Action("/alerts/rules", put_rule),
    Action("/alerts/rules/delete", delete_rule),
    Action("/alerts/channels", put_channel),
    Action("/alerts/channels/delete", delete_channel),
    Action("/alerts/channels/test", test_channel),
    Action("/alerts/silences", silence),
    Action("/alerts/silences/end", end_silence),
]
