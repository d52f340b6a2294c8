"""The figures of all takings, in a file where one is named: many short takings make one table."""

from __future__ import annotations

import json
from statistics import median
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path

Key = tuple[str, str, str, str]
"""The part, who, in which setting, what."""


class Figures:
    """The values of each figure, one a round; those of *kept* first, where it is there."""

    def __init__(self, kept: Path | None = None) -> None:
        self._kept = kept
        self.values: dict[Key, list[float]] = {}
        if kept and kept.exists():
            for part, who, setting, what, values in json.loads(kept.read_text("utf-8")):
                self.values[part, who, setting, what] = values

    def note(self, part: str, who: str, setting: str, what: str, value: float) -> None:
        """Note one round's value."""
        self.values.setdefault((part, who, setting, what), []).append(value)

    def keep(self) -> None:
        """Write all to the file."""
        if self._kept:
            lines = [json.dumps([*key, values]) for key, values in self.values.items()]
            self._kept.write_text("[" + ",\n".join(lines) + "]\n", "utf-8")

    def get(self, part: str, who: str, setting: str, what: str) -> float | None:
        """The median of the rounds."""
        values = self.values.get((part, who, setting, what))
        return median(values) if values else None

    def each(self, part: str, what: str) -> dict[tuple[str, str], float]:
        """Who did what in which setting, in the order in which they were measured first."""
        return {
            (who, setting): median(values)
            for (a_part, who, setting, a_what), values in self.values.items()
            if (a_part, a_what) == (part, what)
        }
