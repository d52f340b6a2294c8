"""The shop's Celery application. The last two lines are all that Taglane asks for."""

from celery import Celery

app = Celery("shop", include=["shop.tasks"])

import taglane  # noqa: E402 - the two lines stay together, as the README shows them

taglane.install(app)
