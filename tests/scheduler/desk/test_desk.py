"""The desk of one who asks: no method of any group reaches another tenant, whatever it is called with."""

from __future__ import annotations

import inspect
from typing import TYPE_CHECKING, Any

import pytest
from cluster import everywhere
from desks import desk_of, services_at
from factories import make_job
from taglane.errors import NotFound, Refused, RunNotFound, TaglaneError
from taglane.model.query import parse_query
from taglane.store import keys
from taglane_scheduler.access.principal import ROLES
from taglane_scheduler.desk.desk import Desk
from taglane_scheduler.desk.job_pages import JobFilter

if TYPE_CHECKING:
    from taglane_scheduler.services import Services

VICTIM = "globex"
RUN = f"{VICTIM}.01m8af59y56gmq0zt92yt98gmq"

GIVEN: dict[str, Any] = {
    "tenant": VICTIM,
    "name": VICTIM,
    "tenants": [VICTIM],
    "run_id": RUN,
    "tag": VICTIM,
    "owner": VICTIM,
    "job": make_job("report", tenant=VICTIM),
    "query": parse_query(f"tenant:{VICTIM}"),
    "wanted": JobFilter(VICTIM),
    "task": "shop.task",
    "role": "read",
    "key_id": "0" * 16,
    "text": f"tenants: {{{VICTIM}: {{jobs: {{a: {{task: a.b, every: 1h}}}}}}}}",
    "fields": {
        "on": "failed",
        "channels": ["a"],
        "tenant": VICTIM,
        "name": "a",
        "kind": "webhook",
        "url": "https://a.b",
    },
    "changes": {"running": 9},
    "params": {},
    "state": "paused",
    "target": 30.0,
    "timeout": 0.0,
    "duration": 1_000,
    "days": 3,
    "limit": 5,
    "count": 5,
    "most": 5,
    "overlap": 0,
    "reason": "",
    "what": "cancel",
    "slip": "1",
    "work_id": "1",
    "workers": [],
    "worker": "worker-1",
    "value": {},
    "template": "a",
    "old": "x",
    "new": "correct horse",
    "password": "correct horse",
    "after": "",
    "pattern": VICTIM,
    "sort": "tenant",
    "start": 0,
}
"""What a method is called with, by the names of its parameters: the other tenant wherever it can be named."""

OWN = frozenset(
    {
        *("own", "create_own", "change_own_password", "cover", "now", "lease", "holding", "freshen", "totals"),
        *("attention", "counts", "doctor", "metrics", "pools", "pool_workers", "rules", "channels", "silences"),
        *("deliveries", "ids", "get", "stop"),
    }
)
"""Methods that may answer without an error: what they are asked for names no tenant, or is looked for in one's own."""

GROUPS = sorted(name for name, member in vars(Desk).items() if type(member).__name__ == "cached_property")


def methods(desk: Desk, group: str) -> list[str]:
    found = getattr(desk, group)
    return [name for name, _ in inspect.getmembers(type(found), inspect.isfunction) if not name.startswith("_")]


def called(desk: Desk, group: str, name: str, values: dict[str, Any]) -> Any:
    """Call a method with the other tenant wherever it can be named; return what it answers, or raises."""
    method = getattr(getattr(desk, group), name)
    given = {}
    for parameter in inspect.signature(method).parameters.values():
        if parameter.kind is parameter.VAR_KEYWORD:
            continue
        if parameter.name in {"tenant", "owner"} or parameter.default is parameter.empty:
            given[parameter.name] = values[parameter.name]
    try:
        with desk.sitting():
            return method(**given)
    except TaglaneError as error:
        return error


def sight(services: Services) -> dict[bytes, Any]:
    redis = everywhere(services.server.redis)
    kept = {key: redis.dump(key) for key in redis.keys(f"*{{{VICTIM}}}*")}
    return kept | {table.encode(): redis.hgetall(table) for table in (keys.TENANTS, keys.PEOPLE, keys.API_KEYS)}


@pytest.mark.parametrize("group", GROUPS)
def test_no_method_reaches_another_tenant(url: str, group: str) -> None:
    """With each role: it is refused, or finds nothing; and nothing of the other's has changed."""
    with services_at(url, "acme", VICTIM) as services:
        services.jobs.put(make_job("report", tenant=VICTIM, params={"secret": "canary"}))
        run = services.stores.client.enqueue("shop.task", tenant=VICTIM).id
        key = services.access.api_keys.create("read", VICTIM)[1].id
        theirs = {**GIVEN, "run_id": run, "key_id": key}
        before = sight(services)
        for role in ROLES:
            desk = desk_of(services, "acme", role)
            for name in methods(desk, group):
                answer = called(desk, group, name, theirs)
                refused = isinstance(answer, (Refused, NotFound))

                assert refused or name in OWN or _is_empty(answer), f"{group}.{name} as {role}: {answer!r}"
                assert "canary" not in repr(answer)
        assert before == sight(services)


def _is_empty(answer: Any) -> bool:
    """Whether it is nothing, or a page with nothing on it."""
    return not answer or not any(getattr(answer, name, ()) for name in ("jobs", "runs", "entries", "items"))


def test_whose_run_an_id_is(url: str) -> None:
    """As it says, or as is asked; of another's it is said as of nobody's."""
    with services_at(url, "acme") as services:
        desk = desk_of(services, "acme", "read")

        assert "acme" == desk.tenant_of_run("acme.1", None, "read", "reading")
        assert "acme" == desk.tenant_of_run("mine", None, "read", "reading")
        for run_id, tenant in ((RUN, None), (RUN, "acme"), ("mine", VICTIM)):
            with pytest.raises(RunNotFound):
                desk.tenant_of_run(run_id, tenant, "read", "reading")
        with pytest.raises(RunNotFound):
            desk_of(services, None).tenant_of_run("mine", None, "read", "reading")
