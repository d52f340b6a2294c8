"""The console as a process: its port, the server that it waits for, signals, the end."""

from __future__ import annotations

import asyncio
import ipaddress
import logging
import socket
import threading
import time
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import uvicorn
from taglane.errors import BadSetting, CallerError, LibraryMissing, OperatorNeeded, ServerUnavailable

from taglane_scheduler.access import passwords
from taglane_scheduler.process import handle_signals
from taglane_scheduler.web.api.rest import Rest
from taglane_scheduler.web.app import build_app
from taglane_scheduler.web.doors import Doors, check_server
from taglane_scheduler.web.gate import Doorkeeper
from taglane_scheduler.web.hosts import LOOPBACK, host_of

if TYPE_CHECKING:
    from collections.abc import Callable, Generator, Iterable, Sequence

    from starlette.types import ASGIApp

    from taglane_scheduler.services import Services

log = logging.getLogger(__name__)

RETRY = 0.5
"""Seconds between two attempts to reach a server."""

SLOW = 20.0
"""Seconds for the head of a request, and for all of its body: a connection that takes longer is closed, or a few
thousand of them, each with a byte now and then, would be all that this process may open."""

STREAMS = 1
"""Seconds that open requests may take at the end; event streams are cut off after them."""


class NobodyCanLogIn(CallerError):
    """The console would be reached from elsewhere, and nobody could log in to it."""

    def __init__(self, host: str) -> None:
        self.host = host
        super().__init__(
            f"at {host} the console is reached from elsewhere, and nobody can log in yet: first"
            "  taglane user add NAME --role admin --all"
        )


@dataclass(frozen=True, slots=True)
class Where:
    """Where a console is: *setup* is a path that opens once, when nobody can log in yet."""

    url: str
    setup: str = ""


def console_app(services: Services, host: str = "127.0.0.1", is_over: Callable[[], bool] = lambda: False) -> ASGIApp:
    """Return what a console answers with, which is called as the settings say, as *host*, or by loopback's names."""
    gate = Doorkeeper(services.access)
    named = [each.strip() for each in services.settings.console_hosts.split(",") if each.strip()]
    rest = Rest(services, gate)
    more = [*Doors(services, gate).routes(), rest.mount(), rest.scraped()]
    return build_app(services, gate, more, hosts=[*LOOPBACK, host, *named], is_over=is_over)


def run_console(
    services: Services,
    host: str = "127.0.0.1",
    ports: Sequence[int] = (7077,),
    ready: Callable[[Where], None] = lambda _: None,
    stopping: threading.Event | None = None,
) -> None:
    """Serve the console until SIGTERM, SIGINT or *stopping*; call *ready* once it can be asked.

    It takes the first of the ports that nobody has; 0 is a free one.

    Raises:
        OperatorNeeded: the credential is a tenant's.
        BadSetting: it can't listen there.
        NobodyCanLogIn: it would be reached from elsewhere, and has no people yet.
        ExtraMissing: the extra is not installed.
        ServerUnavailable: the server was gone at the start for longer than the settings' patience.
    """
    if services.server.tenant is not None:
        raise OperatorNeeded("the console", services.server.tenant)
    passwords.prepare()
    stop = threading.Event() if stopping is None else stopping
    listening = _listen(host, ports)
    restore = handle_signals(stop)
    over = threading.Event()
    gathering = threading.Thread(target=services.gathering.run, args=(over,), name="taglane-metrics", daemon=True)
    try:
        _wait_for_server(services, stop)
        if stop.is_set():
            return
        setup = "" if services.access.people.anyone() else services.access.tickets.make("setup")
        if setup and not _is_loopback(host):
            raise NobodyCanLogIn(host)
        proxies = services.settings.console_proxy
        config = uvicorn.Config(
            console_app(services, host, stop.is_set),
            http="h11",
            ws="none",
            loop="asyncio",
            lifespan="off",
            log_config=None,
            log_level="warning",
            access_log=False,
            server_header=False,
            proxy_headers=bool(proxies),
            forwarded_allow_ips=proxies or "",
            timeout_graceful_shutdown=STREAMS,
        )
        name = f"[{host}]" if ":" in host else host
        where = Where(f"http://{name}:{listening.getsockname()[1]}", setup)
        gathering.start()
        asyncio.run(_Server(config, stop, lambda: ready(where)).serve([listening]))
        log.info("console_stopped")
    finally:
        over.set()  # its thread ends with the process, or within a second
        restore()
        listening.close()
        services.close()


class Slow:
    """Closes connections that have been at the same head or body for so many seconds."""

    def __init__(self, seconds: float) -> None:
        self._seconds = seconds
        self._since: dict[Any, tuple[Any, float]] = {}

    def close(self, connections: Iterable[Any]) -> None:
        """Look at all, and close those that are too slow. Uvicorn's *cycle* is the request that is, or was last."""
        now, found = time.monotonic(), {}
        for each in connections:
            cycle = getattr(each, "cycle", None)
            if cycle is None or cycle.response_complete or (cycle.more_body and not cycle.response_started):
                before, since = self._since.get(each, (None, now))
                found[each] = (cycle, since if before is cycle else now)
                if now - found[each][1] > self._seconds:
                    each.transport.close()
        self._since = found


class _Server(uvicorn.Server):
    """Ends when an event is set; signals are ours, which set it."""

    def __init__(self, config: uvicorn.Config, stop: threading.Event, ready: Callable[[], None]) -> None:
        super().__init__(config)
        self._stop, self._ready = stop, ready
        self._slow = Slow(SLOW)

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Begin to listen, and say so."""
        await super().startup(sockets)
        self._ready()

    async def on_tick(self, counter: int) -> bool:
        """Look, ten times a second, whether to end; and, once a second, who is slow."""
        if counter % 10 == 0:
            self._slow.close(self.server_state.connections)
        return self._stop.is_set() or await super().on_tick(counter)

    @contextmanager
    def capture_signals(self) -> Generator[None, None, None]:
        """Leave signals alone."""
        yield


def _listen(host: str, ports: Sequence[int]) -> socket.socket:
    for port in ports:
        family = socket.AF_INET6 if ":" in host else socket.AF_INET
        made = socket.socket(family, socket.SOCK_STREAM, socket.IPPROTO_TCP)  # named TCP, asyncio sets TCP_NODELAY
        try:
            made.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            made.bind((host, port))
            made.listen(512)
        except OSError as error:
            made.close()
            if port == ports[-1]:
                raise BadSetting("--port", str(port), f"can't listen on port {port} of {host}: {error}") from error
        else:
            return made
    raise AssertionError


def _is_loopback(host: str) -> bool:
    try:
        return host == "localhost" or ipaddress.ip_address(host_of(host) or host).is_loopback
    except ValueError:
        return False


def _wait_for_server(services: Services, stop: threading.Event) -> None:
    """Return when the server answers; one without functions does, and gets them from a scheduler."""
    give_up = time.monotonic() + services.settings.patience / 1000
    told = False
    while not stop.is_set():
        try:
            check_server(services)
        except LibraryMissing as error:
            log.warning("library_missing why=%s", error)
        except ServerUnavailable as error:
            if time.monotonic() > give_up:
                raise
            if not told:
                log.warning("server_gone error=%s", error)
                told = True
            stop.wait(RETRY)
            continue
        return
