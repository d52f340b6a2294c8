"""One lease of this process, and what is known of its run."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from taglane.model.envelope import Delivery
    from taglane.runtime.carry import Outcome


@dataclass(slots=True)
class Held:
    """One lease of this process. Instants are seconds of the monotonic clock."""

    delivery: Delivery
    fetched_at: float
    started_at: float | None = None
    taken: bool = False
    """The main loop has it."""
    in_pool: bool = False
    """The pool has it."""
    marked: bool = False
    """The server knows that it has started."""
    last: bool = False
    """Its task acknowledges early: one death is its last."""
    lost: bool = False
    noted: Outcome | None = None
