"""What a fire does when no living worker serves its job's tag: reads and checks what a job says of that. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from typing import Any, Literal

from taglane.errors import BadName, BadSchedule, TagNotOwned
from taglane.model.duration import format_duration, parse_duration
from taglane.model.names import tag_for

SPELLINGS = "wait, wait:<duration>, skip, fail, overflow:<tag>"

DAY_MS = 86_400_000
"""How long a run waits of a job that says no more than `wait`, and has no `expires` of its own."""


@dataclass(frozen=True, slots=True)
class NoWorker:
    """What a fire does when no living worker serves the tag."""

    kind: Literal["wait", "skip", "fail", "overflow"]
    ttl: int | None = None
    """Of `wait:<duration>`: how long, ms, its run waits at most."""

    tag: str = ""
    """Of `overflow`: the tag that its run asks for instead."""

    @property
    def spelled(self) -> str:
        """As `read_no_worker` reads it: the same text for the same meaning."""
        if self.ttl is not None:
            return f"wait:{format_duration(self.ttl)}"
        return f"overflow:{self.tag}" if self.tag else self.kind


@lru_cache(maxsize=1_024)
def read_no_worker(tenant: str, text: str) -> NoWorker:
    """Read what a job of *tenant* says. Memoised, as many jobs say the same.

    Raises:
        ValueError: it says nothing, or names a tag that its tenant may not ask for; with a sentence for the user.
    """
    kind, colon, rest = text.partition(":")
    if kind == "overflow" and rest:
        try:
            return NoWorker("overflow", tag=tag_for(tenant, rest))
        except (BadName, TagNotOwned) as error:
            raise ValueError(str(error)) from error
    if kind == "wait" and rest:
        return NoWorker("wait", ttl=parse_duration(rest, minimum=1))
    if not colon:
        if kind == "wait":
            return NoWorker("wait")
        if kind == "skip":
            return NoWorker("skip")
        if kind == "fail":
            return NoWorker("fail")
    raise ValueError(f"{text!r} is not one of {SPELLINGS}")


def check_no_worker(tenant: str, tag: str, value: Any) -> str:
    """Return what a job says, spelled as we keep it; *tag* is the one that its runs ask for.

    Raises:
        BadSchedule: it says nothing; or its runs would overflow to another tenant's tag, or to the one they ask for.
    """
    if not isinstance(value, str):
        raise BadSchedule(f"no_worker: {value!r} is not one of {SPELLINGS}")
    try:
        policy = read_no_worker(tenant, value)
    except ValueError as error:
        raise BadSchedule(f"no_worker: {error}") from error
    if policy.tag == tag:
        raise BadSchedule(f"no_worker: overflow:{tag} names the tag that its runs ask for already: give another one")
    return policy.spelled
