"""The scheduler as a process: signals, log lines, the loop."""

from __future__ import annotations

import logging
import signal
import threading
from typing import TYPE_CHECKING

from taglane.errors import OperatorNeeded
from taglane.runtime import tracing
from taglane.runtime.health import Metrics, listen

if TYPE_CHECKING:
    from collections.abc import Callable

    from taglane_scheduler.services import Services

log = logging.getLogger(__name__)

FORMAT = "%(asctime)s level=%(levelname)s logger=%(name)s event=%(message)s"
"""A log line: its message is a constant event name, then fields as key=value."""

JOIN = 2.0
"""Seconds that the end waits for what goes on beside the loop: it may be at a server that does not answer."""


def run_scheduler(
    services: Services,
    ready: Callable[[], None] = lambda: None,
    stopping: threading.Event | None = None,
    health: str | None = None,
) -> None:
    """Run a scheduler until SIGTERM, SIGINT or *stopping*; call *ready* once it fires what is due.

    Its health is told at *health*, or where the settings say: see `taglane.runtime.health`.

    Outside of the main thread, which alone gets signals, only *stopping* ends it.

    Raises:
        ServerUnavailable: the server was gone for longer than the settings' patience.
        Refused: the credential is not the operator's.
        BadSetting: its health can't be told at that address; or a setting of alerts says nothing.
        ExtraMissing: TAGLANE_OTEL asks for traces, and OpenTelemetry is not installed.
    """
    if services.server.tenant is not None:
        raise OperatorNeeded("a scheduler", services.server.tenant)
    stop = threading.Event() if stopping is None else stopping
    tracing.want("taglane-scheduler", otel=services.settings.otel)
    over = threading.Event()
    alerting = services.alerting.threads(services.alerts, over)
    loop = services.loop
    metrics = Metrics(services.exposition.page, services.settings.metrics_token)
    endpoint = listen(services.settings.health if health is None else health, loop.pulses, metrics)
    restore = handle_signals(stop)
    denials = threading.Thread(target=services.denials.run, args=(over,), name="taglane-denials", daemon=True)
    gathering = threading.Thread(target=services.gathering.run, args=(over,), name="taglane-metrics", daemon=True)
    beside = [denials, *alerting, *([gathering] if endpoint else [])]
    try:
        for thread in beside:
            thread.start()
        log.info("scheduler_starting health=%s", endpoint.address if endpoint else "off")
        services.pool_keeper.start()
        loop.run(stop, ready)
        log.info("scheduler_stopped")
    finally:
        over.set()
        for thread in beside:
            if thread.is_alive():
                thread.join(JOIN)
        restore()
        services.pool_keeper.stop()
        tracing.flush()
        if endpoint is not None:
            endpoint.stop()
        services.close()


def handle_signals(stop: threading.Event) -> Callable[[], None]:
    """Let SIGTERM and SIGINT set *stop*; return what undoes it."""
    if threading.current_thread() is not threading.main_thread():
        return lambda: None

    def handle(_number: int, _frame: object) -> None:
        stop.set()

    before = {number: signal.signal(number, handle) for number in (signal.SIGTERM, signal.SIGINT)}

    def restore() -> None:
        for number, handler in before.items():
            signal.signal(number, handler)

    return restore
