"""Reads many keys of tenants in one round trip, whatever their tenants have made of them."""

from __future__ import annotations

import logging
from itertools import islice
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from taglane.store.server import Server

log = logging.getLogger(__name__)

BATCH = 500
"""Commands of one round trip: the server serves others in between."""


def read_all(server: Server, what: str, commands: Sequence[tuple[Any, ...]]) -> list[Any]:
    """Ask all at once; a key of which its tenant has made something else reads as None, and is noted.

    Raises:
        ServerUnavailable: no answer; *what* is what was being done.
        Refused: a key is another tenant's.
    """
    with server.renamed(what):
        pipeline = server.redis.pipeline(transaction=False)
        for command in commands:
            pipeline.execute_command(*command)
        answers = pipeline.execute(raise_on_error=False)
        for command, answer in zip(commands, answers, strict=True):
            if isinstance(answer, Exception):
                if not str(answer).startswith("WRONGTYPE"):
                    raise answer
                log.warning("key_unreadable key=%s", command[1])
    return [None if isinstance(answer, Exception) else answer for answer in answers]


def read_each(server: Server, what: str, command: str, names: Iterable[str], *arguments: str | int) -> list[Any]:
    """Ask the same of each of very many keys, some hundreds a round trip.

    Answers come as the server gives them, in bytes; in the place of one that it refused is the error.

    Raises:
        ServerUnavailable: no answer; *what* is what was being done.
    """
    answers: list[Any] = []
    left = iter(names)
    with server.renamed(what):
        while some := list(islice(left, BATCH)):
            answers += server.ask_all((command, name, *arguments) for name in some)
    return answers
