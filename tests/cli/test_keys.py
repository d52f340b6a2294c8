"""`taglane key`."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from cli.conftest import Cli


def test_a_key_from_beginning_to_end(taglane: Cli, acme: Cli) -> None:
    """It is shown once; listed by what it is called by; revoked by that."""
    del acme
    options = ("--tenant", "acme", "--scope", "operate", "--name", "ci", "--expires", "90d")
    made = taglane.ok("key", "create", *options, "-o", "json").json
    taglane.ok("key", "create", "--all")

    assert made["key"].startswith("tl_")
    assert ("operate", "acme", "ci", None) == tuple(made[name] for name in ("scope", "tenant", "name", "used"))
    assert made["expires"] > made["created"]
    shown = taglane.ok("key", "list", "-o", "json")
    assert made["key"] not in shown.out
    assert {None, "acme"} == {row["tenant"] for row in shown.json}
    assert [made["id"]] == [row["id"] for row in taglane.ok("key", "list", "-t", "acme", "-o", "json").json]
    assert taglane.ok("key", "revoke", made["id"]).out.startswith("revoked key")
    assert 3 == taglane("key", "revoke", made["id"]).code
    assert made["key"] not in taglane.ok("audit", "-o", "json").out


def test_whose_it_is_has_to_be_said(taglane: Cli, acme: Cli) -> None:
    """By the operator alone; a duration that is none is refused."""
    assert 2 == taglane("key", "create").code
    assert 3 == taglane("key", "create", "-t", "nobody1").code
    assert 2 == taglane("key", "create", "--all", "--expires", "soon").code
    assert 4 == acme("key", "create", "-t", "acme").code
    assert "Bearer" in taglane.ok("key", "create", "--all").err
