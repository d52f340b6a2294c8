from __future__ import annotations

from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule
from taglane_scheduler.firing.heap import TenantHeap

tenants = st.sampled_from("abcdef")
instants = st.integers(0, 20)


class HeapAgainstDict(RuleBasedStateMachine):
    """The heap does what a plain dict, sorted at each question, would do."""

    def __init__(self) -> None:
        super().__init__()
        self.heap = TenantHeap()
        self.model: dict[str, int] = {}

    @rule(tenant=tenants, instant=instants)
    def update(self, tenant: str, instant: int) -> None:
        self.heap.update(tenant, instant)
        self.model[tenant] = instant

    @rule(tenant=tenants, instant=instants)
    def hint(self, tenant: str, instant: int) -> None:
        self.heap.hint(tenant, instant)
        self.model[tenant] = min(instant, self.model.get(tenant, instant))

    @rule(tenant=tenants)
    def remove(self, tenant: str) -> None:
        self.heap.remove(tenant)
        self.model.pop(tenant, None)

    @rule(now=instants, most=st.integers(0, 4))
    def pop_due(self, now: int, most: int) -> None:
        expected = sorted((at, name) for name, at in self.model.items() if at <= now)[:most]
        assert [name for _, name in expected] == self.heap.pop_due(now, most)
        for _, name in expected:
            del self.model[name]

    @invariant()
    def same(self) -> None:
        assert min(self.model.values(), default=None) == self.heap.earliest()
        assert set(self.model) == self.heap.tenants()
        assert len(self.model) == len(self.heap)


TestHeapAgainstDict = HeapAgainstDict.TestCase


def test_stale_entries_are_cleaned_up() -> None:
    """A tenant that moves for ever, later and later behind another, costs no more and more memory."""
    heap = TenantHeap()
    heap.update("first", 0)

    for instant in range(1, 10_000):
        heap.update("busy", instant)

    assert len(heap._heap) < 100  # noqa: SLF001
    assert ["first", "busy"] == heap.pop_due(10_000, 5)
