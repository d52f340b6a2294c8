"""A console that runs, and what it stands on."""

from __future__ import annotations

import threading
from contextlib import contextmanager
from dataclasses import dataclass
from queue import Queue
from typing import TYPE_CHECKING

from taglane.settings import load_settings
from taglane_scheduler.services import build
from taglane_scheduler.web.serve import run_console

if TYPE_CHECKING:
    from collections.abc import Iterator

    from taglane_scheduler.embedded import EmbeddedServer
    from taglane_scheduler.services import Services
    from taglane_scheduler.web.serve import Where

SECONDS = 15.0
"""How long it, or a page, may take; a busy machine is slow."""


@dataclass(frozen=True)
class Console:
    """A console, its server, and the operator's services."""

    server: EmbeddedServer
    services: Services
    url: str

    def enter(self) -> str:
        """A link that logs in, once, as the administrator of all tenants."""
        return self.url + self.services.access.tickets.make("enter")


@contextmanager
def console_of(server: EmbeddedServer) -> Iterator[Console]:
    """A console in a thread, as `taglane console` runs it."""
    services = build(load_settings(url=server.url))
    services.prepare()
    own = build(load_settings(url=server.url))  # of the thread, which closes them at its end
    ready: Queue[Where] = Queue()
    stopping = threading.Event()
    serving = threading.Thread(target=run_console, args=(own, "127.0.0.1", (0,), ready.put, stopping))
    serving.start()
    try:
        yield Console(server, services, ready.get(timeout=SECONDS).url)
    finally:
        stopping.set()
        serving.join()
        services.close()
