"""Servers that restart, fail over and fill up, while a client, a worker and a scheduler are at work."""

from __future__ import annotations

import json
import threading
import time
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import partial
from itertools import pairwise
from typing import TYPE_CHECKING, Any, Self, TypeVar

import pytest
from eventually import eventually
from factories import HandWorker, listeners, make_server
from processes import BIN, WorkerProcess
from proxy import Proxy
from redis.exceptions import RedisError
from sentinel import Group, is_in_step, is_primary
from taglane import Taglane
from taglane.errors import NotReplicated, Refused, ServerFull, ServerUnavailable
from taglane.store import functions, keys
from taglane.store.server import Server, tenant_of_url
from taglane_scheduler.child_process import ChildProcess
from taglane_scheduler.embedded import EmbeddedServer
from taglane_scheduler.tenancy.tenants import Tenants

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from redis import Redis
    from taglane_scheduler.embedded import ServerBinary

pytestmark = pytest.mark.timeout(240)

T = TypeVar("T")

TASK = "faulty.celery.work"

MARGIN = 3 * 2**20
"""Bytes by which a full server is over its limit: buffers that shrink are less, and queued payloads are more."""

FIRES_AGAIN = 6.0
"""Seconds in which a scheduler tries a refused fire again."""


class Client:
    """Enqueues without end, each run with a key of its own, and asks again when that fails: with the same key."""

    def __init__(self, url: str, replicas: int = 0) -> None:
        self.lane = Taglane(url)
        self.lane.server.replicas = replicas
        self.confirmed: dict[str, str] = {}
        self.errors: Counter[str] = Counter()
        self.longest_gap = 0.0
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._loop, name="client")

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()
        self.lane.close()

    def stop(self) -> None:
        """Enqueue no more, once what was begun is confirmed or refused."""
        self._stopping.set()
        self._thread.join()

    def has_confirmed(self, count: int) -> bool:
        return len(self.confirmed) >= count

    def _loop(self) -> None:
        before = time.monotonic()
        while not self._stopping.wait(0.01):
            key = f"key-{len(self.confirmed)}"
            try:
                run = self.lane.enqueue(TASK, tenant="acme", params={"seconds": 0.0}, key=key)
            except (ServerUnavailable, Refused) as error:
                self.errors[type(error).__name__] += 1
                continue
            self.confirmed[key] = run.id
            self.longest_gap = max(self.longest_gap, time.monotonic() - before)
            before = time.monotonic()


@dataclass
class Stage:
    """A tenant at work on one server: its worker, a scheduler, and what its tasks wrote down."""

    operator: Server
    url: str
    folder: Path
    worker: WorkerProcess
    scheduler: ChildProcess
    lane: Taglane = field(init=False)

    def __post_init__(self) -> None:
        self.lane = Taglane(self.url)

    def scheduler_log(self) -> str:
        return (self.folder / "scheduler.log").read_text(errors="replace")

    def starts(self) -> Counter[str]:
        log = self.folder / "starts"
        lines = log.read_text().splitlines() if log.exists() else []
        return Counter(line.split()[1] for line in lines if line.startswith("start "))

    def ticks(self) -> list[int]:
        """The due instants of the runs that the job made, in order."""
        runs = patiently(lambda: self.lane.runs.list("acme", job="tick", limit=10_000))
        return sorted(run.due for run in runs if run.due)

    def has_succeeded(self, runs: list[str]) -> bool:
        states = {run.id: run.state for run in patiently(lambda: self.lane.runs.list("acme", limit=100_000))}
        return {states.get(run) for run in runs} == {"succeeded"}


def patiently(read: Callable[[], T]) -> T:
    """Read, again and again while the server restarts, and while it does not know its tenants yet."""
    give_up = time.monotonic() + 30
    while True:
        try:
            return read()
        except (ServerUnavailable, Refused):
            if time.monotonic() > give_up:
                raise


@contextmanager
def at_work(url: str, folder: Path, environment: dict[str, str] | None = None) -> Iterator[Stage]:
    """A tenant acme on the server at the operator's *url*, with a job that is due every second."""
    operator = Server(url)
    tenant = Tenants(operator).create("acme")
    program = [str(BIN / "taglane"), "scheduler"]
    scheduler = ChildProcess(program, log=folder / "scheduler.log", environment={"TAGLANE_URL": url})
    more = {"FAULTY_LOG": str(folder / "starts"), "TAGLANE_LEASE": "5s", **(environment or {})}
    worker = WorkerProcess(tenant.url, ["acme"], "faulty.celery", "threads", 2, more)
    stage = Stage(operator, tenant.url, folder, worker, scheduler)
    try:
        with worker:
            worker.wait_ready()
            eventually(lambda: "scheduler_ready" in stage.scheduler_log(), 30, "no scheduler")
            stage.lane.put_job("tick", tenant="acme", task=TASK, every="1s", overlap="allow")
            yield stage
    finally:
        scheduler.end()
        stage.lane.close()
        operator.close()


