"""How much is measured: in full, or so little that it fits into the suite."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Size:
    """Counts, and seconds."""

    tenants: int = 10_000
    idle_s: float = 20
    settle_s: float = 12
    probes: int = 300


FULL = Size()
SHORT = Size(tenants=20, idle_s=0.3, settle_s=0, probes=5)
