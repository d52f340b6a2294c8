"""The API's queues, workers, pools and dead letters."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from typing_extensions import TypedDict

from taglane_scheduler.web.api.route import ApiRoute
from taglane_scheduler.web.api.runs import OfTenant, RunRow, row_of_run
from taglane_scheduler.web.api.shapes import (
    MOST,
    Count,
    Empty,
    Instant,
    Name,
    Page,
    TenantPageAsked,
    Wanted,
    by_tenants,
    instant,
)

if TYPE_CHECKING:
    from collections.abc import Sequence

    from taglane.model.run import RunInfo
    from taglane.store.queues import QueueInfo
    from taglane.store.workers import WorkerInfo

    from taglane_scheduler.desk.desk import Desk
    from taglane_scheduler.web.api.route import Call


class QueueRow(TypedDict):
    """What waits for one tag; *workers* is null for a shared tag, whose workers are the operator's."""

    tenant: str
    tag: str
    queued: int
    delayed: int
    parked: int
    waiting_since: Instant | None
    workers: int | None


class WorkerRow(TypedDict):
    """A worker; *silent_ms* is for how long there has been no heartbeat."""

    id: str
    tenant: str | None
    tags: list[str]
    tasks: list[str]
    host: str | None
    pid: int | None
    pool: str | None
    slots: int | None
    active: int
    last_seen: Instant | None
    silent_ms: int


class Draining(TypedDict):
    """A worker that takes no more."""

    id: str
    tenant: str
    draining: bool


class PoolRow(TypedDict):
    """A shared pool."""

    tag: str
    active: int
    parked: int
    held: int
    workers: list[WorkerRow]


class Pools(TypedDict):
    """The shared pools."""

    items: list[PoolRow]


class DeadRow(RunRow):
    """A dead letter."""

    deaths: int


class DeadShown(DeadRow):
    """A dead letter with what it was called with; what speaks of secrets is covered."""

    args: list[Any] | None
    params: dict[str, Any] | None
    covered: int
    traceback: str | None
    replayed: str | None


class Replayed(TypedDict):
    """The new run of a dead letter."""

    id: str
    of: str


class DeadAsked(TenantPageAsked):
    """Of which job; all when it is empty."""

    job: Name = ""


class Purge(Wanted):
    """What to end: all that is queued for a tag, and what is *delayed*, too, when that is said."""

    tag: Name
    delayed: bool = False


class OfJob(Wanted):
    """Of which job; of all when it is left out."""

    job: Name | None = None


def list_(desk: Desk, call: Call) -> Page[QueueRow]:
    """Return what waits, by tenant and tag."""
    asked: TenantPageAsked = call.query

    def read(tenants: Sequence[str]) -> list[tuple[str, QueueRow]]:
        return [(tenant, _queue(each)) for tenant in tenants for each in desk.queues.list(tenant)]

    return by_tenants(desk.tenants_in_reach(asked.tenant or None), asked.after, asked.limit, read)


def purge(desk: Desk, call: Call) -> Count:
    """End what is queued for a tag."""
    return {"count": desk.queues.purge(call.parts["tenant"], call.body.tag, delayed=call.body.delayed)}


def workers(desk: Desk, call: Call) -> Page[WorkerRow]:
    """Return the tenants' own workers."""
    asked: TenantPageAsked = call.query

    def read(tenants: Sequence[str]) -> list[tuple[str, WorkerRow]]:
        return [(each.tenant, _worker(each)) for each in desk.workers.list(tenants)]

    return by_tenants(desk.tenants_in_reach(asked.tenant or None), asked.after, asked.limit, read)


def drain(desk: Desk, call: Call) -> Draining:
    """Let a worker take no more, and end when it has done what it holds."""
    tenant, worker = call.parts["tenant"], call.parts["worker"]
    desk.workers.drain(tenant, worker)
    return {"id": worker, "tenant": tenant, "draining": True}


def pools(desk: Desk, call: Call) -> Pools:
    """Return the shared pools with their workers."""
    del call
    items: list[PoolRow] = [
        {
            "tag": f"shared.{each.name}",
            "active": each.active,
            "parked": each.parked,
            "held": each.slots_used,
            "workers": [_worker(worker) for worker in each.workers],
        }
        for each in desk.workers.pools()
    ]
    return {"items": items}


def dead(desk: Desk, call: Call) -> Page[DeadRow]:
    """Return dead letters, by tenant, those that died last first: *limit* of each at most."""
    asked: DeadAsked = call.query

    def read(tenants: Sequence[str]) -> list[tuple[str, DeadRow]]:
        return [
            (tenant, _letter(each))
            for tenant in tenants
            for each in desk.dead_letters.list(tenant, job=asked.job or None, limit=asked.limit)
        ]

    return by_tenants(desk.tenants_in_reach(asked.tenant or None), asked.after, asked.limit, read)


