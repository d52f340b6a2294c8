"""`task`: declares a task without an application at hand; Celery's `shared_task` by a shorter name."""

from __future__ import annotations

from celery import shared_task

task = shared_task
