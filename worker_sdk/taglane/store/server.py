"""The connection to the server, with its errors renamed once, here."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING, Any
from urllib.parse import unquote, urlsplit

import redis as redis_py
from redis import exceptions
from redis.backoff import NoBackoff
from redis.retry import Retry

from taglane.errors import BadSetting, LibraryMissing, Refused, ServerFull, ServerUnavailable, TaglaneError
from taglane.store import keys

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

USER = "taglane-"
"""What the ACL user of a tenant is called, before the tenant's name."""


_REFUSALS = ("NOPERM", "No permissions", "ACL failure", "can't run this command")
"""What a function says that is refused a command or a key: Redis 7 and Valkey have words of their own."""


def tenant_of_url(url: str) -> str | None:
    """Return the tenant whose credential *url* carries, or None for another user's."""
    user = unquote(urlsplit(url).username or "")
    return user.removeprefix(USER) if user.startswith(USER) else None


def address_of(url: str) -> str:
    """Return ``host:port`` of *url*: what may be shown, where the url itself holds a password."""
    parts = urlsplit(url)
    return f"{parts.hostname or 'localhost'}:{parts.port or 6379}"


def connect(url: str, *, timeout: float | None = 10.0) -> redis_py.Redis:
    """Return a client of *url* that answers bytes; it connects when first used.

    Args:
        url: ``redis://[user:password@]host:port/db`` or ``rediss://``.
        timeout: seconds until a silent server counts as gone; None to wait for ever (blocking reads).

    Raises:
        BadSetting: the url is none.
    """
    try:
        return redis_py.Redis.from_url(
            url,
            protocol=2,
            driver_info=None,  # it need not say which library it is: Redis 7.0 has no CLIENT SETINFO
            socket_timeout=timeout,
            socket_connect_timeout=5.0,
            socket_keepalive=True,
            health_check_interval=0,
            retry=Retry(NoBackoff(), 0),
        )
    except ValueError as error:
        raise BadSetting("TAGLANE_URL", url.rsplit("@", maxsplit=1)[-1], str(error)) from error


def rename(error: Exception, what: str, url: str) -> TaglaneError:
    """Return ours for an error of redis-py; *what* is what was being done."""
    match error:
        case exceptions.AuthenticationError():
            return Refused("the login", str(error))
        case exceptions.NoPermissionError():
            return Refused(what, str(error))
        case exceptions.OutOfMemoryError():
            return ServerFull()
        case exceptions.ConnectionError() | exceptions.TimeoutError() | exceptions.BusyLoadingError():
            return ServerUnavailable(f"no server at {address_of(url)}: {error}")
        case exceptions.ResponseError():
            text = str(error)
            if text.startswith("Function not found"):
                return LibraryMissing()
            if "-OOM" in text or text.startswith("OOM"):
                return ServerFull()
            if any(phrase in text for phrase in _REFUSALS):
                return Refused(what, text)
            return ServerUnavailable(f"{what}: {text}")
        case _:
            return ServerUnavailable(f"{what}: {error}")


class Server:
    """One server under one credential: what every store of ours is built on. Safe to share between threads.

    Args:
        url: see `connect`.
        redis: a client to use instead of a new one.
    """

    def __init__(self, url: str, redis: redis_py.Redis | None = None) -> None:
        self.url = url
        self.redis: Any = redis if redis is not None else connect(url)  # its stubs mix bytes and str; ours are bytes

    @property
    def tenant(self) -> str | None:
        """The tenant whose credential this is, or None for the operator's."""
        return tenant_of_url(self.url)

    @contextmanager
    def renamed(self, what: str) -> Iterator[None]:
        """Raise ours for whatever redis-py raises inside."""
        try:
            yield
        except exceptions.RedisError as error:
            raise rename(error, what, self.url) from error

    def call(self, move: str, tenant: str, *args: str | bytes | float) -> Any:
        """Call one function of the library for one tenant; answers bytes, as the server gives them.

        Raises:
            ServerUnavailable: no answer; for a move that makes runs, asking again with the same ids is safe.
            Refused: the credential is another tenant's.
        """
        try:
            return self.redis.execute_command("FCALL", f"taglane_{move}", 1, keys.prefix(tenant), *args)
        except exceptions.RedisError as error:
            raise rename(error, move, self.url) from error

    def calls(self, moves: Iterable[tuple[str, str, Sequence[Any]]]) -> list[Any]:
        """Call many functions in one round trip; an answer is the function's, or the TaglaneError it raised."""
        with self.renamed("a pipeline"):
            pipeline = self.redis.pipeline(transaction=False)
            names = []
            for move, tenant, args in moves:
                names.append(move)
                pipeline.execute_command("FCALL", f"taglane_{move}", 1, keys.prefix(tenant), *args)
            answers = pipeline.execute(raise_on_error=False)
        return [
            rename(answer, name, self.url) if isinstance(answer, Exception) else answer
            for name, answer in zip(names, answers, strict=True)
        ]

    def close(self) -> None:
        """Close all connections."""
        self.redis.close()
