"""Celery's pool of child processes, with outcomes carried back: a module apart, since the other pools need less."""

from __future__ import annotations

import os
import signal
from contextlib import suppress
from typing import TYPE_CHECKING, Any

from celery.concurrency.asynpool import AsynPool
from celery.concurrency.prefork import TaskPool as CeleryPrefork

from taglane.runtime import current
from taglane.runtime.carry import execute_if_ours
from taglane.runtime.pools import Carrying
from taglane.runtime.standing import NEVER

if TYPE_CHECKING:
    from collections.abc import Callable

    from taglane.runtime.holdings import Holdings

REAP_AFTER = 0.02
"""Seconds after a child's pipe has closed; without it, Celery looks once in 5."""


class Children(AsynPool):
    """A pool that replaces a dead child at once: its pipe closes a little before it can be reaped."""

    def _event_process_exit(self, hub: Any, proc: Any) -> None:
        super()._event_process_exit(hub, proc)
        hub.call_later(REAP_AFTER, self.maintain_pool)


class Prefork(Carrying, CeleryPrefork):
    """Child processes: for CPU-bound tasks, and for those with time limits."""

    Pool = Children

    def call_of(self, held: Holdings, run: str) -> tuple[Callable[..., Any], tuple[Any, ...]]:
        """Let the child ask, when it comes to the run, whether it is still ours: what is lost meanwhile is counted."""
        standing = current.standing()
        losses = standing.losses if standing is not None else 0.0
        return execute_if_ours, (losses if held.is_sure_of(run) is not False else NEVER,)

    def kill(self) -> None:
        """Kill the children, by their ids."""
        for child in list(getattr(self._pool, "_pool", None) or ()):
            with suppress(ProcessLookupError, TypeError):
                os.kill(child.pid, signal.SIGKILL)
