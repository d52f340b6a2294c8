"""The API's health: the doctor, figures for Prometheus and for autoscalers; who asks."""

from __future__ import annotations

from dataclasses import asdict
from typing import TYPE_CHECKING, Annotated, Any

from pydantic import Field
from typing_extensions import TypedDict

from taglane_scheduler.web.api.route import ApiRoute, Text
from taglane_scheduler.web.api.shapes import Asked, Instant, instant

if TYPE_CHECKING:
    from taglane_scheduler.desk.desk import Desk
    from taglane_scheduler.web.api.route import Call


class CheckRow(TypedDict):
    """What the doctor found: ok, warn or fail; *mend* is what mends it."""

    check: str
    status: str
    seen: str
    mend: str


class Checks(TypedDict):
    """What the doctor found."""

    items: list[CheckRow]


class ScaleShown(TypedDict):
    """What an autoscaler needs to know of a tag: *wanted* is how many slots its workers should have."""

    tag: str
    backlog: int
    running: int
    wanted: int
    workers: int
    slots: int


class AttentionRow(TypedDict):
    """One thing that somebody should look at; *command* shows or mends it."""

    kind: str
    tenant: str | None
    subject: str
    text: str
    command: str
    since: Instant | None


class AttentionList(TypedDict):
    """What needs attention, the gravest first: fifty things at most."""

    items: list[AttentionRow]


class Me(TypedDict):
    """Who asks. *csrf* is what the changes of a login have to bring; null for a key."""

    name: str
    tenant: str | None
    role: str
    csrf: str | None


class ScaleAsked(Asked):
    """Within how many seconds what waits is to be begun."""

    target: Annotated[float, Field(ge=1, le=86_400)] = 30.0


def me(desk: Desk, call: Call) -> Me:
    """Return who asks."""
    principal = desk.principal
    return {"name": principal.name, "tenant": principal.tenant, "role": principal.role, "csrf": call.csrf or None}


def doctor(desk: Desk, call: Call) -> Checks:
    """Return what the doctor finds."""
    del call
    items: list[CheckRow] = [
        {"check": each.check, "status": each.status, "seen": each.seen, "mend": each.mend}
        for each in desk.health.doctor()
    ]
    return {"items": items}


def scale(desk: Desk, call: Call) -> ScaleShown:
    """Return a tag's figures."""
    found: Any = asdict(desk.health.scale(call.parts["tag"], call.query.target))
    return {
        "tag": found["tag"],
        "backlog": found["backlog"],
        "running": found["running"],
        "wanted": found["wanted"],
        "workers": found["workers"],
        "slots": found["slots"],
    }


def metrics(desk: Desk, call: Call) -> Text:
    """Return all figures that who asks may see."""
    del call
    media, content = desk.health.metrics()
    return Text(content, media)


def attention(desk: Desk, call: Call) -> AttentionList:
    """Return what needs attention."""
    del call
    items: list[AttentionRow] = [
        {
            "kind": each.kind,
            "tenant": each.tenant or None,
            "subject": each.subject,
            "text": each.text,
            "command": each.command,
            "since": instant(each.since),
        }
        for each in desk.standing.attention()[:50]
    ]
    return {"items": items}


def _routes() -> list[ApiRoute]:
    read: dict[str, Any] = {"role": "read", "group": "health"}
    return [
        ApiRoute("GET", "/me", me, "Show who asks", returns=Me, **read),
        ApiRoute("GET", "/attention", attention, "Show what needs attention", returns=AttentionList, **read),
        ApiRoute("GET", "/doctor", doctor, "Ask the doctor", returns=Checks, for_all=True, **read),
        ApiRoute(
            "GET",
            "/scale/{tag}",
            scale,
            "Show how many slots a tag should have",
            returns=ScaleShown,
            query=ScaleAsked,
            **read,
        ),
        ApiRoute("GET", "/metrics", metrics, "Show figures for Prometheus", returns=str, media="text/plain", **read),
    ]


ROUTES = _routes()
