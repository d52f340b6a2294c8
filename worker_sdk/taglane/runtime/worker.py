"""Starts a tagged worker: finds the application, chooses the pool, runs Celery's worker until it is told to stop."""

from __future__ import annotations

import os
import sys
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any

from celery import Celery
from celery.app.utils import find_app

from taglane.errors import BadSetting, TenantNotFound
from taglane.model.names import SHARED
from taglane.runtime import tracing
from taglane.runtime.app import create_app, install, is_installed
from taglane.runtime.pulse import Pulse
from taglane.runtime.slate import Slate
from taglane.runtime.step import check_tags
from taglane.runtime.supervisor import Supervisor
from taglane.runtime.worker_metrics import tell
from taglane.settings import load_settings
from taglane.store import keys
from taglane.store.server import Server

if TYPE_CHECKING:
    from collections.abc import Sequence

POOLS = ("auto", "prefork", "threads", "solo")


def load_app(name: str | None, url: str | None = None) -> Celery:
    """Return the application called *name*: a module, or ``module:attribute``; without one, an empty application.

    A module that only declares tasks is given an application of its own. One that is not on Taglane yet is put on it.

    Raises:
        BadSetting: there is no such module, it can't be imported, or what is named is no Celery application.
    """
    folder = str(Path.cwd())
    if folder not in sys.path:
        sys.path.insert(0, folder)
    if name is None:
        return create_app(url=url)
    try:
        app = find_app(name)
    except (ImportError, AttributeError) as error:
        module, _, attribute = name.partition(":")
        if attribute and getattr(error, "name", None) == name:  # Celery took it for a module, as a last resort
            raise BadSetting("-A", name, f"{module} has no {attribute}") from error
        if isinstance(error, ImportError) and getattr(error, "name", None) not in {None, *_parents(module)}:
            raise BadSetting("-A", name, f"importing it failed: {error}") from error
        try:
            import_module(module)
        except ModuleNotFoundError as missing:
            raise BadSetting("-A", name, f"no such module: {missing}") from missing
        except ImportError as failed:
            raise BadSetting("-A", name, f"importing it failed: {failed}") from failed
        return create_app(url=url)
    if not isinstance(app, Celery):
        raise BadSetting("-A", name, f"it is no Celery application but a {type(app).__name__}: write module:attribute")
    if not is_installed(app) or url is not None:
        install(app, url)
    return app


def _parents(module: str) -> list[str]:
    parts = module.split(".")
    return [".".join(parts[: end + 1]) for end in range(len(parts))] + [f"{module}.celery"]


def run_worker(  # noqa: PLR0913 - the options of one command
    tags: Sequence[str],
    app_name: str | None = None,
    *,
    concurrency: int | None = None,
    pool: str = "auto",
    loglevel: str = "INFO",
    url: str | None = None,
    health: str | None = None,
) -> int:
    """Run one worker process until a signal stops it; answers its exit code.

    Raises:
        TagNotOwned: a tag is not this credential's tenant's.
        BadSetting: there is no such application, or its health can't be told at that address.
    """
    settings = load_settings(url=url, health=health)
    server = Server(settings.url)
    tenant = check_tags(list(tags), server)
    server.call("version", tenant)  # says what is wrong in one line, before there are processes and threads
    if server.tenant is None and tenant != SHARED and not server.redis.hexists(keys.TENANTS, tenant):
        raise TenantNotFound(tenant)
    server.close()
    tracing.want("taglane-worker", otel=settings.otel)
    app = load_app(app_name, url)
    count = concurrency or os.cpu_count() or 1
    is_auto = pool == "auto"
    pool = choose_pool(app) if is_auto else pool
    processes = count if is_auto and pool == "solo" else 1
    pulses = [Pulse(slate=Slate() if settings.health else None) for _ in range(processes)]
    tell(settings, pulses)
    if not (is_auto and pool == "solo"):
        return serve(app, tags, count, pool, loglevel, pulses[0])
    mine = pulses[0]

    def take(place: int) -> None:
        nonlocal mine
        mine = pulses[place]
        mine.begin()
        if mine.slate is not None:
            mine.slate.retire()

    def work() -> int:
        return serve(app, tags, 1, "solo", loglevel, mine, supervised=True)

    return Supervisor(work, processes, take).run()


def choose_pool(app: Celery) -> str:
    """Return the pool for *app*: prefork where a task has a time limit, which only it can enforce; else solo.

    Solo processes, one a core, have the least overhead: a run crosses no pipe.
    """
    app.finalize()
    limits = [app.conf.task_time_limit, app.conf.task_soft_time_limit]
    limits += [limit for task in app.tasks.values() for limit in (task.time_limit, task.soft_time_limit)]
    return "prefork" if any(limits) else "solo"


def serve(  # noqa: PLR0913 - the options of one process
    app: Celery,
    tags: Sequence[str],
    concurrency: int,
    pool: str,
    loglevel: str = "INFO",
    pulse: Pulse | None = None,
    *,
    supervised: bool = False,
) -> int:
    """Run *app*'s worker in this process, with one of Celery's pools; answers its exit code.

    How it goes is told to *pulse*.
    """
    worker: Any = app.Worker(
        pool_cls=pool,
        concurrency=1 if pool == "solo" else concurrency,
        loglevel=loglevel,
        tag=tuple(tags),
        pulse=pulse,
        supervised=supervised,
        without_gossip=True,
        without_mingle=True,
        without_heartbeat=True,
    )
    worker.start()
    return int(worker.exitcode or 0)
