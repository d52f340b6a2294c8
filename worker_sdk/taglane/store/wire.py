"""Sends commands on a pooled connection, and reads their answers, without what redis-py does around each of them.

Its `execute_command` and its pipelines keep the time of each call, build objects for it, and look up what to make of
the answer: that takes longer than the sending does, and nobody here asks for it. Connections, their login, their pool,
the protocol and its errors are redis-py's.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from redis.exceptions import ResponseError

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

Command = tuple[Any, ...]

GATHERED = 8_192
"""Bytes that are sent at once: the server begins with them while more is packed."""

UNREAD = 1_000
"""Commands that may be on their way, of more than are sent at once: their answers are kept by the server."""


def ask(pool: Any, command: Command) -> Any:
    """Send one command, and return its answer.

    Raises:
        redis.exceptions.RedisError: the server's error, or none of its answers came.
    """
    connection = pool.get_connection()
    try:
        connection.send_packed_command(connection.pack_command(*command))
        return connection.read_response()
    except ResponseError:
        raise
    except BaseException:  # what is on its way must not be the answer to somebody else
        connection.disconnect()
        raise
    finally:
        pool.release(connection)


def ask_all(pool: Any, commands: Iterable[Command]) -> list[Any]:
    """Send many commands, each as it comes, and return their answers, in as few round trips; an error is one, too.

    Raises:
        redis.exceptions.RedisError: an answer did not come; what was sent may have been done.
    """
    connection = pool.get_connection()
    try:
        return _flow(connection, commands)
    except BaseException:
        connection.disconnect()
        raise
    finally:
        pool.release(connection)


def _flow(connection: Any, commands: Iterable[Command]) -> list[Any]:
    answers: list[Any] = []
    pieces: list[bytes] = []
    sent = size = count = 0
    for command in commands:
        packed: Sequence[bytes] = connection.pack_command(*command)
        pieces += packed
        size += sum(map(len, packed))
        count += 1
        if size < GATHERED:
            continue
        connection.send_packed_command([b"".join(pieces)])
        pieces, size, sent = [], 0, count
        while sent - len(answers) > UNREAD:
            answers.append(_answer(connection))
    if pieces:
        connection.send_packed_command([b"".join(pieces)])
    answers += [_answer(connection) for _ in range(count - len(answers))]
    return answers


def _answer(connection: Any) -> Any:
    try:
        return connection.read_response()
    except ResponseError as error:
        return error
