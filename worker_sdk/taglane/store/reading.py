"""Reads many keys of tenants in one round trip, whatever their tenants have made of them."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Sequence

    from taglane.store.server import Server

log = logging.getLogger(__name__)


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
