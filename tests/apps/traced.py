"""Tasks that send others, and that are tried again: to see where their spans go."""

from __future__ import annotations

from typing import Any

import taglane
from celery import Celery

app = Celery("traced")
taglane.install(app)


@app.task
def parent() -> str:
    """Send two others: by the client, and as Celery does."""
    lane = taglane.Taglane()
    child = lane.enqueue(leaf).id
    lane.close()
    leaf.delay()
    return child


@app.task
def leaf() -> int:
    """Do nothing."""
    return 1


@app.task(bind=True, max_retries=3)
def again(self: Any) -> str:
    """Fail once, and ask for another try."""
    if not self.request.retries:
        raise self.retry(exc=ValueError("not yet"), countdown=0.01)
    return "done"


@app.task
def broken() -> None:
    """Fail."""
    raise ValueError("on purpose")
