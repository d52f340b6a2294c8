"""The scene in which Celery's beat, with its PersistentScheduler, is killed and started again at once."""

from __future__ import annotations

import base64
import json
import tempfile
import threading
import time
from collections import defaultdict
from functools import partial
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING, Any

from eventually import eventually
from faults.diary import Repeats
from faults.figures import Figures
from faults.sides import paths
from processes import BIN, TaglaneProcess
from redis import Redis
from taglane_scheduler.embedded import EmbeddedServer

if TYPE_CHECKING:
    from faults.form import Form

STARTS = 30.0
"""Seconds until beat has sent something."""
LOOK_EVERY = 0.01
"""Seconds between two looks into the queue: how exact the instants are."""
PERIOD = 1.0
"""Seconds from one fire of an entry to the next."""


class Beat(TaglaneProcess):
    """One `celery beat`, which keeps its schedule in a file of *folder*."""

    def __init__(self, url: str, jobs: int, folder: Path) -> None:
        super().__init__({"FAULTS_URL": url, "FAULTS_JOBS": str(jobs), "PYTHONPATH": paths()})
        self._schedule = folder / "schedule"

    @property
    def command(self) -> list[str]:
        """What it runs."""
        return [str(BIN / "celery"), "-A", "faults.app_beat", "beat", "-s", str(self._schedule), "--pidfile", ""]


class Taker:
    """Takes what beat sends out of the queue, and notes when each entry was fired. For one thread beside ours."""

    def __init__(self, url: str) -> None:
        self._redis: Any = Redis.from_url(url)
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._loop)
        self.fires: defaultdict[int, list[float]] = defaultdict(list)

    def __enter__(self) -> Taker:  # noqa: PYI034 - nobody derives from it
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stopping.set()
        self._thread.join()
        self._redis.close()

    def count(self) -> int:
        """How many fires there were."""
        return sum(map(len, list(self.fires.values())))

    def has_more_than(self, count: int) -> bool:
        """Whether there were more."""
        return self.count() > count

    def _loop(self) -> None:
        while not self._stopping.wait(LOOK_EVERY):
            for message in self._redis.rpop("celery", 1000) or ():
                (number,), *_ = json.loads(base64.b64decode(json.loads(message)["body"]))
                self.fires[number].append(time.monotonic())


def beat_killed(form: Form) -> Figures:
    """Let every entry be due each second, and kill beat a few times; it starts again at once from its file."""
    with (
        EmbeddedServer() as server,
        tempfile.TemporaryDirectory(prefix="taglane-beat-") as folder,
        Beat(server.url, form.beat_entries, Path(folder)) as beat,
        Taker(server.url) as taker,
    ):
        eventually(lambda: len(taker.fires) == form.beat_entries, STARTS, "beat fires nothing")
        outages = []
        for _ in range(form.beats_killed):
            threading.Event().wait(form.scheduling / (form.beats_killed + 1) * form.random.uniform(0.8, 1.2))
            killed = time.monotonic()
            beat.kill()
            beat.start()
            eventually(partial(taker.has_more_than, taker.count()), STARTS, "beat fires no more")
            outages.append(time.monotonic() - killed)
        threading.Event().wait(2 * PERIOD)
        gaps = [later - earlier for fires in taker.fires.values() for earlier, later in pairwise(fires)]
    return Figures(
        form.beats_killed,
        sum(max(1, round(gap / PERIOD)) for gap in gaps),
        sum(max(0, round(gap / PERIOD) - 1) for gap in gaps),
        Repeats(excess=sum(gap < PERIOD / 2 for gap in gaps)),
        recoveries=outages,
        note=f"{form.beat_entries} entries",
    )
