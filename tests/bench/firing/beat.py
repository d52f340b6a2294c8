"""What celery beat and redbeat do with as many entries: a real `celery beat` process, its messages counted.

A message of theirs does not say when it was due or made. So the list's length is read beside the server's time, often.
"""

from __future__ import annotations

import time
from datetime import UTC, datetime
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any, Self

from bench.firing.play import POLL_S, processor
from bench.peers.environments import interpreter
from bench.tenancy.stage import Stage
from redis import Redis
from taglane_scheduler.child_process import ChildProcess

if TYPE_CHECKING:
    from collections.abc import Iterator

HERE = Path(__file__).parent
ENVIRONMENT = "celery-redbeat"
SCHEDULERS = {"beat": "celery.beat:PersistentScheduler", "redbeat": "redbeat.RedBeatScheduler"}
SETTLE_S = 5.0
READ_S = 0.02
MINUTE = 60


class Beat:
    """One `celery beat`, on a database of its own, while this lasts."""

    def __init__(self, stage: Stage, name: str, entries: int, at: str = "") -> None:
        self._url = stage.url.removesuffix("/0") + "/1"
        self._redis: Any = Redis.from_url(self._url)
        self._folder = TemporaryDirectory(prefix="taglane-beat-")
        folder = Path(self._folder.name)
        told = ["beat", "-S", SCHEDULERS[name], "-l", "WARNING", "--pidfile", str(folder / "pid")]
        told += ["-s", str(folder / "schedule")] if name == "beat" else []
        command = [interpreter(ENVIRONMENT), "-m", "celery", "-A", "beat_app", *told]
        environment = {"BEAT_URL": self._url, "BEAT_ENTRIES": str(entries), "BEAT_AT": at, "PYTHONPATH": str(HERE)}
        self._process = ChildProcess(command, log=folder / "log", environment=environment)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._process.end(patience=5.0)
        self._redis.close()
        self._folder.cleanup()

    @property
    def spent(self) -> float:
        """Its processor time so far, s."""
        return processor([self._process.pid])

    @property
    def said(self) -> str:
        """The last of what it said."""
        return (Path(self._folder.name) / "log").read_text(errors="replace")[-2000:]

    def counts(self) -> Iterator[tuple[float, int]]:
        """The server's time, s, and how many messages there are, whenever that is asked."""
        while True:
            (seconds, micros), count = self._redis.pipeline(transaction=False).time().llen("celery").execute()
            yield seconds + micros / 1e6, count


def fires_a_second(name: str, entries: int, seconds: float) -> tuple[float, float]:
    """Let entries be due every second; return how many a second there are, and processor time a fire, us."""
    with Stage(quiet=True) as stage, Beat(stage, name, entries) as beat:
        counts = beat.counts()
        give_up = time.monotonic() + 60
        while next(counts)[1] == 0:
            if time.monotonic() > give_up:
                raise RuntimeError(f"{name} fires nothing: {beat.said}")
            time.sleep(POLL_S)
        time.sleep(2.0)
        (begin, before), spent = next(counts), beat.spent
        time.sleep(seconds)
        end, after = next(counts)
        return (after - before) / (end - begin), (beat.spent - spent) / max(1, after - before) * 1e6


def at_once(name: str, entries: int, patience: float) -> list[float]:
    """Let entries be due in the same minute; return by how much each was late, ms, of those that came in time."""
    with Stage(quiet=True) as stage:
        due, at = _minute(stage, SETTLE_S + entries / 400)
        with Beat(stage, name, entries, at) as beat:
            late: list[float] = []
            for now, count in beat.counts():
                late += [max(0.0, (now - due) * 1000)] * (count - len(late))
                if len(late) >= entries or now > due + patience:
                    return late
                time.sleep(READ_S if now > due - 1 else POLL_S)
    return []


def _minute(stage: Stage, ahead: float) -> tuple[float, str]:
    """The first minute that begins after so many seconds, on the server's clock, and as HH:MM."""
    seconds, _ = stage.redis.time()
    due = (int(seconds + ahead) // MINUTE + 1) * MINUTE
    return float(due), f"{datetime.fromtimestamp(due, UTC):%H:%M}"
