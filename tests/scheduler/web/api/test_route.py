"""The table of routes."""

from __future__ import annotations

import re

from taglane_scheduler.access.principal import ROLES
from taglane_scheduler.web.api.route import ApiRoute, Call
from taglane_scheduler.web.api.table import ROUTES


def test_each_route_is_said_whole() -> None:
    """A role, a group, a summary; a status that fits its answer; nothing is changed by a GET, which has no body."""
    for route in ROUTES:
        assert isinstance(route, ApiRoute)
        assert route.role in ROLES
        assert route.group
        assert re.fullmatch(r"[A-Z].*[^.]", route.summary)
        assert (route.returns is None) == (route.status == 204)
        assert route.body is None or route.method not in {"GET", "DELETE"}
        assert route.method == "GET" or route.role != "read" or route.path == "/keys/{key_id}"
    assert None is Call().body is Call().query
