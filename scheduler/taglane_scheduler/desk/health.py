"""The desk's health: what the doctor finds, what a scrape is told, how many slots a tag should have."""

from __future__ import annotations

from typing import TYPE_CHECKING

from taglane.errors import TagNotOwned
from taglane.model.names import SHARED, check_tag, owner_of

if TYPE_CHECKING:
    from collections.abc import Sequence

    from taglane_scheduler.care.checks import Check
    from taglane_scheduler.desk.desk import Desk
    from taglane_scheduler.metrics.scale import ScaleFigures


class HealthDesk:
    """What one principal may know of how all goes. Every method may raise TenantNotFound and RoleNeeded."""

    def __init__(self, desk: Desk) -> None:
        self._desk = desk
        self._services = desk.services

    def doctor(self) -> Sequence[Check]:
        """Return what the doctor finds: it takes some seconds."""
        self._desk.principal.require_all("read", "asking the doctor")
        return self._services.doctor.examine()

    def scale(self, tag: str, target: float) -> ScaleFigures:
        """Return how many slots the workers of a tag should have, to begin what waits within *target* seconds.

        Raises:
            BadName: it is no tag.
            TagNotOwned: it is of a shared pool, which is for who sees all tenants.
        """
        owner = owner_of(check_tag(tag))
        if owner == SHARED:
            if self._desk.principal.tenant is not None:
                raise TagNotOwned(tag, self._desk.principal.tenant)
            self._desk.principal.require("read", "reading figures")
        else:
            self._desk.tenant(owner, "read", "reading figures")
        return self._services.scale.of(tag, target)

    def metrics(self, accept: str = "text/plain") -> tuple[str, bytes]:
        """Return content type and text of the figures of all that the principal sees, for Prometheus."""
        self._desk.principal.require("read", "reading figures")
        return self._services.exposition.page(accept, self._desk.principal.tenant)
