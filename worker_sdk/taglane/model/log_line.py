"""A line that a run has logged: by `logging`, or by writing to its standard output or error."""

from __future__ import annotations

from dataclasses import dataclass

LOG, STDOUT, STDERR = STREAMS = ("log", "stdout", "stderr")

LONGEST = 8_192
"""Bytes of a line; of a longer one the beginning is kept."""


@dataclass(frozen=True, slots=True)
class LogLine:
    """One line. What it holds is a task's word: nothing of it may be believed, or shown unescaped."""

    id: str
    """Its place in the run's log: the cursor behind which to read on."""
    at: int
    """When it was logged, ms since 1970, by the server's clock."""
    level: str
    """The name of its level, ``INFO``; empty for what was written to a stream."""
    logger: str
    """The name of its logger; empty for what was written to a stream."""
    text: str
    """May hold line breaks, as tracebacks do; `LONGEST` bytes at most."""
    attempt: int
    """The attempt of the run that logged it, from 1."""
    stream: str
    """``log``, ``stdout`` or ``stderr``."""
