"""Two tenants on one server, each with one of everything, and a request for each route of the API that is answered."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from cluster import everywhere
from factories import HandWorker
from starlette.testclient import TestClient
from taglane.store import keys
from taglane_scheduler.alerting.channels import make_channel
from taglane_scheduler.alerting.rules import make_rule
from taglane_scheduler.web.api.rest import PREFIX
from taglane_scheduler.web.api.table import ROUTES
from taglane_scheduler.web.serve import console_app

if TYPE_CHECKING:
    from httpx2 import Response
    from taglane_scheduler.services import Services
    from taglane_scheduler.web.api.route import ApiRoute


URL = "http://localhost"


def canary(tenant: str) -> str:
    """What stands in everything that a tenant has."""
    return f"canary-of-{tenant}"


BODIES: dict[str, dict[str, Any]] = {
    "Empty": {},
    "TenantNew": {"tenant": "initech"},
    "Rotation": {"overlap": "1h"},
    "Reason": {"reason": "too loud"},
    "LimitChanges": {"running": 4, "rate": "10/s"},
    "JobWanted": {"task": "shop.tasks.report", "every": "1h", "params": {"note": "mine"}},
    "Params": {},
    "RunNew": {"task": "shop.tasks.report", "params": {"note": "mine"}},
    "ParamsAgain": {},
    "BulkNew": {"action": "cancel", "query": "tenant:{tenant} job:nothing"},
    "Purge": {"tag": "{tenant}"},
    "OfJob": {},
    "JobsFileWanted": {"file": "tenants: {{tenant}: {jobs: {mail: {task: shop.mail, every: 1h}}}}"},
    "KeyNew": {"scope": "read", "tenant": "{tenant}"},
    "PersonNew": {"name": "{tenant}2", "password": "correct horse", "role": "read", "tenant": "{tenant}"},
    "PersonChanges": {"role": "operate"},
    "RuleWanted": {"on": "failed", "channels": ["{tenant}-hook"], "tenant": "{tenant}"},
    "ChannelWanted": {"kind": "webhook", "url": "https://example.com/{tenant}"},
    "SilenceWanted": {"duration": "1h", "tenant": "{tenant}"},
}
"""For each model of a body one that is right; a new model needs one here."""

QUERIES: dict[str, dict[str, str]] = {
    "RunsAsked": {"q": "tenant:{tenant}"},
    "CronAsked": {"cron": "0 6 * * *"},
    "WaitAsked": {"timeout": "0"},
    "OwnerAsked": {"owner": "{tenant}"},
    "TenantPageAsked": {"tenant": "{tenant}"},
    "JobsAsked": {"tenant": "{tenant}"},
    "DeadAsked": {"tenant": "{tenant}"},
    "UsageAsked": {"tenant": "{tenant}"},
    "AuditAsked": {"tenant": "{tenant}"},
    "OfTenantAlerts": {"tenant": "{tenant}"},
    "TenantsAsked": {"name": "{tenant}"},
}
"""For each model of a query one that names a tenant, or what is needed; others are asked without a query."""

ONCE = frozenset({"DELETE /tenants/{tenant}", "POST /tenants/{tenant}/cut", "POST /tenants/{tenant}/drain"})
"""What takes everything else away: asked last."""


@dataclass
class Things:
    """What one tenant has, by what a path calls it."""

    tenant: str
    parts: dict[str, str] = field(default_factory=dict)


class World:
    """A server with tenants; each has one of everything, or it is made again by `plant`."""

    def __init__(self, services: Services) -> None:
        self.services = services
        self.app = console_app(services)
        self.admin = self.client("admin", None)
        self.things: dict[str, Things] = {}
        services.gathering.step()  # or the first scrape waits for its thread

    def client(self, role: str, tenant: str | None) -> TestClient:
        """A client with a key of this role."""
        secret, _ = self.services.access.api_keys.create(role, tenant)
        headers = {"Authorization": f"Bearer {secret}"}
        return TestClient(
            self.app,
            base_url=URL,
            headers=headers,
            follow_redirects=False,
            raise_server_exceptions=False,
        )

    def plant(self, tenant: str) -> Things:
        """Let a tenant have one of everything: what is gone, or was ended, is made anew."""
        services, access = self.services, self.services.access
        if tenant not in services.tenants.names():
            services.tenants.create(tenant)
        services.cutoff.restore(tenant)
        services.stores.limits.put_state(tenant, "")
        admin, made = self.admin, Things(tenant)
        mark = canary(tenant)
        note = {"note": mark, "tenant": tenant}
        job = {"task": f"shop.{mark}", "every": "1h", "params": note}
        assert 200 == admin.put(f"{PREFIX}/tenants/{tenant}/jobs/{tenant}-job", json=job).status_code
        run = services.stores.client.enqueue(f"shop.{mark}", tenant=tenant, params=note).id
        self._log(tenant, run)
        dead = self._die(tenant)
        alerting = services.alerting
        alerting.channels.put(
            make_channel(name=f"{tenant}-hook", kind="webhook", url="https://example.com/", owner=tenant)
        )
        alerting.channels.put(make_channel(name=f"{tenant}-spare", kind="webhook", url="https://a.b/", owner=tenant))
        rule = make_rule(name=f"{tenant}-rule", on="failed", channels=[f"{tenant}-hook"], owner=tenant)
        alerting.rules.put(rule)
        silence = alerting.silences.put(3_600_000, tenant=tenant, why=mark, owner=tenant)
        services.alerts.raise_alert("no_worker", tenant, tenant, mark)
        key = access.api_keys.create("read", tenant, name=mark)[1]
        if access.people.find(f"{tenant}1") is None:
            access.people.add(f"{tenant}1", "correct horse", "read", tenant)
        services.audit.note("planted", tenant, note=mark)
        HandWorker(services.server, tenant, f"{tenant}-worker").hello()
        bulk = admin.post(f"{PREFIX}/bulk", json={"action": "retry", "query": f"tenant:{tenant} job:{mark}"})
        made.parts = {
            "tenant": tenant,
            "job": f"{tenant}-job",
            "run_id": run,
            "dead": dead,
            "bulk_id": bulk.json()["id"],
            "tag": tenant,
            "worker": f"{tenant}-worker",
            "key_id": key.id,
            "rule": f"{tenant}-rule",
            "channel": f"{tenant}-hook",
            "spare": f"{tenant}-spare",
            "silence": silence.name,
            "person": f"{tenant}1",
        }
        self.things[tenant] = made
        return made

    def path(self, route: ApiRoute, things: Things) -> str:
        """The route's path, with a tenant's things in it."""
        return PREFIX + route.path.format(**self.parts(route, things))

    def parts(self, route: ApiRoute, things: Things) -> dict[str, str]:
        """What a route's path names, of a tenant's things."""
        parts = dict(things.parts)
        if route.path.startswith("/dead/") or route.path.endswith("/retry"):
            parts["run_id"] = parts["dead"]
        if route.method == "DELETE":
            parts["channel"] = parts["spare"]  # which no rule uses
        kinds = {"alert-rules": "rule", "alert-channels": "channel", "silences": "silence", "people": "person"}
        parts["name"] = parts.get(kinds.get(route.path.split("/")[1], ""), "")
        return {name: parts[name] for name in re.findall(r"\{(\w+)\}", route.path)}

    def query(self, route: ApiRoute, tenant: str) -> dict[str, str]:
        """A query of the route that names a tenant."""
        given = QUERIES.get(route.query.__name__, {}) if route.query else {}
        return {name: value.replace("{tenant}", tenant) for name, value in given.items()}

    def body(self, route: ApiRoute, tenant: str) -> Any:
        """A body of the route that names a tenant; None for none."""
        if route.body is None:
            return None
        return json.loads(json.dumps(BODIES[route.body.__name__]).replace("{tenant}", tenant))

    def ask(self, client: TestClient, route: ApiRoute, things: Things) -> Response:
        """Ask a route for a tenant's things."""
        path, query = self.path(route, things), self.query(route, things.tenant)
        body = self.body(route, things.tenant)
        return client.request(route.method, path, params=query, json=body)

    def names_something(self, route: ApiRoute) -> bool:
        """Whether a request of the route names anything of a tenant's."""
        return "{" in route.path or "~~" in f"{self.query(route, '~~')}{self.body(route, '~~')}"

    def sight(self, tenant: str) -> dict[bytes, bytes | None]:
        """All that is a tenant's on the server, as it is, but for counts of calls."""
        redis = everywhere(self.services.server.redis)
        found = {key: redis.dump(key) for key in sorted(redis.keys(f"*{{{tenant}}}*"))}
        for table in (keys.PEOPLE, keys.API_KEYS, keys.ALERT_RULES, keys.ALERT_CHANNELS, keys.ALERT_SILENCES):
            found |= {
                table.encode() + field: value
                for field, value in redis.hgetall(table).items()
                if tenant in f"{value}{field}"
            }
        return found

    def _log(self, tenant: str, run: str) -> None:
        self.services.server.redis.xadd(keys.log(tenant, run), {"t": canary(tenant)})

    def _die(self, tenant: str) -> str:
        """A run that was given up."""
        run = self.services.stores.client.enqueue(
            f"shop.{canary(tenant)}", tenant=tenant, params={"note": canary(tenant)}
        ).id
        redis = self.services.server.redis
        redis.hset(keys.run(tenant, run), mapping={"state": "dead", "finished_at": "1700000000000"})
        redis.zadd(keys.dead(tenant), {run: 1_700_000_000_000})
        return run


def in_order() -> list[ApiRoute]:
    """All routes: what only reads first, what takes everything away last."""
    order = ["GET", "PUT", "PATCH", "POST", "DELETE"]
    return sorted(ROUTES, key=lambda route: (name_of(route) in ONCE, order.index(route.method)))


def name_of(route: ApiRoute) -> str:
    """What a route is called in a test's name."""
    return f"{route.method} {route.path}"
