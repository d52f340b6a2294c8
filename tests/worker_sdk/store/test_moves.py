"""Each move of the function library by itself: what it changes, what it refuses, what it says when asked again."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import pytest
from cluster import everywhere, node_of
from factories import TENANT, make_server, server_time
from snapshot import snapshot
from taglane.errors import ServerFull, ServerUnavailable
from taglane.model.usage import bucket_of
from taglane.store import keys
from taglane_scheduler.embedded import EmbeddedServer

if TYPE_CHECKING:
    from collections.abc import Iterator

    from taglane.store.server import Server
    from taglane_scheduler.embedded import ServerBinary

TASK, ENVELOPE = "shop.task", '{"b":"[[],{},{}]"}'
WORKER = "w1"
HOUR = "+3600000"

Lease = tuple[str, int]


@dataclass
class Acme:
    """Makes the moves of one tenant by hand, and reads what they wrote."""

    server: Server
    seq: int = 0

    def call(self, move: str, *args: Any) -> Any:
        return self.server.call(move, TENANT, *args)

    @property
    def redis(self) -> Any:
        return everywhere(self.server.redis)

    def enqueue(
        self,
        *runs: str,
        tag: str = TENANT,
        step: int = 0,
        at: str = "",
        expires: str = "",
        key: str = "",
        depends: bool = False,
    ) -> list[Any]:
        fields = [(run, TASK, tag, step, ENVELOPE, at, expires, key, "1" if depends else "") for run in runs]
        answer: list[Any] = self.call("enqueue", *(value for run in fields for value in run))
        return answer

    def fetch(self, worker: str = WORKER, most: int = 10, *tags: str, idle: bool = True) -> list[Lease]:
        """Lease, as a worker that enters when it is not known."""
        if not self.redis.exists(keys.worker(TENANT, worker)):
            self.call("hello", worker, "tags", TENANT)
        self.seq += 1
        return self.ask(worker, self.seq, most, *tags, idle=idle)

    def ask(self, worker: str, seq: int, most: int = 10, *tags: str, idle: bool = True) -> list[Lease]:
        answer = self.call("fetch", worker, seq, most, "1" if idle else "0", *(tags or (TENANT,)))
        return [(run[0].decode(), int(run[1])) for run in answer[2]]

    def take(self, run: str, worker: str = WORKER, **fields: Any) -> int:
        """Make a run and lease it; return the token."""
        self.enqueue(run, **fields)
        ((fetched, token),) = self.fetch(worker)
        assert run == fetched
        return token

    def finish(self, run: str, token: int, state: str = "succeeded", ran: str = "5", part: str = "") -> int:
        (answer,) = self.call("finish", run, token, state, ran, '{"r":1}', part)
        return int(answer)

    def start(self, run: str, token: int, *, last: bool = False, worker: str = WORKER) -> None:
        self.call("renew", worker, 1, 1, run, token, 5, "1" if last else "", run, token)

    def retry(self, run: str, token: int, at: str = HOUR) -> int:
        return int(self.call("retry", run, token, at, ENVELOPE, '{"e":1}', TASK, TENANT, 0))

    def rescue(self, worker: str = WORKER) -> list[int]:
        beat = self.redis.hget(keys.worker(TENANT, worker), "beat")
        answer: list[int] = self.call("rescue", worker, beat)
        return answer

    def put(self, name: str = "report", due: int | str = "", after: int | str = "", overlap: str = "skip") -> int:
        return int(self.call("put", name, "{}", TASK, TENANT, 0, ENVELOPE, after, overlap, "", due, "{}"))

    def field(self, run: str, name: str) -> str | None:
        value = self.redis.hget(keys.run(TENANT, run), name)
        return None if value is None else value.decode()

    def state(self, run: str) -> str | None:
        return self.field(run, "state")

    def waiting(self, tag: str = TENANT, step: int = 0) -> list[str]:
        return [run.decode() for run in self.redis.lrange(keys.queue(TENANT, tag, step), 0, -1)]

    def scores(self, key: str) -> dict[str, float]:
        return {member.decode(): score for member, score in self.redis.zrange(key, 0, -1, withscores=True)}

    def ledger(self, of: Any = keys.ledger) -> dict[str, int]:
        """What was counted, on whatever day."""
        found: Counter[str] = Counter()
        for key in self.redis.keys(of(TENANT, "*")):
            found.update({what.decode(): int(times) for what, times in self.redis.hgetall(key).items()})
        del found["|fields"]
        return dict(found)

    def let_expire(self, run: str) -> None:
        """Let a run expire as if time had passed."""
        self.redis.hset(keys.run(TENANT, run), "expires", 1)
        self.redis.zadd(keys.expiring(TENANT), {run: 1}, xx=True)

    def snapshot(self) -> dict[Any, object]:
        return snapshot(self.redis, "taglane:*")


@pytest.fixture
def acme(url: str) -> Iterator[Acme]:
    server = make_server(url)
    yield Acme(server)
    server.close()


# -- enqueue ---------------------------------------------------------------------------------------------------------


def test_enqueue_makes_a_run_and_rings(acme: Acme) -> None:
    """A run that may be served now is queued at the tail, and one idle worker of its tag is woken."""
    assert [b"acme.1", 1, b"acme.2", 1] == acme.enqueue("acme.1", "acme.2")

    assert ["acme.1", "acme.2"] == acme.waiting()
    assert "queued" == acme.state("acme.1")
    assert [b"1", b"1"] == acme.redis.lrange(keys.bell(TENANT, TENANT), 0, -1)
    assert ["acme.1", "acme.2"] == list(acme.scores(keys.runs(TENANT)))


def test_enqueue_asked_again_makes_nothing(acme: Acme) -> None:
    """After a lost reply the same ids give the runs that are there, waiting, held or ended."""
    token = acme.take("acme.ended")
    acme.finish("acme.ended", token)
    acme.take("acme.held")
    acme.enqueue("acme.waits")
    before = acme.snapshot()

    answer = acme.enqueue("acme.ended", "acme.held", "acme.waits")

    assert [b"acme.ended", 0, b"acme.held", 0, b"acme.waits", 0] == answer
    assert before == acme.snapshot()


def test_enqueue_with_a_known_key_answers_the_first_run(acme: Acme) -> None:
    """An idempotency key makes one run, whatever ids it comes with and whatever characters it has."""
    acme.enqueue("acme.1", key="a} b\n")

    assert [b"acme.1", 0] == acme.enqueue("acme.2", key="a} b\n")

    assert ["acme.1"] == acme.waiting()
    assert acme.redis.pttl(keys.idempotency(TENANT, "a} b\n")) > 0


def test_enqueue_with_a_known_key_does_not_remake_a_forgotten_run(acme: Acme) -> None:
    """A run that the history has let go was done all the same: its key does not do it twice."""
    acme.enqueue("acme.1", key="k")
    acme.redis.delete(keys.run(TENANT, "acme.1"), keys.queue(TENANT, TENANT, 0))

    assert [b"acme.1", 0] == acme.enqueue("acme.2", key="k")

    assert [] == acme.waiting()


def test_enqueue_later_waits_in_delayed(acme: Acme) -> None:
    """A run for later is scheduled, and wakes a worker and the schedulers only when it is now the first of its tag."""
    acme.enqueue("acme.1", at="+60000")
    acme.enqueue("acme.2", at=HOUR)

    assert ["acme.1", "acme.2"] == list(acme.scores(keys.delayed(TENANT, TENANT)))
    assert ("scheduled", []) == (acme.state("acme.1"), acme.waiting())
    assert 1 == acme.redis.llen(keys.bell(TENANT, TENANT))


def test_an_instant_beyond_all_numbers_is_later_not_now(acme: Acme) -> None:
    """What would overflow an integer waits for ever instead of being served at once."""
    acme.enqueue("acme.1", at="+1" + "0" * 30)
    acme.enqueue("acme.2", at="1" + "0" * 30)

    assert [] == acme.fetch()
    assert {"acme.1", "acme.2"} == set(acme.scores(keys.delayed(TENANT, TENANT)))


def test_a_replacing_run_is_open_again_once(acme: Acme) -> None:
    """The id of a task that replaces itself is taken over by one enqueue; its worker is not heard any more."""
    token = acme.take("acme.1", expires=HOUR)
    acme.call("progress", "acme.1", token, "")

    assert [b"acme.1", 1] == acme.enqueue("acme.1")
    assert [b"acme.1", 0] == acme.enqueue("acme.1")

    assert 0 == acme.finish("acme.1", token, "replaced")
    assert (["acme.1"], {}, None) == (
        acme.waiting(),
        acme.scores(keys.expiring(TENANT)),
        acme.field("acme.1", "expires"),
    )


def test_a_worker_that_lost_its_lease_can_not_replace(acme: Acme) -> None:
    """What a dead worker said of replacing its run does not open the id once others have the run."""
    token = acme.take("acme.1")
    acme.call("progress", "acme.1", token, "")
    acme.rescue()

    assert [b"acme.1", 0] == acme.enqueue("acme.1")

    assert ["acme.1"] == acme.waiting()


# -- promote, fetch --------------------------------------------------------------------------------------------------


def test_fetch_serves_the_urgent_step_first(acme: Acme) -> None:
    """By step, then by the worker's order of tags, then by age; tokens and attempts count from one."""
    for number, (tag, step) in enumerate([(TENANT, 9), ("acme.gpu", 0), (TENANT, 0), (TENANT, 0)]):
        acme.enqueue(f"acme.{number}", tag=tag, step=step)

    leases = acme.fetch(WORKER, 10, TENANT, "acme.gpu")

    assert [("acme.2", 1), ("acme.3", 1), ("acme.1", 1), ("acme.0", 1)] == leases
    assert ("1", WORKER, "queued") == tuple(acme.field("acme.2", name) for name in ("attempts", "holder", "state"))
    assert set(acme.scores(keys.leases(TENANT))) == {run for run, _ in leases}
    assert 4 == acme.redis.scard(keys.held(TENANT, WORKER))


