"""Sends a message to a webhook: JSON, signed, to an address that was checked; no redirect is followed.

`Taglane-Signature: t=<seconds>,v1=<hex>` is HMAC-SHA256 over ``<seconds>.<body>`` under the channel's secret.
`Taglane-Message` is the message's id: a receiver drops one that it has had.
"""

from __future__ import annotations

import hashlib
import hmac
import http.client
import socket
import ssl
import threading
import time
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from taglane_scheduler.alerting.message import Outcome
from taglane_scheduler.alerting.reach import NotReachable, Reach

if TYPE_CHECKING:
    from collections.abc import Iterator

    from taglane_scheduler.alerting.channels import Channel

CONNECT_S = 5.0
SEND_S = 10.0
"""Seconds for connecting, and for all that comes after it: whatever the receiver does with them."""

READ = 1_024
"""Bytes of the answer that are read: they are shown to who looks for what went wrong."""

_PASSING = frozenset({408, 425, 429})
"""4xx that say: later."""


def signature(secret: str, body: bytes, at: int) -> str:
    """Return the header's value for a body that is sent at *at*, seconds since 1970."""
    digest = hmac.new(secret.encode(), f"{at}.".encode() + body, hashlib.sha256).hexdigest()
    return f"t={at},v1={digest}"


class Webhook:
    """Sends to webhooks. Safe to share between threads.

    Args:
        reach: where they may lead.
        context: for TLS; the system's authorities unless given.
        timeout: seconds for all that comes after connecting.
    """

    def __init__(self, reach: Reach, context: ssl.SSLContext | None = None, timeout: float = SEND_S) -> None:
        self._reach = reach
        self._context = context or ssl.create_default_context()
        self._timeout = timeout

    def send(self, channel: Channel, message_id: str, body: bytes) -> Outcome:
        """Send a message; whatever goes wrong is the outcome."""
        parts = urlsplit(channel.url)
        host, secure = parts.hostname or "", parts.scheme == "https"
        headers = {
            "Host": parts.netloc,
            "Content-Type": "application/json",
            "User-Agent": "taglane",
            "Taglane-Message": message_id,
            "Taglane-Signature": signature(channel.secret, body, int(time.time())),
            "Connection": "close",
        }
        target = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
        port = parts.port or (443 if secure else 80)
        try:
            connection = self._reach.connect(
                host, port, owner=channel.owner, scheme=parts.scheme, timeout=min(CONNECT_S, self._timeout)
            )
            with _ending(connection, self._timeout):
                if secure:
                    connection = self._context.wrap_socket(connection, server_hostname=host)
                return _post(connection, host, target, body, headers)
        except NotReachable as error:
            return Outcome(False, str(error), final=True)
        except (OSError, http.client.HTTPException, ValueError) as error:
            return Outcome(False, f"{type(error).__name__}: {error}"[:READ])


def _post(connection: socket.socket, host: str, target: str, body: bytes, headers: dict[str, str]) -> Outcome:
    asking = http.client.HTTPConnection(host)
    asking.sock = connection
    try:
        asking.request("POST", target, body, headers)
        answer = asking.getresponse()
        text = answer.read(READ).decode(errors="replace").strip()
    finally:
        asking.close()
    told = " ".join(f"HTTP {answer.status} {answer.reason} {text}".split())[:READ]
    said = "".join(char if char.isprintable() else "?" for char in told)  # it is shown on terminals
    if 200 <= answer.status < 300:
        return Outcome(True, said)
    if 300 <= answer.status < 400:
        return Outcome(False, f"{said}: redirects are not followed, give the address that it leads to", final=True)
    return Outcome(False, said, final=400 <= answer.status < 500 and answer.status not in _PASSING)


@contextmanager
def _ending(connection: socket.socket, seconds: float) -> Iterator[None]:
    """End a connection after so many seconds: a receiver may send a byte now and then for ever."""
    raw = connection.dup()  # what TLS wraps is another object of the same connection
    is_late = threading.Event()

    def end() -> None:
        is_late.set()
        with suppress(OSError):  # it has just ended by itself
            raw.shutdown(socket.SHUT_RDWR)

    timer = threading.Timer(seconds, end)
    timer.daemon = True
    timer.start()
    late = TimeoutError(f"no whole answer within {seconds:g} s")
    try:
        yield
        if is_late.is_set():  # half an answer may look like a whole one
            raise late
    except (OSError, http.client.HTTPException, ValueError) as error:
        if is_late.is_set():
            raise late from error
        raise
    finally:
        timer.cancel()
        raw.close()
        connection.close()