def show_dead(desk: Desk, call: Call) -> DeadShown:
    """Return one dead letter with what it was called with."""
    found = desk.dead_letters.get(call.parts["run_id"], call.query.tenant)
    (args, params), covered = desk.calls.cover([found.args, found.params])
    run = found.run
    return {
        **_letter(run),
        "args": args,
        "params": params,
        "covered": covered,
        "traceback": run.traceback,
        "replayed": run.replayed,
    }


def replay(desk: Desk, call: Call) -> Replayed:
    """Run a dead letter again."""
    run_id = call.parts["run_id"]
    return {"id": desk.dead_letters.replay(run_id, call.query.tenant), "of": run_id}


def drop(desk: Desk, call: Call) -> None:
    """Delete a dead letter for good."""
    desk.dead_letters.drop(call.parts["run_id"], call.query.tenant)


def replay_all(desk: Desk, call: Call) -> Count:
    """Run all dead letters of a tenant again, or those of one job."""
    return {"count": desk.dead_letters.replay_all(call.parts["tenant"], call.body.job)}


def drop_all(desk: Desk, call: Call) -> Count:
    """Delete all dead letters of a tenant for good, or those of one job."""
    return {"count": desk.dead_letters.drop_all(call.parts["tenant"], call.body.job)}


def _queue(each: QueueInfo) -> QueueRow:
    return {
        "tenant": each.tenant,
        "tag": each.tag,
        "queued": each.queued,
        "delayed": each.delayed,
        "parked": each.parked,
        "waiting_since": instant(each.since),
        "workers": None if each.tag.startswith("shared.") else each.workers,
    }


def _worker(each: WorkerInfo) -> WorkerRow:
    return {
        "id": each.id,
        "tenant": each.tenant or None,
        "tags": list(each.tags),
        "tasks": list(each.tasks)[:MOST],
        "host": each.host,
        "pid": each.pid,
        "pool": each.pool,
        "slots": each.slots,
        "active": each.active,
        "last_seen": instant(each.last_seen),
        "silent_ms": each.silent,
    }


def _letter(run: RunInfo) -> DeadRow:
    return {**row_of_run(run), "deaths": run.deaths}


def _routes() -> list[ApiRoute]:
    read: dict[str, Any] = {"role": "read", "group": "queues"}
    of_dead: dict[str, Any] = {"role": "read", "group": "dead letters"}
    operate: dict[str, Any] = {"role": "operate", "group": "dead letters"}
    write: dict[str, Any] = {"role": "write", "group": "dead letters"}
    return [
        ApiRoute("GET", "/queues", list_, "List queues", returns=Page[QueueRow], query=TenantPageAsked, **read),
        ApiRoute(
            *("POST", "/tenants/{tenant}/queues/purge", purge, "Cancel what is queued for a tag"),
            *("operate", Count, Purge),
            group="queues",
        ),
        ApiRoute("GET", "/workers", workers, "List workers", returns=Page[WorkerRow], query=TenantPageAsked, **read),
        ApiRoute(
            *("POST", "/tenants/{tenant}/workers/{worker}/drain", drain, "Let a worker take no more runs"),
            *("operate", Draining, Empty),
            group="queues",
        ),
        ApiRoute("GET", "/pools", pools, "List shared pools", returns=Pools, for_all=True, **read),
        ApiRoute("GET", "/dead", dead, "List dead letters", returns=Page[DeadRow], query=DeadAsked, **of_dead),
        ApiRoute(
            "GET", "/dead/{run_id}", show_dead, "Show a dead letter", returns=DeadShown, query=OfTenant, **of_dead
        ),
        ApiRoute(
            *("POST", "/dead/{run_id}/replay", replay, "Run a dead letter again"),
            *("operate", Replayed, Empty, OfTenant),
            status=201,
            group="dead letters",
        ),
        ApiRoute("DELETE", "/dead/{run_id}", drop, "Drop a dead letter", query=OfTenant, status=204, **write),
        ApiRoute(
            "POST",
            "/tenants/{tenant}/dead/replay",
            replay_all,
            "Run dead letters again",
            returns=Count,
            body=OfJob,
            **operate,
        ),
        ApiRoute(
            "POST", "/tenants/{tenant}/dead/drop", drop_all, "Drop dead letters", returns=Count, body=OfJob, **write
        ),
    ]


ROUTES = _routes()
