"""Waits on bells, and fetches before that: for one thread, on a connection of its own that another thread may close."""

from __future__ import annotations

import time
from functools import partial
from typing import TYPE_CHECKING, Any

from redis.connection import SSLConnection
from redis.exceptions import AskError, MovedError, RedisError, ResponseError, TryAgainError
from redis.exceptions import ConnectionError as LostConnection
from redis.exceptions import TimeoutError as Overtime

from taglane.store.connect import NODE_TIMEOUT
from taglane.store.server import connect, connect_node, rename

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from typing import Protocol

    from taglane.store.cluster_nodes import Node
    from taglane.store.server import Server
    from taglane.store.wire import Command

    class Listener(Protocol):
        """Somebody else who may read an answer, sooner than the thread that waits for it: see `runtime.ear`."""

        def listen(
            self,
            descriptor: int,
            read: Callable[[], Any],
            until: Callable[[], bool],
            heard: Callable[[Any], object],
        ) -> Any:
            """Return what *read* has answered, after *heard* was called with it; None: nobody has read anything."""

        def look_up(self) -> None:
            """Let `listen` ask *until* now."""


OVERDUE = 2.0
"""Seconds after the end of a wait in which the server has to say that it is over; then its connection is dead."""

SHORTEST = 0.001
"""Seconds; a shorter wait is none: BLPOP takes 0 for ever."""

PATIENCE = 10.0
"""Seconds that a call's answer may take; then its connection is dead."""


MOVING = 0.1
"""Seconds to wait instead, where the bells are on their way to another node of a cluster."""


