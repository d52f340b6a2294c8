"""Waits on bells, and fetches before that: for one thread, on a connection of its own that another thread may close."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

from redis.exceptions import ConnectionError as LostConnection
from redis.exceptions import RedisError, ResponseError

from taglane.store.server import connect, rename

if TYPE_CHECKING:
    from collections.abc import Sequence

    from taglane.store.server import Server
    from taglane.store.wire import Command

OVERDUE = 2.0
"""Seconds after the end of a wait in which the server has to say that it is over; then its connection is dead."""

SHORTEST = 0.001
"""Seconds; a shorter wait is none: BLPOP takes 0 for ever."""

PATIENCE = 10.0
"""Seconds that a call's answer may take; then its connection is dead."""


class Waiter:
    """Blocks until a token lies in one of some lists, and takes it."""

    def __init__(self, server: Server) -> None:
        self._server = server
        self._connection: Any = None
        self._stopped = self._waits = False
        self._pool = connect(server.url, timeout=None).connection_pool

    def wait(self, bells: Sequence[str], seconds: float, then: Command | None = None) -> Any:
        """Wait until one of the bells rings, *seconds* at most; answers *then*, a command, or None if nobody did.

        The server has the command from the beginning, and goes on to it when the wait ends: its answer comes with the
        bell's, a round trip earlier than if it were asked then. One that is broken off may have been done.

        Raises:
            ServerUnavailable: the connection broke.
        """
        self._waits = True  # before we look whether to stop, as `stop` looks after it
        if seconds <= SHORTEST or self._stopped:
            self._waits = False
            return None
        try:
            connection = self._connected()
            commands = [("BLPOP", *bells, f"{seconds:.3f}"), *([then] if then else [])]
            connection.send_packed_command(connection.pack_commands(commands))
            deadline = time.monotonic() + seconds + OVERDUE
            # In slices: what `stop` closes may be opened again, by `can_read` itself, in the same instant.
            while not connection.can_read(timeout=max(0.0, min(0.5, deadline - time.monotonic()))):
                if self._stopped or time.monotonic() >= deadline:
                    self._drop()
                    if not self._stopped:  # the other connections are as dead, and would cost 10 s each
                        self._server.redis.connection_pool.disconnect(inuse_connections=False)
                    return None
            rung = connection.read_response()
            return connection.read_response(timeout=PATIENCE) if then else rung
        except (
            RedisError,
            OSError,
            AttributeError,
            TypeError,
            ValueError,
        ) as error:  # closed under us: see stop
            self._drop()
            lost = error if isinstance(error, RedisError) else LostConnection(str(error))
            raise rename(lost, "waiting", self._server.url) from error
        finally:
            self._waits = False

    @property
    def is_stopped(self) -> bool:
        """Whether nobody is to wait any more."""
        return self._stopped

    def call(self, move: str, prefix: str, *args: str | bytes | float) -> Any:
        """Call one function of the library, as `Server.call_at` does: who waits needs no second connection."""
        try:
            connection = self._connected()
            connection.send_command("FCALL", f"taglane_{move}", 1, prefix, *args)
            return connection.read_response(timeout=PATIENCE)
        except ResponseError as error:
            raise rename(error, move, self._server.url) from error
        except (RedisError, OSError) as error:
            self._drop()
            lost = error if isinstance(error, RedisError) else LostConnection(str(error))
            raise rename(lost, move, self._server.url) from error

    def stop(self) -> None:
        """Wake whoever waits, from another thread, and let nobody wait again: its connection is closed under it."""
        self._stopped = True
        connection = self._connection
        if connection is not None and self._waits:  # a call gets its answer: it may have leased something
            connection.disconnect()

    def _connected(self) -> Any:
        if self._connection is None:
            self._connection = self._pool.get_connection()
        return self._connection

    def _drop(self) -> None:
        connection, self._connection = self._connection, None
        if connection is not None:
            connection.disconnect()
            self._pool.release(connection)
