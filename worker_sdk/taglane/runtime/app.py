"""Puts a Celery application on Taglane: its broker, its results, its ids, its worker."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Any
from weakref import ref

from celery import Celery
from celery.bin.base import CeleryOption
from kombu import Exchange, Queue
from kombu.utils.uuid import uuid as random_id

from taglane.context import current_tenant
from taglane.model.names import new_run_id
from taglane.runtime import pools, tracing, transport
from taglane.runtime.control import Control
from taglane.runtime.step import TagStep
from taglane.runtime.tasks import add_tasks
from taglane.settings import load_settings
from taglane.store.server import address_of, tenant_of_url

if TYPE_CHECKING:
    from types import ModuleType

logger = logging.getLogger("taglane")

SCHEME = "taglane://"
"""What the broker's url of an installed application starts with; the credential is not in it, so it may be shown."""

TAG_OPTION = CeleryOption(("--tag",), multiple=True, help="Serve this tag; may be given again.", help_group="Taglane")
"""What `celery worker` takes beside its own options."""


def is_installed(app: Celery) -> bool:
    """Whether an application is on Taglane."""
    return str(app.conf.broker_url or "").startswith(SCHEME)


def install(app: Celery, url: str | None = None) -> Celery:
    """Put *app* on Taglane, after its own configuration; connects to nothing.

    Args:
        app: an application whose tasks are to run unchanged.
        url: where to connect; default: the setting TAGLANE_URL.

    Raises:
        BadSetting: a setting is out of range.
        ExtraMissing: TAGLANE_OTEL asks for traces, and OpenTelemetry is not installed.
    """
    settings = load_settings(url=url)
    tracing.want(otel=settings.otel)
    transport.register()
    pools.register()
    _name_ids(tenant_of_url(settings.url))
    app.conf.update(_configuration(app, settings.url))
    app.control_cls = f"{Control.__module__}:{Control.__qualname__}"
    app.__dict__.pop("control", None)
    app.user_options["worker"].add(TAG_OPTION)
    app.steps["worker"].add(TagStep)
    add_tasks(app)
    return app


def create_app(name: str = "taglane", url: str | None = None, **options: Any) -> Celery:
    """Return a new Celery application on Taglane.

    Raises:
        BadSetting: a setting is out of range.
    """
    return install(Celery(name, **options), url)


def tag_queue(tag: str) -> Queue:
    """A tag as the queue that a Celery worker selects."""
    return Queue(tag, Exchange(""), routing_key=tag, no_declare=True)


def _configuration(app: Celery, url: str) -> dict[str, Any]:
    ours: dict[str, Any] = {
        "broker_url": f"{SCHEME}{address_of(url).partition(',')[0]}",  # of several sentinels one: Celery only shows it
        "broker_transport_options": {"secret_url": url, "app": ref(app)},  # `celery report` hides what is called secret
        "broker_connection_retry_on_startup": True,
        "result_backend": "taglane.runtime.backend:Backend",
        "result_serializer": "json",
        "task_serializer": "json",
        "accept_content": ["json"],
        "task_queues": [tag_queue(app.conf.task_default_queue)],
        "task_create_missing_queues": True,
        "worker_prefetch_multiplier": 1,
        "worker_enable_remote_control": False,
        "worker_send_task_events": False,
        "worker_cancel_long_running_tasks_on_connection_loss": False,
        "worker_detect_quorum_queues": False,
    }
    for name in ("task_acks_late", "task_reject_on_worker_lost"):
        if not _has_decided(app, name):
            ours[name] = True
    return ours


def _has_decided(app: Celery, setting: str) -> bool:
    """Whether the application has set a setting itself: then it stays."""
    return bool(app.conf.value_set_for(setting))  # in whichever place, and under its old name too


def _name_ids(default_tenant: str | None) -> None:
    """Let Celery's fresh ids carry the tenant in reach, so that an id alone finds its run."""

    def run_id() -> str:
        tenant = current_tenant() or default_tenant
        return new_run_id(tenant) if tenant else str(random_id())

    for module in _modules_with_ids():
        module.uuid = run_id  # type: ignore[attr-defined]


def _modules_with_ids() -> tuple[ModuleType, ...]:
    from celery import canvas  # noqa: PLC0415 - only to be patched
    from celery.app import base, task  # noqa: PLC0415

    return base, task, canvas
