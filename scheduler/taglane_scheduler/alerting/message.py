"""Says what receivers get: one JSON object a message, version 1; and the few lines that a person reads."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from taglane.model.duration import format_duration
from taglane.model.instant import format_instant

from taglane_scheduler.alerting.records import id_of

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from taglane_scheduler.alerting.incidents import Incident, Said

VERSION = 1
"""Raised when a field gets another meaning; fields may be added without."""

TEST = "test"
"""The state of a message that only tries a channel."""


@dataclass(frozen=True, slots=True)
class Outcome:
    """What came of one attempt to send. *final*: the receiver said no, and will say no again."""

    ok: bool
    answer: str
    final: bool = False


def messages_of(incident: Incident, state: Said, channels: Sequence[str], now: int) -> list[tuple[str, dict[str, Any]]]:
    """Return the messages that say how an incident stands: for each channel, of this name, its id and what it gets.

    The id of a message is the same whoever makes it, so that a receiver can drop a repeat.
    """
    owner, _, rule = incident.rule.partition("/")
    return [
        (
            id_of(owner, name),
            {
                "version": VERSION,
                "id": f"{incident.id}.{state}.{name}",
                "state": state,
                "text": _headline(incident, state),
                "kind": incident.kind,
                "tenant": incident.tenant,
                "subject": incident.subject,
                "count": incident.count,
                "rule": rule,
                "incident": incident.id,
                "since": format_instant(incident.since),
                "at": format_instant(now),
                "ended": format_instant(incident.ended) if state == "over" else None,
                "command": incident.command,
                "channel": name,
            },
        )
        for name in channels
    ]


def trial(name: str, message_id: str, now: int) -> dict[str, Any]:
    """Return a message that says that a channel works."""
    text = f"test: this is what an alert to {name} looks like; nothing is wrong"
    return {
        "version": VERSION,
        "id": message_id,
        "state": TEST,
        "text": text,
        "kind": TEST,
        "tenant": "",
        "subject": "",
        "count": 0,
        "rule": "",
        "incident": "",
        "since": format_instant(now),
        "at": format_instant(now),
        "ended": None,
        "command": "taglane alert rule list",
        "channel": name,
    }


def packed(message: Mapping[str, Any]) -> bytes:
    """Return a message as the bytes that are sent and signed."""
    return json.dumps(message).encode()


def subject_line(message: Mapping[str, Any]) -> str:
    """Return the one line that mails and chats begin with; no line break, at most 150 characters."""
    return " ".join(f"[taglane] {message.get('text', '')}".split())[:150]


def lines(message: Mapping[str, Any]) -> str:
    """Return what a person reads."""
    told = [
        str(message.get("text", "")),
        "",
        *(f"{name}: {message[name]}" for name in ("tenant", "kind", "subject", "count") if message.get(name)),
        f"since: {message.get('since')}",
    ]
    if message.get("ended"):
        told.append(f"over: {message['ended']}")
    if message.get("rule"):
        told.append(f"rule: {message['rule']}, incident {message.get('incident')}")
    if message.get("command"):
        told += ["", f"    {message['command']}"]
    return "\n".join(told) + "\n"


def _headline(incident: Incident, state: Said) -> str:
    whose = incident.tenant or "server"
    if state == "over":
        lasted = format_duration(max(0, incident.ended - incident.since) // 1000 * 1000)
        return f"over: {whose}: {incident.text} (it lasted {lasted})"
    return f"{whose}: {incident.text}"
