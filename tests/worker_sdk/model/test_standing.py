"""What is read off a standing."""

from __future__ import annotations

from taglane.model.standing import Minute, TagStanding, TenantStanding


def test_a_tag_waits_in_vain_without_a_worker() -> None:
    """A shared one has workers that are no tenant's, and are not counted."""
    assert TagStanding("acme", queued=1).waits_in_vain
    assert not TagStanding("acme", queued=1, workers=1).waits_in_vain
    assert not TagStanding("acme", delayed=1).waits_in_vain
    assert not TagStanding("shared.small", queued=1).waits_in_vain


def test_sums() -> None:
    """Of the last hour, and of slots: a worker of several tags has its slots once."""
    standing = TenantStanding(
        "acme",
        tags=(TagStanding("acme", slots=4), TagStanding("acme.gpu", slots=2)),
        recent=(Minute(0, 2, 1), Minute(60_000, 3, 0)),
    )

    assert (5, 1, 4) == (standing.succeeded, standing.failed, standing.slots)
    assert (0, 0, 0) == (TenantStanding("x").succeeded, TenantStanding("x").failed, TenantStanding("x").slots)
