"""The bookkeeping of what a worker holds: no server, no thread, no waiting."""

from __future__ import annotations

import pytest
from taglane.model.envelope import Delivery
from taglane.runtime import holdings as module
from taglane.runtime.carry import Outcome
from taglane.runtime.holdings import Holdings
from taglane.runtime.outbox import HAND_BACK_MS, Call
from taglane.runtime.pace import FRESH, STALE
from taglane.runtime.run_log import Bounds, Said

LEASE = 15.0
SUCCEEDED = Outcome("succeeded", '{"r":7}')


class Clock:
    """The monotonic clock, which stands still until a test moves it."""

    def __init__(self) -> None:
        self.now = 1_000.0

    def monotonic(self) -> float:
        return self.now


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    clock = Clock()
    monkeypatch.setattr(module, "time", clock)
    return clock


@pytest.fixture
def held(clock: Clock) -> Holdings:
    """Holdings that serve a pool of two."""
    del clock
    holdings = Holdings(lease=LEASE, batch=8)
    holdings.serve(2)
    return holdings


def make_delivery(name: str = "1", token: int = 1, rescues: int = 0, of: str = "") -> Delivery:
    return Delivery(
        run=f"acme.{name}",
        token=token,
        envelope=b"{}",
        attempt=1,
        tenant="acme",
        tag="acme",
        job="",
        due=None,
        rescues=rescues,
        ended="dead" if of else "",
        of=of,
        task="a.b",
    )


def make_deliveries(count: int, rescues: int = 0) -> list[Delivery]:
    return [make_delivery(str(number), rescues=rescues) for number in range(1, count + 1)]


def take(held: Holdings) -> str | None:
    delivery = held.take()
    return delivery.run if delivery else None


def start(held: Holdings, count: int = 1) -> None:
    """Take so many, and let the pool execute them."""
    for _ in range(count):
        delivery = held.take()
        assert delivery is not None
        held.applied(delivery.run)
        held.began(delivery.run)


def said(held: Holdings) -> list[Call]:
    """What is to be said now."""
    with held.lock:
        return held.pack(100)


def appetite(held: Holdings) -> int:
    with held.lock:
        return held.appetite()


def teach(held: Holdings, clock: Clock, seconds: float) -> None:
    """Let many runs have taken so long."""
    for _ in range(100):
        held.receive([make_delivery("lesson")])
        start(held)
        clock.now += seconds
        held.renewed_at = clock.now
        held.settle("acme.lesson", SUCCEEDED)
    said(held)


# -- taking ------------------------------------------------------------------------------------------------------------


def test_the_window(held: Holdings) -> None:
    """No more are taken than the pool executes at once, the first fetched first; an end makes room for one."""
    held.receive(make_deliveries(4))

    assert ["acme.1", "acme.2", None] == [take(held) for _ in range(3)]
    assert not held.has_room()
    held.settle("acme.2", SUCCEEDED)
    assert held.has_room()
    assert ["acme.3", None] == [take(held) for _ in range(2)]


def test_nothing_to_take(held: Holdings) -> None:
    """An empty inbox gives nothing."""
    assert held.take() is None
    assert held.is_idle()
    assert not held.is_busy()


def test_a_worker_that_could_not_renew_starts_nothing(held: Holdings, clock: Clock) -> None:
    """After most of a lease it asks first whether it still holds what it holds, and takes again when it knows."""
    held.receive(make_deliveries(2))
    clock.now += LEASE * FRESH + 0.1

    assert held.take() is None
    assert held.must_renew
    assert not held.has_news()

    held.renewed_at = clock.now
    assert "acme.1" == take(held)


def test_what_was_lost_meanwhile_is_not_started(held: Holdings, clock: Clock) -> None:
    """What the server gave to others in that time is dropped, the rest taken."""
    held.receive(make_deliveries(2))
    clock.now += LEASE
    assert held.take() is None

    held.lose(["acme.1"])
    held.renewed_at = clock.now

    assert ["acme.2", None] == [take(held) for _ in range(2)]


def test_the_loop_is_woken_for_what_it_can_take(held: Holdings) -> None:
    """By what arrives, and by an end that makes room."""
    woken: list[str] = []
    held.wake = lambda: woken.append("x")

    held.receive(make_deliveries(1))
    held.take()
    assert 1 == len(woken)
    held.settle("acme.1", SUCCEEDED)
    assert 2 == len(woken)


