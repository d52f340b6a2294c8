"""What commands call."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from taglane.errors import TenantNotFound
from taglane_cli.connection import Connection

if TYPE_CHECKING:
    from cli.conftest import Cli


def test_nothing_is_opened_before_it_is_used(monkeypatch: pytest.MonkeyPatch) -> None:
    """A command that needs no server does not look at its url."""
    monkeypatch.setenv("TAGLANE_URL", "nonsense")

    with Connection() as connection:
        assert {} == connection.__dict__


def test_whose_a_command_is(acme: Cli, taglane: Cli, monkeypatch: pytest.MonkeyPatch) -> None:
    """The tenant given, or the one of the credential; a list is about all that the credential reaches."""
    monkeypatch.setenv("TAGLANE_URL", taglane.url)
    with Connection() as operator:
        assert (None, "acme", ["acme", "other"]) == (
            operator.own_tenant,
            operator.tenant("acme"),
            operator.tenants_in_reach(None),
        )
        with pytest.raises(TenantNotFound):
            operator.tenant("nobody")

    monkeypatch.setenv("TAGLANE_URL", acme.url)
    with Connection() as own:
        assert ("acme", "acme", ["acme"]) == (own.own_tenant, own.tenant(None), own.tenants_in_reach(None))
