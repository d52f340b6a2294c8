"""The API's alert rules, channels and silences: who is told of what is wrong, and when."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

from pydantic import Field
from taglane.errors import BadSchedule
from taglane.model.duration import format_duration
from typing_extensions import TypedDict

from taglane_scheduler.web.api.route import ApiRoute
from taglane_scheduler.web.api.shapes import Asked, Empty, Instant, Name, Wanted, cut, instant, read_duration

if TYPE_CHECKING:
    from taglane_scheduler.alerting.rules import AlertRule
    from taglane_scheduler.alerting.silences import Silence
    from taglane_scheduler.desk.desk import Desk
    from taglane_scheduler.web.api.route import Call


class RuleShown(TypedDict):
    """A rule; *says* is its condition in words, *owner* null the operator's."""

    name: str
    owner: str | None
    on: str
    says: str
    tenant: str
    job: str | None
    tag: str | None
    threshold: int | None
    window: str | None
    in_a_row: bool
    after: str | None
    silence: str
    recovered: bool
    channels: list[str]
    enabled: bool


class Rules(TypedDict):
    """Rules."""

    items: list[RuleShown]


class ChannelShown(TypedDict):
    """A channel, without its secret; *target* hides what could be one."""

    name: str
    owner: str | None
    kind: str
    target: str


class ChannelPut(ChannelShown):
    """A channel that was written; *secret* is what a webhook's messages are signed with, where it was made now."""

    secret: str | None


class Channels(TypedDict):
    """Channels."""

    items: list[ChannelShown]


class Tested(TypedDict):
    """Whether a message was taken, and what came back."""

    taken: bool
    answer: str


class SilenceShown(TypedDict):
    """A silence that lasts; *tenant* ``*`` is every tenant, *rule* null every rule."""

    id: str
    owner: str | None
    tenant: str
    rule: str | None
    since: Instant | None
    until: Instant | None
    why: str
    by: str


class Silences(TypedDict):
    """Silences."""

    items: list[SilenceShown]


class OwnerAsked(Asked):
    """Whose: a tenant's own; without it the operator's, or that of the only tenant that who asks sees."""

    owner: Name = ""


class RuleWanted(Wanted):
    """A rule; see `taglane alert rule add --help` for what each kind takes."""

    on: Name
    channels: Annotated[list[Name], Field(min_length=1, max_length=10)]
    tenant: Name | None = None
    job: Name | None = None
    tag: Name | None = None
    threshold: int | None = None
    window: Name | None = None
    in_a_row: bool | None = None
    after: Name | None = None
    silence: Name | None = None
    recovered: bool | None = None
    enabled: bool | None = None


class ChannelWanted(Wanted):
    """A channel: a webhook (url, secret), mail (to) or apprise (url); a tenant has webhooks."""

    kind: Name
    url: Annotated[str, Field(max_length=2_000)] | None = None
    secret: Annotated[str, Field(max_length=500)] | None = None
    to: Annotated[list[Name], Field(max_length=50)] | None = None


class SilenceWanted(Wanted):
    """A silence: for how long, as in 2h; about which tenant, by which rule, and why."""

    duration: Name
    tenant: Name = ""
    rule: Name = ""
    why: Annotated[str, Field(max_length=200)] = ""
    owner: Name = ""


def rules(desk: Desk, call: Call) -> Rules:
    """Return the rules."""
    del call
    return {"items": [_rule(each) for each in desk.alerts.rules()]}


def rule(desk: Desk, call: Call) -> RuleShown:
    """Return one rule."""
    return _rule(desk.alerts.rule(call.parts["name"], call.query.owner))


def put_rule(desk: Desk, call: Call) -> RuleShown:
    """Write a rule."""
    fields = {**call.body.model_dump(exclude_none=True), "name": call.parts["name"]}
    return _rule(desk.alerts.put_rule(fields, call.query.owner)[0])


def delete_rule(desk: Desk, call: Call) -> None:
    """Forget a rule."""
    desk.alerts.delete_rule(call.parts["name"], call.query.owner)


def channels(desk: Desk, call: Call) -> Channels:
    """Return the channels."""
    del call
    return {"items": [_channel(each.shown) for each in desk.alerts.channels()]}


