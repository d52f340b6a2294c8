"""What is wrong with a login, a person or a key."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from taglane_scheduler.access import errors
from taglane_scheduler.web.app import status_of

if TYPE_CHECKING:
    from taglane.errors import TaglaneError

CASES = [
    (errors.BadPassword("too short"), 422, "too short"),
    (errors.BadRole("root", ("read", "admin")), 422, "'root' must be one of read, admin"),
    (errors.PersonNotFound("ann"), 404, "taglane user list"),
    (errors.PersonExists("ann"), 409, "taglane user list"),
    (errors.OwnAccount("deleting"), 409, "taglane user"),
    (errors.NoPerson(), 409, "taglane user add"),
    (errors.ApiKeyNotFound("12"), 404, "taglane key list"),
    (errors.TooManyKeys("acme", 2), 429, "taglane key revoke"),
    (errors.TooManyKeys(None, 2), 429, "for all tenants"),
    (errors.TooManyTries(7.6), 429, "come back in 8 s"),
    (errors.LoginRefused(), 403, "name or password is wrong"),
    (errors.LinkOver(), 403, "start the console again"),
]


@pytest.mark.parametrize(("error", "status", "words"), CASES, ids=lambda value: type(value).__name__)
def test_each_is_of_a_kind_and_says_what_mends_it(error: TaglaneError, status: int, words: str) -> None:
    """The kind decides the exit code of a command and the status of an answer."""
    assert status == status_of(error)
    assert words in str(error)
