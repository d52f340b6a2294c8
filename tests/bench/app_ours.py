"""Our application: imported by the measured processes alone, since `install` changes Celery's ids in its process."""

import os

import taglane

app = taglane.create_app("bench", os.environ["BENCH_URL"], include=["bench.tasks"])