def test_fetch_of_an_unknown_worker_takes_nothing(acme: Acme) -> None:
    """A worker that was given up for dead, or never came, holds nothing that nobody would rescue."""
    acme.enqueue("acme.1")

    assert 0 == acme.call("fetch", "stranger", 1, 10, "1", TENANT)

    assert ["acme.1"] == acme.waiting()


def test_fetch_asked_again_gives_the_same_runs(acme: Acme) -> None:
    """After a lost reply the same sequence number gives what is still held of its runs, and takes no more."""
    acme.enqueue("acme.1", "acme.2", "acme.3")
    acme.call("hello", WORKER)
    leases = acme.ask(WORKER, 1, 2)
    acme.finish(*leases[0])

    assert [leases[1]] == acme.ask(WORKER, 1, 2)

    assert ["acme.3"] == acme.waiting()


def test_fetch_asked_again_after_nothing_gives_nothing(acme: Acme) -> None:
    """Each number takes once: a run that came between two askings is not leased to a reply that may be lost again."""
    acme.call("hello", WORKER)
    assert [] == acme.ask(WORKER, 1)
    acme.enqueue("acme.1")

    assert [] == acme.ask(WORKER, 1)
    assert [("acme.1", 1)] == acme.ask(WORKER, 2)


def test_fetch_that_comes_late_takes_nothing(acme: Acme) -> None:
    """A question from a connection that was given up leases nothing to a worker that has gone on."""
    acme.call("hello", WORKER)
    acme.ask(WORKER, 2)
    acme.enqueue("acme.1")

    assert [] == acme.ask(WORKER, 1)

    assert ["acme.1"] == acme.waiting()


def test_a_worker_that_comes_again_counts_anew(acme: Acme) -> None:
    """After hello its first number is taken, whatever it has counted before."""
    acme.call("hello", WORKER)
    acme.ask(WORKER, 7)
    acme.enqueue("acme.1")
    acme.call("hello", WORKER)

    assert [("acme.1", 1)] == acme.ask(WORKER, 1)


def test_fetch_queues_what_has_waited_long_enough(acme: Acme) -> None:
    """The first fetch after its time serves a delayed run, behind what was queued before."""
    acme.enqueue("acme.later", at=HOUR)
    acme.enqueue("acme.now")
    acme.redis.zadd(keys.delayed(TENANT, TENANT), {"acme.later": 1})

    assert ["acme.now", "acme.later"] == [run for run, _ in acme.fetch()]

    assert {} == acme.scores(keys.delayed(TENANT, TENANT))


def test_fetch_says_when_to_come_again(acme: Acme) -> None:
    """A worker without work is told in how many ms its tags' first delayed run is due."""
    acme.call("hello", WORKER)
    acme.enqueue("acme.1", at="+60000")

    _, wait, _, _ = acme.call("fetch", WORKER, 1, 10, "1", TENANT)

    assert 50_000 < wait <= 60_000


def test_fetch_rings_on_when_it_leaves_some(acme: Acme) -> None:
    """A worker that took all it wanted wakes another for the rest."""
    acme.enqueue("acme.1", "acme.2")
    acme.redis.delete(keys.bell(TENANT, TENANT))

    acme.fetch(WORKER, 1)
    assert 1 == acme.redis.llen(keys.bell(TENANT, TENANT))

    acme.redis.delete(keys.bell(TENANT, TENANT))
    acme.fetch(WORKER, 1)
    assert 0 == acme.redis.llen(keys.bell(TENANT, TENANT))


def test_fetch_drops_what_is_over(acme: Acme) -> None:
    """What was cancelled or has expired while it waited is not served; what is unreadable is laid aside."""
    acme.enqueue("acme.first", "acme.cancelled", "acme.expired", "acme.gone", "acme.spoiled", "acme.last")
    acme.call("cancel", "acme.cancelled", "why")
    acme.redis.hset(keys.run(TENANT, "acme.expired"), "expires", 1)
    acme.redis.delete(keys.run(TENANT, "acme.gone"), keys.run(TENANT, "acme.spoiled"))
    acme.redis.set(keys.run(TENANT, "acme.spoiled"), "spoiled")

    assert ["acme.first", "acme.last"] == [run for run, _ in acme.fetch()]

    assert "expired" == acme.state("acme.expired")
    assert [b"acme.gone", b"acme.spoiled"] == acme.redis.lrange(keys.aside(TENANT), 0, -1)


@pytest.mark.parametrize("field", ["token", "attempts", "rescues", "expires"])
def test_a_run_with_a_spoiled_number_takes_no_neighbour_along(acme: Acme, field: str) -> None:
    """A fetch that meets a run it can't lease has leased the others, and says so."""
    acme.enqueue("acme.1", "acme.bad", "acme.2")
    acme.redis.hset(keys.run(TENANT, "acme.bad"), field, "spoiled")

    assert ["acme.1", "acme.2"] == [run for run, _ in acme.fetch()]

    assert [b"acme.bad"] == acme.redis.lrange(keys.aside(TENANT), 0, -1)
    assert {"acme.1", "acme.2"} == set(acme.scores(keys.leases(TENANT)))


def test_fetch_leases_nothing_twice(acme: Acme) -> None:
    """An id that stands in its queue twice is served once, also before its worker has said that it started."""
    acme.enqueue("acme.1")
    acme.redis.rpush(keys.queue(TENANT, TENANT, 0), "acme.1")

    assert [("acme.1", 1)] == acme.fetch()

    assert [] == acme.fetch("w2")


def test_one_fetch_drops_a_bounded_number(acme: Acme) -> None:
    """A hundred thousand cancelled runs do not stop the server for all tenants: a call drops some, and rings on."""
    acme.enqueue("acme.dead")
    acme.redis.hset(keys.run(TENANT, "acme.dead"), "state", "cancelled")
    acme.redis.rpush(keys.queue(TENANT, TENANT, 0), *["acme.dead"] * 2_500)
    acme.enqueue("acme.1")
    acme.call("hello", WORKER)
    acme.redis.delete(keys.bell(TENANT, TENANT))

    _, wait, runs, _ = acme.call("fetch", WORKER, 1, 10, "1", TENANT)

    assert (0, []) == (wait, runs)
    assert 1 == acme.redis.llen(keys.bell(TENANT, TENANT))
    acme.ask(WORKER, 2)
    assert [("acme.1", 1)] == acme.ask(WORKER, 3)


def test_one_fetch_takes_a_bounded_number(acme: Acme) -> None:
    """However many a worker asks for."""
    acme.enqueue(*(f"acme.{number}" for number in range(1_001)))

    assert 1_000 == len(acme.fetch(WORKER, 10**9))


def test_a_poison_run_is_served_alone(acme: Acme) -> None:
    """A run that two workers have died with goes to a worker that holds nothing, and takes no neighbour along."""
    acme.enqueue("acme.poison", "acme.1")
    acme.redis.hset(keys.run(TENANT, "acme.poison"), "rescues", 2)

    assert [] == acme.fetch("busy", idle=False)
    assert ["acme.poison"] == [run for run, _ in acme.fetch("idle")]

    assert ["acme.1"] == acme.waiting()


def test_what_is_laid_aside_is_bounded(acme: Acme) -> None:
    """A queue full of rubbish leaves a thousand ids to look at, not all."""
    acme.redis.rpush(keys.queue(TENANT, TENANT, 0), *(f"acme.{number}" for number in range(1_010)))
    acme.fetch()
    acme.fetch()

    assert 1_000 == acme.redis.llen(keys.aside(TENANT))
    assert [] == acme.waiting()