def check(stage: Stage, client: Client, report: Callable[[str, object], None]) -> None:
    """Nothing confirmed is lost, each of it has run once, and no instant of the job was fired twice; all goes on."""
    client.stop()
    runs = list(client.confirmed.values())
    eventually(lambda: stage.has_succeeded(runs), 60, "some confirmed runs did not succeed")
    eventually(lambda: len(stage.ticks()) > 1, 20, "nothing is fired")
    ticks = stage.ticks()
    report("confirmed", len(runs))
    report("longest_gap", round(client.longest_gap, 1))
    report("errors", dict(client.errors))
    report("started_twice", sum(stage.starts()[run] > 1 for run in runs))
    report("ticks", len(ticks))
    report("longest_gap_of_ticks", max(after - before for before, after in pairwise(ticks)))
    assert len(runs) == len(set(runs))
    assert len(ticks) == len(set(ticks))
    assert stage.worker.alive
    assert stage.scheduler.alive
    before = len(ticks)
    eventually(lambda: len(stage.ticks()) > before, 10, "the scheduler fires no more")


@pytest.mark.parametrize("how", ["killed", "frozen"])
def test_a_failover_needs_no_hand(how: str, binary: ServerBinary, tmp_path: Path, record_property: Any) -> None:
    """The primary gone: client, worker and scheduler go on with the new one; what a replica has confirmed is there."""
    with Group(binary, replicas=2) as group, at_work(group.url, tmp_path) as stage:
        first, *others = group.nodes
        assert "acme" == tenant_of_url(stage.url)
        with Client(stage.url, replicas=1) as client:
            eventually(partial(client.has_confirmed, 100), 60, "nothing is confirmed")
            if how == "killed":
                first.kill()
            else:
                first.freeze()
            eventually(lambda: any(is_primary(node) for node in others), 30, "no failover")
            made = len(client.confirmed)
            eventually(partial(client.has_confirmed, made + 100), 60, "the client does not go on")
            check(stage, client, record_property)
        if how == "frozen":
            first.thaw()
            eventually(lambda: not is_primary(first), 30, "the old primary goes on beside the new one")
            check(stage, client, record_property)
        promoted = next(node for node in others if is_primary(node))
        with promoted.client() as redis:
            assert redis.function_list(library=functions.LIBRARY)
        assert {"ServerUnavailable", "NotReplicated"} >= set(client.errors), "nobody was refused a login"


def test_a_node_that_comes_back_gets_the_users(binary: ServerBinary) -> None:
    """An old primary that is started again, as a replica, can take over in its turn: the users are there by then."""
    with Group(binary) as group:
        operator = Server(group.url)
        tenants = Tenants(operator)
        functions.load(operator.redis)
        made = tenants.create("acme")
        first, second = group.nodes
        first.kill()
        eventually(lambda: is_primary(second), 30, "no failover")
        first.start()
        eventually(lambda: not is_primary(first) and is_in_step(first), 30, "it is no replica")

        eventually(lambda: answers(operator), 10)
        tenants.apply_to_replicas()
        second.kill()
        eventually(lambda: is_primary(first), 30, "no second failover")

        own = Server(made.url)
        eventually(lambda: not isinstance(outcome(own), ServerUnavailable), 10)
        assert 0 == outcome(own)
        own.close()
        operator.close()


def answers(server: Server) -> bool:
    return not isinstance(outcome(server), Exception)


def outcome(server: Server) -> Any:
    """What one call answers, or the error that it raises."""
    try:
        return server.call("beat", "acme", "nobody")
    except (ServerUnavailable, Refused) as error:
        return error


def test_what_no_replica_has_is_lost_and_what_was_confirmed_is_not(binary: ServerBinary, record_property: Any) -> None:
    """A replica that hears nothing becomes the primary: runs that it was not waited for are gone, and only those."""
    with Group(binary, replicas=0, sentinels=0) as group:
        primary = group.nodes[0]
        with Proxy(primary.port) as proxy:
            replica = group.add_replica(proxy.port)
            operator = Server(primary.url)
            functions.load(operator.redis)
            plain, careful = Taglane(primary.url), Taglane(primary.url)
            careful.server.replicas = 1
            confirmed = [careful.enqueue(TASK, tenant="acme", key=f"heard-{number}").id for number in range(20)]
            proxy.silent = True
            answered = [plain.enqueue(TASK, tenant="acme").id for _ in range(20)]
            with pytest.raises(NotReplicated, match="0 of 1"):
                careful.enqueue(TASK, tenant="acme", key="unheard")
            with pytest.raises(NotReplicated):
                careful.enqueue_many(TASK, tenant="acme", params=[{"n": number} for number in range(20)])
            primary.kill()
        with replica.client() as redis:
            redis.execute_command("REPLICAOF", "NO", "ONE")
            kept = {run.decode() for run in redis.zrange(keys.runs("acme"), 0, -1)}
        for client in (plain, careful, operator):
            client.close()
    record_property("lost_unconfirmed", len(set(answered) - kept))
    record_property("lost_confirmed", len(set(confirmed) - kept))
    assert set(confirmed) == kept
    assert set() == set(answered) & kept


