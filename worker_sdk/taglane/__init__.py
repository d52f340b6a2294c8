"""Taglane: a multi-tenant job scheduler and task router on Celery and Redis.

An existing Celery application needs two lines, ``import taglane`` and ``taglane.install(app)``. Names are loaded when
they are first used: importing this package imports neither Celery nor redis.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from taglane.client import Run, Taglane
    from taglane.context import CurrentRun, current_run, current_tenant, tenant
    from taglane.errors import RunFailed, RunTimeout, TaglaneError
    from taglane.runtime.app import create_app, install
    from taglane.task import task

_HOME = {
    "Taglane": "client",
    "Run": "client",
    "CurrentRun": "context",
    "current_run": "context",
    "current_tenant": "context",
    "tenant": "context",
    "RunFailed": "errors",
    "RunTimeout": "errors",
    "TaglaneError": "errors",
    "create_app": "runtime.app",
    "install": "runtime.app",
    "task": "task",
}

__all__ = [
    "CurrentRun",
    "Run",
    "RunFailed",
    "RunTimeout",
    "Taglane",
    "TaglaneError",
    "create_app",
    "current_run",
    "current_tenant",
    "install",
    "task",
    "tenant",
]


def __getattr__(name: str) -> Any:
    try:
        home = _HOME[name]
    except KeyError:
        raise AttributeError(f"module 'taglane' has no attribute {name!r}") from None
    value = getattr(import_module(f"taglane.{home}"), name)
    globals()[name] = value
    return value