# -- renew, hello, leave ---------------------------------------------------------------------------------------------


def test_renew_beats_and_marks_what_has_started(acme: Acme) -> None:
    """The counter moves, a started run is shown as running since then."""
    token = acme.take("acme.1")
    acme.start("acme.1", token)

    assert ("running", "1") == (acme.state("acme.1"), acme.field("acme.1", "started"))
    assert b"1" == acme.redis.hget(keys.worker(TENANT, WORKER), "beat")


def test_renew_names_what_was_lost(acme: Acme) -> None:
    """A lease that others have, a run that has ended, one that is forgotten or unreadable: all are lost."""
    tokens = {run: acme.take(run) for run in ("acme.kept", "acme.ended", "acme.moved", "acme.gone", "acme.spoiled")}
    acme.finish("acme.ended", tokens["acme.ended"])
    acme.call("hand_back", "", "acme.moved", tokens["acme.moved"])
    acme.redis.delete(keys.run(TENANT, "acme.gone"), keys.run(TENANT, "acme.spoiled"))
    acme.redis.set(keys.run(TENANT, "acme.spoiled"), "spoiled")

    lost, cancels, _ = acme.call("renew", WORKER, 0, 0, *(value for lease in tokens.items() for value in lease))

    assert ({b"acme.ended", b"acme.moved", b"acme.gone", b"acme.spoiled"}, []) == (set(lost), cancels)


def test_renew_says_what_to_cancel_until_the_run_is_let_go(acme: Acme) -> None:
    """A lost reply loses no cancel; what has ended is not asked for any more, and leaves no key."""
    token = acme.take("acme.1")
    assert b"asked" == acme.call("cancel", "acme.1", "why")

    asked = [acme.call("renew", WORKER, 1, 0, "acme.1", token)[1] for _ in range(2)]
    acme.finish("acme.1", token, "cancelled")

    assert [[b"acme.1"], [b"acme.1"]] == asked
    assert [[], [], 1] == acme.call("renew", WORKER, 1, 0)
    assert 0 == acme.redis.exists(keys.cancels(TENANT, WORKER))


def test_renew_of_a_worker_given_up_answers_nothing_else(acme: Acme) -> None:
    """It has to come again; its key is not made anew by the heartbeat."""
    assert (0, 0) == (acme.call("renew", "stranger", 1, 0), acme.call("beat", "stranger"))

    assert 0 == acme.redis.exists(keys.worker(TENANT, "stranger"))


def test_leave_gives_back_uncounted(acme: Acme) -> None:
    """What a leaving worker holds goes to the head of its queue as if it had not been fetched; its keys are gone."""
    acme.take("acme.1")
    acme.enqueue("acme.2")

    assert 1 == acme.call("leave", WORKER)

    assert ["acme.1", "acme.2"] == acme.waiting()
    assert ("0", "queued") == (acme.field("acme.1", "attempts"), acme.state("acme.1"))
    assert 0 == acme.redis.exists(
        keys.worker(TENANT, WORKER), keys.held(TENANT, WORKER), keys.leases(TENANT), keys.workers(TENANT)
    )


@pytest.mark.parametrize("move", ["leave", "rescue"])
def test_what_can_not_be_read_keeps_no_neighbour_from_going_back(acme: Acme, move: str) -> None:
    """A worker that held a run whose key is spoiled or gone can still leave, and be rescued."""
    acme.enqueue("acme.1", "acme.gone", "acme.spoiled", "acme.2")
    acme.fetch()
    acme.redis.delete(keys.run(TENANT, "acme.gone"), keys.run(TENANT, "acme.spoiled"))
    acme.redis.set(keys.run(TENANT, "acme.spoiled"), "spoiled")

    assert [2, 0] == acme.rescue() if move == "rescue" else 2 == acme.call("leave", WORKER)

    assert {"acme.1", "acme.2"} == set(acme.waiting())
    assert 0 == acme.redis.exists(keys.held(TENANT, WORKER), keys.leases(TENANT), keys.worker(TENANT, WORKER))


def test_one_rescue_moves_a_bounded_number(acme: Acme) -> None:
    """A worker that hoarded stays dead until the last of its runs is taken over."""
    acme.enqueue(*(f"acme.{number}" for number in range(1_500)))
    acme.fetch(WORKER, 1_000)
    acme.fetch(WORKER, 1_000)

    assert [[1_000, 0], [500, 0], [0, 0]] == [acme.rescue() for _ in range(2)] + [acme.call("rescue", WORKER, "")]

    assert 1_500 == len(acme.waiting())
    assert 0 == acme.redis.exists(keys.workers(TENANT), keys.leases(TENANT), keys.held(TENANT, WORKER))


# -- hand back, retry ------------------------------------------------------------------------------------------------


def test_hand_back_returns_to_the_head_in_order(acme: Acme) -> None:
    """Runs that a worker did not execute stand where they stood, uncounted; asked again nothing happens."""
    acme.enqueue("acme.1", "acme.2", "acme.3")
    leases = acme.fetch(WORKER, 2)
    arguments = [value for lease in leases for value in lease]

    assert 2 == acme.call("hand_back", "", *arguments)
    assert 0 == acme.call("hand_back", "", *arguments)

    assert ["acme.1", "acme.2", "acme.3"] == acme.waiting()
    assert "0" == acme.field("acme.1", "attempts")


def test_hand_back_may_wait(acme: Acme) -> None:
    """A run that this worker can't execute comes up again a little later, for another."""
    token = acme.take("acme.1")

    acme.call("hand_back", 60_000, "acme.1", token)

    assert ("scheduled", ["acme.1"]) == (acme.state("acme.1"), list(acme.scores(keys.delayed(TENANT, TENANT))))


def test_retry_ends_the_lease_and_waits(acme: Acme) -> None:
    """The next attempt is scheduled in the same step; asked again, or by a stranger, nothing happens."""
    token = acme.take("acme.1")
    acme.start("acme.1", token)

    assert (1, 0) == (acme.retry("acme.1", token), acme.retry("acme.1", token))

    assert ("retrying", None) == (acme.state("acme.1"), acme.field("acme.1", "started"))
    assert ["acme.1"] == list(acme.scores(keys.delayed(TENANT, TENANT)))
    assert 0 == acme.redis.exists(keys.leases(TENANT), keys.held(TENANT, WORKER))


@pytest.mark.parametrize("back", ["hand_back", "leave", "retry", "rescue", "died", "replace", "replaced"])
def test_a_cancel_outlives_the_lease(acme: Acme, back: str) -> None:
    """A run that its worker was asked to stop is not run again by the next one: it ends, and its dependants hear it."""
    token = acme.take("acme.1", depends=True)
    acme.call("cancel", "acme.1", "why")

    match back:
        case "hand_back":
            acme.call("hand_back", "", "acme.1", token)
        case "leave":
            acme.call("leave", WORKER)
        case "retry":
            acme.retry("acme.1", token)
        case "rescue":
            acme.rescue()
        case "replace":
            acme.call("progress", "acme.1", token, "")
            assert [b"acme.1", 0] == acme.enqueue("acme.1")
        case "replaced":
            acme.finish("acme.1", token, "replaced")
        case _:
            acme.call("died", "acme.1", token)

    assert "cancelled" == acme.state("acme.1")
    assert (acme.field("acme.1", "error") or "").endswith(": why")
    assert ["acme.1~end"] == acme.waiting()
    assert 0 == acme.redis.exists(keys.cancels(TENANT, WORKER))


def give_back(acme: Acme, back: str, token: int) -> None:
    """Let a worker's hold on a run end so that it waits again."""
    match back:
        case "hand_back":
            acme.call("hand_back", "", "acme.1", token)
        case "leave":
            acme.call("leave", WORKER)
        case "retry":
            acme.retry("acme.1", token, at="")
        case "died":
            acme.call("died", "acme.1", token)
        case _:
            acme.rescue()


@pytest.mark.parametrize("back", ["hand_back", "leave", "rescue"])
def test_what_goes_back_unstarted_can_still_expire(acme: Acme, back: str) -> None:
    """An expiry that passed while a worker held the run ends it when no worker takes it again."""
    token = acme.take("acme.1", expires=HOUR)
    acme.let_expire("acme.1")
    assert 0 == acme.call("expire")

    give_back(acme, back, token)

    assert 1 == acme.call("expire")
    assert "expired" == acme.state("acme.1")


