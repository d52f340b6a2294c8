"""A noisy neighbour: how long a quiet tenant's runs wait, alone, and from the instant at which another floods the pool.

The quiet tenant sends a probe every 100 ms. Its wait is the start of the task less the instant before it was sent, both
of one machine's monotonic clock. Beside it stock Celery, with one queue for both, and with a queue each that one worker
takes from in turn. The server's slow log counts the clock's time: where five processes want two processors, a call also
waits for one. So the aim for slow calls is held where a purge has the server to itself, in `stops`.
"""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import TYPE_CHECKING

from bench.sides import Stock
from bench.tenancy.figures import percentile
from bench.tenancy.stage import TAG, Stage, end, until

if TYPE_CHECKING:
    from subprocess import Popen

    from bench.tenancy.figures import Sheet
    from bench.tenancy.size import Size

EVERY = 0.1
FLOOD_MS = 2


@dataclass(frozen=True, slots=True)
class Waits:
    """The quiet tenant's waits, ms, and how long the flood took to be sent, s."""

    alone: list[float]
    beside: list[float]
    sending: float


def neighbour(sheet: Sheet, size: Size) -> None:
    """Measure ours, then stock Celery's two."""
    with Stage() as stage:
        stage.tenants("quiet", "noisy")
        stage.watch_slow_calls()
        with stage.worker():
            found = _waits(stage, "taglane", size, TAG, TAG, size.flood)
            _note(sheet, f"pool, flood of {size.flood:,}", found, judged=True)
            sheet.note("pool: slowest server call, with waits for a processor", stage.slowest_call()[0], "ms")
            left = stage.limits.load("noisy").waiting
            stage.watch_slow_calls()
            took = stage.taglane("tenant", "purge", "noisy", "-y")
        sheet.note("pool: left of the flood", left, "runs")
        sheet.note("purge of what is left, beside the worker", took, "s", most=max(1, left * 6 / 500_000))
        slowest, slow = stage.slowest_call()
        sheet.note("that purge: slowest server call, with waits for a processor", slowest, "ms")
        sheet.note("that purge: server calls over 10 ms, with such waits", slow, "calls")
    for name, quiet, noisy in (("one queue", "celery", "celery"), ("a queue each", "quiet", "noisy")):
        with Stage(quiet=True) as stage, stage.celery_worker(",".join(sorted({quiet, noisy}))):
            _note(
                sheet,
                f"celery, {name}, flood of {size.stock_flood:,}",
                _waits(stage, "celery", size, quiet, noisy, size.stock_flood),
            )


def _waits(stage: Stage, side: str, size: Size, quiet: str, noisy: str, count: int) -> Waits:
    ours = side == "taglane"
    prober = _sender(stage, side, "probe", "quiet", quiet, str(EVERY))
    until(lambda: len(stage.starts()) > 10, "no probe was served")
    alone_from = time.monotonic()
    time.sleep(size.alone_s)
    flood = _sender(stage, side, "flood", "noisy", noisy, str(count), str(FLOOD_MS))
    if flood.wait(600):
        raise RuntimeError(f"the flood of {side} ended with {flood.returncode}")
    begin, done = (float(text) for text in end(flood).split())
    time.sleep(max(0.0, begin + size.beside_s - time.monotonic()))
    sent = int(end(prober))
    if not ours:  # its probes stand behind the flood
        until(lambda: len(stage.starts()) >= sent, "not all probes were served")
    time.sleep(0.5)
    probes = [entry for entry in stage.starts() if entry[1] >= alone_from]
    if len(stage.starts()) < sent:
        raise RuntimeError(f"{sent - len(stage.starts())} probes of {side} were not served")
    return Waits(
        [(start - at) * 1000 for _, at, start in probes if at < begin],
        [(start - at) * 1000 for _, at, start in probes if at >= begin],
        done - begin,
    )


def _sender(stage: Stage, side: str, what: str, who: str, where: str, *given: str) -> Popen[str]:
    environment = {"BENCH_URL": stage.urls[who]} if side == "taglane" else Stock(stage.url).environment
    return stage.python("-m", "bench.tenancy.send", side, what, who, where, *given, **environment)


def _note(sheet: Sheet, name: str, waits: Waits, *, judged: bool = False) -> None:
    alone, beside = percentile(waits.alone, 99), percentile(waits.beside, 99)
    sheet.note(f"{name}: sent in", waits.sending, "s")
    sheet.note(f"{name}: probes beside it", len(waits.beside), "probes")
    for percent, text in ((50, "p50"), (99, "p99"), (100, "max")):
        sheet.note(f"{name}: quiet tenant's wait alone, {text}", percentile(waits.alone, percent), "ms")
        most = max(2 * alone, alone + 250) if judged and percent == 99 else None
        sheet.note(f"{name}: quiet tenant's wait beside it, {text}", percentile(waits.beside, percent), "ms", most=most)
    sheet.note(f"{name}: p99 beside it / alone", beside / alone, "x")
