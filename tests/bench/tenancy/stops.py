"""How soon a tenant stops, and starts again: a cap after its worker was killed, `pause` and `purge` with a backlog."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from bench.tenancy.stage import TAG, Stage, until

if TYPE_CHECKING:
    from bench.tenancy.figures import Sheet
    from bench.tenancy.size import Size

LEASE_S = 2.0
LONG_MS = 600_000


def recovery(sheet: Sheet, size: Size) -> None:
    """Kill the worker that holds all that a tenant may have: when its cap is free again."""
    del size
    for name, tag in (("its own worker", "acme"), ("a pool's worker", TAG)):
        with Stage() as stage:
            stage.tenants("acme", running=2)
            stage.enqueue("acme", 2, tag=tag, ms=LONG_MS)
            with stage.worker("threads", 4, tag=tag, TAGLANE_LEASE=f"{LEASE_S:g}s") as worker:
                until(lambda: len(stage.starts()) == 2, "nothing started")
                killed = time.monotonic()
                worker.kill()
                free = until(lambda: not stage.limits.load("acme").held, "the cap is not free", pause=0.005)
            sheet.note(
                f"a cap of 2, {name} killed (lease {LEASE_S:g} s): free after", free - killed, "s", most=LEASE_S + 1
            )


def stops(sheet: Sheet, size: Size) -> None:
    """Pause a tenant that has a backlog, and is served; then purge it."""
    with Stage() as stage:
        stage.tenants("acme")
        stage.enqueue("acme", size.queued)
        stage.watch_slow_calls()
        with stage.worker():
            until(lambda: len(stage.starts()) > 100, "nothing started")
            begin = time.monotonic()
            took = stage.taglane("tenant", "pause", "acme")
            until(lambda: not stage.limits.load("acme").held, "what was held does not end")
            written = stage.written()
            time.sleep(1.0)
            if stage.written() != written:
                raise RuntimeError("a paused tenant's runs start")
            last = stage.starts()[-1][2]
            left = stage.limits.load("acme").waiting
            sheet.note(f"pause with a backlog of {size.queued:,}: the command", took, "s")
            sheet.note("that pause: last start after the command began", max(0.0, last - begin), "s")
            sheet.note("that pause: last start after the command ended", max(0.0, last - begin - took), "s", most=1)
            sheet.note("that pause: slowest server call until then", stage.slowest_call()[0], "ms", most=10)
            stage.watch_slow_calls()
            took = stage.taglane("tenant", "purge", "acme", "-y")
        sheet.note(f"purge of what is left of {size.queued:,}", took, "s", most=max(1.0, left * 6 / 500_000))
        slowest, slow = stage.slowest_call()
        sheet.note(f"that purge of {size.queued:,}: slowest server call", slowest, "ms", most=10)
        sheet.note(f"that purge of {size.queued:,}: server calls over 10 ms", slow, "calls", most=0)