@pytest.mark.parametrize("back", ["hand_back", "leave", "rescue", "retry", "died"])
def test_what_has_begun_does_not_expire(acme: Acme, back: str) -> None:
    """It was in time: neither the clock nor a late fetch ends it between its attempts, or the ones after."""
    token = acme.take("acme.1", expires=HOUR)
    if back not in {"retry", "died"}:  # these tell it themselves
        acme.start("acme.1", token)
    acme.let_expire("acme.1")

    give_back(acme, back, token)

    assert 0 == acme.call("expire")
    assert ({}, None) == (acme.scores(keys.expiring(TENANT)), acme.field("acme.1", "expires"))
    ((_, token),) = acme.fetch("w2")
    acme.call("hand_back", "", "acme.1", token)
    assert 0 == acme.call("expire")
    assert "queued" == acme.state("acme.1")


# -- finish ----------------------------------------------------------------------------------------------------------


def test_finish_ends_all_at_once(acme: Acme) -> None:
    """Result, history, lease and notice in one step; a succeeded run keeps no envelope, a failed one does."""
    acme.enqueue("acme.1", "acme.2")
    (first, token), (second, other) = acme.fetch()
    with node_of(acme.redis, TENANT).pubsub() as listener:
        listener.ssubscribe(keys.done(TENANT, first))
        listener.get_message(timeout=5)

        answer = acme.call("finish", first, token, "succeeded", 5, '{"r":1}', "", second, other, "failed", 5, "{}", "")

        assert [1, 1] == answer
        assert b"succeeded" == listener.get_message(timeout=5)["data"]
    assert ("succeeded", '{"r":1}', None) == tuple(acme.field(first, name) for name in ("state", "result", "envelope"))
    assert ("failed", ENVELOPE) == (acme.state(second), acme.field(second, "envelope"))
    assert {first, second} == set(acme.scores(keys.ended(TENANT)))
    assert 0 == acme.redis.exists(keys.leases(TENANT), keys.held(TENANT, WORKER))


def test_finish_hears_only_the_holder(acme: Acme) -> None:
    """A stale token ends nothing; the second end of a run changes nothing."""
    stale = acme.take("acme.1")
    acme.rescue()
    ((_, token),) = acme.fetch("w2")

    assert [0, 1, 0] == [acme.finish("acme.1", each, state) for each, state in
                         [(stale, "failed"), (token, "succeeded"), (token, "failed")]]  # fmt: skip

    assert "succeeded" == acme.state("acme.1")


def test_one_spoiled_run_does_not_lose_a_batch(acme: Acme) -> None:
    """The others of the batch end; the spoiled one is answered too, or its worker would say the batch for ever."""
    acme.enqueue("acme.1", "acme.bad", "acme.2")
    leases = acme.fetch()
    acme.redis.delete(keys.run(TENANT, "acme.bad"))
    acme.redis.set(keys.run(TENANT, "acme.bad"), "spoiled")

    answer = acme.call("finish", *(value for lease in leases for value in (*lease, "succeeded", 5, "{}", "")))

    assert [1, 0, 1] == answer
    assert ("succeeded", "succeeded") == (acme.state("acme.1"), acme.state("acme.2"))


def test_what_never_started_is_told_to_its_dependants(acme: Acme) -> None:
    """A run that was cancelled in its worker's hands before it began has told nobody: a follow-up run does, once."""
    token = acme.take("acme.1", depends=True)

    acme.finish("acme.1", token, "cancelled", ran="")
    acme.finish("acme.1", token, "cancelled", ran="")

    assert ["acme.1~end"] == acme.waiting()
    assert ("cancelled", "acme.1") == (acme.field("acme.1~end", "ended"), acme.field("acme.1~end", "of"))


def test_what_has_run_has_told_its_dependants_itself(acme: Acme) -> None:
    """There is no follow-up for what a worker has executed, nor for a run on which nothing depends."""
    acme.finish("acme.1", acme.take("acme.1", depends=True), "failed")
    acme.enqueue("acme.2")
    acme.call("cancel", "acme.2", "why")

    assert [] == acme.fetch()


# -- rescue, died ----------------------------------------------------------------------------------------------------


def test_rescue_claims_by_the_counter(acme: Acme) -> None:
    """A worker whose counter has moved since lives; one that stands still loses all, at the head of the queue."""
    token = acme.take("acme.1")
    acme.enqueue("acme.2")
    acme.call("beat", WORKER)

    assert [0, 0] == acme.call("rescue", WORKER, "0")
    assert [1, 0] == acme.call("rescue", WORKER, "1")
    assert [0, 0] == acme.call("rescue", WORKER, "1")

    assert ["acme.1", "acme.2"] == acme.waiting()
    assert (0, 0) == (acme.finish("acme.1", token), acme.redis.exists(keys.worker(TENANT, WORKER)))
    assert ("1", "1", None) == tuple(acme.field("acme.1", name) for name in ("rescues", "attempts", "deaths"))


def test_three_deaths_make_a_dead_letter(acme: Acme) -> None:
    """A started run that takes its third worker along is kept aside, with the reason, and its dependants hear it."""
    acme.enqueue("acme.1", depends=True)
    for number in range(3):
        ((run, token),) = acme.fetch(f"w{number}")
        acme.start(run, token, worker=f"w{number}")
        acme.rescue(f"w{number}")

    assert ("dead", "its worker w2 died; deaths: 3") == (acme.state("acme.1"), acme.field("acme.1", "error"))
    assert (["acme.1"], {}) == (list(acme.scores(keys.dead(TENANT))), acme.scores(keys.ended(TENANT)))
    assert ["acme.1~end"] == acme.waiting()


def test_a_dead_letter_says_that_a_child_process_died(acme: Acme) -> None:
    """The worker lives: nobody need look for it."""
    token = acme.take("acme.1")

    assert [0, 1] == acme.call("died", "acme.1", token, "1")

    assert "its child process died; deaths: 1" == acme.field("acme.1", "error")


def test_what_a_worker_is_said_to_hold_is_read_in_parts(acme: Acme) -> None:
    """A tenant that fills its worker's books gets a bounded number a call: of runs, and of what is to be stopped."""
    acme.take("acme.1")
    acme.redis.sadd(keys.held(TENANT, WORKER), *(f"acme.x{number}" for number in range(2_500)))
    acme.redis.sadd(keys.cancels(TENANT, WORKER), *(f"acme.x{number}" for number in range(2_500)))

    assert 1_000 == len(acme.call("renew", WORKER, 0, 0)[1])
    left: list[int] = []
    queued = 0
    while acme.redis.exists(keys.worker(TENANT, WORKER)) and len(left) < 9:
        queued += acme.rescue()[0]
        left.append(acme.redis.scard(keys.held(TENANT, WORKER)))

    assert ([1_501, 501, 0], 1) == (left, queued)
    assert 0 == acme.redis.exists(keys.held(TENANT, WORKER), keys.cancels(TENANT, WORKER))


def test_a_leave_gives_back_a_bounded_number(acme: Acme) -> None:
    """The rest goes back when the worker is found dead."""
    acme.take("acme.1")
    acme.redis.sadd(keys.held(TENANT, WORKER), *(f"acme.x{number}" for number in range(2_500)))

    acme.call("leave", WORKER)

    assert 1_501 == acme.redis.scard(keys.held(TENANT, WORKER))
    assert 1 == acme.redis.exists(keys.worker(TENANT, WORKER))


def test_an_unstarted_run_counts_no_death_until_it_is_served_alone(acme: Acme) -> None:
    """Neighbours of a poison run lose nothing; what kills so fast that it is never marked is given up all the same."""
    acme.enqueue("acme.1")
    deaths = []
    for number in range(5):
        acme.fetch(f"w{number}")
        acme.rescue(f"w{number}")
        deaths.append(acme.field("acme.1", "deaths"))

    assert [None, None, "1", "2", "3"] == deaths
    assert "dead" == acme.state("acme.1")


def test_a_run_that_acknowledged_early_is_not_run_again(acme: Acme) -> None:
    """With acks_late=False one death is its last."""
    token = acme.take("acme.1")
    acme.start("acme.1", token, last=True)

    assert [0, 1] == acme.rescue()

    assert "dead" == acme.state("acme.1")


@pytest.mark.parametrize("back", ["hand_back", "retry"])
def test_early_acknowledgement_is_of_one_attempt(acme: Acme, back: str) -> None:
    """An attempt that has not begun is not lost because the one before it had acknowledged early."""
    token = acme.take("acme.1")
    acme.start("acme.1", token, last=True)
    if back == "retry":
        acme.retry("acme.1", token, at="")
    else:
        acme.call("hand_back", "", "acme.1", token)
    acme.fetch("w2")

    assert [1, 0] == acme.rescue("w2")

    assert ["acme.1"] == acme.waiting()


def test_died_takes_one_run_from_a_living_worker(acme: Acme) -> None:
    """A child process that died costs its own run a death, and its worker nothing else."""
    acme.enqueue("acme.1", "acme.2")
    (first, token), (second, _) = acme.fetch()

    assert [[1, 0], [0, 0]] == [acme.call("died", first, token) for _ in range(2)]

    assert ("1", [second]) == (acme.field(first, "deaths"), list(acme.scores(keys.leases(TENANT))))