def test_asked_again_it_is_confirmed_only_when_a_replica_has_it(binary: ServerBinary) -> None:
    """A repetition makes nothing, and still waits for the run that is there: as the tenant, too."""
    with Group(binary, replicas=0, sentinels=0) as group, Proxy(group.nodes[0].port) as proxy:
        replica = group.add_replica(proxy.port)
        primary = group.nodes[0]
        lane = Taglane(Tenants(make_server(primary.url)).create("acme").url)
        lane.server.replicas = 1
        eventually(lambda: replica.info("replication")["master_repl_offset"] > 0)
        proxy.silent = True
        for _ in range(2):
            with pytest.raises(NotReplicated):
                lane.enqueue(TASK, key="one")

        group.add_replica(primary.port)
        run = lane.enqueue(TASK, key="one")

        assert not run.created
        assert 1 == len(lane.runs.list("acme"))
        lane.close()


RESTARTS: dict[str, tuple[dict[str, str], bool]] = {
    "killed-always": ({"appendonly": "yes", "appendfsync": "always"}, True),
    "killed-everysec": ({"appendonly": "yes", "appendfsync": "everysec"}, True),
    "stopped-aof": ({"appendonly": "yes"}, False),
    "stopped-rdb": ({"appendonly": "no", "save": "3600 1"}, False),
}
"""How a server keeps its data, and whether it is killed."""


@pytest.mark.parametrize("name", RESTARTS)
def test_a_restart_loses_nothing(name: str, binary: ServerBinary, tmp_path: Path, record_property: Any) -> None:
    """Killed or stopped, with its data on disk: nothing confirmed is lost, all has run once, all go on unaided."""
    options, killed = RESTARTS[name]
    with EmbeddedServer(binary=binary, options=options) as server, at_work(server.url, tmp_path) as stage:
        with Client(stage.url) as client:
            for _ in range(3):
                made, fired = len(client.confirmed), len(stage.ticks())
                eventually(partial(client.has_confirmed, made + 100), 60, "the client does not go on")
                eventually(lambda: len(stage.ticks()) > fired, 20, "nothing is fired")  # noqa: B023 - asked here
                if killed:
                    server.kill()
                server.restart()
            check(stage, client, record_property)
        assert {1} == set(stage.starts().values())


def test_who_waits_for_a_run_outlives_a_restart(binary: ServerBinary) -> None:
    """A server that is back, and does not know its tenants yet, ends no wait: a scheduler makes the users soon."""
    with EmbeddedServer(binary=binary, options={"appendonly": "yes"}) as server:
        operator = make_server(server.url)
        tenants = Tenants(operator)
        lane = Taglane(tenants.create("acme").url)
        run = lane.enqueue(TASK)
        with ThreadPoolExecutor(1) as pool:
            waiter = pool.submit(run.wait, 60)
            eventually(lambda: listeners(operator.redis, keys.done("acme", run.id)) == 1)
            server.kill()
            server.restart()
            assert not waiter.done()
            eventually(lambda: is_refused(operator), 10, "nobody knocked while the tenant was unknown")
            tenants.apply_all()
            worker = HandWorker(operator).hello()
            worker.finish(worker.fetch(1))
            waiter.result(20)
        lane.close()
        operator.close()


def is_refused(operator: Server) -> bool:
    """Whether the server has turned a login away since it was started."""
    try:
        return any(entry["reason"] == "auth" for entry in operator.redis.acl_log())
    except RedisError:
        return False


