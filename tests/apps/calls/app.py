"""The application of these calls. The last two lines are all that Taglane asks for."""

from celery import Celery

app = Celery("calls", include=["calls.tasks"])
app.conf.task_routes = {"calls.tasks.with_defaults": {"queue": "q", "priority": 3}}

import taglane  # noqa: E402 - the two lines stay together, as the README shows them

taglane.install(app)
