"""Says what needs attention in the reader's language, and where on the console it is."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING
from urllib.parse import quote

from taglane_scheduler.web.console.languages import text

if TYPE_CHECKING:
    from taglane_scheduler.care.attention import Attention
    from taglane_scheduler.web.console.view import Ask

NAMES = {
    "no_worker": text("no worker"),
    "stalled": text("stalled"),
    "failing": text("failing"),
    "overdue": text("overdue"),
    "at_limit": text("at its limit"),
    "paused": text("paused"),
    "dead": text("dead letters"),
    "unreadable": text("unreadable"),
    "connections": text("connections"),
    "bandwidth": text("bandwidth"),
    "memory": text("memory"),
    "tenant_cut": text("cut off"),
    "alert_channel": text("channel fails"),
}
"""What the kinds are called."""

MILD = frozenset({"at_limit", "paused", "dead"})
"""Kinds that somebody may have meant to be so."""

_WAIT = r"(?P<count>\d+) runs? waits?"
_FIRST = r"(?:, the first for (?P<age>\w+))?"
_SAID = tuple(
    (re.compile(pattern), said)
    for pattern, said in (
        (
            r"some of its keys hold something else than ours",
            text("some of its keys hold something else than ours"),
        ),
        (
            rf"{_WAIT} for tag (?P<tag>\S+?){_FIRST}, and no living worker serves it",
            text("{count} runs wait for tag {tag} ({age}), and no living worker serves it"),
        ),
        (rf"paused, and {_WAIT}{_FIRST}", text("paused, and {count} runs wait ({age})")),
        (
            rf"at its limit of (?P<limit>\d+) runs at once, and {_WAIT}{_FIRST}",
            text("at its limit of {limit} runs at once, and {count} runs wait ({age})"),
        ),
        (
            r"worker (?P<worker>\S+) has been silent for longer than its lease",
            text("worker {worker} has been silent for longer than its lease"),
        ),
        (
            r"the last (?P<count>\d+) runs of job (?P<job>\S+) did not succeed",
            text("the last {count} runs of job {job} did not succeed"),
        ),
        (
            r"job (?P<job>\S+) should have fired (?P<age>\w+) ago(?P<more>.*): no scheduler has fired it",
            text("job {job} should have fired {age} ago: no scheduler has fired it"),
        ),
        (r"(?P<count>\d+) dead letters?, the last (?P<age>\w+) ago", text("{count} dead letters, the last {age} ago")),
    )
)
"""How `care.attention` says things in English, and what the catalogs of other languages have of it."""


@dataclass(frozen=True, slots=True)
class Told:
    """One thing that needs attention, as the page shows it."""

    kind: str
    name: str
    """What the kind is called, in English."""
    mild: bool
    tenant: str
    text: str
    place: str
    """The path where it is seen, and perhaps mended."""
    command: str
    since: int | None


def told(each: Attention, ask: Ask) -> Told:
    """Return it in the language of who asks."""
    name = NAMES.get(each.kind, each.kind)
    said = each.text if ask.language == "en" else _translated(each.text, ask)
    return Told(each.kind, name, each.kind in MILD, each.tenant, said, _place(each), each.command, each.since)


def _translated(said: str, ask: Ask) -> str:
    for pattern, known in _SAID:
        if found := pattern.fullmatch(said):
            return ask.say(known, **{name: value or "-" for name, value in found.groupdict().items()})
    return said


def _place(each: Attention) -> str:
    tenant, subject = quote(each.tenant, safe=""), quote(each.subject, safe="")
    match each.kind:
        case "no_worker" if tenant:
            return f"/queues?tenant={tenant}"
        case "stalled" if tenant:
            return f"/workers?tenant={tenant}"
        case "failing" | "overdue" if tenant and subject:
            return f"/jobs/{tenant}/{subject}"
        case "alert_channel":
            return "/alerts"
        case "dead" if tenant:
            return f"/dead?tenant={tenant}"
        case _:
            return f"/tenants/{tenant}" if tenant else "/alerts"