# -- fetching ----------------------------------------------------------------------------------------------------------


def test_appetite_follows_the_mean(held: Holdings, clock: Clock) -> None:
    """About 100 ms of work is held beyond what executes: many short runs, one long one, never more than a batch."""
    teach(held, clock, 0.001)
    assert 8 == appetite(held)
    teach(held, clock, 0.05)
    assert 4 == appetite(held)
    teach(held, clock, 10.0)
    assert 1 == appetite(held)


def test_refill_when_half_is_left(held: Holdings, clock: Clock) -> None:
    """Else batches would be of one or two."""
    teach(held, clock, 0.001)
    held.receive(make_deliveries(8))
    assert 0 == appetite(held)

    appetites = []
    for number in range(1, 6):
        take(held)
        held.settle(f"acme.{number}", SUCCEEDED)
        appetites.append(appetite(held))

    assert [0, 0, 0, 4, 5] == appetites


def test_the_fetcher_is_told_of_appetite(held: Holdings) -> None:
    """Whatever empties the inbox: a start, a loss, a cancel, what was refused."""
    told: list[str] = []
    held.room.notify_all = lambda: told.append("x")  # type: ignore[method-assign]

    def told_by(act: str) -> bool:
        told.clear()
        held.is_waiting = True
        held.receive(make_deliveries(1))
        match act:
            case "lose":
                held.lose(["acme.1"])
            case "cancel":
                held.cancel("acme.1")
            case "refuse":
                held.take()
                told.clear()
                held.is_waiting = True
                held.refuse("acme.1")
            case _:
                held.take()
                held.settle("acme.1", None)
        return bool(told)

    assert [True] * 4 == [told_by(act) for act in ("take", "lose", "cancel", "refuse")]


def test_a_run_that_was_rescued_twice_is_alone(held: Holdings, clock: Clock) -> None:
    """While it is held nothing else is fetched; after its end everything is again."""
    teach(held, clock, 0.001)
    held.receive([make_delivery("poison", rescues=2)])

    assert 0 == appetite(held)
    take(held)
    assert 0 == appetite(held)
    held.settle("acme.poison", SUCCEEDED)
    assert 8 == appetite(held)


def test_a_lost_or_cancelled_one_is_alone_no_longer(held: Holdings) -> None:
    """However it goes."""
    for forget in (held.cancel, lambda run: held.lose([run])):
        held.receive([make_delivery("poison", rescues=2)])
        assert 0 == appetite(held)
        forget("acme.poison")
        assert appetite(held) > 0


def test_what_lies_too_long_goes_back(held: Holdings, clock: Clock) -> None:
    """Behind long runs: to the head of its queue, for another worker; less is fetched then."""
    teach(held, clock, 0.001)
    held.receive(make_deliveries(4))
    for _ in range(2):
        take(held)
    clock.now += STALE + 0.1

    with held.lock:
        held.return_stale()

    assert [("hand_back", ["", "acme.3", 1, "acme.4", 1])] == said(held)
    assert 1 == appetite(held)
    assert {"acme.1", "acme.2"} == set(held.all_runs())


def test_what_does_not_lie_too_long_stays(held: Holdings, clock: Clock) -> None:
    """Young runs, and those for which the pool has room."""
    held.receive(make_deliveries(3))
    with held.lock:
        clock.now += STALE + 0.1
        held.return_stale()
    for _ in range(2):
        take(held)
    held.receive([make_delivery("9")])
    held.settle("acme.1", None)
    take(held)
    said(held)
    clock.now += STALE - 0.2
    with held.lock:
        held.return_stale()

    assert [] == said(held)
    assert 3 == len(held.all_runs())


@pytest.mark.parametrize(("seconds", "taken"), [(0.000_01, 34), (0.002, 6), (1.0, 2)])
def test_a_pool_with_a_queue_is_given_more(held: Holdings, clock: Clock, seconds: float, taken: int) -> None:
    """A few milliseconds of work beyond what it executes, and not too many runs; of long ones nothing."""
    held.looks_ahead = True
    teach(held, clock, seconds)
    held.receive(make_deliveries(50))

    assert taken == len(list(iter(lambda: take(held), None)))


