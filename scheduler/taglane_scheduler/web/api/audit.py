"""The API's audit log: what was done, what the server refused."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from typing_extensions import TypedDict

from taglane_scheduler.web.api.route import ApiRoute
from taglane_scheduler.web.api.shapes import Instant, Name, Page, TenantPageAsked, cut, instant, read_instant

if TYPE_CHECKING:
    from collections.abc import Callable

    from taglane_scheduler.desk.desk import Desk
    from taglane_scheduler.web.api.route import Call


class AuditRow(TypedDict):
    """One entry: who did what to which tenant, from where; the address is for who sees all tenants."""

    id: str
    at: Instant | None
    action: str
    tenant: str | None
    who: str
    address: str | None
    details: dict[str, Any]


class AuditAsked(TenantPageAsked):
    """Since when, ISO 8601."""

    since: Name | None = None


def read(*, denied: bool) -> Callable[[Desk, Call], Page[AuditRow]]:
    """Return what reads one of the two streams."""

    def do(desk: Desk, call: Call) -> Page[AuditRow]:
        asked: AuditAsked = call.query
        since = read_instant("since", asked.since) or 0
        page = desk.audits.page(
            asked.tenant or None, denied=denied, before=asked.after, since=max(0, since), limit=asked.limit
        )
        rows: list[AuditRow] = [
            {
                "id": each.id,
                "at": instant(each.at),
                "action": each.action,
                "tenant": each.tenant or None,
                "who": each.who,
                "address": each.address or None,
                "details": {
                    name: cut(value) if isinstance(value, str) else value for name, value in each.details.items()
                },
            }
            for each in page.entries
        ]
        return {"items": rows, "next": page.next or None}

    return do


def _routes() -> list[ApiRoute]:
    admin: dict[str, Any] = {"role": "admin", "returns": Page[AuditRow], "query": AuditAsked, "group": "audit"}
    return [
        ApiRoute("GET", "/audit", read(denied=False), "Read what was done", **admin),
        ApiRoute("GET", "/denials", read(denied=True), "Read what the server refused", **admin),
    ]


ROUTES = _routes()