class Waiter:
    """Blocks until a token lies in one of some lists, and takes it. On a cluster all of them share a slot."""

    def __init__(self, server: Server) -> None:
        self._server = server
        self._connection: Any = None
        self._stopped = self._waits = False
        self._node: Node | None = None
        self._listener: Listener | None = None
        self._pool: Any = None if server.clustered else connect(server.url, timeout=None).connection_pool

    def wait(
        self,
        bells: Sequence[str],
        seconds: float,
        then: Command | None = None,
        listener: Listener | None = None,
        heard: Callable[[Any], object] = lambda _: None,
    ) -> Any:
        """Wait until one of the bells rings, *seconds* at most; answers *then*, a command, or None if nobody did.

        The server has the command from the beginning, and goes on to it when the wait ends: its answer comes with the
        bell's, a round trip earlier than if it were asked then. One that is broken off may have been done. A listener
        may read the answer, and calls *heard* with it before this returns.

        Raises:
            ServerUnavailable: the connection broke.
        """
        self._waits = True  # before we look whether to stop, as `stop` looks after it
        if seconds <= SHORTEST or self._stopped:
            self._waits = False
            return None
        try:
            return self._await(bells, seconds, then, listener, heard)
        except MovedError as error:
            self._drop()  # with the answer to the other command, which says the same
            self._follow(error)
            return None
        except (AskError, TryAgainError):
            self._drop()
            time.sleep(min(seconds, MOVING))
            return None
        except ResponseError as error:
            if not str(error).startswith("UNBLOCKED"):
                raise self._lost(error, "waiting") from error
            self._drop()  # its server is no primary any more: the next one is found as at the beginning
            return None
        except (
            RedisError,
            OSError,
            AttributeError,
            TypeError,
            ValueError,
        ) as error:  # closed under us: see stop
            raise self._lost(error, "waiting") from error
        finally:
            self._waits = False

    def _await(
        self,
        bells: Sequence[str],
        seconds: float,
        then: Command | None,
        listener: Listener | None,
        heard: Callable[[Any], object],
    ) -> Any:
        connection = self._connected(bells[0])
        commands = [("BLPOP", *bells, f"{seconds:.3f}"), *([then] if then else [])]
        connection.send_packed_command(connection.pack_commands(commands))
        deadline = time.monotonic() + seconds + OVERDUE

        rung: list[Any] = []

        def read(**within: Any) -> Any:
            if not rung:
                rung.append(connection.read_response(**within))
            return connection.read_response(**{"timeout": self._patience, **within}) if then else rung[0]

        def read_what_is_there() -> Any:
            try:
                return read(timeout=0, disconnect_on_error=False)
            except Overtime:  # a part of it, or nothing: it stays where it is, for the thread that may wait
                return None

        if listener is not None and not isinstance(connection, SSLConnection):  # what comes there may be no answer yet
            self._listener = listener
            socket = connection._sock.fileno()  # noqa: SLF001 - redis-py tells it nowhere else
            answer = listener.listen(socket, read_what_is_there, partial(self._is_due, deadline), heard)
            if answer is not None:
                return answer
            if self._stopped:  # its connection is closed: `can_read` would open another
                self._drop()
                return None
        # In slices: what `stop` closes may be opened again, by `can_read` itself, in the same instant.
        while not rung and not connection.can_read(timeout=max(0.0, min(0.5, deadline - time.monotonic()))):
            if self._is_over(deadline):
                return None
        return read()

    @property
    def is_stopped(self) -> bool:
        """Whether nobody is to wait any more."""
        return self._stopped

    def call(self, move: str, prefix: str, *args: str | bytes | float) -> Any:
        """Call one function of the library, as `Server.call_at` does: who waits needs no second connection."""
        try:
            connection = self._connected(prefix)
            connection.send_command("FCALL", f"taglane_{move}", 1, prefix, *args)
            return connection.read_response(timeout=self._patience)
        except (MovedError, AskError, TryAgainError):  # the client of the cluster follows, and takes note
            return self._server.call_at(prefix, move, *args)
        except ResponseError as error:
            raise rename(error, move, self._server.url) from error
        except (RedisError, OSError) as error:
            raise self._lost(error, move) from error

    def stop(self) -> None:
        """Wake whoever waits, from another thread, and let nobody wait again: its connection is closed under it."""
        self._stopped = True
        connection, listener = self._connection, self._listener
        if connection is not None and self._waits:  # a call gets its answer: it may have leased something
            connection.disconnect()
        if listener is not None:
            listener.look_up()

    @property
    def _patience(self) -> float:
        return PATIENCE if self._node is None else NODE_TIMEOUT

    def _connected(self, key: str) -> Any:
        """The connection, on a cluster to the node that has the key: it may be another one each time."""
        if self._server.clustered:
            self._go_to(self._server.redis.node_of(key))
        if self._connection is None:
            self._connection = self._pool.get_connection()
        return self._connection

    def _go_to(self, node: Node) -> None:
        if node.gone:
            raise node.refusal()
        if node is not self._node:
            self._drop()
            self._node = node
            self._pool = connect_node(self._server.url, *node.address, timeout=None).connection_pool

    def _is_due(self, deadline: float) -> bool:
        """Whether it is time to see whether it is over."""
        return self._stopped or time.monotonic() >= deadline or (self._node is not None and self._node.gone)

    def _is_over(self, deadline: float) -> bool:
        """Whether to wait no longer: nobody wants to, or the server has not said that it is over."""
        is_late = time.monotonic() >= deadline
        if self._node is not None and not self._stopped:
            if self._node.gone:
                raise self._node.refusal()
            if is_late:
                raise LostConnection("the end of a wait was not told")
        if not self._stopped and not is_late:
            return False
        self._drop()
        if not self._stopped:  # the other connections are as dead, and would cost 10 s each
            self._server.redis.connection_pool.disconnect(inuse_connections=False)
        return True

    def _follow(self, error: MovedError) -> None:
        """Take note of where the bells are: the next wait is there."""
        if self._node is None:
            raise rename(error, "waiting", self._server.url) from error
        self._server.redis.nodes.moved(error.slot_id, error.host, error.port, self._node)

    def _lost(self, error: Exception, what: str) -> Exception:
        self._drop()
        lost = error if isinstance(error, RedisError) else LostConnection(str(error))
        if self._node is not None and not self._stopped:
            self._server.redis.nodes.failed(self._node, lost)
        return rename(lost, what, self._server.url)

    def _drop(self) -> None:
        connection, self._connection = self._connection, None
        if connection is not None:
            connection.disconnect()
            self._pool.release(connection)