def test_a_run_that_is_to_be_alone_is_given_alone(held: Holdings, clock: Clock) -> None:
    """A pool with a queue gets none behind it."""
    held.looks_ahead = True
    teach(held, clock, 0.001)
    held.receive([make_delivery("poison", rescues=2), *make_deliveries(5)])

    assert ["acme.poison", "acme.1", None] == [take(held) for _ in range(3)]


def test_what_a_pool_does_not_get_to_is_recalled(held: Holdings, clock: Clock) -> None:
    """It began the one and not the other, for too long: the other is recalled, and goes to the head of its queue."""
    stuck: list[str] = []
    held.looks_ahead, held.on_stuck = True, stuck.extend
    held.receive(make_deliveries(2))
    start(held)
    take(held)
    clock.now += STALE + 0.1

    with held.lock:
        held.return_stale()
    assert ["acme.2"] == stuck
    held.recalled("acme.2")

    assert [("hand_back", ["", "acme.2", 1])] == said(held)
    assert ["acme.1"] == held.all_runs()


def test_a_run_that_waited_in_the_pool_is_asked_for(held: Holdings, clock: Clock) -> None:
    """It begins when it is still ours; that is asked first after most of a lease, and never was for what is lost."""
    held.receive(make_deliveries(2))
    for _ in range(2):
        take(held)

    assert held.is_sure_of("acme.1")
    clock.now += LEASE * FRESH + 0.1
    assert held.is_sure_of("acme.1") is None
    assert held.must_renew
    held.lose(["acme.1"])
    held.renewed_at = clock.now
    assert [False, True, False] == [held.is_sure_of(f"acme.{name}") for name in ("1", "2", "unknown")]


def test_who_does_not_serve_gives_back(held: Holdings) -> None:
    """What waits when serving ends, and what a fetch brings that was under way; what executes goes on."""
    held.receive(make_deliveries(3))
    take(held)

    held.stop_serving()
    held.receive([make_delivery("late")])

    assert [("hand_back", ["", "acme.2", 1, "acme.3", 1]), ("hand_back", ["", "acme.late", 1])] == said(held)
    assert ["acme.1"] == held.all_runs()
    assert held.take() is None


def test_a_run_that_comes_again_while_it_executes(held: Holdings) -> None:
    """It was lost, and is free again: not for this worker, whose old execution would end the new lease."""
    held.receive([make_delivery(token=1)])
    take(held)
    held.lose(["acme.1"])

    held.receive([make_delivery(token=2)])
    assert [("hand_back", [HAND_BACK_MS, "acme.1", 2])] == said(held)
    assert held.take() is None
    held.settle("acme.1", SUCCEEDED)
    assert [] == said(held)

    held.receive([make_delivery(token=3)])
    start(held)
    held.settle("acme.1", SUCCEEDED)
    assert [("finish", ["acme.1", 3, "succeeded", 0, '{"r":7}', ""])] == said(held)


def test_a_runs_follow_up_while_it_executes(held: Holdings) -> None:
    """What tells of its end goes by its name: two under one name can't be told apart either."""
    held.receive([make_delivery("1")])
    take(held)
    held.lose(["acme.1"])

    held.receive([make_delivery("1~end", of="acme.1")])

    assert [("hand_back", [HAND_BACK_MS, "acme.1~end", 1])] == said(held)


# -- ends --------------------------------------------------------------------------------------------------------------


def test_an_end_is_said_with_its_time(held: Holdings, clock: Clock) -> None:
    """From when the pool began it; once, however often it is told."""
    held.receive(make_deliveries(1))
    take(held)
    clock.now += 5
    held.applied("acme.1")
    clock.now += 5
    held.began("acme.1")
    clock.now += 0.25

    held.settle("acme.1", Outcome("failed", '{"e":"no"}', "0:acme.1 g {}"))
    held.settle("acme.1", SUCCEEDED)

    assert [("finish", ["acme.1", 1, "failed", 250, '{"e":"no"}', "0:acme.1 g {}"])] == said(held)
    assert [] == said(held)
    assert held.is_idle()


