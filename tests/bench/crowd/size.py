"""How much is measured: in full, or so little that it fits into the suite."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Size:
    """Counts, and seconds."""

    tenants: int = 10_000
    idle_s: float = 15
    settle_s: float = 10
    probes: int = 300
    herd: int = 100
    messages: int = 80
    pause_s: float = 0.25
    runs: int = 1_000_000
    drained: int = 300_000
    portion: int = 10_000
    draws: bool = True
    """Whether to write the plots of docs/performance.md anew."""


FULL = Size()
SHORT = Size(
    tenants=20,
    idle_s=0.3,
    settle_s=0,
    probes=5,
    herd=12,
    messages=10,
    pause_s=0.01,
    runs=4_000,
    drained=400,
    portion=200,
    draws=False,
)
