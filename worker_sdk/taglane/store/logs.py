"""Reads what runs have logged. Scripts: log_page; workers write by log and log_lost."""

from __future__ import annotations

import re
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING

from taglane.errors import BadParams, RunNotFound, RunTimeout
from taglane.model import log_line
from taglane.model.log_line import LogLine
from taglane.model.names import check_run_id, tenant_of_run
from taglane.model.run import ENDED

if TYPE_CHECKING:
    from collections.abc import Iterator

    from taglane.store.server import Server

MOST = 5_000
"""Lines of a page."""

INTERVAL = 0.2
"""Seconds between two looks of one who follows."""

_TABS = 5
"""Between the parts of a line, before its text."""

_CURSOR = re.compile(r"\d{1,19}-\d{1,19}")


@dataclass(frozen=True, slots=True)
class LogPage:
    """Some lines of a run's log, in their order."""

    lines: list[LogLine]
    last: str
    """The cursor for the next read: ``read(…, after=page.last)``."""
    dropped: int
    """How many lines of the run are not kept: over its bounds, or lost on their way."""
    ended: bool
    """The run has ended, and behind these lines there are none."""


class Logs:
    """The logs of every run that the server's credential reaches."""

    def __init__(self, server: Server) -> None:
        self._server = server

    def read(self, run_id: str, tenant: str | None = None, *, after: str = "", count: int = 500) -> LogPage:
        """Return the lines behind the cursor *after*, *count* at most; from the first that is kept, without one.

        A page may have fewer lines than there are: it is bounded in bytes, too.

        Raises:
            RunNotFound: it is not kept, or never was.
            BadParams: *after* is no cursor, or *count* is none of 1 to `MOST`.
            ServerUnavailable: there is no answer.
        """
        if after and not _CURSOR.fullmatch(after):
            raise BadParams(f"after={after[:60]!r}: it is no cursor: take what `last` of the page before says")
        return self._page(run_id, tenant, after, count)

    def tail(self, run_id: str, tenant: str | None = None, *, count: int = 500) -> LogPage:
        """Return the last lines, *count* at most; raises what `read` does."""
        return self._page(run_id, tenant, "$", count)

    def all(self, run_id: str, tenant: str | None = None) -> Iterator[LogLine]:
        """Yield the lines that are there now, the oldest first; raises what `read` does."""
        end = _place(self.tail(run_id, tenant, count=1).last)
        after = ""
        while _place(after) < end:
            page = self.read(run_id, tenant, after=after)
            yield from page.lines
            if not page.lines:
                return
            after = page.last

    def follow(
        self, run_id: str, tenant: str | None = None, timeout: float | None = None, *, after: str = ""
    ) -> Iterator[LogLine]:
        """Yield the lines that are there, and those to come, until the run has ended and all are told.

        Behind the cursor *after* alone, where one is given.

        Raises:
            RunNotFound: there is no such run, or it is gone meanwhile.
            RunTimeout: it still goes on after *timeout* seconds.
        """
        deadline = None if timeout is None else time.monotonic() + timeout
        while True:
            page = self.read(run_id, tenant, after=after)
            yield from page.lines
            if page.ended:
                return
            after = page.last
            if deadline is not None and time.monotonic() >= deadline:
                raise RunTimeout(run_id, "running", timeout or 0.0)
            if not page.lines:
                time.sleep(INTERVAL)

    def _page(self, run_id: str, tenant: str | None, after: str, count: int) -> LogPage:
        if not 1 <= count <= MOST:
            raise BadParams(f"count={count}: it must be 1 to {MOST}")
        owner = tenant or tenant_of_run(check_run_id(run_id)) or self._server.tenant
        if owner is None:
            raise RunNotFound(run_id)
        state, lost, more, rows = self._server.call("log_page", owner, run_id, after, count)
        if not state:
            raise RunNotFound(run_id)
        texts = [value.decode(errors="replace") for value in rows]
        lines = [_line(cursor, text) for cursor, text in zip(texts[::2], texts[1::2], strict=True)]
        last = lines[-1].id if lines else after.replace("$", "")
        is_ended = state.decode(errors="replace") in ENDED
        return LogPage(lines, last, int(lost), ended=is_ended and not more)


def _place(cursor: str) -> tuple[int, ...]:
    return tuple(int(part) for part in cursor.split("-")) if cursor else ()


def _line(cursor: str, line: str) -> LogLine:
    """Read a line as log_page gives it; what its tenant has made of it is told as far as it can be."""
    at, attempt, level, stream, logger, text = ("", "", "", "", "", line)
    if line.count("\t") >= _TABS:
        at, attempt, level, stream, logger, text = line.split("\t", _TABS)
    return LogLine(
        id=cursor,
        at=_number(at, int(cursor.partition("-")[0])),
        level=level,
        logger=logger,
        text=text,
        attempt=_number(attempt, 0),
        stream=stream if stream in log_line.STREAMS else log_line.LOG,
    )


def _number(text: str, otherwise: int) -> int:
    return int(text) if text.isascii() and text.isdigit() and len(text) < 16 else otherwise
