"""A console in this process, and visitors for whom no login is needed."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from starlette.testclient import TestClient
from taglane.settings import load_settings
from taglane_scheduler.access.principal import Principal
from taglane_scheduler.services import build
from taglane_scheduler.web.app import build_app
from taglane_scheduler.web.gate import Visitor

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from starlette.requests import Request
    from taglane_scheduler.access.principal import Role
    from taglane_scheduler.services import Services

CSRF = "the-form's-own"


class FixedGate:
    """Takes everybody for the same visitor."""

    def __init__(self, visitor: Visitor | None) -> None:
        self.it = visitor

    def visitor(self, request: Request) -> Visitor | None:  # noqa: ARG002 - a gate's signature
        return self.it


@pytest.fixture
def services(url: str) -> Iterator[Services]:
    """The operator's services, on an empty server that has the library."""
    made = build(load_settings(url=url))
    made.prepare()
    yield made
    made.close()


@pytest.fixture
def console(services: Services) -> Iterator[Callable[..., TestClient]]:
    """Opens the console as somebody: `console()` administers all, `console("acme", "read")` reads one tenant's."""
    opened: list[TestClient] = []

    def open_as(tenant: str | None = None, role: Role = "admin") -> TestClient:
        gate = FixedGate(Visitor(Principal("ann", tenant, role), CSRF))
        opened.append(TestClient(build_app(services, gate), follow_redirects=False))
        return opened[-1]

    yield open_as
    for client in opened:
        client.close()
