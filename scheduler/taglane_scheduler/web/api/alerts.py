"""The API's alerts: what schedulers and rules find wrong now, and what became of messages."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from typing_extensions import TypedDict

from taglane_scheduler.web.api.route import ApiRoute
from taglane_scheduler.web.api.shapes import Asked, Instant, Limit, Name, cut, instant

if TYPE_CHECKING:
    from taglane_scheduler.desk.desk import Desk
    from taglane_scheduler.web.api.route import Call


class AlertRow(TypedDict):
    """What schedulers find wrong now."""

    kind: str
    tenant: str | None
    subject: str
    text: str
    since: Instant | None
    seen: Instant | None


class Alerts(TypedDict):
    """What is wrong now."""

    items: list[AlertRow]


class IncidentRow(TypedDict):
    """What a rule finds wrong now, and when it was last told; *rule* is ``owner/name``, the operator's ``/name``."""

    id: str
    rule: str
    tenant: str | None
    subject: str
    text: str
    count: int
    command: str
    since: Instant | None
    told: Instant | None


class Incidents(TypedDict):
    """What rules find wrong now."""

    items: list[IncidentRow]


class DeliveryRow(TypedDict):
    """A message: delivered, given_up, or waiting, and then *at* is when it is tried next."""

    id: str
    channel: str
    at: Instant | None
    outcome: str
    tries: int
    answer: str | None


class Deliveries(TypedDict):
    """Messages."""

    items: list[DeliveryRow]


class OfTenantAlerts(Asked):
    """Of which tenant; of all that who asks sees when it is left out."""

    tenant: Name = ""


class DeliveriesAsked(Asked):
    """How many."""

    limit: Limit = 50


def now(desk: Desk, call: Call) -> Alerts:
    """Return what is wrong now."""
    items: list[AlertRow] = [
        {
            "kind": each.kind,
            "tenant": each.tenant or None,
            "subject": each.subject,
            "text": each.text,
            "since": instant(each.since),
            "seen": instant(each.seen),
        }
        for each in desk.alerts.now(call.query.tenant or None)
    ]
    return {"items": items}


def incidents(desk: Desk, call: Call) -> Incidents:
    """Return what rules find wrong now."""
    items: list[IncidentRow] = [
        {
            "id": each.id,
            "rule": each.rule,
            "tenant": each.tenant or None,
            "subject": each.subject,
            "text": each.text,
            "count": each.count,
            "command": each.command,
            "since": instant(each.since),
            "told": instant(each.told or None),
        }
        for each in desk.alerts.incidents(call.query.tenant or None)
    ]
    return {"items": items}


def deliveries(desk: Desk, call: Call) -> Deliveries:
    """Return what became of messages."""
    items: list[DeliveryRow] = [
        {
            "id": each.id,
            "channel": each.channel,
            "at": instant(each.at),
            "outcome": each.outcome,
            "tries": each.tries,
            "answer": cut(each.answer, 500) or None,
        }
        for each in desk.alerts.deliveries(call.query.limit)
    ]
    return {"items": items}


def _routes() -> list[ApiRoute]:
    read: dict[str, Any] = {"role": "read", "group": "alerts", "query": OfTenantAlerts}
    admin: dict[str, Any] = {"role": "admin", "group": "alerts"}
    return [
        ApiRoute("GET", "/alerts", now, "Show what is wrong now", returns=Alerts, **read),
        ApiRoute(
            *("GET", "/incidents", incidents, "Show what rules find wrong"),
            returns=Incidents,
            query=OfTenantAlerts,
            **admin,
        ),
        ApiRoute(
            *("GET", "/deliveries", deliveries, "Show what became of messages"),
            returns=Deliveries,
            query=DeliveriesAsked,
            **admin,
        ),
    ]


ROUTES = _routes()
