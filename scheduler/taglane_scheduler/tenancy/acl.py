"""Says what a tenant's credential may do, as the rules of an ACL user. Pure.

The fence is made of three things: key patterns that hold the tenant's whole name between braces (so `acme` is no
prefix of `acme1`), channels likewise, and a list of commands. The server checks the keys and commands *inside* a
function against the caller's own rules too, so what our functions use has to be granted; none of it reaches beyond the
patterns. What takes no key, and would so reach beyond them (SCAN, KEYS, FLUSHALL, EVAL, FUNCTION, CONFIG, MONITOR, ACL,
CLIENT LIST), is never granted. AUTH, HELLO, QUIT and RESET need no grant.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from taglane.store import keys
from taglane.store.functions import TENANT_MOVES
from taglane.store.server import USER

if TYPE_CHECKING:
    from collections.abc import Iterable

INSIDE = (  # noqa: SIM905 - a list of words
    "del exists expire get hdel hget hgetall hincrby hlen hmget hset hsetnx hstrlen llen lpop lpush lrange lrem "
    "pexpire publish rpush sadd scard set spublish srandmember srem time xadd xlen xrange xrevrange xtrim zadd zcard "
    "zcount zrange zrangebyscore zrem zrevrank zscore"
).split()
"""What the functions use; a test derives the same list from their Lua."""

DIRECT = (  # noqa: SIM905 - a list of words
    "ping "  # on an idle subscription
    "blpop "  # a worker's wait, on the bells of its tags
    "wait "  # a caller's, until replicas have its run
    "cluster|slots asking "  # which node of a cluster has a key, and where it is on the way to
    "ssubscribe sunsubscribe "  # a caller's wait for a run
    "smembers zrevrange"  # what readers of jobs, runs, workers and queues ask
).split()
"""What a tenant's client calls without a function."""


def user_of(tenant: str) -> str:
    """Return the name of the ACL user: never the bare name, since `default` is someone."""
    return USER + tenant


def rules(tenant: str, password_hashes: Iterable[str], *, database: int = 0, cut: bool = False) -> list[str]:
    """Return all that `ACL SETUSER` is told of a tenant's user, from scratch: what it had before is gone.

    Args:
        tenant: a name that `check_tenant` has passed, so it holds no character with a meaning in a pattern.
        password_hashes: SHA-256, in hex, of each password that opens it; with none, nobody can log in.
        database: the one that Taglane is kept in; only another than 0 has to be selected, and then it alone can be.
        cut: nobody can log in, whatever the password.
    """
    own = keys.prefix(tenant)
    return [
        "reset",
        "off" if cut else "on",
        *(f"#{digest}" for digest in password_hashes),
        f"~{own}*",
        f"%R~{keys.read_only_prefix(tenant)}*",
        f"&{own}*",
        *(f"+{command}" for command in INSIDE + DIRECT),
        *([f"+select|{database}"] if database else ()),
        *(f"+fcall|taglane_{move}" for move in TENANT_MOVES),
        "+fcall|taglane_version",
    ]
