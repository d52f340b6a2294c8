"""The server that the tests of metrics read."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from factories import make_server

if TYPE_CHECKING:
    from collections.abc import Iterator

    from taglane.store.server import Server


@pytest.fixture
def store(url: str) -> Iterator[Server]:
    server = make_server(url)
    yield server
    server.close()
