"""Hashes passwords with argon2id, and checks them in a time that does not tell whether there is somebody to check."""

from __future__ import annotations

import secrets
import threading
from functools import cache
from typing import TYPE_CHECKING, Any

from taglane.errors import ExtraMissing

from taglane_scheduler.access.errors import BadPassword

if TYPE_CHECKING:
    from argon2 import PasswordHasher

SHORTEST = 10  # characters
LONGEST = 1_000

_AT_ONCE = threading.Semaphore(2)
"""Each takes 64 MiB and a core for some 50 ms: whoever sends many passwords must not have all memory."""


def check_password(password: str) -> str:
    """Return a password that somebody may have.

    Raises:
        BadPassword: it is too short or too long.
    """
    if not SHORTEST <= len(password) <= LONGEST:
        raise BadPassword(f"it must have {SHORTEST} to {LONGEST} characters, and has {len(password)}")
    return password


def hashed(password: str) -> str:
    """Return what is kept of a password.

    Raises:
        ExtraMissing: argon2 is not installed.
    """
    with _AT_ONCE:
        made: str = _hasher().hash(password)
        return made


def matches(digest: str | None, password: str) -> bool:
    """Whether it is the password of which *digest* was kept; takes as long where there is none, or none that is one."""
    hasher, known = _hasher(), digest if digest and digest.startswith("$argon2id$") else None
    from argon2.exceptions import VerificationError  # noqa: PLC0415 - with the extra

    with _AT_ONCE:
        try:
            hasher.verify(known or nobodys(), password[:LONGEST])
        except VerificationError:
            return False
    return known is not None


def prepare() -> None:
    """Make what the first login of somebody unknown would take time for.

    Raises:
        ExtraMissing: argon2 is not installed.
    """
    nobodys()


@cache
def nobodys() -> str:
    """Return what is kept of a password that nobody has."""
    made: str = _hasher().hash(secrets.token_urlsafe())
    return made


@cache
def _hasher() -> PasswordHasher | Any:
    try:
        from argon2 import PasswordHasher  # noqa: PLC0415 - an extra
    except ImportError as error:
        raise ExtraMissing("people's passwords", "console") from error
    return PasswordHasher()
