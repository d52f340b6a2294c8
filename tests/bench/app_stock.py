"""Stock Celery on kombu's redis transport, set to lose as little as ours does, and as fast as it goes then."""

import os

from celery import Celery

url = os.environ["BENCH_URL"]
app = Celery("bench", broker=url, backend=url if os.environ.get("BENCH_RESULTS", "1") == "1" else None)
app.conf.update(
    include=["bench.tasks"],
    task_serializer="json",
    result_serializer="json",
    accept_content=["json"],
    task_acks_late=True,
    task_reject_on_worker_lost=True,
    worker_prefetch_multiplier=int(os.environ.get("BENCH_PREFETCH", "64")),
    worker_send_task_events=False,
    broker_connection_retry_on_startup=True,
)
