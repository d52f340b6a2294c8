"""Every public call of the SDK, with the attacker's credential and another tenant's names: none has an effect."""

from __future__ import annotations

import inspect
from datetime import date
from operator import attrgetter, methodcaller
from typing import TYPE_CHECKING, Any

import pytest
from factories import make_job
from isolation.world import CANARY, VICTIM, VICTIMS_RUN, World, leaks
from redis.exceptions import RedisError
from taglane.client import Taglane
from taglane.errors import Refused, TaglaneError
from taglane.model.limits import change_limits, read_limits
from taglane.model.query import parse_query
from taglane.store import keys
from taglane.store.bulk import Bulk
from taglane.store.calls import Calls
from taglane.store.dead_letters import DeadLetters
from taglane.store.history import History
from taglane.store.job_plan import Planned, prepare
from taglane.store.jobs import Jobs
from taglane.store.last_runs import LastRuns
from taglane.store.leases import Leases
from taglane.store.limits import LimitStore
from taglane.store.logs import Logs
from taglane.store.pool_leases import PoolLeases
from taglane.store.pools import Pools
from taglane.store.queues import Queues
from taglane.store.runs import NewRun, Runs
from taglane.store.search import RunSearch
from taglane.store.server import Server
from taglane.store.standings import Standings
from taglane.store.usage import Usage
from taglane.store.workers import FIELDS, Workers, read_worker
from taglane_scheduler.alerting.channels import Channels, make_channel
from taglane_scheduler.alerting.outbox import Outbox, Taken
from taglane_scheduler.alerting.rules import Rules, make_rule
from taglane_scheduler.alerting.silences import Silences
from taglane_scheduler.care.alerts import Alerts
from taglane_scheduler.care.measures import Measure, Measures
from taglane_scheduler.care.rescue import Rescue
from taglane_scheduler.firing.firing import Firing
from taglane_scheduler.firing.peers import Peers
from taglane_scheduler.tenancy.audit import Audit
from taglane_scheduler.tenancy.cutoff import CutOff
from taglane_scheduler.tenancy.denials import Denials
from taglane_scheduler.tenancy.tenants import Tenants
from taglane_scheduler.tenancy.users import Users

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

MADE: dict[type, Callable[[Server], Any]] = {
    Taglane: lambda server: Taglane(server.url),
    Jobs: lambda server: Jobs(server, 1_000_000),
    Runs: Runs,
    Queues: lambda server: Queues(server, 1_000),
    DeadLetters: DeadLetters,
    Workers: Workers,
    LimitStore: LimitStore,
    History: History,
    Logs: Logs,
    Calls: Calls,
    LastRuns: LastRuns,
    Pools: Pools,
    PoolLeases: lambda server: PoolLeases(server, "small", "w"),
    Leases: lambda server: Leases(server, VICTIM, "w"),
    Server: lambda server: Server(server.url),
    Tenants: Tenants,
    Users: Users,
    Audit: Audit,
    Denials: Denials,
    Firing: Firing,
    Rescue: lambda server: Rescue(server, 1_000),
    Peers: Peers,
    Usage: Usage,
    Alerts: Alerts,
    Rules: Rules,
    Channels: Channels,
    Silences: Silences,
    Outbox: Outbox,
    Measures: Measures,
    CutOff: lambda server: CutOff(server, Alerts(server)),
    Standings: lambda server: Standings(server, 1_000),
    RunSearch: RunSearch,
    Bulk: lambda server: Bulk(Runs(server), RunSearch(server)),
}
"""Whatever speaks to a server, made with the attacker's credential."""

