"""The function library: one Lua file a move, joined behind the prelude, loaded and versioned by the operator."""

from __future__ import annotations

import hashlib
from functools import cache
from importlib import resources
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from redis import Redis

LIBRARY = "taglane"

TENANT_MOVES = [
    "enqueue",
    "fetch",
    "finish",
    "retry",
    "hand_back",
    "hello",
    "leave",
    "renew",
    "beat",
    "rescue",
    "died",
    "cancel",
    "expire",
    "record",
    "progress",
    "chord",
    "chord_size",
    "part",
    "trigger",
    "put",
    "remove",
    "pause",
    "replay",
]
"""What a tenant's credential may call: each name is also the function's, behind `taglane_`."""

OPERATOR_MOVES = ("fire", "look")
"""What only the control plane calls."""


@cache
def library() -> str:
    """The source of the library, as the server loads it."""
    folder = resources.files(__package__) / "lua"
    names = sorted(entry.name for entry in folder.iterdir() if entry.name.endswith(".lua"))
    names.sort(key=lambda name: not name.startswith("prelude"))  # what all others build on comes first
    parts = [(folder / name).read_text("utf-8") for name in names]
    return f"#!lua name={LIBRARY}\n" + "\n".join(parts) + _stamp("".join(parts))


def _stamp(source: str) -> str:
    digest = hashlib.blake2b(source.encode(), digest_size=8).hexdigest()
    return (
        f"\nredis.register_function{{function_name = 'taglane_version', "
        f"callback = function() return '{digest}' end, flags = {{'no-writes'}}}}\n"
    )


def version() -> str:
    """The digest of this library; a server that answers `taglane_version` with it needs no loading."""
    return library().rsplit("return '", 1)[1].split("'", 1)[0]


def load(redis: Redis) -> bool:
    """Load the library where it is missing or another one; return whether it was. Takes the operator's credential."""
    for entry in redis.function_list(library=LIBRARY, withcode=True):
        fields = dict(zip(entry[::2], entry[1::2], strict=False)) if isinstance(entry, list) else entry
        code = fields.get(b"library_code", fields.get("library_code"))
        if code in {library(), library().encode()}:
            return False
    redis.function_load(library(), replace=True)
    return True
