"""Reads jobs a page at a time, by tenant and name, and the last runs of one."""

from __future__ import annotations

import base64
import json
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from taglane.errors import BadQuery
from taglane.model.query import matches
from taglane.store import keys
from taglane.store.reading import read_all
from taglane.store.runs import Runs
from taglane.store.stored_job import StoredJob, UnreadJob

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from taglane.model.run import RunInfo
    from taglane.store.server import Server

    Name = tuple[str, str]


OVERDUE_MS = 60_000
"""How late a job is that is called overdue."""

LAST = 100
"""Runs of a job that are found by its name: see the prelude."""

FEW, MANY = 8, 500
"""Tenants that are asked for names at once: the first time, and at most."""

MOST_OVERDUE = 1_000
"""Overdue jobs of one tenant that are found, those that are due for the longest."""

MOST_LOOKED = 1_000
"""Jobs that one page looks at when it is to have some of them alone."""

_PATTERN = re.compile(r"[a-z0-9_-]{0,63}\*?")


@dataclass(frozen=True, slots=True)
class JobPage:
    """Some jobs, by tenant and name."""

    jobs: Sequence[StoredJob]
    unread: Sequence[UnreadJob] = ()
    """Those of the same page that can't be read."""
    next: str = ""
    """What to ask the next page with; empty when there is none. Fit for a URL."""


@dataclass(frozen=True, slots=True)
class JobFilter:
    """Which jobs a page is to have: None for both kinds."""

    pattern: str = ""
    """A name, or its beginning with a ``*``; empty for all."""
    paused: bool | None = None
    overdue: bool | None = None

    @property
    def is_choosy(self) -> bool:
        """Whether it asks for more than names."""
        return self.paused is not None or self.overdue is not None

    def takes(self, due: int | None, now: int, *, paused: bool) -> bool:
        """Whether it takes a job of a fitting name."""
        late = due is not None and not paused and due < now - OVERDUE_MS
        return self.paused in {None, paused} and self.overdue in {None, late}