# -- cancel, expire, record, replay ----------------------------------------------------------------------------------


@pytest.mark.parametrize("at", ["", HOUR])
def test_cancel_ends_what_waits(acme: Acme, at: str) -> None:
    """At once, wherever it waits; asked again it says that the run has ended."""
    acme.enqueue("acme.1", at=at)

    assert [b"cancelled", b"ended"] == [acme.call("cancel", "acme.1", "why") for _ in range(2)]

    assert ("cancelled", "cancelled before start: why") == (acme.state("acme.1"), acme.field("acme.1", "error"))
    assert ({}, []) == (acme.scores(keys.delayed(TENANT, TENANT)), acme.waiting())
    assert b"missing" == acme.call("cancel", "acme.nobody", "why")


def test_expire_ends_what_waited_too_long(acme: Acme) -> None:
    """What waits ends, what is held goes on; neither is looked at again."""
    acme.take("acme.held", expires=HOUR)
    acme.enqueue("acme.1", "acme.2", expires="+0")
    acme.let_expire("acme.held")

    assert [2, 0] == [acme.call("expire") for _ in range(2)]

    assert ("expired", "queued") == (acme.state("acme.1"), acme.state("acme.held"))
    assert 0 == acme.redis.exists(keys.expiring(TENANT))


def test_a_queue_that_nobody_serves_does_not_grow(acme: Acme) -> None:
    """The ids of runs that expired leave their queue when they have come to its head."""
    acme.enqueue("acme.1", "acme.2", expires="+0")
    acme.enqueue("acme.3")
    acme.enqueue("acme.4", expires="+0")

    acme.call("expire")
    assert ["acme.3", "acme.4"] == acme.waiting()

    acme.call("cancel", "acme.3", "why")
    assert [] == acme.waiting()


def test_a_spoiled_run_keeps_no_other_from_expiring(acme: Acme) -> None:
    """One call ends the readable ones and lets the other go."""
    acme.enqueue("acme.bad", "acme.1", expires="+0")
    acme.redis.delete(keys.run(TENANT, "acme.bad"))
    acme.redis.set(keys.run(TENANT, "acme.bad"), "spoiled")

    assert [1, 0] == [acme.call("expire") for _ in range(2)]


def test_record_keeps_a_result_that_no_worker_executed(acme: Acme) -> None:
    """A later link of a failed chain has an end to wait for; what a worker holds is not overruled."""
    acme.take("acme.held")

    answers = [acme.call("record", run, "failed", '{"e":1}', TASK, TENANT) for run in ("acme.1", "acme.1", "acme.held")]

    assert [1, 0, 0] == answers
    assert ("failed", "queued") == (acme.state("acme.1"), acme.state("acme.held"))


def test_progress_is_of_the_holder(acme: Acme) -> None:
    """What a running task says of itself is kept, and fenced like its end."""
    token = acme.take("acme.1")

    assert [1, 0] == [acme.call("progress", "acme.1", each, '{"s":"HALF"}') for each in (token, token - 1)]

    assert ("running", '{"s":"HALF"}') == (acme.state("acme.1"), acme.field("acme.1", "progress"))


def test_replay_makes_one_new_run_of_a_dead_letter(acme: Acme) -> None:
    """Linked to the old one, which is no dead letter any more; asked again it is the run that is there."""
    token = acme.take("acme.1")
    acme.start("acme.1", token, last=True)
    acme.rescue()

    assert [b"acme.2", b"acme.2"] == [acme.call("replay", "acme.1", run) for run in ("acme.2", "acme.3")]

    assert (["acme.2"], "acme.1") == (acme.waiting(), acme.field("acme.2", "of"))
    assert ({}, {"acme.1"}) == (acme.scores(keys.dead(TENANT)), set(acme.scores(keys.ended(TENANT))))


def test_replay_with_the_same_id_makes_one_run(acme: Acme) -> None:
    """A caller whose reply was lost does not queue the new run twice."""
    acme.finish("acme.1", acme.take("acme.1"), "failed")

    assert [b"acme.2", b"acme.2"] == [acme.call("replay", "acme.1", "acme.2") for _ in range(2)]

    assert ["acme.2"] == acme.waiting()


def test_replay_of_what_can_not_be_replayed_makes_nothing(acme: Acme) -> None:
    """Nothing to run again: a run that goes on, one that succeeded, one that never was."""
    acme.finish("acme.done", acme.take("acme.done"))
    acme.take("acme.held")

    assert [b"", b"", b""] == [acme.call("replay", run, "acme.2") for run in ("acme.done", "acme.held", "acme.never")]


def test_replay_of_a_follow_up_is_one(acme: Acme) -> None:
    """It tells dependants how their run ended, once more: it does not execute that run's task."""
    acme.enqueue("acme.1", depends=True)
    acme.call("cancel", "acme.1", "why")
    ((run, token),) = acme.fetch()
    acme.finish(run, token, "failed")

    acme.call("replay", run, "acme.2")

    assert ("cancelled", "acme.1") == (acme.field("acme.2", "ended"), acme.field("acme.2", "of"))


# -- chords ----------------------------------------------------------------------------------------------------------


def make_chord(acme: Acme, size: int) -> None:
    acme.call("chord", "g", "g~join", "taglane.join", TENANT, 0, ENVELOPE)
    acme.call("chord_size", "g", size)


def test_the_last_part_queues_the_join_once(acme: Acme) -> None:
    """A part counts once, by its place and id, however often it runs and whoever brings it."""
    make_chord(acme, 2)
    acme.call("part", "g", "0:acme.zero", "{}")
    acme.call("part", "g", "0:acme.zero", "{}")
    assert [] == acme.waiting()

    acme.finish("acme.one", acme.take("acme.one"), part="1:acme.one g {} ")
    acme.call("part", "g", "1:acme.one", "{}")
    acme.call("chord_size", "g", 2)

    assert ["g~join"] == acme.waiting()
    assert ("g", "1") == (acme.field("g~join", "join"), acme.field("g~join", "deps"))


def test_a_chord_is_gone_when_its_body_was_sent(acme: Acme) -> None:
    """And goes by itself, a week after its last part, when that never came to pass."""
    make_chord(acme, 1)
    acme.call("part", "g", "0:acme.zero", "{}")
    assert 6 * 86_400_000 < acme.redis.pttl(keys.chord(TENANT, "g")) <= 7 * 86_400_000
    ((join, token),) = acme.fetch()

    acme.finish(join, token)

    assert 0 == acme.redis.exists(keys.chord(TENANT, "g"))


def test_a_dead_join_can_be_replayed(acme: Acme) -> None:
    """Its parts are kept, and the replay is a join again: the chord goes when it succeeds."""
    make_chord(acme, 1)
    acme.call("part", "g", "0:acme.zero", "{}")
    ((join, token),) = acme.fetch()
    acme.start(join, token, last=True)
    acme.rescue()

    acme.call("replay", join, "acme.again")

    assert {"g~join~end", "acme.again"} == set(acme.waiting())
    assert acme.redis.hexists(keys.chord(TENANT, "g"), "part:0:acme.zero")
    leases = dict(acme.fetch())
    acme.finish("acme.again", leases["acme.again"])
    assert 0 == acme.redis.exists(keys.chord(TENANT, "g"))


# -- jobs ------------------------------------------------------------------------------------------------------------


def test_fire_claims_the_due_and_the_revision(acme: Acme) -> None:
    """Who saw another due or revision loses; the due instant makes one run and moves on."""
    revision = acme.put(due=1_000)
    due = acme.redis.zscore(keys.due(TENANT), "report")

    answers = [
        acme.call("fire", "report", *claim, 5_000, "acme.fired")
        for claim in ((999, revision), (1_000, revision + 1), (1_000, revision), (1_000, revision))
    ]

    assert (1_000, [[0], [0], [1], [0]]) == (due, answers)
    assert (["acme.fired"], 5_000) == (acme.waiting(), acme.redis.zscore(keys.due(TENANT), "report"))


def test_fire_does_not_run_ahead_of_the_servers_time(acme: Acme) -> None:
    """A scheduler whose clock is wrong fires nothing early."""
    due = server_time(acme.redis) + 3_600_000
    revision = acme.put(due=due)

    assert [0] == acme.call("fire", "report", due, revision, "", "acme.fired")

    assert [] == acme.waiting()


