"""What a scene came to, on one side."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from faults.diary import Repeats, judge, median

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping

    from faults.sides import Side


@dataclass(slots=True)
class Figures:
    """One side's figures of one scene."""

    faults: int
    """How often something was killed, cut, stopped or frozen."""
    runs: int
    lost: int
    """Runs whose caller never gets a result, though everything has come to rest."""
    repeats: Repeats
    recoveries: list[float] = field(default_factory=list)
    """Seconds, one for each fault after which there was something to recover."""
    overwritten: int = 0
    """Results that were replaced by a later one."""
    unaccounted: int = 0
    """Executions that the server gave nobody, by its own count of the attempts: ours alone keeps one."""
    note: str = ""
    seconds: float = 0.0
    """How long the scene took."""

    def recovery(self) -> str:
        """The middle one, and the longest."""
        return f"{median(self.recoveries):.1f} {max(self.recoveries):.1f}" if self.recoveries else "- -"


def figures(side: Side, faults: int, runs: Collection[str], missing: Collection[str], **more: object) -> Figures:
    """Count what the diary of a finished scene says; `fallen` says which processes were killed, and when."""
    fallen: Mapping[int, float] = more.pop("fallen", None) or {}  # type: ignore[assignment]
    entries = side.diary.entries()
    starts = Counter(entry.run for entry in entries if entry.what == "start")
    attempts = side.attempts(list(starts))
    more["unaccounted"] = sum(max(0, starts[run] - attempts.get(run, starts[run])) for run in starts)
    if fates := side.fates(list(missing)):
        more["note"] = f"lost: {fates}"
    return Figures(faults, len(runs), len(missing), judge(entries, fallen), **more)  # type: ignore[arg-type]
