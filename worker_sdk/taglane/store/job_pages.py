"""Reads jobs a page at a time, by name, and the last runs of one."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

    from taglane.store.stored_job import StoredJob, UnreadJob


@dataclass(frozen=True, slots=True)
class JobPage:
    """Some jobs, by tenant and name."""

    jobs: Sequence[StoredJob]
    unread: Sequence[UnreadJob] = ()
    """Those of the same page that can't be read."""
    next: str = ""
    """What to ask the next page with; empty when there is none. Fit for a URL."""