def test_many_ends_are_one_call(held: Holdings) -> None:
    """At most so many in it; the others keep their order. What else is to be said is said with the first."""
    held.serve(10)
    held.receive(make_deliveries(5))
    for number in range(1, 5):
        start(held)
        held.settle(f"acme.{number}", SUCCEEDED)
    take(held)
    held.refuse("acme.5")

    with held.lock:
        first, second, third = held.pack(3), held.pack(3), held.pack(3)
    assert ["finish", "hand_back"] == [move for move, _ in first]
    assert ["acme.1", "acme.2", "acme.3"] == first[0][1][::6]
    assert [("finish", ["acme.4", 1, "succeeded", 0, '{"r":7}', ""])] == second
    assert [] == third


def test_no_outcome_is_a_failure(held: Holdings) -> None:
    """A run that ended and nobody says how."""
    held.receive(make_deliveries(1))
    start(held)
    held.settle("acme.1", None)

    assert [("finish", ["acme.1", 1, "failed", 0, "", ""])] == said(held)


def test_what_the_parent_noted_wins(held: Holdings) -> None:
    """Over what the child said; a part of a chord that was noted before is kept."""
    held.receive(make_deliveries(1))
    start(held)

    assert held.note("acme.1", Outcome("failed", part="0:acme.1 g {}"))
    assert held.note("acme.1", Outcome("dead", '{"e":"no"}'))
    assert not held.note("acme.2", SUCCEEDED)
    assert Outcome("dead", '{"e":"no"}', "0:acme.1 g {}") == held.noted("acme.1")
    held.settle("acme.1", SUCCEEDED)

    assert [("finish", ["acme.1", 1, "dead", 0, '{"e":"no"}', "0:acme.1 g {}"])] == said(held)
    assert held.noted("acme.1") is None


def test_a_retry_is_a_move_of_its_own(held: Holdings) -> None:
    """It ends the lease and delays in one step."""
    held.receive(make_deliveries(1))
    take(held)
    held.settle("acme.1", Outcome("retry", '{"e":"x"}', again=("+500", "{}", "a.b", "acme.io", 3)))

    assert [("retry", ["acme.1", 1, "+500", "{}", '{"e":"x"}', "a.b", "acme.io", 3, ""])] == said(held)


def test_a_requeue_and_a_death(held: Holdings) -> None:
    """One waits a little, uncounted; the other is for the server to count."""
    held.receive(make_deliveries(2))
    start(held, 2)
    held.settle("acme.1", Outcome("requeue"))
    held.settle("acme.2", Outcome("died"))

    assert [("hand_back", [HAND_BACK_MS, "acme.1", 1]), ("died", ["acme.2", 1])] == said(held)


def test_a_refused_run_is_for_another(held: Holdings) -> None:
    """It goes back uncounted, after a little; its slot is free."""
    held.receive(make_deliveries(3))
    start(held, 2)
    held.refuse("acme.1")
    held.refuse("acme.1")

    assert [("hand_back", [HAND_BACK_MS, "acme.1", 1])] == said(held)
    assert "acme.3" == take(held)


# -- leases ------------------------------------------------------------------------------------------------------------


def test_what_is_lost_ends_unheard(held: Holdings, caplog: pytest.LogCaptureFixture) -> None:
    """Its worker says nothing of it any more; its slot is taken until it ends; one line tells of it."""
    held.receive(make_deliveries(3))
    start(held, 2)
    for _ in range(2):
        held.lose(["acme.1", "acme.3", "acme.unknown"])

    assert held.take() is None
    for run in ("acme.1", "acme.2"):
        held.settle(run, SUCCEEDED._replace(log=[Said(1, 1, 0, Bounds(8, 9), [], 0)]))
    assert [
        ("log", ["acme.2", 1, 1, 1, 0, 8, 9]),
        ("finish", ["acme.2", 1, "succeeded", 0, '{"r":7}', ""]),
    ] == said(held)
    assert held.is_idle()
    assert ["lease_lost run=acme.1", "lease_lost run=acme.3"] == caplog.messages


def test_what_is_lost_is_not_claimed(held: Holdings, clock: Clock) -> None:
    """A renewal does not name it: neither as held nor as started; it is no reason to be early."""
    held.receive(make_deliveries(2))
    for _ in range(2):
        start(held)
        clock.now += 1
    held.lose(["acme.1"])

    with held.lock:
        assert clock.now - 1 == held.first_unmarked()
        assert [2, 1, "acme.2", 1, 1000, "", "acme.2", 1] == held.renewal()
        assert held.first_unmarked() is None


