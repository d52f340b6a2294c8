from __future__ import annotations

import celery
import taglane
from celery import Celery


def test_task_is_celerys_shared_task() -> None:
    """It is Celery's own, so whatever Celery's documentation says of it holds."""
    assert celery.shared_task is taglane.task


def test_a_task_belongs_to_every_application() -> None:
    """Declared without an application, it is known to those made before and after."""
    before = Celery("before", set_as_current=False)

    @taglane.task(name="tests.declared", shared=True)
    def declared(x: int) -> int:
        return x + 1

    after = Celery("after", set_as_current=False)
    assert "tests.declared" in before.tasks
    assert "tests.declared" in after.tasks
    assert 2 == declared(1)
