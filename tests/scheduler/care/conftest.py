"""What the tests of the watchdog and of its parts share."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from taglane.store.server import connect

if TYPE_CHECKING:
    from collections.abc import Iterator


@contextmanager
def connections(url: str, count: int) -> Iterator[list[Any]]:
    """So many open connections with one credential."""
    with connect(url) as client:
        pool = client.connection_pool
        made = [pool.connection_class(**pool.connection_kwargs) for _ in range(count)]
        try:
            for each in made:
                each.connect()
            yield made
        finally:
            for each in made:
                each.disconnect()


def is_alive(connection: Any) -> bool:
    """Whether the server still answers on it; it does not connect again."""
    try:
        connection._sock.settimeout(5)  # noqa: SLF001 - redis-py would reconnect
        connection._sock.sendall(b"*1\r\n$4\r\nPING\r\n")  # noqa: SLF001
        return bool(connection._sock.recv(64))  # noqa: SLF001
    except OSError:
        return False
