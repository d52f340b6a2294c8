"""Fills a server with ten tenants as they are in life: busy, paused, failing, unserved, at a limit, stalled, spoiled.

`python tests/seed.py URL` does it for a console that somebody wants to look at.
"""

from __future__ import annotations

import math
import sys
import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from taglane.model.envelope import of_call
from taglane.model.job import make_job
from taglane.model.names import new_run_id
from taglane.settings import load_settings
from taglane.store import keys
from taglane.store.leases import Leases
from taglane_scheduler.alerting.channels import make_channel
from taglane_scheduler.alerting.rules import make_rule
from taglane_scheduler.services import build

if TYPE_CHECKING:
    from taglane_scheduler.services import Services

LONG_MS = 86_400_000
"""The lease of its workers, which have no process to beat for them."""

HOSTS = ("apps-1", "apps-2", "apps-3")


@dataclass
class Seed:
    """One tenant and what it has."""

    services: Services
    tenant: str
    workers: list[Leases] = field(default_factory=list)

    def job(self, name: str, task: str = "shop.tasks.report", **fields: Any) -> Seed:
        """Add a job; manual, unless a schedule is given, so that no scheduler is needed."""
        fields = {"params": {"region": "eu"}} | fields
        if not any(kind in fields for kind in ("cron", "every", "after", "at")):
            fields["manual"] = True
        self.services.jobs.put(make_job(self.tenant, name, task=task, **fields))
        return self

    def worker(self, tags: str = "", slots: int = 4, pool: str = "prefork") -> Seed:
        """Let a worker come that beats for a day."""
        number = len(self.workers)
        name = f"{HOSTS[number % 3]}-{4100 + number}"
        info = {"host": HOSTS[number % 3], "pid": 4100 + number, "slots": slots, "pool": pool}
        made = Leases(self.services.server, self.tenant, name)
        made.hello(info, (tags or self.tenant).split(), ["shop.tasks.report", "shop.tasks.sync"], LONG_MS)
        self.workers.append(made)
        return self

    def enqueue(self, count: int, tag: str = "", priority: int = 0, delay_ms: int = 0) -> Seed:
        """Let runs wait."""
        for _ in range(count):
            envelope = of_call({"region": "eu", "password": "hunter2"})
            at = self.now() + delay_ms if delay_ms else ""
            call = (new_run_id(self.tenant), "shop.tasks.report", tag or self.tenant, priority, envelope)
            self.services.server.call("enqueue", self.tenant, *call, at, "", "", "")
        return self

    def runs(self, state: str, count: int, job: str = "", result: str = '{"rows":120}') -> Seed:
        """Let runs of a job, or of nobody's, end so."""
        made = [self.services.jobs.trigger(self.tenant, job) for _ in range(count)] if job else []
        if not job:
            self.enqueue(count)
        fetched = self.fetch(count)
        ended = [
            word
            for run, token in fetched
            for word in (run, token, state, "1480" if state != "dead" else "90", result, "")
        ]
        if ended:
            self.services.server.call("finish", self.tenant, *ended)
        assert len(fetched) >= len(made)
        return self

    def fetch(self, count: int) -> list[tuple[str, int]]:
        """Let the first worker hold runs."""
        found: list[tuple[str, int]] = []
        worker = self.workers[0]
        while len(found) < count and (answer := worker.fetch(count - len(found), [self.tenant], idle=not found)):
            if not answer[1]:
                break
            found += [(each.run, each.token) for each in answer[1]]
        return found

    def execute(self, count: int) -> Seed:
        """Let the first worker execute runs, on and on."""
        held = self.fetch(count)
        self.services.server.redis.hset(keys.worker(self.tenant, self.workers[0].worker), "active", str(len(held)))
        return self

    def hour(self, ok: float, bad: float = 0.0) -> Seed:
        """Write the last hour: so many runs a minute, in waves."""
        now = self.now() // 60_000
        for minute in range(now - 59, now + 1):
            wave = 1 + math.sin(minute / 5 + len(self.tenant))
            hour = time.strftime("%Y%m%d%H", time.gmtime(minute * 60))
            for what, often in (("s", ok * wave), ("f", bad * (minute % 7 == 0 or bad > 1) * wave)):
                if round(often):
                    self.services.server.redis.hset(
                        keys.recent(self.tenant, hour), f"{minute % 60:02d}|{what}", round(often)
                    )
        return self

    def days(self, ok: int, bad: int = 0) -> Seed:
        """Write the last two weeks."""
        for back in range(1, 15):
            day = time.strftime("%Y%m%d", time.gmtime(self.now() / 1000 - back * 86_400))
            good = ok * (5 + back % 7) // 9
            counts = {
                "made": good + bad,
                "succeeded": good,
                "failed": bad * (back % 4),
                "fired": good,
                "ms": good * 1_400,
            }
            self.services.server.redis.hset(
                keys.ledger(self.tenant, day), mapping={k: str(v) for k, v in counts.items()}
            )
        return self

    def now(self) -> int:
        """The server's time, ms."""
        seconds, micros = self.services.server.redis.time()
        return int(seconds) * 1000 + int(micros) // 1000