def test_fire_skips_on_record_while_the_last_run_goes(acme: Acme) -> None:
    """Unless the job allows overlap."""
    for number, overlap in enumerate(["skip", "skip", "allow"]):
        revision = acme.put(due=1_000 + number, overlap=overlap)
        acme.call("fire", "report", 1_000 + number, revision, "", f"acme.{number}")

    assert ["queued", "skipped", "queued"] == [acme.state(f"acme.{number}") for number in range(3)]
    assert b"acme.2" == acme.redis.hget(keys.job(TENANT, "report"), "last")


def test_fire_is_told_how_its_run_waits(acme: Acme) -> None:
    """From when, for how long at most, and for which tag: together, and the shorter of two times to live."""
    revision = acme.put(due=1_000, overlap="allow")
    acme.redis.hset(keys.job(TENANT, "report"), "expires", 60_000)
    before = server_time(acme.redis)

    claims = (
        (1_000, 1_001, "acme.1 +5000 ~30000 @acme.gpu"),
        (1_001, 1_002, "acme.2 ~90000"),
        (1_002, "", "acme.3 @shared.a"),
    )
    fired = [value for due, then, run in claims for value in ("report", due, revision, then, run)]
    assert [1, 1, 1] == acme.call("fire", *fired)

    after = server_time(acme.redis)
    for run, ttl in (("acme.1", 30_000), ("acme.2", 60_000), ("acme.3", 60_000)):
        assert before + ttl <= int(acme.field(run, "expires") or 0) <= after + ttl
    assert ["acme.1"] == list(acme.scores(keys.delayed(TENANT, "acme.gpu")))
    assert (["acme.2"], ["acme.3"]) == (acme.waiting(), acme.waiting("shared.a"))


def test_fire_is_told_why_its_run_fails(acme: Acme) -> None:
    """It ends at once, on record and counted, executed by nobody; its caller is told, and its envelope stays."""
    revision = acme.put(due=1_000)

    assert [1] == acme.call("fire", "report", 1_000, revision, "", "acme.1 !no worker serves tag 'acme'")

    assert ("failed", "no worker serves tag 'acme'") == (acme.state("acme.1"), acme.field("acme.1", "error"))
    assert ([], ENVELOPE) == (acme.waiting(), acme.field("acme.1", "envelope"))
    assert ["acme.1"] == list(acme.scores(keys.ended(TENANT))) == list(acme.scores(keys.runs(TENANT)))
    (ledger,) = acme.redis.keys(keys.ledger(TENANT, "*"))
    booked = acme.redis.hgetall(ledger)
    assert [b"1"] * 3 == [booked[what] for what in (b"made", b"fired", b"failed")]


def test_a_spoiled_job_keeps_no_neighbour_from_firing(acme: Acme) -> None:
    """The others of the chunk are fired before the error is raised."""
    for name in ("bad", "good"):
        acme.put(name, due=1_000)
    acme.redis.hset(keys.job(TENANT, "bad"), "last", "acme.spoiled")
    acme.redis.set(keys.run(TENANT, "acme.spoiled"), "spoiled")

    with pytest.raises(ServerUnavailable, match="WRONGTYPE"):
        acme.call("fire", "bad", 1_000, 1, "", "acme.bad", "good", 1_000, 1, "", "acme.good")

    assert ["acme.good"] == acme.waiting()


@pytest.mark.parametrize("way", ["succeeded", "failed", "cancelled", "expired", "dead"])
def test_a_fixed_delay_counts_from_every_end(acme: Acme, way: str) -> None:
    """However the last run of an `after` job ends, the next due is set: it never waits for a run that is gone."""
    acme.put(after=5_000)
    acme.call("trigger", "report", "acme.1", "")
    if way == "cancelled":
        acme.call("cancel", "acme.1", "why")
    elif way == "expired":
        acme.redis.hset(keys.run(TENANT, "acme.1"), "expires", 1)
        acme.fetch()
    else:
        ((run, token),) = acme.fetch()
        acme.finish(run, token, way)

    due = acme.redis.zscore(keys.due(TENANT), "report")
    assert 3_000 < due - server_time(acme.redis) <= 5_000


def test_trigger_asked_again_makes_one_run(acme: Acme) -> None:
    """By its id; a job that is not there makes none."""
    acme.put()

    assert [1, 1] == [acme.call("trigger", "report", "acme.1", "") for _ in range(2)]
    assert 0 == acme.call("trigger", "nothing", "acme.2", "")

    assert ["acme.1"] == acme.waiting()


def test_a_trigger_goes_beside_the_jobs_own_run(acme: Acme) -> None:
    """A triggered run that ends early does not let the next fire overlap the run that still goes."""
    acme.put(due=1_000)
    assert [1] == acme.call("fire", "report", 1_000, "1", 2_000, "acme.first")
    acme.call("trigger", "report", "acme.beside", "")
    acme.call("cancel", "acme.beside", "done with it")

    assert [2] == acme.call("fire", "report", 2_000, "1", 3_000, "acme.second")


def test_pause_and_remove_take_the_due_away(acme: Acme) -> None:
    """A paused job keeps its definition without a due, also when it is put; a removed one is forgotten."""
    acme.put(due=1_000)
    acme.call("pause", "report", "1", "")
    acme.put(due=1_000)
    assert {} == acme.scores(keys.due(TENANT))

    assert 1 == acme.call("pause", "report", "", 2_000)
    assert {"report": 2_000} == acme.scores(keys.due(TENANT))

    assert [1, 0] == [acme.call("remove", "report") for _ in range(2)]
    assert 0 == acme.redis.exists(keys.due(TENANT), keys.jobs(TENANT), keys.job(TENANT, "report"))


def put_as_seen(acme: Acme, seen: str, due: int | str) -> int:
    answer: int = acme.call("put", "report", "{}", TASK, TENANT, 0, ENVELOPE, "", "skip", "", due, "{}", "", seen)
    return answer


def test_a_put_or_a_resume_by_an_old_view_changes_nothing(acme: Acme) -> None:
    """Whoever planned by what is not there any more is told; a job that was made anew is another one."""
    assert 1 == put_as_seen(acme, "0", 1_000)
    stamp = acme.redis.hget(keys.job(TENANT, "report"), "born").decode()
    assert 2 == put_as_seen(acme, f"1-{stamp}", "keep")
    before = acme.snapshot()

    assert [-1, -1, -1] == [put_as_seen(acme, seen, "keep") for seen in ("0", f"1-{stamp}", "2-1")]
    assert [-1, -1] == [acme.call("pause", "report", "", 2_000, seen) for seen in (f"1-{stamp}", "2-1")]
    assert before == acme.snapshot()

    acme.call("remove", "report")
    assert -1 == put_as_seen(acme, f"2-{stamp}", "keep")
    assert 0 == acme.redis.exists(keys.job(TENANT, "report"), keys.jobs(TENANT))


def test_a_resumed_fixed_delay_waits_for_the_run_that_goes(acme: Acme) -> None:
    """It begins with the end of that, as if there had been no pause: a due before it would only be skipped."""
    acme.put(after=60_000)
    acme.call("trigger", "report", "acme.1", "")
    acme.call("pause", "report", "1", "")

    acme.call("pause", "report", "", 5_000)
    assert {} == acme.scores(keys.due(TENANT))

    acme.finish(*acme.fetch()[0])
    assert 60_000 - 2_000 < acme.scores(keys.due(TENANT))["report"] - server_time(acme.redis) <= 60_000


def test_a_job_that_is_made_anew_waits_for_the_run_of_the_old_one(acme: Acme) -> None:
    """A deletion ends no run that goes: what comes after it under the same name does not go beside that."""
    acme.put()
    acme.call("trigger", "report", "acme.1", "")
    ((_, token),) = acme.fetch()
    acme.call("remove", "report")
    acme.put(due=1_000)

    assert [2] == acme.call("fire", "report", 1_000, "1", 2_000, "acme.2")
    acme.finish("acme.1", token)
    assert [1] == acme.call("fire", "report", 2_000, "1", 3_000, "acme.3")

    acme.call("remove", "report")
    assert acme.redis.pttl(keys.removed(TENANT, "report")) > 0
    acme.finish(*acme.fetch()[0])
    acme.put(due=1_000)
    assert 0 == acme.redis.exists(keys.removed(TENANT, "report"))
    assert None is acme.redis.hget(keys.job(TENANT, "report"), "last")


# -- many that are parked ----------------------------------------------------------------------------------------------


def park(acme: Acme, count: int, job: str = "report", start: int = 0) -> list[str]:
    """Let that many runs wait behind the last one of a job, more than ever do by themselves."""
    runs = [f"acme.{job}{number}" for number in range(start, start + count)]
    acme.enqueue(*runs, step=9)
    pipeline = acme.redis.pipeline()
    for run in runs:
        pipeline.hset(keys.run(TENANT, run), mapping={"state": "scheduled", "parked": "1", "job": job})
    pipeline.delete(keys.queue(TENANT, TENANT, 9))
    pipeline.rpush(keys.parked(TENANT, job), *runs)
    pipeline.sadd(keys.waiting(TENANT), job)
    pipeline.execute()
    return runs