def test_a_renewal_names_what_is_held(held: Holdings, clock: Clock) -> None:
    """What executes is counted, what has started since the last one is marked once, with its age."""
    held.receive(make_deliveries(3))
    start(held)
    clock.now += 0.4

    with held.lock:
        assert clock.now - 0.4 == held.first_unmarked()
        first = held.renewal()
        assert held.first_unmarked() is None
    start(held)
    with held.lock:
        second, third = held.renewal(), held.renewal()

    leases = ["acme.1", 1, "acme.2", 1, "acme.3", 1]
    assert [1, 1, "acme.1", 1, 400, "", *leases] == first
    assert [2, 1, "acme.2", 1, 0, "", *leases] == second
    assert [2, 0, *leases] == third


def test_an_early_acknowledgement_makes_a_death_the_last(held: Holdings) -> None:
    """The server learns it at once, once."""
    held.receive(make_deliveries(1))
    start(held)
    with held.lock:
        held.renewal()
    held.must_renew = False

    held.acknowledged_early("acme.1")
    assert held.must_renew
    with held.lock:
        assert [1, 1, "acme.1", 1, 0, "1", "acme.1", 1] == held.renewal()
    held.must_renew = False
    held.acknowledged_early("acme.1")
    held.acknowledged_early("acme.unknown")
    assert not held.must_renew


def test_cancel_of_what_waits_here(held: Holdings) -> None:
    """It ends at once, never having started."""
    asked: list[str] = []
    held.on_cancel = asked.append
    held.receive(make_deliveries(2))

    held.cancel("acme.1")
    held.cancel("acme.unknown")

    assert [("finish", ["acme.1", 1, "cancelled", "", "", ""])] == said(held)
    assert [] == asked
    assert ["acme.2", None] == [take(held) for _ in range(2)]


def test_cancel_of_what_executes(held: Holdings) -> None:
    """The pool is asked to stop it, by the id of the message; it says itself how it ends."""
    asked: list[str] = []
    held.on_cancel = asked.append
    held.receive([make_delivery("1"), make_delivery("2~end", of="acme.2")])
    start(held, 2)

    held.cancel("acme.1")
    held.cancel("acme.2~end")

    assert ["acme.1", "acme.2"] == asked
    assert [] == said(held)


def test_leases_are_found_by_message_and_by_tag(held: Holdings) -> None:
    """By the id that Celery knows, and by the delivery tag, which is of one lease alone."""
    held.receive([make_delivery("1", token=3), make_delivery("2~end", of="acme.2")])

    assert ("acme.1", 3) == held.lease_of("acme.1")
    assert ("acme.2~end", 1) == held.lease_of("acme.2")
    assert held.lease_of("acme.2~end") is None
    assert "acme.1" == held.run_of_lease("3:acme.1")
    assert held.run_of_lease("2:acme.1") is None
    assert held.run_of_lease("acme.1") is None
    assert held.run_of_lease("") is None


def test_in_the_pool(held: Holdings) -> None:
    """Taken is not yet in the pool: Celery may still refuse it."""
    held.receive(make_deliveries(1))
    take(held)
    assert not held.is_in_pool("acme.1")
    held.applied("acme.1")
    assert held.is_in_pool("acme.1")
    held.applied("acme.unknown")
    held.began("acme.unknown")
    assert not held.is_in_pool("acme.unknown")


def test_what_is_abandoned_is_not_spoken_of(held: Holdings) -> None:
    """A process that ends says what has ended before; the rest goes back when it leaves."""
    held.receive(make_deliveries(3))
    for _ in range(2):
        held.take()
    held.settle("acme.1", SUCCEEDED)

    assert 2 == held.abandon()
    held.settle("acme.2", SUCCEEDED)
    assert [["acme.1"]] == [given[::6] for move, given in held.pack(9) if move == "finish"]
    assert not held.serving
    assert held.renewal()[1:] == [0]


def test_whether_something_is_executed(held: Holdings) -> None:
    """What waits in the inbox is not."""
    held.receive(make_deliveries(1))
    assert not held.is_executing()
    held.take()
    assert held.is_executing()
    held.settle("acme.1", SUCCEEDED)
    assert not held.is_executing()
