"""All routes at once: each answers as OpenAPI says, for who may; and says nothing of another tenant to who may not."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import jsonschema_rs
import pytest
from cluster import everywhere
from scheduler.web.api.world import Things, World, canary, in_order, name_of
from taglane_scheduler.access.principal import ROLES
from taglane_scheduler.web.api.openapi import described
from taglane_scheduler.web.api.table import ROUTES

if TYPE_CHECKING:
    from httpx2 import Response
    from taglane_scheduler.web.api.route import ApiRoute

DOCUMENT = described(ROUTES)
SLOW = frozenset({"GET /doctor", "POST /alert-channels/{name}/test"})
"""It takes seconds; it sends a message to somewhere."""


def check(route: ApiRoute, answer: Response) -> None:
    """An answer is of the status and the shape that OpenAPI says."""
    told = DOCUMENT["paths"][route.path][route.method.lower()]["responses"][str(answer.status_code)]
    if "content" not in told:
        assert b"" == answer.content
        return
    (media,) = told["content"]
    assert answer.headers["content-type"].startswith(media), answer.text
    if media.endswith("json"):
        schema = {**told["content"][media]["schema"], "components": DOCUMENT["components"]}
        jsonschema_rs.Draft202012Validator(schema).validate(answer.json())


def test_each_route_answers_as_its_description_says(world: World) -> None:
    """Who administers all tenants can ask everything, and each answer is of the shape that OpenAPI tells."""
    for route in in_order():
        if name_of(route) in SLOW:
            continue
        things = world.plant("globex") if route.method != "GET" else world.things["globex"]

        answer = world.ask(world.admin, route, things)

        assert route.status == answer.status_code, f"{name_of(route)} {answer.text}"
        check(route, answer)


def test_another_tenant_is_as_one_that_there_is_not(world: World) -> None:
    """Whatever a tenant's key asks about another's things, it is told what it is told about nothing.

    That holds for keys of each role. Nothing of the other is in any answer, and nothing of the other is changed.
    """
    before, there = world.sight("globex"), world.things["globex"]
    absent = Things("abcxyz", absent_like(there.parts))
    for client in [world.client(role, "acme") for role in ROLES]:
        for route in in_order():
            found = world.ask(client, route, there)

            assert canary("globex") not in found.text, name_of(route)
            assert 500 > found.status_code
            if world.names_something(route):
                none = world.ask(client, route, absent)
                assert forget(found.text, there.parts) == forget(none.text, absent.parts), name_of(route)
                assert found.status_code == none.status_code, name_of(route)
    assert before == world.sight("globex")


def test_lists_hold_ones_own_alone(world: World) -> None:
    """What names no tenant is about the key's own: every list, count, figure, and each page behind another's cursor."""
    client, cursors = world.client("admin", "acme"), cursors_of(world)
    for route in ROUTES:
        if route.method == "GET" and "{" not in route.path and not route.for_all:
            for after in ["", *cursors] if route.query and "after" in route.query.model_fields else [""]:
                query = {"after": after} if after else {}
                if route.query is not None and route.query.__name__ == "CronAsked":
                    query["cron"] = "0 6 * * *"
                answer = client.get(f"/api/v1{route.path}", params=query)

                assert "globex" not in answer.text.replace(after, "") or answer.status_code == 422, name_of(route)
                assert 500 > answer.status_code


@pytest.mark.parametrize("how", ["set", "lpush", "zadd"])
def test_a_tenant_that_has_spoiled_its_keys_breaks_no_list(world: World, how: str) -> None:
    """Every list of all tenants tells of the others, and its own routes answer without breaking."""
    redis = world.services.server.redis
    for key in everywhere(redis).keys("taglane:{acme}:*"):
        redis.delete(key)
        redis.execute_command(how, key, *([10**300] if how == "zadd" else []), b"\xff<b>{mine}")
    own = world.client("admin", "acme")
    for route in ROUTES:
        if route.method != "GET" or name_of(route) in SLOW:
            continue
        for client, things in ((own, "acme"), (world.admin, "globex")):
            answer = world.ask(client, route, world.things[things])
            assert answer.status_code in {200, 403, 404} or (things == "acme" and answer.status_code in {409, 503}), (
                f"{name_of(route)} {things} {answer.text}"
            )
        if "{" not in route.path:
            query = {"cron": "0 6 * * *"} if route.path == "/cron" else {}
            assert 200 == world.admin.get(f"/api/v1{route.path}", params=query).status_code, name_of(route)


def test_a_key_may_what_its_role_may(world: World) -> None:
    """Below the role of a route, or with one tenant where it takes all, a key is refused."""
    clients = {role: world.client(role, "acme") for role in ROLES}
    for route in in_order():
        for role, client in clients.items():
            if route.for_all or ROLES.index(role) < ROLES.index(route.role):
                assert 403 == world.ask(client, route, world.things["acme"]).status_code, f"{role} {name_of(route)}"


def test_nobody_is_told_anything(world: World) -> None:
    """Without a key, or with one that opens nothing, each route answers 401 alike."""
    client = world.client("read", "acme")
    for authorization in ("", "Bearer tl_nothing", "Basic YTpi", "Bearer"):
        client.headers["Authorization"] = authorization
        for route in ROUTES:
            answer = client.request(route.method, world.path(route, world.things["acme"]))
            assert 401 == answer.status_code
            assert "Bearer" in answer.headers["www-authenticate"]


def cursors_of(world: World) -> list[str]:
    """What pages of all tenants, and of the other one, give to go on with."""
    found = []
    for path in ("/jobs", "/runs", "/runs?q=tenant:globex", "/keys", "/audit", "/queues", "/dead", "/tenants"):
        after = world.admin.get(f"/api/v1{path}", params={"limit": 1}).json()["next"]
        found += [after] if after else []
    assert len(found) > 4
    return [*found, "acme", "aaaa", "globew"]


def absent_like(parts: dict[str, str]) -> dict[str, str]:
    """Names and ids of nothing, as long as these."""
    found = {}
    for name, value in parts.items():
        text = value.replace("globex", "abcxyz")
        found[name] = (
            text if text != value else "".join("0" if letter in "123456789abcdef" else letter for letter in value)
        )
    return found


def forget(text: str, parts: dict[str, str]) -> str:
    """An answer without the names that were asked for; ids that it made itself are left out."""
    for value in sorted({*parts.values()}, key=len, reverse=True):
        text = text.replace(value, "*")
    try:
        said = json.loads(text)
    except ValueError:
        return text
    made = {"id", "key", "since", "until", "created", "secret", "started"}
    return json.dumps(
        {name: value for name, value in said.items() if name not in made} if isinstance(said, dict) else said
    )
