"""How often a login may be tried."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from taglane_scheduler.access.errors import TooManyTries
from taglane_scheduler.access.tries import PER_ADDRESS, PER_NAME, WINDOW, Tries

if TYPE_CHECKING:
    from taglane_scheduler.access.access import Access
    from taglane_scheduler.services import Services


def test_a_name_is_tried_so_often_from_anywhere(services: Services, access: Access) -> None:
    """Several consoles count as one; the wait is told. Another name from another address is not hindered."""
    consoles = [access.tries, Tries(services.server)]
    for number in range(PER_NAME):
        consoles[number % 2].count("ann", f"10.0.0.{number}")

    with pytest.raises(TooManyTries) as told:
        consoles[0].count("ann", "10.0.1.1")
    assert WINDOW / 1000 - 5 < told.value.retry_after <= WINDOW / 1000
    access.tries.count("bob", "10.0.1.1")


def test_an_address_tries_so_often_whatever_the_names(access: Access) -> None:
    """Of IPv6 a network is one address: each house has very many."""
    for number in range(PER_ADDRESS):
        access.tries.count(f"n{number}", f"2001:db8::{number:x}")

    with pytest.raises(TooManyTries):
        access.tries.count("other", "2001:db8::ffff")
    access.tries.count("other", "2001:db8:0:1::1")


def test_a_login_forgets_the_tries_with_its_name_but_not_the_addresses_others(access: Access) -> None:
    """Or whoever has an account could try others' without end, by logging in between."""
    for _ in range(PER_NAME):
        access.tries.count("ann", "10.0.0.1")
    access.tries.succeeded("ann", "10.0.0.1")
    access.tries.count("ann", "10.0.0.1")
    for number in range(PER_ADDRESS - PER_NAME):
        access.tries.count(f"n{number}", "10.0.0.1")

    with pytest.raises(TooManyTries):
        access.tries.count("last", "10.0.0.1")