GIVEN: dict[str, Any] = {
    "tenant": VICTIM,
    "tenants": [VICTIM],
    "name": VICTIM,
    "names": [VICTIM],
    "run_id": VICTIMS_RUN,
    "key": f"taglane:{{{VICTIM}}}:run:{VICTIMS_RUN}",
    "channel": f"taglane:{{{VICTIM}}}:done:x",
    "error": ConnectionError("lost"),
    "tag": VICTIM,
    "tags": [VICTIM],
    "task": "shop.task",
    "tasks": ["shop.task"],
    "params": {},
    "job": make_job("report", tenant=VICTIM),
    "jobs": [make_job("other", tenant=VICTIM)],
    "limits": change_limits(read_limits({}), {"running": 99}),
    "runs": [],
    "moves": [("purge", VICTIM, [VICTIM, "1"])],
    "move": "purge",
    "calls": [("purge", [VICTIM, "1"]), ("leave", ["w"])],
    "hear": lambda *_: None,
    "key_of": lambda tenant: f"taglane:{{{tenant}}}:runs",
    "change": lambda _: None,
    "info": {},
    "timeout": 0.01,
    "deadline": 0.0,
    "ends": {keys.AUDIT: "0", keys.DENIED: "0"},
    "seconds": 0.01,
    "wait_ms": 1,
    "rule": make_rule(name="nights", owner=VICTIM, on="failed", channels=["ops"]),
    "channel_of": make_channel(name="ops", owner=VICTIM, kind="webhook", url="https://example.com/hook"),
    "owner": VICTIM,
    "duration": 60_000,
    "taken": Taken(f"{VICTIM}/ops", "i", b"{}", 1, 1),
    "before": b"",
    "messages": [(f"{VICTIM}/ops", {"id": "i"})],
    "now": 1,
    "most": 10,
    "count": 10,
    "action": "delete",
    "worker": "w",
    "beat": "0",
    "pool": "small",
    "life": "x",
    "state": "paused",
    "ids": [VICTIMS_RUN],
    "query": parse_query(""),
    "after": "",
    "since": date(2026, 1, 1),
    "until": date(2026, 1, 2),
}
"""What a foreigner passes, by the name of the parameter."""

BY_TYPE = {"str": VICTIM, "int": 1, "float": 0.01, "bool": True}

LOCAL = {
    (Server, "renamed"), (Server, "close"), (Leases, "stop_waiting"), (Taglane, "close"), (Rescue, "restart"),
    (Denials, "run"), (Leases, "is_tenant_gone"), (Tenants, "require"), (Users, "enforces"), (Taglane, "run"),
    (PoolLeases, "stop_waiting"), (PoolLeases, "is_tenant_gone"), (Jobs, "plan"),
}  # fmt: skip
"""What asks no server, ends a connection, or answers a tenant on purpose with nothing."""

PARTICULAR: dict[tuple[type, str], dict[str, Any]] = {
    (Alerts, "raise_all"): {"found": [(VICTIM, "reports", "much")]},
    (Server, "each"): {"arguments": [[]]},
    (Server, "ask_all"): {"commands": [("HGETALL", keys.run(VICTIM, VICTIMS_RUN)), ("DEL", keys.runs(VICTIM))]},
    (Channels, "put"): {"channel": GIVEN["channel_of"]},
    (Outbox, "change"): {"after": None},
    (Silences, "put"): {"rule": "nights"},
    (Taglane, "put_job"): {"name": "report", "manual": True},
    (Taglane, "enqueue_many"): {"params": [{}]},
    (Jobs, "get"): {"name": "report"},
    (Jobs, "pause"): {"name": "report"},
    (Jobs, "resume"): {"name": "report"},
    (Jobs, "trigger"): {"name": "report"},
    (Jobs, "delete"): {"name": "report"},
    (Jobs, "delete_many"): {"jobs": [(VICTIM, "report")]},
    (Jobs, "kept"): {"names": [(VICTIM, "report")]},
    (Jobs, "put_planned"): {"puts": [(VICTIM, prepare(GIVEN["job"]), Planned("updated", "keep", '{"kind":"manual"}'))]},
    (PoolLeases, "say"): {"calls": [("finish", [VICTIMS_RUN, 1, "succeeded", 5, "{}", ""])]},
    (LastRuns, "of"): {"jobs": [(VICTIM, "report")]},
    (Logs, "read"): {"after": ""},
    (Logs, "follow"): {"after": ""},
    (Measures, "put"): {"measures": [Measure(VICTIM, 1, 1.0, 1, 1, 1)]},
    (Measures, "forget_others"): {"tenants": set()},
    (Pools, "wake"): {"tenants": {VICTIM: GIVEN["limits"]}},
    (Runs, "make"): {"runs": [NewRun(f"{VICTIM}.x", "shop.task", VICTIM, "{}")]},
    (Runs, "replay_many"): {"runs": [(VICTIMS_RUN, f"{VICTIM}.y")]},
    (Runs, "many"): {"runs": [(VICTIM, VICTIMS_RUN)]},
    (Runs, "replay_each"): {"runs": [(VICTIMS_RUN, f"{VICTIM}.y")]},
    (Jobs, "page"): {"pattern": ""},
    (Jobs, "last_runs"): {"name": "report"},
    (Workers, "drain"): {"worker": "worker-1"},
    (Workers, "holding"): {"workers": [read_worker("worker-1", VICTIM, dict.fromkeys(FIELDS), 0)]},
    (LimitStore, "change"): {"given": {"running": 99}},
    (LimitStore, "put_many"): {"limits": {VICTIM: GIVEN["limits"], "acme": GIVEN["limits"]}},
}


