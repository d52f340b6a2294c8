"""Tells whoever asks by HTTP whether a worker or scheduler lives, and whether it is ready.

`/livez` is for who restarts a process that hangs: its loops turn. A server that is gone is no reason to be restarted.
`/readyz` is for who wants to know whether work is being done: the server answers, and nothing is held back. Both
answer 200 or 503, with the checks as JSON. `/metrics` is for Prometheus, and tells more than everybody is to know: it
answers on the loopback interface, or to who shows the token.
"""

from __future__ import annotations

import hmac
import json
import os
import socket
import threading
import weakref
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from ipaddress import ip_address
from typing import TYPE_CHECKING, NamedTuple

from taglane.errors import BadSetting, TaglaneError

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from taglane.runtime.pulse import Pulse

LOOPBACK = "127.0.0.1"


class Metrics(NamedTuple):
    """What `/metrics` answers."""

    render: Callable[[str], tuple[str, bytes]]
    """Takes what the scraper accepts; answers content type and text."""
    token: str = ""
    """What the scraper has to show; without one, only who asks the loopback interface is answered."""


class Health:
    """The endpoint: listens from now on, and answers from `start` on.

    Args:
        address: ``HOST:PORT``, or ``PORT`` of the loopback interface; port 0 takes a free one.
        pulses: of the processes for which it answers.
        metrics: what it answers to a scraper.

    Raises:
        BadSetting: it is no address, or can't be listened on.
    """

    def __init__(self, address: str, pulses: Sequence[Pulse], metrics: Metrics | None = None) -> None:
        host, port = _parsed(address)
        try:
            self._server = _Server((host, port), pulses, metrics)
        except (OSError, OverflowError) as error:
            why = getattr(error, "strerror", None) or error
            other = f"can't listen there: {why}: give another port, by TAGLANE_HEALTH or --health"
            raise BadSetting("TAGLANE_HEALTH", address, other) from error
        self._thread = threading.Thread(target=self._server.serve_forever, name="taglane-health", daemon=True)

    @property
    def address(self) -> str:
        """Where it listens."""
        host, port = self._server.server_address[:2]
        return f"[{host!s}]:{port}" if ":" in str(host) else f"{host!s}:{port}"

    def start(self) -> None:
        """Answer, from a thread of its own."""
        self._thread.start()

    def stop(self) -> None:
        """Answer no more, and give the port back."""
        if self._thread.is_alive():
            self._server.shutdown()
        self._server.server_close()


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    block_on_close = False

    def __init__(self, address: tuple[str, int], pulses: Sequence[Pulse], metrics: Metrics | None) -> None:
        self.pulses = pulses
        self.metrics = metrics
        if ":" in address[0]:
            self.address_family = socket.AF_INET6
        super().__init__(address, _Handler)
        itself = weakref.ref(self)

        def close_in_child() -> None:  # a child that lives on would hold the port
            server = itself()
            if server is not None:
                server.socket.close()

        os.register_at_fork(after_in_child=close_in_child)


class _Handler(BaseHTTPRequestHandler):
    server: _Server
    timeout = 5.0

    def do_GET(self) -> None:
        if self.path.partition("?")[0] == "/metrics" and self.server.metrics is not None:
            return self._answer_scraper(self.server.metrics)
        checks = self._checks()
        if checks is None:
            return self._answer(HTTPStatus.NOT_FOUND, {"status": "not found", "checks": {}})
        is_well = all(found == "ok" for found in checks.values())
        status = HTTPStatus.OK if is_well else HTTPStatus.SERVICE_UNAVAILABLE
        return self._answer(status, {"status": "ok" if is_well else "failing", "checks": checks})

    do_HEAD = do_GET  # noqa: N815 - the name is http.server's

    def log_message(self, *_: object) -> None:
        """Say nothing: it is asked every few seconds."""

    def version_string(self) -> str:
        """Return what we call ourselves, and no version of anything."""
        return "taglane"

    def _checks(self) -> dict[str, str] | None:
        """Return all checks of what is asked for; with several processes, each under its number."""
        path = self.path.partition("?")[0]
        if path not in ("/livez", "/readyz"):
            return None
        pulses = list(self.server.pulses)  # those of a cluster's shards come and go
        found = [pulse.live_checks() if path == "/livez" else pulse.ready_checks() for pulse in pulses]
        if len(found) == 1:
            return found[0]
        names = [pulse.name or str(number) for number, pulse in enumerate(pulses, 1)]
        return {f"{name}.{of}": said for of, checks in zip(names, found, strict=True) for name, said in checks.items()}

    def _answer_scraper(self, metrics: Metrics) -> None:
        address = str(self.server.server_address[0])
        if metrics.token:
            shown = self.headers.get("Authorization", "")
            if not hmac.compare_digest(shown.encode(), f"Bearer {metrics.token}".encode()):
                why = "show the token of TAGLANE_METRICS_TOKEN:  Authorization: Bearer ..."
                return self._answer(HTTPStatus.UNAUTHORIZED, {"status": why})
        elif not ip_address(address).is_loopback:
            why = (
                f"on {address} metrics are told to who shows a token: set TAGLANE_METRICS_TOKEN, or listen on loopback"
            )
            return self._answer(HTTPStatus.FORBIDDEN, {"status": why})
        try:
            content_type, body = metrics.render(self.headers.get("Accept", ""))
        except TaglaneError as error:
            return self._answer(HTTPStatus.SERVICE_UNAVAILABLE, {"status": str(error)})
        return self._send(HTTPStatus.OK, content_type, body)

    def _answer(self, status: HTTPStatus, what: dict[str, object]) -> None:
        self._send(status, "application/json", json.dumps(what).encode())

    def _send(self, status: HTTPStatus, content_type: str, body: bytes) -> None:
        self.send_response(status)
        self.send_header("Content-Type", content_type)
        self.send_header("Content-Length", str(len(body)))
        self.send_header("Cache-Control", "no-store")
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)


def listen(address: str, pulses: Sequence[Pulse], metrics: Metrics | None = None) -> Health | None:
    """Return the endpoint at *address*, already answering; None where none is wanted.

    Raises:
        BadSetting: it is no address, or can't be listened on.
    """
    if not address:
        return None
    health = Health(address, pulses, metrics)
    health.start()
    return health


def _parsed(address: str) -> tuple[str, int]:
    host, colon, port = address.rpartition(":")
    if not port.isdecimal() or (colon and not host):
        raise BadSetting("TAGLANE_HEALTH", address, "write HOST:PORT, or PORT for the loopback interface")
    return host.removeprefix("[").removesuffix("]") or LOOPBACK, int(port)
