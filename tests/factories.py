"""Makes what tests need, with defaults that are valid: a test names only what its rule is about."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from taglane.context import CurrentRun
from taglane.model.envelope import Delivery, of_call
from taglane.model.job import KINDS, Job
from taglane.model.job import make_job as checked_job
from taglane.model.names import new_run_id
from taglane.runtime.held import Held
from taglane.store import functions, keys
from taglane.store.server import Server

if TYPE_CHECKING:
    from redis import Redis

TENANT = "acme"


def make_server(url: str, *, load: bool = True) -> Server:
    """A connection of its own to the server at `url`, which has the function library."""
    server = Server(url)
    if load:
        functions.load(server.redis)
    return server


def make_job(name: str = "report", *, tenant: str = TENANT, task: str = "shop.tasks.report", **fields: Any) -> Job:
    """A job, manual unless a schedule is given."""
    if not any(kind in fields for kind in KINDS):
        fields["manual"] = True
    return checked_job(tenant, name, task=task, **fields)


def server_time(redis: Redis) -> int:
    """The server's time, ms."""
    seconds, micros = redis.time()
    return seconds * 1000 + micros // 1000


def set_due(redis: Redis, job: Job, at: int) -> None:
    """Let a job that is put be due at `at`, ms, as if time had passed."""
    redis.zadd(keys.due(job.tenant), {job.name: at})


def listeners(redis: Redis, channel: str) -> int:
    """How many listen for the end of a run, on whichever node."""
    found: Any = redis.pubsub_shardnumsub(channel)
    return sum(count for _, count in found)


def run_ids(redis: Redis, tenant: str = TENANT) -> list[str]:
    """All runs that are kept of a tenant, the oldest first."""
    members: Any = redis.zrange(keys.runs(tenant), 0, -1)
    return [member.decode() for member in members]


def run_field(redis: Redis, run_id: str, field: str, tenant: str = TENANT) -> str | None:
    """One field of a run, or None."""
    value: Any = redis.hget(keys.run(tenant, run_id), field)
    return None if value is None else value.decode()


def enqueue(server: Server, tenant: str = TENANT, *, expires: str = "") -> str:
    """Make a run of a task; return its id."""
    run_id = new_run_id(tenant)
    server.call("enqueue", tenant, run_id, "shop.tasks.report", tenant, 0, of_call({}), "", expires, "", "")
    return run_id


@dataclass
class HandWorker:
    """A worker whose every move is made by hand: it fetches, beats and finishes when a test says so."""

    server: Server
    tenant: str = TENANT
    id: str = "worker-1"
    fetches: int = 0

    def hello(self) -> HandWorker:
        """Enter among the tenant's workers."""
        self.server.call("hello", self.tenant, self.id, "tags", self.tenant)
        return self

    def fetch(self, most: int = 10) -> list[tuple[str, int]]:
        """Lease waiting runs: their ids and tokens."""
        self.fetches += 1
        answer = self.server.call("fetch", self.tenant, self.id, self.fetches, most, "1", self.tenant)
        return [(run[0].decode(), run[1]) for run in answer[2]]

    def beat(self) -> int:
        """Move the heartbeat counter; 0 when the worker was given up for dead."""
        return int(self.server.call("beat", self.tenant, self.id))

    def finish(self, runs: list[tuple[str, int]], state: str = "succeeded") -> list[int]:
        """End runs; 1 for each that was still this worker's."""
        arguments = [value for run_id, token in runs for value in (run_id, token, state, "1", '{"r":1}', "")]
        return list(self.server.call("finish", self.tenant, *arguments))


def make_held(run: str = "acme.1", token: int = 1, *, ended: str = "", of: str = "", **fields: Any) -> Held:
    """A lease of one run, fetched at 10 seconds of some clock."""
    delivery = Delivery(
        run=run,
        token=token,
        envelope=b"{}",
        attempt=1,
        tenant="acme",
        tag="acme",
        job="",
        due=None,
        rescues=0,
        ended=ended,
        of=of,
        task="a.b",
    )
    return Held(delivery, fetched_at=fields.pop("fetched_at", 10.0), **fields)


def make_run(run_id: str = "acme.1", **fields: Any) -> CurrentRun:
    """A run as the code knows it that it is executed by."""
    given = {"tenant": TENANT, "tag": TENANT, "job": None, "due": None, "attempt": 1, "token": 1, **fields}
    return CurrentRun(run_id, **given)