def test_a_removed_jobs_parked_runs_end_a_bounded_number_at_a_time(acme: Acme) -> None:
    """The rest when a scheduler comes by, soon and again, of all jobs together no more; and all are counted."""
    for name in ("report", "other"):
        acme.put(name)
        park(acme, 1_600, name)
    for name in ("report", "other"):
        acme.call("remove", name)

    def left() -> int:
        return sum(acme.redis.llen(keys.parked(TENANT, name)) for name in ("report", "other"))

    looks = [left()]
    while looks[-1] and len(looks) < 9:
        now, earliest, *_ = acme.call("look", 16)
        assert not left() or earliest - now <= 1_000
        looks.append(left())

    assert [1_200, 200, 0] == looks
    acme.call("look", 16)
    assert 0 == acme.redis.exists(keys.waiting(TENANT))
    assert {"report|cancelled": 1_600, "other|cancelled": 1_600} == acme.ledger(keys.job_ledger)
    assert {"made": 3_200, "cancelled": 3_200} == acme.ledger()
    assert "cancelled before start: its job is gone" in {
        acme.field(f"acme.report{number}", "error") for number in (1_000, 1_599)
    }


def test_a_fire_that_cancels_the_running_one_ends_a_bounded_number(acme: Acme) -> None:
    """Of all its jobs together: what it leaves still waits, and the next fire goes on."""
    for name in ("a", "b"):
        acme.put(name, due=1_000, overlap="cancel_running")
        acme.call("trigger", name, f"acme.{name}", "")
        park(acme, 700, name, start=1)

    assert [1, 1] == acme.call("fire", "a", 1_000, 1, 2_000, "acme.next-a", "b", 1_000, 1, 2_000, "acme.next-b")

    assert [0, 400] == [acme.redis.llen(keys.parked(TENANT, name)) for name in ("a", "b")]
    assert ["queued", "scheduled"] == [acme.state(run) for run in ("acme.next-a", "acme.next-b")]
    assert "queued" == acme.state("acme.b301")


def test_entries_that_are_no_runs_are_dropped_a_few_at_a_time(acme: Acme) -> None:
    """Where a run ends some are; the sweep goes on behind them, until the run that waits is found."""
    acme.put(overlap="queue")
    acme.call("trigger", "report", "acme.1", "")
    acme.redis.rpush(keys.parked(TENANT, "report"), *(f"acme.gone{number}" for number in range(2_500)))
    acme.redis.delete(keys.waiting(TENANT))
    (last,) = park(acme, 1)
    acme.redis.delete(keys.waiting(TENANT))

    acme.finish(*acme.fetch()[0])
    assert 2_501 - 16 == acme.redis.llen(keys.parked(TENANT, "report"))
    sizes: list[int] = []
    while acme.state(last) == "scheduled" and len(sizes) < 9:
        acme.call("look", 16)
        sizes.append(acme.redis.llen(keys.parked(TENANT, "report")))

    assert [1_485, 485, 0] == sizes
    assert "queued" == acme.state(last)


# -- look ------------------------------------------------------------------------------------------------------------


def test_look_lists_what_is_due_and_when_to_come_again(acme: Acme) -> None:
    """Due jobs with what a claim needs, a quantum of them; else the earliest instant of all that waits."""
    later = server_time(acme.redis) + 3_600_000
    acme.put("now", due=1_000)
    acme.put("also", due=1_001)
    acme.put("later", due=later)
    acme.enqueue("acme.1", at=str(later - 1_000), expires=str(later - 500))

    _, earliest, late, workers, jobs = acme.call("look", 1)
    assert (1_001, 0, 0, [[b"now", b"1000", b"1"]]) == (earliest, late, workers, [job[:3] for job in jobs])

    acme.call("remove", "also")
    assert later - 1_000 == acme.call("look", 1)[1]


def test_look_queues_delayed_runs_and_forgets_idle_tags(acme: Acme) -> None:
    """So the cost of a look is that of the tags for which something waits, not of all that ever were."""
    acme.enqueue("acme.1", tag="acme.gpu", at=HOUR)
    acme.redis.zadd(keys.delayed(TENANT, "acme.gpu"), {"acme.1": 1})
    acme.call("look", 1)
    assert ["acme.1"] == acme.waiting("acme.gpu")
    assert {b"acme.gpu"} == acme.redis.smembers(keys.tags(TENANT))

    acme.fetch(WORKER, 1, "acme.gpu")
    acme.call("look", 1)
    assert 0 == acme.redis.exists(keys.tags(TENANT), keys.bell(TENANT, "acme.gpu"))

    acme.enqueue("acme.2", tag="acme.gpu", step=9)
    assert {b"acme.gpu"} == acme.redis.smembers(keys.tags(TENANT))


def test_look_at_very_many_tags_is_bounded(acme: Acme) -> None:
    """Of more than it may look at it takes some, comes again soon, and in time has looked at all."""
    acme.redis.sadd(keys.tags(TENANT), *(f"acme.{number}" for number in range(3_000)))

    now, earliest, *_ = acme.call("look", 1)

    assert 1_000 == earliest - now
    assert 2_000 == acme.redis.scard(keys.tags(TENANT))


def test_one_spoiled_tag_or_run_keeps_no_other_from_being_queued(acme: Acme) -> None:
    """What is due behind a delayed run, or a delayed set, that can't be read is queued all the same."""
    acme.enqueue("acme.bad", "acme.1", at=HOUR)
    acme.redis.zadd(keys.delayed(TENANT, TENANT), {"acme.bad": 1, "acme.1": 2})
    acme.redis.delete(keys.run(TENANT, "acme.bad"))
    acme.redis.set(keys.run(TENANT, "acme.bad"), "spoiled")
    acme.redis.sadd(keys.tags(TENANT), "acme.a")
    acme.redis.set(keys.delayed(TENANT, "acme.a"), "spoiled")

    acme.call("look", 1)

    assert ["acme.1"] == acme.waiting()


def test_the_history_is_trimmed_by_age(acme: Acme) -> None:
    """A run that ended a day ago goes with all that is kept of it."""
    acme.finish("acme.1", acme.take("acme.1"))
    acme.redis.zadd(keys.ended(TENANT), {"acme.1": 1})

    acme.call("look", 1)

    assert 0 == acme.redis.exists(keys.run(TENANT, "acme.1"), keys.ended(TENANT), keys.runs(TENANT))


def test_what_was_unwell_is_trimmed_with_the_history(acme: Acme) -> None:
    """By age; dead letters that were replayed, too."""
    for run, state in (("acme.1", "failed"), ("acme.2", "failed"), ("acme.3", "dead"), ("acme.4", "succeeded")):
        acme.finish(run, acme.take(run), state)
    acme.call("replay", "acme.3", "acme.5", "")
    assert {b"acme.1", b"acme.2", b"acme.3"} == set(acme.redis.zrange(keys.unwell(TENANT), 0, -1))
    acme.redis.zadd(keys.ended(TENANT), {"acme.1": 1, "acme.3": 1})

    acme.call("look", 1)

    assert [b"acme.2"] == acme.redis.zrange(keys.unwell(TENANT), 0, -1)


def test_the_last_hundred_runs_of_a_job_are_found_by_its_name(acme: Acme) -> None:
    """And go with it: a run of a job that is gone leaves no list behind."""
    acme.put()
    for number in range(103):
        acme.call("trigger", "report", f"acme.{number}", "")
    last = keys.last(TENANT, "report")
    assert [f"acme.{number}".encode() for number in range(3, 103)] == acme.redis.lrange(last, 0, -1)
    acme.call("cancel", "acme.102", "why")

    acme.call("remove", "report")
    acme.call("replay", "acme.102", "acme.again", "")

    assert 0 == acme.redis.exists(last)


def test_a_spoiled_list_of_last_runs_stops_no_job(acme: Acme) -> None:
    acme.put()
    acme.redis.set(keys.last(TENANT, "report"), "mine")

    assert 1 == acme.call("trigger", "report", "acme.1", "")


def test_what_ended_in_a_minute_goes_after_three_hours(acme: Acme) -> None:
    for run, state in (("acme.1", "succeeded"), ("acme.2", "failed"), ("acme.3", "dead"), ("acme.4", "cancelled")):
        acme.finish(run, acme.take(run), state)

    found = [acme.redis.hgetall(key) for key in acme.redis.keys(keys.recent(TENANT, "*"))]

    counts = [(minute[-2:], int(count)) for hour in found for minute, count in hour.items()]
    assert (1, 2) == (sum(n for how, n in counts if how == b"|s"), sum(n for how, n in counts if how == b"|f"))
    assert all(10_700 < acme.redis.ttl(key) <= 10_800 for key in acme.redis.keys(keys.recent(TENANT, "*")))


