"""The function library: one Lua file a move, joined behind the prelude, loaded and versioned by the operator."""

from __future__ import annotations

import hashlib
import logging
import re
from functools import cache
from importlib import resources
from typing import TYPE_CHECKING

from redis.exceptions import ConnectionError as LostConnection
from redis.exceptions import TimeoutError as TimedOut

from taglane.store.cluster import primaries_of

if TYPE_CHECKING:
    from redis import Redis

log = logging.getLogger(__name__)

LIBRARY = "taglane"

NUMBER = 1
"""Raised with every release that changes the Lua: who has a lower number never replaces the library of a higher one.

Functions and what they are called with may be added; what is there keeps its meaning, since workers of the release
before go on calling it through an upgrade.
"""

_NUMBER = re.compile(r"^-- library (\d+)$", re.MULTILINE)

TENANT_MOVES = [
    "enqueue",
    "fetch",
    "finish",
    "retry",
    "hand_back",
    "hello",
    "leave",
    "drain",
    "renew",
    "beat",
    "rescue",
    "died",
    "cancel",
    "expire",
    "record",
    "progress",
    "log",
    "log_lost",
    "log_page",
    "chord",
    "chord_size",
    "part",
    "trigger",
    "put",
    "remove",
    "pause",
    "replay",
    "drop",
    "purge",
    "standing",
    "search",
]
"""What a tenant's credential may call: each name is also the function's, behind `taglane_`."""

READS = ("standing", "search", "tally", "log_page")
"""What writes nothing; the last is the operator's."""

POOL_MOVES = ("pool_wake", "pool_turn", "pool_hello", "pool_beat", "pool_leave", "pool_lost")
"""What is called with a pool's prefix."""

OPERATOR_MOVES = ("fire", "look", "govern", "tally", *POOL_MOVES)
"""What only the control plane calls."""


@cache
def library() -> str:
    """The source of the library, as the server loads it."""
    folder = resources.files(__package__) / "lua"
    names = sorted(entry.name for entry in folder.iterdir() if entry.name.endswith(".lua"))
    names.sort(key=lambda name: not name.startswith("prelude"))  # what all others build on comes first
    # Lua has 200 locals in a chunk: those of a move's own file end with it.
    shared = [(folder / name).read_text("utf-8") for name in names if name.startswith("prelude")]
    own = [(folder / name).read_text("utf-8") for name in names if not name.startswith("prelude")]
    parts = [*shared, *(f"do\n{source}end\n" for source in own)]
    return f"#!lua name={LIBRARY}\n-- library {NUMBER}\n" + "\n".join(parts) + _stamp("".join(parts))


def _stamp(source: str) -> str:
    digest = hashlib.blake2b(source.encode(), digest_size=8).hexdigest()
    return (
        f"\nredis.register_function{{function_name = 'taglane_version', "
        f"callback = function() return '{NUMBER}-{digest}' end, flags = {{'no-writes'}}}}\n"
    )


def version() -> str:
    """The number and digest of this library; a server that answers `taglane_version` with it needs no loading."""
    return library().rsplit("return '", 1)[1].split("'", 1)[0]


def number_of(source: str) -> int:
    """The number of a library, from its source or its version; 0 for one that is older than numbers are."""
    found = _NUMBER.search(source) or re.match(r"(\d+)-", source)
    return int(found[1]) if found else 0


def load(redis: Redis) -> bool:
    """Load the library where it is missing or another one; return whether it was. Takes the operator's credential.

    A newer one stays: an older command or scheduler goes on with it. Of a cluster, each primary that answers is seen
    to; the others are, by a scheduler, when they come back.
    """
    nodes, loaded, gone = primaries_of(redis), False, []
    for node in nodes:
        try:
            loaded = _load(node) or loaded
        except (LostConnection, TimedOut) as error:
            gone.append(error)
    if len(gone) == len(nodes):
        raise gone[0]
    return loaded


def _load(redis: Redis) -> bool:
    there = _loaded(redis)
    if there == library():
        return False
    if number_of(there) > NUMBER:
        log.info("library_is_newer theirs=%d ours=%d", number_of(there), NUMBER)
        return False
    redis.function_load(library(), replace=True)
    return True


def _loaded(redis: Redis) -> str:
    """The source of the library that the server has; empty when it has none."""
    for entry in redis.function_list(library=LIBRARY, withcode=True):
        fields = dict(zip(entry[::2], entry[1::2], strict=False)) if isinstance(entry, list) else entry
        code = fields.get(b"library_code") or fields.get("library_code") or b""
        return code.decode() if isinstance(code, bytes) else str(code)
    return ""