class JobPages:
    """Reads pages of jobs; *read* gives the server's time and the jobs of these names, None for what is gone."""

    def __init__(
        self, server: Server, read: Callable[[Sequence[Name]], tuple[int, Sequence[StoredJob | UnreadJob | None]]]
    ) -> None:
        self._server = server
        self._read = read

    def page(self, tenants: Sequence[str], wanted: JobFilter, after: str, limit: int) -> JobPage:
        """See `Jobs.page`."""
        if not _PATTERN.fullmatch(wanted.pattern):
            raise BadQuery(
                wanted.pattern,
                1,
                wanted.pattern,
                "a job has small letters, digits, - and _, and perhaps a * at its end",
            )
        found: list[StoredJob | UnreadJob] = []
        looked, last = 0, ""
        for names in self._names(tenants, wanted, _read_place(after), limit + 1):
            fitting = self._choose(names, wanted) if wanted.is_choosy else names
            for start in range(0, len(fitting), limit + 1):
                part = fitting[start : start + limit + 1]
                for name, job in zip(part, self._read(part)[1], strict=True):
                    if job is None:
                        continue
                    if len(found) == limit:
                        return _page(found, last)
                    found.append(job)
                    last = _place(name)
            looked += len(names)
            if wanted.is_choosy and looked >= MOST_LOOKED:
                return _page(found, _place(names[-1]))
        return _page(found, "")

    def _choose(self, names: Sequence[Name], wanted: JobFilter) -> Sequence[Name]:
        """Return those of which what is asked for is true; a spoiled one is left out."""
        answers = self._ask(
            [("TIME",)]
            + [("HGET", keys.job(*name), "paused") for name in names]
            + [("ZSCORE", keys.due(tenant), name) for tenant, name in names]
        )
        now = int(answers[0][0]) * 1000
        paused, due = answers[1 : len(names) + 1], answers[len(names) + 1 :]
        return [
            name
            for name, is_paused, at in zip(names, paused, due, strict=True)
            if wanted.takes(None if at is None else int(float(at)), now, paused=bool(is_paused))
        ]

    def _names(
        self, tenants: Sequence[str], wanted: JobFilter, after: Name | None, most: int
    ) -> Iterator[Sequence[Name]]:
        """Yield the names of these tenants in their order, some at a time, behind one."""
        left = list(tenants)
        if after is not None:
            left = left[left.index(after[0]) :] if after[0] in left else [each for each in left if each > after[0]]
        most = MANY if wanted.is_choosy else most
        batch = FEW
        while left:
            some, left = left[:batch], left[batch:]
            batch = min(2 * batch, MANY)
            behind = {tenant: after[1] if after and tenant == after[0] else "" for tenant in some}
            if wanted.overdue:
                yield from self._overdue(behind, wanted.pattern)
                continue
            answers = self._ask(
                [_range(keys.jobs(tenant), wanted.pattern, name, most) for tenant, name in behind.items()]
            )
            for tenant, members in zip(behind, answers, strict=True):
                names = [(tenant, member.decode(errors="replace")) for member in members or ()]
                if names:
                    yield names
                if len(names) == most:  # its others come before those of the next tenant
                    yield from self._rest(tenant, wanted.pattern, names[-1][1], most)

    def _rest(self, tenant: str, pattern: str, name: str, most: int) -> Iterator[Sequence[Name]]:
        while True:
            (members,) = self._ask([_range(keys.jobs(tenant), pattern, name, most)])
            names = [(tenant, member.decode(errors="replace")) for member in members or ()]
            if names:
                yield names
            if len(names) < most:
                return
            name = names[-1][1]

    def _overdue(self, behind: dict[str, str], pattern: str) -> Iterator[Sequence[Name]]:
        (now,) = self._ask([("TIME",)])
        late = int(now[0]) * 1000 - OVERDUE_MS
        answers = self._ask(
            [("ZRANGE", keys.due(tenant), "-inf", late, "BYSCORE", "LIMIT", 0, MOST_OVERDUE) for tenant in behind]
        )
        for (tenant, after), members in zip(behind.items(), answers, strict=True):
            names = sorted(member.decode(errors="replace") for member in members or ())
            found = [(tenant, name) for name in names if name > after and matches(pattern, name)]
            if found:
                yield found

    def _ask(self, commands: Sequence[tuple[Any, ...]]) -> list[Any]:
        """Ask all at once; a key of which its tenant has made something else reads as None, and is noted."""
        return read_all(self._server, "reading jobs", commands)


def last_runs(server: Server, tenant: str, name: str, count: int) -> Sequence[RunInfo]:
    """Return the last runs of a job, the newest first."""
    with server.renamed("reading a job's last runs"):
        ids = server.redis.lrange(keys.last(tenant, name), -min(LAST, count), -1)
    return Runs(server).many([(tenant, run_id.decode(errors="replace")) for run_id in reversed(ids)])


def _range(key: str, pattern: str, after: str, most: int) -> tuple[Any, ...]:
    """Return what asks for names in order: those that fit a pattern, behind one."""
    if pattern and not pattern.endswith("*"):
        first, last = f"[{pattern}", f"[{pattern}"
    else:
        first = f"[{pattern[:-1]}" if pattern else "-"
        last = f"({pattern[:-1]}~" if pattern[:-1] else "+"  # behind all letters that a name may have
    if after and (first == "-" or after >= first[1:]):
        first = f"({after}"
    return "ZRANGE", key, first, last, "BYLEX", "LIMIT", 0, most


def _page(found: Sequence[StoredJob | UnreadJob], last: str) -> JobPage:
    jobs = [each for each in found if isinstance(each, StoredJob)]
    return JobPage(jobs, [each for each in found if isinstance(each, UnreadJob)], last)


def _place(name: Name) -> str:
    return base64.urlsafe_b64encode(json.dumps(list(name), separators=(",", ":")).encode()).decode().rstrip("=")


def _read_place(text: str) -> Name | None:
    if not text:
        return None
    try:
        tenant, name = json.loads(base64.urlsafe_b64decode(text[:1_000] + "=" * (-len(text) % 4)))
        if isinstance(tenant, str) and isinstance(name, str):
            return tenant, name
    except (ValueError, TypeError, RecursionError):
        pass
    raise BadQuery(text[:40], 1, text[:40], "this is no page of jobs: begin with the first")