def test_a_full_server_is_drained_and_goes_on(binary: ServerBinary, tmp_path: Path, record_property: Any) -> None:
    """Enqueues are refused whole, fires wait; a worker empties the queue, and then all goes on by itself."""
    options = {"maxmemory": "16mb", "maxmemory-policy": "noeviction"}
    patient = {"TAGLANE_LEASE": "60s"}
    with EmbeddedServer(binary=binary, options=options) as server, at_work(server.url, tmp_path, patient) as stage:
        eventually(lambda: len(stage.ticks()) > 1, 20, "nothing is fired")
        stage.worker.freeze()
        made = fill(stage.lane)
        redis = stage.operator.redis
        redis.config_set("maxmemory", redis.info("memory")["used_memory"] - MARGIN)
        with pytest.raises(ServerFull, match="maxmemory"):
            stage.lane.enqueue(TASK, tenant="acme")
        with pytest.raises(ServerFull):
            stage.lane.put_job("other", tenant="acme", task=TASK, every="1h")
        eventually(lambda: "tenant_failed" in stage.scheduler_log(), 20, "no fire was refused")
        due = stage.lane.jobs.get("acme", "tick").next_due
        refused_at = time.monotonic()
        assert set() == half_made(redis)

        beats = redis.hgetall(keys.SCHEDULERS)
        assert not threading.Event().wait(FIRES_AGAIN)  # meanwhile the fire is tried again, and refused again
        assert due == stage.lane.jobs.get("acme", "tick").next_due
        assert 1 == stage.scheduler_log().count("tenant_failed"), "it is said once"
        assert beats != redis.hgetall(keys.SCHEDULERS), "the scheduler's heart stands still"
        stage.worker.thaw()
        thawed = time.monotonic()
        eventually(lambda: stage.has_succeeded(made), 60, "the worker does not drain it")
        record_property("drained", len(made))
        record_property("drained_s", round(time.monotonic() - thawed, 1))

        run = stage.lane.enqueue("faulty.celery.swallow", tenant="acme", params={"answers": 1_000})
        assert 1_000 == len(run.result)
        eventually(lambda: due in stage.ticks(), 20, "what became due meanwhile is not fired")
        record_property("fired_late_by_s", round(time.monotonic() - refused_at, 1))
        ticks = stage.ticks()
        assert sorted(set(ticks)) == ticks
        assert stage.scheduler.alive
        assert "Traceback" not in stage.worker.log_text()


def test_a_full_server_takes_a_large_result(binary: ServerBinary) -> None:
    """What a worker has to say of a run is taken whatever its size: else the run could not end, and would run again."""
    options = {"maxmemory": "8mb", "maxmemory-policy": "noeviction"}
    with EmbeddedServer(binary=binary, options=options) as running:
        server = make_server(running.url)
        lane = Taglane(running.url)
        worker = HandWorker(server).hello()
        lane.enqueue(TASK, tenant="acme")
        ((run, token),) = worker.fetch(1)
        fill(lane)
        server.redis.config_set("maxmemory", "4mb")

        (ended,) = server.call("finish", "acme", run, token, "succeeded", 5, json.dumps({"r": "x" * 2_000_000}), "")

        assert 1 == ended
        assert 2_000_000 == len(lane.runs.get(run, "acme").result)
        lane.close()
        server.close()


def test_workers_go_on_through_an_upgrade(binary: ServerBinary, tmp_path: Path) -> None:
    """A newer library, with one function more, is loaded while a worker works; an older command does not undo it."""
    more = "\nredis.register_function('taglane_more', function() return 'more' end)\n"
    newer = functions.library().replace("-- library ", "-- library 9", 1) + more
    with EmbeddedServer(binary=binary) as server, at_work(server.url, tmp_path) as stage, Client(stage.url) as client:
        eventually(partial(client.has_confirmed, 50), 60, "nothing is confirmed")
        stage.operator.redis.function_load(newer, replace=True)
        made = len(client.confirmed)
        Tenants(stage.operator).create("other")
        eventually(partial(client.has_confirmed, made + 50), 60, "the client does not go on")
        check(stage, client, lambda _name, _value: None)

        assert not functions.load(stage.operator.redis)
        assert b"more" == stage.operator.redis.fcall("taglane_more", 0)
        assert {1} == set(stage.starts().values())
        assert not client.errors


def fill(lane: Taglane) -> list[str]:
    """Enqueue, with large and then with small params, until the server takes no more."""
    made: list[str] = []
    for size in (50_000, 500, 0):
        try:
            while True:
                made.append(lane.enqueue("faulty.celery.swallow", tenant="acme", params={"text": "x" * size}).id)
        except ServerFull:
            continue
    return made


def half_made(redis: Redis) -> set[str]:
    """Runs that are to be served and lie in no queue, and ids in a queue that are no runs."""
    queues: list[Any] = [redis.lrange(keys.queue("acme", "acme", step), 0, -1) for step in keys.STEPS]
    held: Any = redis.zrange(keys.leases("acme"), 0, -1)  # a run that is fetched stays queued until it starts
    places = [run for runs in (*queues, held) for run in runs]
    assert len(places) == len(set(places))
    waiting = {run.decode() for run in places}
    prefix = keys.run("acme", "")
    states = {name.decode().removeprefix(prefix): redis.hget(name, "state") for name in redis.scan_iter(f"{prefix}*")}
    return {run for run, state in states.items() if state == b"queued"} ^ {
        run for run in waiting if states.get(run) in {b"queued", None}
    }
