"""Knows which tenant has something to do first. A hint: the truth is each tenant's own, and a sweep corrects it."""

from __future__ import annotations

from heapq import heapify, heappop, heappush
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

_SLACK = 64  # stale entries that are not worth a clean-up


class TenantHeap:
    """Tenants by their earliest instant, ms. A change leaves a stale entry behind, dropped when it surfaces."""

    def __init__(self) -> None:
        self._heap: list[tuple[int, str]] = []
        self._instants: dict[str, int] = {}

    def __len__(self) -> int:
        return len(self._instants)

    def __iter__(self) -> Iterator[str]:
        return iter(self._instants)

    def __contains__(self, tenant: object) -> bool:
        return tenant in self._instants

    def tenants(self) -> set[str]:
        """Return all tenants in it."""
        return set(self._instants)

    def update(self, tenant: str, instant: int) -> None:
        """Say when a tenant is to be looked at: this replaces what was said before."""
        if self._instants.get(tenant) == instant:
            return
        self._instants[tenant] = instant
        heappush(self._heap, (instant, tenant))
        if len(self._heap) > 2 * len(self._instants) + _SLACK:
            self._heap = [(at, name) for name, at in self._instants.items()]
            heapify(self._heap)

    def hint(self, tenant: str, instant: int) -> None:
        """Say that a tenant may have something to do at *instant*: an earlier one that is known stays."""
        known = self._instants.get(tenant)
        if known is None or instant < known:
            self.update(tenant, instant)

    def remove(self, tenant: str) -> None:
        """Forget a tenant, known or not."""
        self._instants.pop(tenant, None)

    def pop_due(self, now: float, most: int) -> list[str]:
        """Take out the tenants whose instant has come, the earliest first, *most* of them at most."""
        due: list[str] = []
        while len(due) < most:
            earliest = self.earliest()
            if earliest is None or earliest > now:
                break
            _, tenant = heappop(self._heap)
            del self._instants[tenant]
            due.append(tenant)
        return due

    def earliest(self) -> int | None:
        """Return the first instant of all, or None when there is no tenant."""
        while self._heap:
            instant, tenant = self._heap[0]
            if self._instants.get(tenant) == instant:
                return instant
            heappop(self._heap)
        return None
