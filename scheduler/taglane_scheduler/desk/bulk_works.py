"""What is being cancelled or run again in bulk: kept in this process, by id; asked again, the work goes on."""

from __future__ import annotations

import logging
import secrets
import threading
import time
from collections import OrderedDict
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal

from taglane.errors import Conflict, TaglaneError
from taglane.store.bulk import BulkProgress

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

log = logging.getLogger(__name__)

KEPT = 200
"""How many works are remembered; of those that are done, the oldest are forgotten first."""

AT_ONCE = 4
"""How many go on at a time; more wait for their turn."""

MOST_OPEN = 20
"""How many works of one owner are not over at a time."""

What = Literal["cancel", "retry"]


@dataclass
class BulkWork:
    """One work, and how far it is. *owner* is who may see it: a principal's name and tenant."""

    id: str
    what: What
    query: str
    owner: tuple[str, str | None]
    started: float = field(default_factory=time.time)
    """Seconds since 1970."""
    progress: BulkProgress = field(default_factory=BulkProgress)
    state: Literal["waiting", "going on", "done", "broken off", "stopped"] = "waiting"
    error: str = ""
    stop: bool = False
    """Somebody has asked to break it off."""

    @property
    def is_over(self) -> bool:
        """Whether nothing more will be done."""
        return self.state not in {"waiting", "going on"}


class BulkWorks:
    """The works of one process."""

    def __init__(self) -> None:
        self._works: OrderedDict[str, BulkWork] = OrderedDict()
        self._slips: OrderedDict[tuple[tuple[str, str | None], str], str] = OrderedDict()
        self._lock = threading.Lock()
        self._turns = threading.Semaphore(AT_ONCE)

    def start(
        self,
        what: What,
        query: str,
        owner: tuple[str, str | None],
        slip: str,
        do: Callable[[], Iterator[BulkProgress]],
    ) -> BulkWork:
        """Begin a work in a thread of its own, and return it.

        The one that the same *slip* has begun already, or that its owner has going on of the same, is returned instead:
        a second click does nothing twice.

        Raises:
            Conflict: its owner has `MOST_OPEN` that are not over.
        """
        with self._lock:
            found = self._works.get(self._slips.get((owner, slip), "")) or self._going_on(what, query, owner)
            if found is not None:
                return found
            if sum(each.owner == owner and not each.is_over for each in self._works.values()) >= MOST_OPEN:
                raise Conflict(f"{MOST_OPEN} bulk actions of yours go on: wait until one is done, or stop one")
            work = BulkWork(secrets.token_urlsafe(12), what, query, owner)
            self._works[work.id] = work
            self._slips[owner, slip] = work.id
            self._forget()
        threading.Thread(target=self._run, args=(work, do), name=f"bulk-{what}", daemon=True).start()
        return work

    def get(self, work_id: str, owner: tuple[str, str | None]) -> BulkWork | None:
        """Return a work of this owner; None when it is forgotten, or another's."""
        found = self._works.get(work_id)
        return found if found is not None and found.owner == owner else None

    def _going_on(self, what: What, query: str, owner: tuple[str, str | None]) -> BulkWork | None:
        same = (work for work in self._works.values() if (work.what, work.query, work.owner) == (what, query, owner))
        return next((work for work in same if not work.is_over), None)

    def _forget(self) -> None:
        over = [work.id for work in self._works.values() if work.is_over]
        for work_id in over[: max(0, len(self._works) - KEPT)]:
            del self._works[work_id]
        while len(self._slips) > KEPT:
            self._slips.popitem(last=False)

    def _run(self, work: BulkWork, do: Callable[[], Iterator[BulkProgress]]) -> None:
        with self._turns:
            work.state = "going on"
            try:
                for progress in do():
                    work.progress = progress
                    if work.stop:
                        work.state = "stopped"
                        return
                work.state = "done"
            except TaglaneError as error:
                work.state, work.error = "broken off", str(error)
            except Exception as error:
                log.exception("bulk_broken what=%s query=%s", work.what, work.query)
                work.state, work.error = "broken off", type(error).__name__
