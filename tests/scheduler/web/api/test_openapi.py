"""What OpenAPI says of the API, and what docs/api.md does."""

from __future__ import annotations

import json
import re
from pathlib import Path

from taglane_scheduler.web.api.openapi import described, document
from taglane_scheduler.web.api.table import ROUTES

PAGE = Path(__file__).parents[4] / "docs" / "api.md"


def test_it_is_as_the_table_is() -> None:
    """Each route once, with its own name, its role, and models that are all there."""
    found = json.loads(document())
    told = {(method.upper(), path) for path, methods in found["paths"].items() for method in methods}
    names = [each["operationId"] for methods in found["paths"].values() for each in methods.values()]

    assert {(route.method, route.path) for route in ROUTES} == told
    assert len(ROUTES) == len(told) == len(set(names))
    assert set(re.findall(r'"#/components/schemas/([^"]+)"', document().decode())) <= set(
        found["components"]["schemas"]
    )
    assert found == described(ROUTES)


def test_models_of_one_name_are_one() -> None:
    """Two with the same name would stand for each other."""
    shapes = [shape for route in ROUTES for shape in (route.body, route.query) if shape is not None]
    by_name = {(shape.__name__, shape) for shape in shapes}

    assert len({name for name, _ in by_name}) == len(by_name)


def test_the_page_lists_every_route() -> None:
    """With what it takes."""
    rows = []
    for route in ROUTES:
        role = f"{route.role}, all tenants" if route.for_all else route.role
        rows.append(f"| {route.method} | `{route.path}` | {route.summary} | {role} |")

    assert rows == [line for line in PAGE.read_text("utf-8").splitlines() if re.match(r"\| (GET|P|DELETE)", line)]
