from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from factories import make_server
from hypothesis import given
from hypothesis import strategies as st
from taglane.errors import OperatorNeeded
from taglane.store.server import Server
from taglane_scheduler.care import unexplained as module
from taglane_scheduler.care.alerts import Alerts
from taglane_scheduler.care.unexplained import LEAST, Unexplained, is_much
from taglane_scheduler.embedded import EmbeddedServer
from taglane_scheduler.tenancy.tenants import Tenants

if TYPE_CHECKING:
    from collections.abc import Iterator

    from taglane_scheduler.embedded import ServerBinary


@pytest.fixture
def store(url: str) -> Iterator[Server]:
    server = make_server(url)
    yield server
    server.close()


@given(st.integers(0, 1 << 40), st.floats(0.55, 1.5))
def test_no_wrong_estimate_is_much(kept: int, share: float) -> None:
    """What is estimated within a third is explained, however much there is; and on an empty server all is."""
    assert not is_much(kept, round(kept * share))
    assert not is_much(LEAST, 0)


def test_most_of_much_is_much() -> None:
    assert is_much(10 * LEAST, 4 * LEAST)
    assert is_much(LEAST + 1, 0)


def test_data_that_no_tenant_is_measured_to_keep(binary: ServerBinary, monkeypatch: pytest.MonkeyPatch) -> None:
    """It is an alert of nobody's, which names who is busiest; and over when it is explained, or gone."""
    monkeypatch.setattr(module, "LEAST", 4 << 20)
    with EmbeddedServer(binary=binary) as running:
        server = make_server(running.url)
        judge = Unexplained(server, Alerts(server)).judge
        for number in range(1_000):
            server.redis.set(f"taglane:{{acme}}:junk{number}", "x" * 10_000)

        judge([1_000, 2_000], ["acme", "other"])

        (alert,) = Alerts(server).list()
        assert ("memory", "", "unexplained") == (alert.kind, alert.tenant, alert.subject)
        assert "keep is 2.9 KiB: one may write beside its runs; most goes to and from acme, other:" in alert.text
        assert alert.text.endswith("  taglane tenant top --by bandwidth")
        judge([9_000_000], [])
        assert [] == Alerts(server).list()
        judge([1_000], [])
        assert 1 == len(Alerts(server).list())
        server.redis.delete(*(f"taglane:{{acme}}:junk{number}" for number in range(1_000)))
        judge([], [])
        assert [] == Alerts(server).list()
        server.close()


def test_tenants_may_not_ask(store: Server) -> None:
    tenant = Server(Tenants(store).create("acme").url)
    with pytest.raises(OperatorNeeded):
        Unexplained(tenant, Alerts(tenant)).judge([], [])
    tenant.close()
