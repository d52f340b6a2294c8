"""The API in this process, with keys of its own."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from scheduler.web.api.world import World

if TYPE_CHECKING:
    from taglane_scheduler.services import Services


@pytest.fixture
def world(services: Services) -> World:
    """A server on which `acme` and `globex` have one of everything."""
    made = World(services)
    made.plant("acme")
    made.plant("globex")
    return made
