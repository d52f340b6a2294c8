"""Stock Celery: `apply_async` is its one way to send."""

from __future__ import annotations

from typing import Any

from bench.app_stock import app


def begin() -> None:
    app.loader.import_default_modules()


def send(task: str) -> Any:
    return app.tasks[f"bench.tasks.{NAMES[task]}"].apply_async()


def result(handle: Any) -> Any:
    return handle.get(timeout=30)


NAMES = {"noop": "answer", "stamp": "stamp"}