def test_more_is_trimmed_than_ends(acme: Acme) -> None:
    """However large the batches in which runs end: else the history would outgrow its bounds under load."""
    acme.enqueue(*(f"acme.{number}" for number in range(300)))
    leases = acme.fetch(WORKER, 300)
    acme.redis.zadd(keys.ended(TENANT), {f"acme.old{number}": 1 for number in range(1_000)})

    acme.call("finish", *(value for lease in leases for value in (*lease, "succeeded", 5, "", "")))

    assert 600 < 1_300 - acme.redis.zcard(keys.ended(TENANT)) < 1_000


def test_ends_are_counted_for_the_day(acme: Acme) -> None:
    """Of the tenant and of its job, wherever the run ended; the counts go after 35 days, those of jobs after eight."""
    acme.put()
    for number, way in enumerate(["succeeded", "cancelled", "expired"]):
        acme.call("trigger", "report", f"acme.{number}", "")
        if way == "cancelled":
            acme.call("cancel", f"acme.{number}", "why")
        elif way == "expired":
            acme.redis.hset(keys.run(TENANT, f"acme.{number}"), "expires", 1)
            acme.fetch()
        else:
            acme.finish(*acme.fetch()[0])

    counted = {"triggered": 3, "succeeded": 1, "cancelled": 1, "expired": 1, "ms": 5}
    assert {f"report|{what}": times for what, times in counted.items()} == acme.ledger(keys.job_ledger)
    ledger = acme.ledger()
    waited = ledger.pop("sum:wait", 0)  # not even a millisecond, perhaps
    assert {**counted, "made": 3, f"wait:{bucket_of(waited)}": 1, "ran:3": 1} == ledger
    for of, days in ((keys.ledger, 35), (keys.job_ledger, 8)):
        (key,) = acme.redis.keys(of(TENANT, "*"))
        assert (days - 1) * 86_400 < acme.redis.ttl(key) <= days * 86_400


def test_a_run_that_is_replaced_is_made_once(acme: Acme) -> None:
    """Each attempt counts, and the run ends once: with the last of those that replace it."""
    token = acme.take("acme.1")
    acme.call("progress", "acme.1", token, "")
    acme.finish("acme.1", token, "replaced")
    acme.enqueue("acme.1")
    acme.finish(*acme.fetch()[0])

    ledger = acme.ledger()
    assert (1, 1, 10) == (ledger["made"], ledger["succeeded"], ledger["ms"])
    assert 2 == sum(times for what, times in ledger.items() if what.startswith("wait:"))


def test_a_wait_is_counted_by_its_length(acme: Acme) -> None:
    """From the queue to the start, in a bucket that ends at a power of two, of which the last takes all that is longer.

    A clock that was set back makes it none; what a tenant has written there and is no time is not counted.
    """
    now = server_time(acme.redis)
    queued_at = [now - 700, now - 600, now - 40_000, now - 10**15, now + 60_000, "soon"]
    for number, instant in enumerate(queued_at):
        token = acme.take(f"acme.{number}")
        acme.redis.hset(keys.run(TENANT, f"acme.{number}"), "queued_at", instant)
        acme.finish(f"acme.{number}", token, ran="0")

    buckets = {int(what[5:]): times for what, times in acme.ledger().items() if what.startswith("wait:")}
    assert {bucket_of(700): 2, bucket_of(40_000): 1, 43: 1, 0: 1} == buckets


def test_deaths_and_retries_are_counted(acme: Acme) -> None:
    """A lost attempt ran until its worker was last heard of; one that has perhaps not begun is counted as none."""
    token = acme.take("acme.1")
    acme.start("acme.1", token)
    acme.rescue()
    acme.enqueue("acme.2")
    acme.fetch()
    acme.rescue()
    (lease,) = acme.fetch()
    acme.retry(*lease)

    ledger = acme.ledger()
    assert (2, 1, 1) == (ledger["made"], ledger["died"], ledger["retried"])
    assert 5 == ledger["ms"]
    assert 1 == sum(times for what, times in ledger.items() if what.startswith("wait:"))


def test_a_days_ledger_of_jobs_is_bounded(acme: Acme) -> None:
    """What there is no room for is counted for all other jobs together; the tenant's own counts hold it, too."""
    acme.put()
    acme.put("other")
    acme.call("trigger", "report", "acme.1", "")
    (key,) = acme.redis.keys(keys.job_ledger(TENANT, "*"))
    acme.redis.hset(key, "|fields", 20_000)
    for number in range(2, 5):
        acme.call("trigger", "other", f"acme.{number}", "")
    acme.call("trigger", "report", "acme.5", "")

    assert {"report|triggered": 2, "*|triggered": 3} == acme.ledger(keys.job_ledger)
    assert 5 == acme.ledger()["triggered"]


def test_a_spoiled_ledger_stops_no_run(acme: Acme) -> None:
    """Its tenant has made something else of it: nothing is counted, and runs end as ever."""
    acme.take("acme.1")
    (key,) = acme.redis.keys(keys.ledger(TENANT, "*"))
    acme.redis.delete(key)
    acme.redis.set(key, "mine")
    token = acme.take("acme.2")

    assert 1 == acme.finish("acme.2", token)
    assert "succeeded" == acme.state("acme.2")


def test_what_was_done_before_an_error_is_counted(acme: Acme) -> None:
    """Of two jobs that fire in one call one is spoiled: the other's fire happened."""
    acme.put("good", due=1)
    acme.put("bad", due=1)
    acme.redis.delete(keys.job(TENANT, "bad"))
    acme.redis.set(keys.job(TENANT, "bad"), "spoiled")

    with pytest.raises(ServerUnavailable):
        acme.call("fire", "bad", 1, 1, "", "acme.1", "good", 1, 1, " 3", "acme.2")

    ledger = acme.ledger()
    late = {what: times for what, times in ledger.items() if what.startswith("late:")}
    assert {"made": 1, "fired": 1, "missed": 3, **late} == ledger
    assert [1] == list(late.values())
    assert {"good|fired": 1, "good|missed": 3} == acme.ledger(keys.job_ledger)
    acme.server.call("enqueue", "other", "other.1", TASK, "other", 0, ENVELOPE, "", "", "", "")
    (key,) = acme.redis.keys(keys.ledger("other", "*"))
    assert {b"made": b"1"} == acme.redis.hgetall(key)


# -- a full server ---------------------------------------------------------------------------------------------------


def test_a_full_server_refuses_new_work_whole_and_lets_the_rest_end(binary: ServerBinary) -> None:
    """What makes runs is refused before it writes anything; what serves, keeps and ends them goes on."""
    with EmbeddedServer(binary=binary, options={"maxmemory-policy": "noeviction"}) as running:
        acme = Acme(make_server(running.url))
        acme.put(due=1_000)
        make_chord(acme, 1)
        acme.enqueue(*(f"acme.{number}" for number in range(6)), expires=HOUR)
        acme.finish("acme.0", dict(acme.fetch(WORKER, 1))["acme.0"], "failed")
        acme.redis.config_set("maxmemory", 1)
        before = acme.snapshot()

        refused: list[tuple[Any, ...]] = [
            ("enqueue", "acme.a", TASK, TENANT, 0, "", "", HOUR, "k", "", "acme.b", TASK, TENANT, 0, "", *[""] * 4),
            ("fire", "report", 1_000, 1, "", "acme.fired"),
            ("trigger", "report", "acme.triggered", ""),
            ("put", "other", "{}", TASK, TENANT, 0, ENVELOPE, "", "skip", "", 5, "{}"),
            ("replay", "acme.0", "acme.again"),
            ("chord", "h", "h~join", TASK, TENANT, 0, ENVELOPE),
        ]  # fmt: skip
        for call in refused:
            with pytest.raises(ServerFull):
                acme.call(*call)
        assert before == acme.snapshot()

        (one, two, three, four) = acme.fetch(WORKER, 4)
        acme.start(*one)
        assert 1 == acme.call("progress", *one, '{"s":"HALF"}')
        assert 1 == acme.finish(*one)
        assert 1 == acme.retry(*two)
        assert 1 == acme.call("hand_back", "", *three)
        assert [1, 0] == acme.call("died", *four)
        assert 1 == acme.call("part", "g", "0:acme.zero", "{}")
        assert 1 == acme.call("record", "acme.link", "failed", "{}", TASK, TENANT)
        assert b"cancelled" == acme.call("cancel", "acme.5", "why")
        acme.call("look", 16)
        acme.call("expire")
        assert [0, 0] == acme.rescue()
        assert "g~join" in acme.waiting()
        acme.server.close()
