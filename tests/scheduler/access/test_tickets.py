"""Links that open once."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any

import pytest
from taglane.store import keys
from taglane_scheduler.access.errors import LinkOver
from taglane_scheduler.access.tickets import LASTS

if TYPE_CHECKING:
    from taglane_scheduler.access.access import Access


def test_a_link_opens_once_of_many_who_use_it(access: Access) -> None:
    """Of eight at once one comes in."""
    token = access.tickets.make("enter").partition("token=")[2]

    def use(_: int) -> bool:
        try:
            access.tickets.take("enter", token)
        except LinkOver:
            return False
        return True

    with ThreadPoolExecutor(8) as pool:
        assert 1 == sum(pool.map(use, range(8)))


def test_a_link_is_for_one_thing_for_an_hour(access: Access, redis: Any) -> None:
    """Its hash alone is kept."""
    path = access.tickets.make("setup")
    token = path.partition("token=")[2]
    (key,) = redis.keys(keys.ticket("*"))

    assert path.startswith("/setup?token=")
    assert token.encode() not in key
    assert LASTS - 5_000 < redis.pttl(key) <= LASTS
    access.tickets.check("setup", token)
    for kind, given in (("enter", token), ("setup", token + "x"), ("setup", "")):
        with pytest.raises(LinkOver):
            access.tickets.check(kind, given)  # type: ignore[arg-type]
