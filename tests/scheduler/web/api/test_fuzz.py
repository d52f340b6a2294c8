"""Requests that schemathesis makes of the API's own description: none breaks it, and none tells of another tenant."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
import schemathesis
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis.strategies import booleans
from scheduler.web.api.world import URL, World, canary, name_of
from schemathesis.checks import not_a_server_error
from schemathesis.core.result import Ok
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    response_schema_conformance,
    status_code_conformance,
)
from taglane_scheduler.web.api.openapi import described
from taglane_scheduler.web.api.table import ROUTES

if TYPE_CHECKING:
    from schemathesis import Case

EXAMPLES = 6
"""Requests of each route: with names that are there and with others, such as it takes and such as it should refuse."""

CHECKS = [not_a_server_error, content_type_conformance, response_schema_conformance, status_code_conformance]

LEFT_OUT = {
    "GET /doctor",  # takes seconds, and nothing of the request
    "GET /runs/{run_id}/wait",  # waits
    "POST /alert-channels/{name}/test",  # sends
}


HOW = settings(
    max_examples=EXAMPLES,
    derandomize=True,
    database=None,
    deadline=None,
    phases=[Phase.generate],
    suppress_health_check=list(HealthCheck),
)


@pytest.mark.parametrize("tenant", [None, "acme"], ids=["all", "one"])
def test_no_request_breaks_it(world: World, tenant: str | None) -> None:
    """Whatever the description lets one say, and what it does not, is answered as it says."""
    key = dict(world.client("admin", tenant).headers)
    schema = schemathesis.openapi.from_dict(described(route for route in ROUTES if name_of(route) not in LEFT_OUT))
    schema.config.update(base_url=f"{URL}/api/v1")
    schema.app = world.app
    routes = {name_of(route): route for route in ROUTES}
    for found in schema.get_all_operations():
        assert isinstance(found, Ok), found.err()
        operation = found.ok()
        route = routes[operation.label]
        things = world.plant(tenant or "globex") if "{" in route.path else None
        ask(operation, key, world.parts(route, things) if things else {}, canary("globex") if tenant else "nowhere")


def ask(operation: Any, key: dict[str, str], parts: dict[str, str], not_told: str) -> None:
    """Ask one route some times, at times for what is there."""

    @HOW
    @given(case=operation.as_strategy(), is_there=booleans())
    def once(case: Case[Any], *, is_there: bool) -> None:
        if parts and is_there:
            case.path_parameters = parts
        answer = case.call(headers=key, allow_redirects=False)
        case.validate_response(answer, checks=CHECKS)
        assert not_told not in answer.text

    once()
