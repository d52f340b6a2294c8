"""What a turn costs the server, moved by hand: its time in functions, for each run that is fetched."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from bench.tenancy.stage import TAG, TASK, Stage
from taglane.model.envelope import of_call
from taglane.model.limits import Limits
from taglane.model.names import new_run_id
from taglane.store import keys
from taglane.store.pool_leases import PoolLeases
from taglane.store.pools import Pools
from taglane.store.server import Server
from taglane_scheduler.tenancy.record import Record

if TYPE_CHECKING:
    from collections.abc import Sequence

    from bench.tenancy.figures import Sheet
    from bench.tenancy.size import Size

POOL = "small"
BATCH = 1_000


def turns(sheet: Sheet, size: Size) -> None:
    """Fetch one by one, and as many as a worker takes, of few and of many active tenants."""
    base: dict[int, float] = {}
    for active in size.active:
        with Stage(quiet=True) as stage:
            names = [f"t{number:06}" for number in range(active)]
            register(stage, names)
            most = max(size.fetches * 2 // active, 2) + 64 * size.fetches // 8 // active
            _enqueue(stage.server, names, most + 64)
            leases = PoolLeases(Server(stage.url), POOL, "w1")
            leases.hello({"slots": 1}, [TAG], [TASK], 60_000)
            Pools(stage.server).wake(POOL, dict.fromkeys(names, Limits()))
            for at_once in (1, 64):
                cost = _cost(stage, leases, at_once, size.fetches if at_once == 1 else max(8, size.fetches // 8))
                base.setdefault(at_once, cost)
                what = f"server time a run fetched, {at_once} at once, {active:,} active tenants"
                sheet.note(what, cost, "us", most=None if active == size.active[0] else 3 * base[at_once])
            leases.close()


def register(stage: Stage, names: Sequence[str]) -> None:
    """Write tenants into the record, without users: nobody logs in as them."""
    record = Record(created=1, password_hashes=()).to_json()
    for start in range(0, len(names), BATCH):
        stage.redis.hset(keys.TENANTS, mapping=dict.fromkeys(names[start : start + BATCH], record))


def _enqueue(server: Server, names: Sequence[str], each: int) -> None:
    """Let each tenant have so many runs, or two where there are many tenants."""
    each = each if len(names) <= BATCH else 2
    packed = of_call({})
    for start in range(0, len(names), BATCH):
        calls: list[tuple[str, str, list[Any]]] = []
        for name in names[start : start + BATCH]:
            runs = [(new_run_id(name), TASK, TAG, 0, packed, "", "", "", "") for _ in range(each)]
            calls += [
                ("enqueue", name, [argument for run in runs[first : first + 200] for argument in run])
                for first in range(0, each, 200)
            ]
        for answer in server.calls(calls):
            if isinstance(answer, Exception):
                raise answer


def _cost(stage: Stage, leases: PoolLeases, at_once: int, fetches: int) -> float:
    """Fetch and end so often; answers the server's microseconds a run, of the fetches alone."""
    spent, runs = 0.0, 0
    for number in range(fetches + 5):
        before = _in_functions(stage)
        fetched = leases.fetch(at_once, [TAG], idle=True)
        if fetched is None or not fetched.deliveries:
            raise RuntimeError("a fetch got nothing")
        if number >= 5:
            spent += _in_functions(stage) - before
            runs += len(fetched.deliveries)
        ends = [("finish", [run.run, run.token, "succeeded", 2, '{"r":1}', ""]) for run in fetched.deliveries]
        leases.say(ends, lambda _move, _answer: None)
    return spent / runs


def _in_functions(stage: Stage) -> float:
    return float(stage.redis.info("commandstats").get("cmdstat_fcall", {"usec": 0})["usec"])
