"""How much is measured: in full, or so little that it fits into the suite."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Size:
    """Counts of runs, and seconds."""

    flood: int = 1_000_000
    stock_flood: int = 20_000
    """Enough to show what stock Celery does, which sends and serves them one by one."""
    alone_s: float = 15
    beside_s: float = 30
    backlog: int = 600
    small: int = 150
    large: int = 2_400
    noops: int = 20_000
    naps: int = 2_000
    active: tuple[int, ...] = (10, 1_000, 100_000)
    fetches: int = 500
    registered: int = 10_000
    idle_s: float = 30
    sends: int = 10_000
    queued: int = 500_000


FULL = Size()
SHORT = Size(
    flood=500,
    stock_flood=50,
    alone_s=0.5,
    beside_s=0.5,
    backlog=40,
    small=30,
    large=60,
    noops=600,
    naps=200,
    active=(10, 50),
    fetches=20,
    registered=50,
    idle_s=0.3,
    sends=60,
    queued=1_000,
)