def calls() -> Iterator[Any]:
    for kind in MADE:
        for name, method in vars(kind).items():
            if not name.startswith("_") and inspect.isfunction(method) and (kind, name) not in LOCAL:
                yield pytest.param(kind, name, id=f"{kind.__name__}.{name}")


@pytest.fixture(scope="module")
def own(world: World) -> Iterator[Server]:
    """The attacker's connection."""
    server = Server(world.attackers_url)
    yield server
    server.close()


@pytest.mark.parametrize(("kind", "name"), list(calls()))
def test_no_call_of_the_sdk_reaches_another_tenant(world: World, own: Server, kind: type, name: str) -> None:
    """It raises, or answers with nothing of theirs; nothing of theirs has changed."""
    before = world.look()
    method = getattr(MADE[kind](own), name)

    try:
        answer = method(**arguments(kind, name))
        answer = list(answer) if inspect.isgenerator(answer) else answer
        answer = [each for each in answer if not isinstance(each, Exception)] if isinstance(answer, list) else answer
    except (TaglaneError, RedisError) as error:  # the latter of what its callers rename
        answer = str(error).replace(VICTIMS_RUN, "")  # which the attacker has named itself

    assert not leaks(answer)
    assert [] == before.differences(world.look())


def arguments(kind: type, name: str) -> dict[str, Any]:
    """What a foreigner would pass to a method."""
    made: dict[str, Any] = {}
    particular = PARTICULAR.get((kind, name), {})
    for parameter in list(inspect.signature(getattr(kind, name)).parameters.values())[1:]:
        if parameter.kind in {parameter.VAR_KEYWORD, parameter.VAR_POSITIONAL}:
            continue
        fallback = BY_TYPE.get(str(parameter.annotation).partition(" ")[0])
        if parameter.name in GIVEN or fallback is not None:
            made[parameter.name] = GIVEN.get(parameter.name, fallback)
        elif parameter.default is parameter.empty and parameter.name not in particular:
            pytest.fail(f"what would a foreigner pass as {parameter.name!r} of {kind.__name__}.{name}?")
    return {**made, **particular}


@pytest.mark.parametrize("call", ["info", "state", "wait", "cancel", "retry", "result", "logs"])
def test_no_handle_of_a_run_reaches_another_tenant(world: World, own: Server, call: str) -> None:
    """An id is no key to anything: a handle of a foreign run is refused whatever it is asked."""
    before = world.look()
    lane = Taglane(own.url)
    ask: dict[str, Any] = {"info": attrgetter("info"), "state": attrgetter("state"), "result": attrgetter("result")}
    ask["logs"] = lambda run: list(run.logs())
    with pytest.raises(Refused) as caught:
        ask.get(call, methodcaller(call))(lane.run(VICTIMS_RUN))
    lane.close()
    assert not leaks(str(caught.value).replace(VICTIMS_RUN, ""))
    assert [] == before.differences(world.look())


def test_the_same_calls_reach_a_tenant_of_ones_own(world: World) -> None:
    """They are calls that work: with the operator's credential the attack on the same names succeeds."""
    operator = Server(world.url)
    assert VICTIMS_RUN == Runs(operator).get(VICTIMS_RUN).id
    assert {"secret": CANARY} == Jobs(operator, 1_000_000).get(VICTIM, "report").job.params
    assert LimitStore(operator).get(VICTIM).running == 5
    assert [VICTIMS_RUN] == [run.id for run in Runs(operator).list(VICTIM)]
    operator.close()