def seed(url: str) -> None:
    """Fill the server at *url*."""
    services = build(load_settings(url=url))
    services.prepare()
    fill(services)
    services.close()


def fill(services: Services) -> None:
    """Fill a server that has the library."""

    def tenant(name: str) -> Seed:
        services.tenants.create(name)
        return Seed(services, name)

    acme = (
        tenant("acme").worker(slots=8).worker("acme acme.gpu", slots=2, pool="threads").job("report", cron="0 6 * * *")
    )
    acme.job("sync", "shop.tasks.sync", every="15m").job("billing", "shop.tasks.billing", cron="0 3 1 * *")
    acme.runs("succeeded", 40, "report").runs("succeeded", 12).runs("failed", 2, "sync").enqueue(14).enqueue(
        5, "acme.gpu"
    )
    acme.execute(6).enqueue(7, delay_ms=3_600_000).hour(22, 0.6).days(9_000, 12)

    globex = tenant("globex").worker().job("report", cron="30 6 * * *").job("sync", "shop.tasks.sync", every="1h")
    globex.runs("succeeded", 30, "report").runs("failed", 5, "sync", "\"KeyError: 'sku'\"").hour(9, 3).days(4_000, 90)
    initech = tenant("initech").worker().job("report", cron="0 6 * * *").runs("succeeded", 9, "report")
    initech.enqueue(23).hour(4).days(1_200)
    services.stores.limits.put_state("initech", "paused")
    umbrella = tenant("umbrella").worker().job("report").runs("succeeded", 3, "report").hour(2).days(300)
    umbrella.enqueue(31, "umbrella.gpu")  # nobody serves it
    hooli = tenant("hooli").worker(slots=8).job("report", cron="0 6 * * *").runs("succeeded", 20, "report")
    services.stores.limits.change("hooli", {"running": 4, "rate": "10/s", "queued": 500})
    hooli.enqueue(48).execute(4).hour(40).days(14_000)
    stark = tenant("stark").worker().worker().job("report", cron="0 7 * * *").runs("succeeded", 6, "report")
    stark.runs(
        "dead", 3, "report", '"Traceback (most recent call last):\\n  File \\"tasks.py\\", line 3\\nValueError: no"'
    )
    stark.hour(6, 1.2).days(2_000, 30)
    wayne = tenant("wayne").worker().worker().job("report").runs("succeeded", 4, "report").hour(1).days(150)
    worker = keys.worker("wayne", wayne.workers[1].worker)
    services.server.redis.hset(worker, mapping={"lease": "15000", "seen": str(wayne.now() - 240_000)})
    tenant("tyrell").worker().job("report", cron="0 6 * * *").runs("succeeded", 2, "report").hour(1).days(90)
    tenant("wonka")
    spoiled = tenant("zorg").worker().job("report")
    services.server.redis.delete(keys.leases("zorg"), keys.tags("zorg"), keys.runs("zorg"))
    services.server.redis.set(keys.leases("zorg"), "mine")
    services.server.redis.set(keys.tags("zorg"), "mine")
    services.server.redis.set(keys.runs("zorg"), "mine")
    assert spoiled
    services.stores.limits.put_state("tyrell", "draining")
    services.alerts.raise_alert("memory", "", "server", "the server holds 900MiB more than is explained")
    tells(services)


def tells(services: Services) -> None:
    """Let there be a channel, rules and a silence."""
    alerting = services.alerting
    alerting.channels.put(make_channel(name="ops", kind="webhook", url="https://hooks.example.com/taglane?key=1"))
    alerting.rules.put(make_rule(name="failing", on="failed", job="*", threshold=3, window="10m", channels=["ops"]))
    alerting.rules.put(make_rule(name="unserved", on="no_worker", after="1m", channels=["ops"]))
    alerting.silences.put(7_200_000, tenant="wonka", why="moving to new machines", by="ann")


if __name__ == "__main__":
    seed(sys.argv[1])
