"""What tenants, tags, jobs and runs are called: matched whole, never by a prefix or a part of a name."""

from __future__ import annotations

import hashlib
import os
import re
import time
from functools import lru_cache
from typing import Any

from taglane.errors import BadName, TagNotOwned

_NAME = re.compile(r"[a-z0-9][a-z0-9_-]{0,62}")
_TASK = re.compile(r"[A-Za-z_][A-Za-z0-9_-]*(?:[.:][A-Za-z0-9_-]+)*")
_LONGEST_TASK = 200  # characters
_RUN_ID = re.compile(r"[A-Za-z0-9_.:~@=+-]{1,200}")
_ALPHABET = "0123456789abcdefghjkmnpqrstvwxyz"  # Crockford's: sorts as it counts, and no letter looks like a digit

_PAIRS = [first + second for first in _ALPHABET for second in _ALPHABET]
"""Ten bits as two characters."""

SHARED = "shared"
"""The owner of the pools that serve everyone: no tenant's name."""

RESERVED = frozenset({SHARED, "default", "taglane", "operator"})


def check_tenant(name: str) -> str:
    """Return *name* when a tenant may be called that.

    Raises:
        BadName: it is empty, too long, reserved, or has a character outside ``a-z 0-9 _ -``.
    """
    if not _NAME.fullmatch(name):
        raise BadName("tenant", name)
    if name in RESERVED:
        raise BadName("tenant", name, why="is reserved")
    return name


def check_job(name: str) -> str:
    """Return *name* when a job may be called that.

    Raises:
        BadName: see `check_tenant`.
    """
    if not _NAME.fullmatch(name):
        raise BadName("job", name)
    return name


def check_task(task: Any) -> str:
    """Return *task* when it can be a task's name: words with dots between them, as Celery names tasks.

    Raises:
        BadName: it is no text, empty, over 200 characters, or something else than such words.
    """
    if not isinstance(task, str) or len(task) > _LONGEST_TASK or not _TASK.fullmatch(task):
        raise BadName("task", task, why="must be a dotted name like shop.tasks.report")
    return task


def check_tag(tag: str) -> str:
    """Return *tag* when it is ``tenant``, ``tenant.pool`` or ``shared.pool``.

    Raises:
        BadName: it is none of these.
    """
    owner, dot, pool = tag.partition(".")
    if not _NAME.fullmatch(owner) or (dot and not _NAME.fullmatch(pool)):
        raise BadName("tag", tag)
    if owner == SHARED and not pool:
        raise BadName("tag", tag, why="lacks its pool: write shared.<pool>")
    if owner != SHARED:
        check_tenant(owner)
    return tag


def owner_of(tag: str) -> str:
    """Return the tenant a tag belongs to, or ``shared``: ``acme.gpu`` -> ``acme``."""
    return tag.partition(".")[0]


def pool_of(tag: str) -> str:
    """Return the pool of a tag that has one: ``shared.small`` -> ``small``."""
    return tag.partition(".")[2]


def tag_for(tenant: str, tag: str | None) -> str:
    """Return the tag a run of *tenant* asks for: its own name when none is given.

    Raises:
        BadName: the tag is malformed.
        TagNotOwned: the tag is another tenant's.
    """
    if tag is None:
        return tenant
    if owner_of(check_tag(tag)) not in {tenant, SHARED}:
        raise TagNotOwned(tag, tenant)
    return tag


def tag_of_queue(tenant: str, queue: str, default_queue: str) -> str:
    """Translate a Celery queue name: the default queue is the tenant's own tag, ``q`` is ``<tenant>.q``.

    Raises:
        BadName: no tag can be called that.
        TagNotOwned: the queue is named as another tenant's tag.
    """
    if queue in {default_queue, tenant, ""}:
        return tenant
    if "." in queue:
        return tag_for(tenant, queue)
    return check_tag(f"{tenant}.{queue}")


def _base32(number: int, width: int) -> str:
    """Return the last *width* digits of a number, an even count of them."""
    return "".join([_PAIRS[number >> bits & 1023] for bits in range(5 * width - 10, -1, -10)])


def new_run_id(tenant: str) -> str:
    """Return a fresh run id, ``<tenant>.<26 characters>``: it carries its tenant and sorts by time."""
    return f"{tenant}.{_base32(time.time_ns() // 1_000_000, 10)}{_base32(int.from_bytes(os.urandom(10)), 16)}"


def fired_run_id(tenant: str, job: str, created: str, due: int) -> str:
    """Return the id of the run that *job* makes for the instant *due* (ms): the same for whoever computes it."""
    digest = hashlib.blake2b(f"{tenant}\0{job}\0{created}\0{due}".encode(), digest_size=10).digest()
    return f"{tenant}.{_instant(due)}{_base32(int.from_bytes(digest), 16)}"


@lru_cache(maxsize=1_024)
def _instant(due: int) -> str:
    """Write a due instant, which many jobs share."""
    return _base32(due, 10)


def replayed_run_id(tenant: str, run_id: str, ended: int) -> str:
    """Return what the replay of a run that ended at *ended*, ms, is called by all who make it as one of many."""
    digest = hashlib.blake2b(f"{tenant}\0{run_id}\0{ended}\0again".encode(), digest_size=10).digest()
    return f"{tenant}.{_base32(ended, 10)}{_base32(int.from_bytes(digest), 16)}"


def tenant_of_run(run_id: str) -> str | None:
    """Return the tenant that *run_id* carries, or None for an id that somebody chose himself."""
    owner, dot, rest = run_id.partition(".")
    return owner if dot and rest and _NAME.fullmatch(owner) else None


def check_run_id(run_id: str) -> str:
    """Return *run_id* when it can be a key.

    Raises:
        BadName: it is empty, over 200 characters, or holds a brace, a space or another character with a meaning.
    """
    if not _RUN_ID.fullmatch(run_id):
        raise BadName("run id", run_id, why="must be 1 to 200 letters, digits or . _ - : ~ @ = +")
    return run_id
