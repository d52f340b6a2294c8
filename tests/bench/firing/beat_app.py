"""What celery beat reads: BEAT_ENTRIES entries, each every second, or all of them in the minute BEAT_AT, HH:MM in UTC.

It runs in an environment of its own (`bench.peers.environments`), so it imports nothing of ours.
"""

from __future__ import annotations

import os

from celery import Celery
from celery.schedules import crontab, schedule

URL = os.environ["BEAT_URL"]
AT = os.environ.get("BEAT_AT", "")


def _when() -> schedule:
    if not AT:
        return schedule(1.0)
    hour, minute = AT.split(":")
    return crontab(minute=minute, hour=hour)


app = Celery("beat", broker=URL)
app.conf.update(
    timezone="UTC",
    beat_max_loop_interval=5,  # redbeat's default; its lock then lasts 25 s
    redbeat_redis_url=URL,
    beat_schedule={
        f"entry-{number}": {"task": "bench.tasks.noop", "schedule": _when()}
        for number in range(int(os.environ["BEAT_ENTRIES"]))
    },
)
