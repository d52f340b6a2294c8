"""How passwords are kept."""

from __future__ import annotations

import pytest
from taglane_scheduler.access import passwords
from taglane_scheduler.access.errors import BadPassword


def test_what_is_kept_opens_to_the_password_alone() -> None:
    """By argon2id; two of the same are kept otherwise."""
    digest = passwords.hashed("correct horse")

    assert digest.startswith("$argon2id$")
    assert digest != passwords.hashed("correct horse")
    assert passwords.matches(digest, "correct horse")
    assert not passwords.matches(digest, "correct horsf")


def test_where_there_is_nobody_a_password_is_checked_as_well() -> None:
    """So a login takes as long for a name that nobody has: the check is a real one, of a hash of the same cost."""
    passwords.prepare()
    costs = {passwords.hashed("correct horse").split("$")[3], passwords.nobodys().split("$")[3]}

    assert 1 == len(costs)
    assert not passwords.matches(None, "correct horse")
    assert not passwords.matches("spoiled", "correct horse")


@pytest.mark.parametrize("password", ["", "short", "x" * 1_001])
def test_one_that_is_too_short_or_too_long_is_none(password: str) -> None:
    with pytest.raises(BadPassword, match=str(len(password))):
        passwords.check_password(password)
