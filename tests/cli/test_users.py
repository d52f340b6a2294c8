"""`taglane user`."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from cli.conftest import Cli

ADD = ("user", "add", "ann", "--password-file", "-")
PASSWORD = "correct horse\nnot this\n"


def test_a_person_from_beginning_to_end(taglane: Cli, acme: Cli) -> None:
    """Added, listed, given another role and password, deleted; each is in the audit log, no password is."""
    del acme
    made = taglane.ok(*ADD, "--role", "read", "--tenant", "acme", "-o", "json", stdin=PASSWORD)
    assert ("ann", "read", "acme") == tuple(made.json[name] for name in ("name", "role", "tenant"))

    taglane.ok("user", "role", "ann", "--role", "write")
    taglane.ok("user", "password", "ann", "--password-file", "-", stdin="battery staple\n")
    assert ["write"] == [row["role"] for row in taglane.ok("user", "list", "-o", "json").json]
    taglane.ok("user", "delete", "ann", "-y")

    log = taglane.ok("audit", "-o", "json").out
    assert all(f'"{action}"' in log for action in ("user-add", "user-role", "user-password", "user-delete"))
    assert "horse" not in log
    assert "taglane user add" in taglane.ok("user", "list").err


def test_one_is_said_to_see_a_tenant_or_all(taglane: Cli) -> None:
    """And a tenant that there is; by the operator alone."""
    neither, both = taglane(*ADD, "--role", "read"), taglane(*ADD, "--role", "read", "--all", "-t", "acme")
    missing = taglane(*ADD, "--role", "read", "-t", "acme", stdin=PASSWORD)

    assert [2, 2, 3] == [neither.code, both.code, missing.code]
    assert "--all" in neither.err


def test_a_tenants_credential_makes_nobody(taglane: Cli, acme: Cli) -> None:
    """Not of its own tenant either."""
    answer = acme(*ADD, "--role", "read", "-t", "acme", stdin=PASSWORD)

    assert 4 == answer.code
    assert "[]" == taglane.ok("user", "list", "-o", "json").out.strip()


def test_a_password_is_never_an_argument(taglane: Cli) -> None:
    """It is asked for, or read from a file: with nobody there to ask it says so. A short one is refused."""
    nobody = taglane("user", "add", "ann", "--role", "admin", "--all")
    short = taglane(*ADD, "--role", "admin", "--all", stdin="short\n")

    assert [2, 2] == [nobody.code, short.code]
    assert "--password-file" in nobody.err
    assert "10 to 1000 characters" in short.error
