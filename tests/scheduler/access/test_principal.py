"""Who asks."""

from __future__ import annotations

import pytest
from taglane.errors import RoleNeeded, TenantNotFound
from taglane_scheduler.access.principal import ROLES, Principal


def test_each_role_may_what_those_before_it_may() -> None:
    """From read to admin."""
    for held, role in enumerate(ROLES):
        principal = Principal("ann", "acme", role)
        assert [number <= held for number, _ in enumerate(ROLES)] == [principal.may(each) for each in ROLES]


def test_who_sees_one_tenant_is_told_of_others_what_is_told_of_none() -> None:
    """And may nothing that is for all tenants, whatever the role."""
    principal = Principal("ann", "acme", "admin")

    principal.require_sight("acme")
    with pytest.raises(TenantNotFound):
        principal.require_sight("globex")
    with pytest.raises(RoleNeeded, match="'admin of acme'"):
        principal.require_all("read", "looking")
    with pytest.raises(RoleNeeded, match="takes the role 'write' for all tenants, and yours is 'read'"):
        Principal("bob", None, "read").require_all("write", "changing")
    Principal("bob", None, "read").require_all("read", "looking")
