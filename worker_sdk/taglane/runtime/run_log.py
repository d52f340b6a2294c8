"""What one attempt of a run has logged and the server does not have yet: bounded, and never waited for.

Whoever logs only appends, under no lock: a signal or an exception may come at any point of it. What does not fit is
dropped at the old end, as the server does it: what a run ended of stands at its end.
"""

from __future__ import annotations

import threading
import time
from collections import deque
from typing import TYPE_CHECKING, Any, NamedTuple

from taglane.model.log_line import LONGEST

if TYPE_CHECKING:
    from collections.abc import Callable

    from taglane.context import CurrentRun

BESIDE = 32
"""Bytes that a line counts for beside its text and its logger's name."""

LONGEST_HEAD = 240
"""Characters of the names of its level, stream and logger."""

BATCH_LINES = 500
BATCH_BYTES = 65_536
"""What one call takes at most: for that long the server serves nobody else."""

Line = tuple[float, int, str, str]
"""When it was logged, monotonic s; its size; ``level<tab>stream<tab>logger``; its text."""


class Bounds(NamedTuple):
    """What is kept of a run's log, at most."""

    lines: int
    bytes: int


class Said(NamedTuple):
    """Some lines of one attempt, for one call; small enough for a pipe."""

    attempt: int
    first: int
    """The number of the first line, among those of this attempt."""
    dropped: int
    """How many lines of this attempt have been dropped so far."""
    bounds: Bounds
    lines: list[Line]
    size: int
    """About how many bytes that is."""

    def arguments(self, run: str, token: int, now: float) -> list[Any]:
        """What the function `log` takes."""
        given: list[Any] = [run, token, self.attempt, self.first, self.dropped, *self.bounds]
        # What is no text, as half of a surrogate pair, can be logged all the same.
        given += [
            f"{max(0, round((now - at) * 1000))}\t{head}\t{text}".encode(errors="replace")
            for at, _, head, text in self.lines
        ]
        return given


class RunLog:
    """The lines of one attempt of a run.

    Args:
        run: which; with the lease under which it runs.
        bounds: what is kept, here and on the server.
        on_news: called when there are lines to be sent, from whichever thread logs.
    """

    def __init__(self, run: CurrentRun, bounds: Bounds, on_news: Callable[[], None] = lambda: None) -> None:
        self.run = run
        self.is_over = False
        """Its attempt has ended, or is another worker's by now: nothing more is taken."""
        self._bounds = bounds
        self._on_news = on_news
        self._lines: deque[Line] = deque()
        self._partial: dict[str, str] = {}
        # Each of these is written by those who log, or by those who send, and never by both.
        self._bytes_in = 0
        self._bytes_out = 0
        self._dropped = 0
        self._refused = 0
        self._said = 0
        self._sending: list[Line] = []
        self._lock = threading.Lock()  # between who sends and who ends

    @property
    def size(self) -> int:
        """About how many bytes wait to be sent."""
        return self._bytes_in - self._bytes_out

    def add(self, level: str, logger: str, stream: str, text: str) -> None:
        """Take a line."""
        if self.is_over:
            return
        head = f"{level}\t{stream}\t{logger}"
        if len(head) > LONGEST_HEAD or not (level.isprintable() and logger.isprintable()):
            head = f"{_plain(level)[:20]}\t{stream}\t{_plain(logger)[:200]}"
        if len(text) > LONGEST or not text.isascii():
            text = cut(text)
        size = len(text) + len(head) + BESIDE
        self._lines.append((time.monotonic(), size, head, text))
        self._bytes_in += size
        while len(self._lines) > self._bounds.lines or self._bytes_in - self._bytes_out > self._bounds.bytes:
            try:
                oldest = self._lines.popleft()
            except IndexError:
                break
            self._bytes_in -= oldest[1]
            self._dropped += 1
        self._on_news()

    def drop(self) -> None:
        """Count a line that is not taken."""
        self._dropped += 1

    def write(self, stream: str, text: str) -> None:
        """Take what was written to a stream: lines, when they are whole."""
        over = len(text) - self._bounds.bytes
        if over > 0:
            self._dropped += text.count("\n", 0, over)
            text = text[over:]
        *whole, rest = (self._partial.pop(stream, "") + text).split("\n")
        for line in whole:
            self.add("", "", stream, _last_shown(line))
        if len(rest) > LONGEST:
            rest = _last_shown(rest)
        if len(rest) > LONGEST:
            self.add("", "", stream, rest)
        elif rest:
            self._partial[stream] = rest

    def has_news(self) -> bool:
        """Whether lines wait to be sent."""
        return bool(self._lines or self._sending) and not self.is_over

    def take(self) -> Said | None:
        """Return some lines to be sent; the same again until it is said what became of them. None: there are none."""
        with self._lock:
            if self.is_over:
                return None
            if not self._sending:
                self._sending = self._batch()
            return self._as_said(self._sending, self._said + 1) if self._sending else None

    def sent(self) -> None:
        """Take note that the server has heard what was taken."""
        with self._lock:
            self._said += len(self._sending)
            self._sending = []

    def refused(self) -> None:
        """Take note that the server does not take what was taken: it is dropped."""
        with self._lock:
            self._refused += len(self._sending)
            self._said += len(self._sending)
            self._sending = []

    def lose(self) -> None:
        """Take note that the run is another worker's."""
        with self._lock:
            self.is_over = True
            self._sending = []
            self._lines.clear()

    def end(self) -> list[Said]:
        """Return all that the server is not known to have; nothing more is taken."""
        for stream, rest in list(self._partial.items()):
            if rest:
                self.add("", "", stream, _last_shown(rest))
        with self._lock:
            if self.is_over:
                return []
            self.is_over = True
            left, first = [], self._said + 1
            lines, self._sending = self._sending, []  # what is on its way may be heard after the end: it is said again
            while lines := lines or self._batch():
                left.append(self._as_said(lines, first))
                first, lines = first + len(lines), []
            if not left and self._dropped + self._refused:
                left.append(self._as_said([], first))
            return left

    def _batch(self) -> list[Line]:
        lines: list[Line] = []
        size = 0
        while len(lines) < BATCH_LINES and size < BATCH_BYTES:
            try:
                line = self._lines.popleft()
            except IndexError:  # what was counted wrongly, by two threads at once, is counted anew
                self._bytes_out = self._bytes_in
                return lines
            lines.append(line)
            size += line[1]
            self._bytes_out += line[1]
        return lines

    def _as_said(self, lines: list[Line], first: int) -> Said:
        return Said(
            self.run.attempt, first, self._dropped + self._refused, self._bounds, lines, sum(line[1] for line in lines)
        )


def cut(text: str) -> str:
    """Return a text of no more bytes than a line may have, and no half of a character."""
    if len(text) * 4 <= LONGEST:
        return text
    return text[:LONGEST].encode(errors="replace")[:LONGEST].decode(errors="ignore")


def _plain(name: str) -> str:
    return name if name.isprintable() else ascii(name)


def _last_shown(line: str) -> str:
    """Return what a terminal shows of a line that was written over, as progress bars do."""
    return line.rstrip("\r").rpartition("\r")[2]
