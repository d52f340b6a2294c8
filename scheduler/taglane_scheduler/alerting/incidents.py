"""Decides what is told of a thing that goes wrong, and when: a message an incident, one when it is over. Pure.

An incident is what one rule finds wrong with one subject of one tenant, from when it is found until it is over. How it
stands is one record, which every scheduler reads, decides upon, and writes only where nobody else was faster; what is
to be told is written in the same step. So of any number of schedulers one tells, and none can die in between.

What comes and goes is told of once in the rule's silence: as wrong, and as over. Where it is wrong still, or again,
when that ends, it is told then.
"""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, replace
from typing import TYPE_CHECKING, Any, Literal

if TYPE_CHECKING:
    from taglane_scheduler.alerting.rules import AlertRule

State = Literal["firing", "over"]
Said = Literal["", "firing", "over"]

LONGEST = 500
"""Characters of a text."""

REFRESH_MS = 30_000
"""How often a record that stands is written anew, because text or count have changed."""


@dataclass(frozen=True, slots=True)
class Finding:
    """What a rule finds wrong, now. *command* is what shows or mends it; *since*, ms, None where nobody knows."""

    rule: str
    kind: str
    tenant: str
    subject: str
    text: str
    count: int = 1
    command: str = ""
    since: int | None = None

    @property
    def key(self) -> str:
        """What an incident is known by."""
        return json.dumps([self.rule, self.tenant, self.subject])


@dataclass(frozen=True, slots=True)
class Incident:
    """How a finding stands. Times in ms, the server's."""

    id: str
    rule: str
    kind: str
    tenant: str
    subject: str
    text: str
    count: int
    command: str
    since: int
    seen: int
    state: State
    ended: int = 0
    told: int = 0
    """When it was last told as wrong; 0: never."""
    said: Said = ""
    """What was last told."""
    channels: tuple[str, ...] = ()
    """To whom, by the channels' names: also when its rule is deleted meanwhile."""

    @property
    def key(self) -> str:
        """What it is known by; the field of the hash."""
        return json.dumps([self.rule, self.tenant, self.subject])

    def kept(self) -> str:
        """Return it as the server keeps it; `read_incident` reads that."""
        return json.dumps(asdict(self), separators=(",", ":"))


@dataclass(frozen=True, slots=True)
class Step:
    """What becomes of a record: *after* is None when it goes; *say* is what is to be told, if anything."""

    after: Incident | None
    say: Said = ""


def decide(  # noqa: PLR0913 - all that a decision depends on
    before: Incident | None, finding: Finding | None, rule: AlertRule | None, *, now: int, silent: bool, new_id: str
) -> Step:
    """Return what becomes of an incident.

    Args:
        before: how it stands; None when it does not.
        finding: what is wrong now; None when nothing is.
        rule: None when there is none any more, or it is disabled.
        now: ms.
        silent: whether a silence keeps it from being told as wrong.
        new_id: the id of a new one.
    """
    if finding is None or rule is None:
        return Step(None) if before is None else _ended(before, rule, now)
    if before is None or before.state == "over":
        after = _opened(before, finding, now, new_id)
    else:
        after = replace(before, text=finding.text[:LONGEST], count=finding.count, command=finding.command, seen=now)
    if after.said == "firing" or silent or (after.told and now < after.told + rule.silence):
        if before is not None and before.state == "firing" and now < before.seen + REFRESH_MS:
            return Step(before)  # nothing that is worth a write
        return Step(after)
    return Step(replace(after, told=now, said="firing", channels=tuple(rule.channels)), "firing")


def _opened(before: Incident | None, finding: Finding, now: int, new_id: str) -> Incident:
    return Incident(
        id=new_id,
        rule=finding.rule,
        kind=finding.kind,
        tenant=finding.tenant,
        subject=finding.subject[:LONGEST],
        text=finding.text[:LONGEST],
        count=finding.count,
        command=finding.command,
        since=now if finding.since is None else min(now, finding.since),
        seen=now,
        state="firing",
        told=before.told if before else 0,
        said="over" if before and before.told else "",
        channels=before.channels if before else (),
    )


def _ended(before: Incident, rule: AlertRule | None, now: int) -> Step:
    if before.state == "firing":
        over = replace(before, state="over", ended=now)
        if before.said != "firing":
            return Step(over if before.told else None)
        tells = rule is None or rule.recovered
        return Step(replace(over, said="over"), "over" if tells else "")
    quiet = 0 if rule is None else rule.silence
    return Step(None) if now >= before.told + quiet else Step(before)


def read_incident(value: bytes) -> Incident | None:
    """Read what the server keeps; None of what is none."""
    try:
        kept: dict[str, Any] = json.loads(value)
        found = Incident(**{**kept, "channels": tuple(map(str, kept.get("channels", ())))})
        texts = (found.id, found.rule, found.kind, found.tenant, found.subject, found.text, found.state, found.said)
        numbers = (found.count, found.since, found.seen, found.ended, found.told)
        sound = all(isinstance(each, str) for each in texts) and all(isinstance(each, int) for each in numbers)
    except (ValueError, TypeError, RecursionError):
        return None
    return found if sound else None
