"""Stock Celery on kombu's redis transport, at the settings with which it loses least and recovers soonest."""

import os

from celery import Celery

SOCKETS = {"socket_timeout": 10, "socket_connect_timeout": 5, "socket_keepalive": True}

url = os.environ["FAULTS_URL"]
app = Celery("faults", broker=url, backend=url)
app.conf.update(
    include=["faults.tasks"],
    task_serializer="json",
    result_serializer="json",
    accept_content=["json"],
    task_acks_late=True,
    task_reject_on_worker_lost=True,
    worker_send_task_events=False,
    broker_connection_retry_on_startup=True,
    broker_connection_max_retries=None,
    broker_transport_options={
        "visibility_timeout": float(os.environ["FAULTS_VISIBILITY"]),
        "unacked_restore_interval": 1,  # how often, seconds times throttle, it looks for what was held for too long
        "unacked_restore_throttle": 1,
        "health_check_interval": 25,
        **SOCKETS,
    },
    result_backend_always_retry=True,
    redis_socket_timeout=SOCKETS["socket_timeout"],
    redis_socket_keepalive=True,
)
