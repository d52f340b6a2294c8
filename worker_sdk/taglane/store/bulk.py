"""Cancels, or runs again, all runs that a query takes, in batches, each once."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, replace
from itertools import islice
from typing import TYPE_CHECKING, Any

from taglane.errors import OverLimit, TaglaneError
from taglane.model.names import replayed_run_id
from taglane.model.query import OPEN, UNWELL
from taglane.store import keys

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from taglane.model.query import RunQuery
    from taglane.store.runs import Runs
    from taglane.store.search import RunSearch

    Outcome = str | TaglaneError

MOST = 10_000
"""Runs that one call cancels or runs again."""

BATCH = 100
"""Runs of one round trip."""


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
    """There may be more runs than one call takes: ask again."""


class Bulk:
    """Acts on all that a query takes. Asked again, it goes on with what is left, and does nothing twice."""

    def __init__(self, runs: Runs, search: RunSearch) -> None:
        self._server = runs.server
        self._runs = runs
        self._search = search

    def cancel_all(
        self, query: RunQuery, tenants: Sequence[str], most: int = MOST, why: str = "by a caller"
    ) -> Iterator[BulkProgress]:
        """Cancel what *query* takes and has not ended, *most* of it; yield how far that is, after each batch.

        Workers are asked to stop what they execute: it ends a moment later.
        """
        return self._all(cancellable(query), tenants, most, lambda tenant, ids: self._cancel(tenant, ids, why))

    def retry_all(self, query: RunQuery, tenants: Sequence[str], most: int = MOST) -> Iterator[BulkProgress]:
        """Run again what *query* takes that did not succeed, once each, *most* of it; yield how far that is.

        What was run again before, by whomever, is skipped.
        """
        return self._all(retryable(query), tenants, most, self._retry)

    def _all(
        self,
        query: RunQuery | None,
        tenants: Sequence[str],
        most: int,
        act: Callable[[str, Sequence[str]], Sequence[Outcome]],
    ) -> Iterator[BulkProgress]:
        now = BulkProgress()
        if query is None:
            yield now
            return
        places = self._search.places(query, tenants)
        while batch := list(islice(places, min(BATCH, most - now.done - now.failed))):
            outcomes = self._by_tenant(batch, act)
            errors = [each for each in outcomes if isinstance(each, TaglaneError)]
            said = Counter(each for each in outcomes if isinstance(each, str))
            now = replace(
                now,
                done=now.done + said["done"],
                skipped=now.skipped + said["skipped"],
                failed=now.failed + len(errors),
                total_seen=now.total_seen + len(batch),
                last_error=str(errors[-1]) if errors else now.last_error,
            )
            if errors and len(errors) == len(batch) and all(isinstance(each, OverLimit) for each in errors):
                now = replace(now, more=True)  # the others would meet the same limit
                break
            if now.done + now.failed >= most:
                now = replace(now, more=next(places, None) is not None)
                break
            yield now
        yield now

    def _by_tenant(
        self, batch: Sequence[tuple[str, str]], act: Callable[[str, Sequence[str]], Sequence[Outcome]]
    ) -> list[Outcome]:
        ids: dict[str, list[str]] = {}
        for tenant, run_id in batch:
            ids.setdefault(tenant, []).append(run_id)
        return [outcome for tenant, some in ids.items() for outcome in act(tenant, some)]

    def _cancel(self, tenant: str, ids: Sequence[str], why: str) -> Sequence[Outcome]:
        answers = self._server.calls(("cancel", tenant, [run_id, why]) for run_id in ids)
        return [
            answer if isinstance(answer, TaglaneError) else "done" if answer in {b"cancelled", b"asked"} else "skipped"
            for answer in answers
        ]

    def _retry(self, tenant: str, ids: Sequence[str]) -> Sequence[Outcome]:
        """Two who do this at the same time give a new run the same name: so there is one of it."""
        with self._server.renamed("reading runs"):
            pipeline = self._server.redis.pipeline(transaction=False)
            for run_id in ids:
                pipeline.hmget(keys.run(tenant, run_id), "replayed", "finished_at")
            rows: list[Any] = pipeline.execute(raise_on_error=False)
        fresh = [
            (run_id, replayed_run_id(tenant, run_id, int(row[1])))
            for run_id, row in zip(ids, rows, strict=True)
            if isinstance(row, list) and row[0] is None and (row[1] or b"").isdigit()
        ]
        answers = self._runs.replay_each(tenant, fresh) if fresh else []
        outcomes: list[Outcome] = ["skipped"] * (len(ids) - len(fresh))
        return outcomes + [
            each if isinstance(each, TaglaneError) else "done" if each else "skipped" for each in answers
        ]


def cancellable(query: RunQuery) -> RunQuery | None:
    """Return what of a query can be cancelled; None when that is nothing."""
    states = query.states & OPEN if query.states else OPEN
    return replace(query, states=states) if states else None


def retryable(query: RunQuery) -> RunQuery | None:
    """Return what of a query can be run again; None when that is nothing."""
    states = query.states & UNWELL if query.states else UNWELL
    return replace(query, states=states) if states else None
