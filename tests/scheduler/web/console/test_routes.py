"""The addresses of the console."""

from __future__ import annotations

import re

from starlette.routing import Route
from taglane_scheduler.web.console.routes import ACTIONS, FILES, PAGES


async def nowhere(_: object) -> None:
    raise NotImplementedError


def test_no_address_hides_another() -> None:
    """Each leads to its own page or action, however many like it come before."""
    for kind in (PAGES, [*ACTIONS], [*FILES, *PAGES]):
        routes = [Route(each.path, nowhere) for each in kind]  # type: ignore[attr-defined]
        for own in routes:
            path = re.sub(r"\{\w+\}", "x-9", own.path)
            scope = {"type": "http", "method": "GET", "path": path, "root_path": ""}
            assert own.path == next(route for route in routes if route.matches(scope)[0].value == 2).path
