"""What a message says of itself changes nothing: a run is its tenant's by the key that it was read from."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest
from celery import canvas as celery_canvas
from celery.app import base as celery_base
from celery.app import task as celery_task
from celery.exceptions import TimeoutError as NotYet
from eventually import eventually
from isolation.world import ATTACKER, CANARY, VICTIM, VICTIMS_RUN, World, leaks
from processes import WorkerProcess
from taglane.client import Taglane
from taglane.errors import Refused, RunFailed, RunNotFound
from taglane.runtime.app import create_app
from taglane.store import keys
from taglane.store.runs import Runs
from taglane.store.server import Server

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

FORGED: dict[str, Any] = {
    "taglane": {"tenant": VICTIM, "run": VICTIMS_RUN, "token": 1, "tag": VICTIM, "attempt": 1},
    "tenant": VICTIM,
    "root_id": VICTIMS_RUN,
    "parent_id": VICTIMS_RUN,
    "group": VICTIMS_RUN,
}


@pytest.fixture(params=["own", "operators"])
def worker(request: pytest.FixtureRequest, world: World, tmp_path: Path) -> Iterator[WorkerProcess]:
    """One of the attacker's tag, with its own credential, which could not; and with the operator's, which must not."""
    world.plant()
    url = world.attackers_url if request.param == "own" else world.url
    environment = {"CALLS_FOLDER": str(tmp_path)}
    with WorkerProcess(url, [ATTACKER], "calls.app", "solo", env=environment) as process:
        process.wait_ready()
        yield process


def ended(runs: Runs, run_id: str) -> Any:
    """A run of the attacker's, when it has ended."""
    return eventually(lambda: (info := runs.get(run_id, ATTACKER)).is_ended and info, 20, "it does not end")


def test_no_header_no_id_and_no_callback_is_another_tenants(world: World, worker: WorkerProcess) -> None:
    """Forged in every field that a message has, it is executed as the attacker's own, and touches nobody else's."""
    before = world.look()
    own = Server(world.attackers_url)
    link = {
        "task": "calls.tasks.add",
        "args": [1],
        "kwargs": {},
        "options": {"task_id": f"{VICTIM}.linked", "queue": VICTIM},
    }
    embed = {"callbacks": [link], "errbacks": [link], "chain": [link], "chord": link}
    properties = {"reply_to": VICTIM, "correlation_id": VICTIMS_RUN, "delivery_info": {"routing_key": VICTIM}}
    bodies = {
        "headers": {"b": "[[],{},{}]", "h": FORGED},
        "properties": {"b": "[[],{},{}]", "p": properties},
        "callbacks": {"b": json.dumps([[], {}, embed])},
        "all": {"b": json.dumps([[], {}, embed]), "h": FORGED, "p": properties},
    }
    for name, envelope in bodies.items():
        for run_id in (f"{ATTACKER}.{name}", f"{VICTIM}.{name}", VICTIMS_RUN):
            own.call("enqueue", ATTACKER, run_id, "calls.tasks.about", ATTACKER, 0, json.dumps(envelope), *[""] * 4)
            info = ended(Runs(own), run_id)
            if info.state == "succeeded":
                assert (ATTACKER, run_id) == (info.result["tenant"], info.result["id"])
            own.redis.delete(keys.run(ATTACKER, run_id))  # for the next one of that id
    own.close()
    assert worker.alive
    assert [] == before.differences(world.look())


def test_a_task_sends_for_no_other_tenant(world: World, worker: WorkerProcess) -> None:
    """Whatever block it opens, and whatever the credential of its worker reaches."""
    before = world.look()
    lane = Taglane(world.attackers_url)

    with pytest.raises(RunFailed, match="reaches no other tenant") as caught:
        lane.enqueue("calls.tasks.send_as", params={"tenant": VICTIM}).wait(timeout=20)

    assert "OtherTenant" in str(caught.value)
    lane.close()
    assert worker.alive
    assert [] == before.differences(world.look())


def test_no_id_finds_another_tenants_run(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """Neither by Celery's result, nor by ours; one that the attacker has made under such an id is found by nobody."""
    before = world.look()
    for module in (celery_base, celery_task, celery_canvas):
        monkeypatch.setattr(module, "uuid", module.uuid)
    with pytest.raises((Refused, NotYet)):  # it is looked for among the attacker's own
        create_app("thief", world.attackers_url).AsyncResult(VICTIMS_RUN).get(timeout=0.2)
    own = Server(world.attackers_url)
    for call in (Runs(own).get, Runs(own).cancel, Runs(own).replay):
        with pytest.raises(Refused):
            call(VICTIMS_RUN)
    forged = f"{VICTIM}.forged"
    own.call("enqueue", ATTACKER, forged, "shop.task", ATTACKER, 0, "{}", *[""] * 4)
    with pytest.raises(RunNotFound):
        Runs(world.operator).get(forged)
    assert not leaks(str(Runs(own).list(ATTACKER)), [CANARY])
    own.close()
    assert [] == before.differences(world.look())