def put_channel(desk: Desk, call: Call) -> ChannelPut:
    """Write a channel."""
    fields = {**call.body.model_dump(exclude_none=True), "name": call.parts["name"]}
    made = desk.alerts.put_channel(fields, call.query.owner)[0]
    secret = made.secret if made.secret and not call.body.secret else None
    return {**_channel(made.shown), "secret": secret}


def delete_channel(desk: Desk, call: Call) -> None:
    """Forget a channel."""
    desk.alerts.delete_channel(call.parts["name"], call.query.owner)


def test_channel(desk: Desk, call: Call) -> Tested:
    """Send a real message."""
    outcome = desk.alerts.test_channel(call.parts["name"], call.query.owner)
    return {"taken": outcome.ok, "answer": str(cut(outcome.answer, 500))}


def silences(desk: Desk, call: Call) -> Silences:
    """Return the silences."""
    del call
    return {"items": [_silence(each) for each in desk.alerts.silences()]}


def silence(desk: Desk, call: Call) -> SilenceShown:
    """Tell nobody for a while."""
    body: SilenceWanted = call.body
    duration = read_duration("duration", body.duration)
    if duration is None:
        raise BadSchedule("duration: it must be given")
    made = desk.alerts.silence(duration, tenant=body.tenant, rule=body.rule, why=body.why, owner=body.owner)
    return _silence(made)


def end_silence(desk: Desk, call: Call) -> None:
    """End a silence."""
    desk.alerts.end_silence(call.parts["name"], call.query.owner)


def _rule(rule: AlertRule) -> RuleShown:
    return {
        "name": rule.name,
        "owner": rule.owner or None,
        "on": rule.on,
        "says": rule.says,
        "tenant": rule.tenant,
        "job": rule.job or None,
        "tag": rule.tag or None,
        "threshold": rule.threshold,
        "window": None if rule.window is None else format_duration(rule.window),
        "in_a_row": rule.in_a_row,
        "after": None if rule.after is None else format_duration(rule.after),
        "silence": format_duration(rule.silence),
        "recovered": rule.recovered,
        "channels": rule.channels,
        "enabled": rule.enabled,
    }


def _channel(shown: dict[str, Any]) -> ChannelShown:
    return {
        "name": shown["name"],
        "owner": shown["owner"] or None,
        "kind": shown["kind"],
        "target": shown["target"],
    }


def _silence(each: Silence) -> SilenceShown:
    return {
        "id": each.name,
        "owner": each.owner or None,
        "tenant": each.tenant,
        "rule": each.rule or None,
        "since": instant(each.since),
        "until": instant(each.until),
        "why": each.why,
        "by": each.by,
    }


def _routes() -> list[ApiRoute]:
    admin: dict[str, Any] = {"role": "admin", "group": "alerts"}
    of_one: dict[str, Any] = {**admin, "query": OwnerAsked}
    operate: dict[str, Any] = {"role": "operate", "group": "alerts"}
    one_rule, one_channel = "/alert-rules/{name}", "/alert-channels/{name}"
    return [
        ApiRoute("GET", "/alert-rules", rules, "List alert rules", returns=Rules, **admin),
        ApiRoute("GET", one_rule, rule, "Show an alert rule", returns=RuleShown, **of_one),
        ApiRoute("PUT", one_rule, put_rule, "Write an alert rule", returns=RuleShown, body=RuleWanted, **of_one),
        ApiRoute("DELETE", one_rule, delete_rule, "Delete an alert rule", status=204, **of_one),
        ApiRoute("GET", "/alert-channels", channels, "List alert channels", returns=Channels, **admin),
        ApiRoute(
            *("PUT", one_channel, put_channel, "Write an alert channel"),
            returns=ChannelPut,
            body=ChannelWanted,
            **of_one,
        ),
        ApiRoute("DELETE", one_channel, delete_channel, "Delete an alert channel", status=204, **of_one),
        ApiRoute("POST", f"{one_channel}/test", test_channel, "Send a message", returns=Tested, body=Empty, **of_one),
        ApiRoute("GET", "/silences", silences, "List silences", returns=Silences, **operate),
        ApiRoute(
            *("POST", "/silences", silence, "Tell nobody for a while"),
            returns=SilenceShown,
            body=SilenceWanted,
            status=201,
            **operate,
        ),
        ApiRoute("DELETE", "/silences/{name}", end_silence, "End a silence", query=OwnerAsked, status=204, **operate),
    ]


ROUTES = _routes()
