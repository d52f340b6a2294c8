"""The language in which runs are searched: ``tenant:acme state:failed,dead job:report* since:1h``. Pure.

Terms are ``field:value``, with spaces between; a run must meet all of them. A value is matched whole, or by its
beginning when it ends with ``*``.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from difflib import get_close_matches
from typing import TYPE_CHECKING, Any

from taglane.errors import BadQuery
from taglane.model.duration import format_duration, parse_duration
from taglane.model.instant import format_instant, parse_instant
from taglane.model.run import ENDED, STATES

if TYPE_CHECKING:
    from taglane.model.run import RunInfo

LONGEST = 2_000
"""Characters of a query that are read."""

OPEN = frozenset(STATES) - ENDED
UNWELL = frozenset({"failed", "cancelled", "expired", "dead"})

GROUPS = {"open": OPEN, "ended": ENDED, "unwell": UNWELL}
"""Words that stand for several states, as in ``state:unwell``."""

FIELDS = ("tenant", "state", "job", "task", "tag", "since", "until", "id")

_SPELLED = {
    "tenant": (re.compile(r"[a-z0-9_-]{0,63}\*?"), "small letters, digits, - and _"),
    "job": (re.compile(r"[a-z0-9_-]{0,63}\*?"), "small letters, digits, - and _"),
    "task": (re.compile(r"[A-Za-z0-9_.:-]{0,200}\*?"), "letters, digits, . : - and _"),
    "tag": (re.compile(r"[a-z0-9_.-]{0,127}\*?"), "small letters, digits, . - and _"),
    "id": (re.compile(r"[A-Za-z0-9_.:~@=+-]{0,200}\*?"), "letters, digits and . _ - : ~ @ = +"),
}

_TERM = re.compile(r"\S+")


@dataclass(frozen=True, slots=True)
class Moment:
    """An instant: so many ms *ago*, whenever the query is asked, or one of the calendar, *at* in ms since 1970."""

    ago: int | None = None
    at: int | None = None

    def instant(self, now: int) -> int:
        """Return it in ms since 1970."""
        return self.at if self.at is not None else now - (self.ago or 0)

    def __str__(self) -> str:
        return format_duration(self.ago or 0) if self.at is None else format_instant(self.at)


@dataclass(frozen=True, slots=True)
class RunQuery:
    """What a run must be; empty fields ask for nothing. `str` gives the text that `parse_query` reads it from.

    *since* and *until* are of when a run was made; where *states* are of ended runs alone, of when it ended.
    """

    tenant: str = ""
    states: frozenset[str] = frozenset()
    job: str = ""
    task: str = ""
    tag: str = ""
    since: Moment | None = None
    until: Moment | None = None
    id: str = ""

    def __str__(self) -> str:
        terms = []
        for name in FIELDS:
            value = _group_of(self.states) if name == "state" else getattr(self, name)
            if value:
                terms.append(f"{name}:{value}")
        return " ".join(terms)

    @property
    def is_of_ended(self) -> bool:
        """Whether it asks for ended runs alone: then its times, and the order of what is found, are of their ends."""
        return bool(self.states) and self.states <= ENDED

    def takes(self, run: RunInfo, now: int) -> bool:
        """Whether a run is what is asked for, at *now*, ms; for when it was made stands when it was queued."""
        at = run.finished_at if self.is_of_ended else run.queued_at
        patterns = ((self.tenant, run.tenant), (self.job, run.job), (self.task, run.task), (self.tag, run.tag))
        return (
            (not self.states or run.state in self.states)
            and all(matches(*each) for each in patterns)
            and matches(self.id, run.id)
            and (self.since is None or (at is not None and at >= self.since.instant(now)))
            and (self.until is None or (at is not None and at <= self.until.instant(now)))
        )


def matches(pattern: str, value: str | None) -> bool:
    """Whether a value is the one that a pattern asks for; an empty pattern takes all."""
    if not pattern:
        return True
    if value is None:
        return False
    return value.startswith(pattern[:-1]) if pattern.endswith("*") else value == pattern


def parse_query(text: str) -> RunQuery:
    """Read a query; an empty one takes every run.

    Raises:
        BadQuery: a term says nothing: tells which character it begins at, and why.
    """
    if len(text) > LONGEST:
        raise BadQuery(text[:40] + "…", LONGEST + 1, "", f"it has {len(text)} characters, and may have {LONGEST}")
    found: dict[str, Any] = {}
    for term in _TERM.finditer(text):
        name, colon, value = term[0].partition(":")
        if not colon or name not in FIELDS:
            raise BadQuery(text, term.start() + 1, term[0], _no_field(name, colon))
        begins = term.start() + len(name) + 2
        if not value:
            raise BadQuery(text, begins, value, f"{name}: lacks its value")
        try:
            found[name] = _read(name, value, found.get(name))
        except ValueError as error:
            raise BadQuery(text, begins, value, str(error)) from error
    if "state" in found:
        found["states"] = found.pop("state")
    return RunQuery(**found)


def _read(name: str, value: str, before: Any) -> Any:
    """Return what a term says; raises ValueError with the reason when that is nothing."""
    if before is not None:
        raise ValueError(f"{name}: stands there twice")
    if name == "state":
        return _states(value)
    if name in {"since", "until"}:
        return _moment(value)
    pattern, letters = _SPELLED[name]
    if not pattern.fullmatch(value):
        raise ValueError(f"a {name} has {letters} alone, and perhaps a * at its end")
    return value


def _states(value: str) -> frozenset[str]:
    found: set[str] = set()
    for word in value.split(","):
        if word in GROUPS:
            found |= GROUPS[word]
        elif word in STATES:
            found.add(word)
        else:
            near = get_close_matches(word, [*STATES, *GROUPS], n=1)
            hint = f"did you mean {near[0]!r}?" if near else f"there are {', '.join([*STATES, *GROUPS])}"
            raise ValueError(f"{word!r} is no state: {hint}")
    return frozenset(found)


def _moment(value: str) -> Moment:
    try:
        return Moment(ago=parse_duration(value))
    except ValueError:
        pass
    try:
        return Moment(at=parse_instant(value))
    except (ValueError, OverflowError) as error:
        why = "write a duration like 30m, 1h30m, 2d, or an instant like 2026-11-22T09:00:00Z"
        raise ValueError(f"{value!r} is no time: {why}") from error


def _no_field(name: str, colon: str) -> str:
    if not colon:
        return f"a term is field:value, like job:{name}" if _SPELLED["job"][0].fullmatch(name) else _fields()
    near = get_close_matches(name, FIELDS, n=1)
    return f"there is no field {name!r}: " + (f"did you mean {near[0]!r}?" if near else _fields())


def _fields() -> str:
    return f"a term is field:value, and the fields are {', '.join(FIELDS)}"


def _group_of(states: frozenset[str]) -> str:
    for name, group in GROUPS.items():
        if states == group:
            return name
    return ",".join(state for state in STATES if state in states)
