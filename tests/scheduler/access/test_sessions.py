"""Logins."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from taglane.store import keys
from taglane_scheduler.access.sessions import IDLE, LONGEST, csrf_of, digest_of

if TYPE_CHECKING:
    from taglane_scheduler.access.access import Access


def test_a_login_is_found_by_its_cookie_until_it_is_ended(access: Access, redis: Any) -> None:
    """Its hash alone is kept; two logins are two."""
    token, other = access.sessions.open("ann", "1"), access.sessions.open("ann", "1")
    found = access.sessions.find(token)

    assert found is not None
    assert ("ann", "1", "") == (found.name, found.epoch, found.role)
    assert token != other
    assert not redis.keys(f"*{token}*")
    access.sessions.end(token)
    assert None is access.sessions.find(token)
    assert access.sessions.find(other)


def test_use_prolongs_a_login_but_not_beyond_its_end(access: Access, redis: Any) -> None:
    """Twelve hours from its last use, seven days from its beginning."""
    token = access.sessions.open("ann", "1")
    key = keys.session(digest_of(token))
    assert IDLE - 5_000 < redis.pttl(key) <= IDLE

    redis.pexpire(key, 600_000)
    access.sessions.find(token)
    assert IDLE - 5_000 < redis.pttl(key) <= IDLE

    short = access.sessions.open("ann", "1", longest=90_000)
    key = keys.session(digest_of(short))
    redis.pexpire(key, 10_000)
    access.sessions.find(short)
    assert 80_000 < redis.pttl(key) <= 90_000
    assert LONGEST > IDLE


def test_a_login_that_is_over_is_none(access: Access, redis: Any) -> None:
    """Also when the server has not dropped it yet, or somebody has spoiled it."""
    over, spoiled = access.sessions.open("ann", "1", longest=1), access.sessions.open("ann", "1")
    redis.set(keys.session(digest_of(spoiled)), "{")

    assert None is access.sessions.find(over) or redis.exists(keys.session(digest_of(over)))
    assert None is access.sessions.find(spoiled)


def test_what_a_form_brings_is_of_one_login() -> None:
    """And says nothing of its cookie."""
    assert csrf_of("a") != csrf_of("b")
    assert csrf_of("a") != digest_of("a")
