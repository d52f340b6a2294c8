"""The accounts of a pool's worker: what it tells the pool, and that nothing of it is lost or told twice."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st
from taglane.store.turns import Turns


def told(turns: Turns) -> dict[str, list[str | int]]:
    """What is told of each tenant."""
    said = turns.statement()
    return {str(said[i]): said[i + 1 : i + 9] for i in range(0, len(said), 9)}


def test_a_turn_is_told_once() -> None:
    """What became of it, what it had, and what is held."""
    turns = Turns()
    turns.begin("acme", 4, 10.0)
    turns.hold("r1", 1, "acme")
    turns.end("acme", "7", "empty", 1)

    assert turns.is_pressing()
    assert {"acme": ["7", "empty", 1, 4, 0, "0.000", "-30.000", 1]} == told(turns), "it was charged for four"
    assert {} == told(turns)
    assert not turns.is_pressing()


def test_the_time_of_a_run_is_charged_once() -> None:
    """While it goes by what has passed, and at its end by what is left of what it took."""
    turns = Turns()
    turns.hold("r1", 1, "acme")
    turns.started("r1", 1, at=10.0)
    turns.charge_going(now=12.0)
    assert "2000.000" == told(turns)["acme"][6]
    turns.charge_going(now=12.5)

    turns.let_go("r1", 1, now=13.0, ran_ms=3_100.0)

    assert [1, "3100.000", "1100.000", 0] == told(turns)["acme"][4:]


def test_a_run_whose_time_nobody_told_is_charged_from_its_start() -> None:
    """A retry does not say how long it took; what never started is charged nothing."""
    turns = Turns()
    for run in ("r1", "r2"):
        turns.hold(run, 1, "acme")
    turns.started("r1", 1, at=10.0)

    turns.let_go("r1", 1, now=11.0)
    turns.let_go("r2", 1, now=11.0)
    turns.let_go("r2", 1, now=12.0)

    assert [1, "1000.000", "1000.000", 0] == told(turns)["acme"][4:]


def test_what_was_charged_with_the_turn_is_settled_to_the_millisecond() -> None:
    """Whatever the pool takes a run to cost by then: what went back unexecuted costs nothing."""
    turns = Turns()
    turns.begin("acme", 3, 10.0)
    for run in ("short", "long", "back"):
        turns.hold(run, 1, "acme")
    turns.end("acme", "1", "more", 3)
    turns.started("long", 1, at=0.0)
    turns.charge_going(now=0.005)
    turns.charge_going(now=0.050)
    assert "40.000" == told(turns)["acme"][6]

    turns.let_go("short", 1, now=1.0, ran_ms=4.0)
    turns.let_go("long", 1, now=1.0, ran_ms=70.0)
    turns.let_go("back", 1, now=1.0)

    assert [2, "74.000", "4.000", 0] == told(turns)["acme"][4:], "4 - 10, 70 - 50, 0 - 10"


def test_of_a_tenant_that_is_being_visited_it_is_not_told_what_is_held() -> None:
    """The pool would strike it out of this worker's visits, just before it has something."""
    turns = Turns()
    turns.hold("r1", 1, "acme")
    turns.begin("acme", 1)
    turns.let_go("r1", 1, now=1.0)

    assert "" == told(turns)["acme"][7]

    turns.end("acme", "1", "more", 0)
    assert 0 == told(turns)["acme"][7]


def test_two_runs_that_cant_be_told_apart_are_not_both_held() -> None:
    """Somebody chose the ids: the second one is another tenant's, and goes back."""
    turns = Turns()

    assert turns.hold("same", 1, "acme")
    assert not turns.hold("same", 1, "globex")

    assert "acme" == turns.tenant_of("same", 1)
    assert turns.tenant_of("same", 2) is None
    assert {"acme": 1} == {tenant: said[7] for tenant, said in told(turns).items()}


def test_what_was_not_heard_is_told_again() -> None:
    """Together with what has happened since: a later word on a queue wins."""
    turns = Turns()
    turns.begin("acme", 2)
    turns.hold("r1", 1, "acme")
    turns.end("acme", "1", "empty", 1)
    said = turns.statement()
    turns.let_go("r1", 1, now=1.0, ran_ms=5.0)
    turns.end("acme", "2", "more", 0)

    turns.restore(said)

    assert {"acme": ["2", "more", 1, 2, 1, "5.000", "5.000", 0]} == told(turns)


def test_a_tenant_whose_slots_are_counted_is_pressing_when_it_has_fewer() -> None:
    """Others wait for it; of all others that can wait for the next word."""
    turns = Turns()
    for tenant in ("counted", "other"):
        turns.begin(tenant, 1, counted=tenant == "counted")
        turns.hold(tenant, 1, tenant)
        turns.end(tenant, "1", "more", 1)
    turns.statement()

    turns.let_go("other", 1, now=1.0)
    assert not turns.is_pressing()
    turns.let_go("counted", 1, now=1.0)
    assert turns.is_pressing()


@given(st.lists(st.tuples(st.sampled_from("abc"), st.integers(0, 50), st.booleans()), max_size=30))
def test_the_sums_are_right_whenever_they_are_told(runs: list[tuple[str, int, bool]]) -> None:
    """However often the worker speaks, and whatever is not heard: each run's time is told once in all."""
    turns = Turns()
    ended: dict[str, int] = dict.fromkeys("abc", 0)
    spent: dict[str, float] = dict.fromkeys("abc", 0.0)
    heard: dict[str, list[float]] = {tenant: [0, 0.0] for tenant in "abc"}
    for number, (tenant, ms, speaks) in enumerate(runs):
        turns.hold(f"r{number}", 1, tenant)
        turns.started(f"r{number}", 1, at=0.0)
        turns.charge_going(now=ms / 2_000)
        if speaks:
            turns.restore(turns.statement())
        turns.let_go(f"r{number}", 1, now=ms / 1_000, ran_ms=float(ms))
        ended[tenant] += 1
        spent[tenant] += ms
        for name, told_of in told(turns).items() if speaks else ():
            heard[name][0] += int(told_of[4])
            heard[name][1] += float(told_of[6])
    for name, told_of in told(turns).items():
        heard[name][0] += int(told_of[4])
        heard[name][1] += float(told_of[6])

    for tenant in "abc":
        assert ended[tenant] == heard[tenant][0]
        assert abs(spent[tenant] - heard[tenant][1]) < 0.1


def test_what_the_pool_may_have_wrong_is_told_anew() -> None:
    """Of a tenant of which nothing is held, too."""
    turns = Turns()
    turns.hold("r1", 1, "acme")
    told(turns)

    turns.recount(["acme", "globex"])

    assert {"acme": 1, "globex": 0} == {tenant: said[-1] for tenant, said in told(turns).items()}
