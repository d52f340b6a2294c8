"""An application of stock Celery whose beat has many entries of one second each; its number is an entry's argument."""

import os

from celery import Celery

app = Celery("beat", broker=os.environ["FAULTS_URL"])
app.conf.update(
    task_serializer="json",
    task_ignore_result=True,
    beat_schedule={
        f"entry{number}": {"task": "faults.tick", "schedule": 1.0, "args": [number]}
        for number in range(int(os.environ["FAULTS_JOBS"]))
    },
)
