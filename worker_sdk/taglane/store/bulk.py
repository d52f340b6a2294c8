"""Cancels, or runs again, all runs that a query takes, in batches, each once."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from taglane.errors import TaglaneError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from taglane.model.query import RunQuery
    from taglane.store.runs import Runs
    from taglane.store.search import RunSearch

MOST = 10_000
"""Runs that one call cancels or runs again."""


@dataclass(frozen=True, slots=True)
class BulkProgress:
    """How far a bulk action is."""

    done: int = 0
    skipped: int = 0
    """Runs for which there was nothing to do: they had ended, or were run again already."""
    failed: int = 0
    total_seen: int = 0
    last_error: str = ""
    more: bool = False
    """There are more runs than one call takes: ask again."""


class Bulk:
    """Acts on all that a query takes. Asked again, it goes on with what is left."""

    def __init__(self, runs: Runs, search: RunSearch) -> None:
        self._runs = runs
        self._search = search

    def cancel_all(
        self, query: RunQuery, tenants: Sequence[str], most: int = MOST, why: str = "by a caller"
    ) -> Iterator[BulkProgress]:
        """Cancel what *query* takes and has not ended; yield how far that is, after each batch."""
        yield from self._each(query, tenants, most, lambda run_id: self._runs.cancel(run_id, why) != "ended")

    def retry_all(self, query: RunQuery, tenants: Sequence[str], most: int = MOST) -> Iterator[BulkProgress]:
        """Run again what *query* takes that did not succeed, once each; yield how far that is, after each batch."""
        yield from self._each(query, tenants, most, lambda run_id: bool(self._runs.replay(run_id)))

    def _each(
        self, query: RunQuery, tenants: Sequence[str], most: int, act: Callable[[str], bool]
    ) -> Iterator[BulkProgress]:
        now = BulkProgress()
        for run_id in self._search.ids(query, tenants, most):
            done, skipped, failed, error = now.done, now.skipped, now.failed, now.last_error
            try:
                done, skipped = (done + 1, skipped) if act(run_id) else (done, skipped + 1)
            except TaglaneError as raised:
                failed, error = failed + 1, str(raised)
            now = BulkProgress(done, skipped, failed, now.total_seen + 1, error)
            yield now
