"""What is said at the next opportunity."""

from __future__ import annotations

import time
from dataclasses import replace

import pytest
from factories import make_held
from taglane.runtime.carry import Outcome
from taglane.runtime.outbox import HAND_BACK_MS, MOST_LOGGED, Call, Outbox
from taglane.runtime.run_log import Bounds, Said


def said(outcome: Outcome, *, ran: float | None = 0.25, last: bool = False) -> list[Call]:
    outbox = Outbox()
    outbox.end(make_held(last=last), outcome, ran)
    return outbox.pack(10)


@pytest.mark.parametrize(
    ("outcome", "call"),
    [
        (Outcome("succeeded", "{}", "0 g x"), ("finish", ["acme.1", 1, "succeeded", 250, "{}", "0 g x"])),
        (Outcome("requeue"), ("hand_back", [HAND_BACK_MS, "acme.1", 1])),
        (Outcome("died"), ("died", ["acme.1", 1])),
        (
            Outcome("retry", "{}", again=("+5", "{}", "a.b", "acme", 0)),
            ("retry", ["acme.1", 1, "+5", "{}", "{}", "a.b", "acme", 0, 250]),
        ),
    ],
)
def test_each_outcome_is_a_move(outcome: Outcome, call: Call) -> None:
    """With the token of the lease."""
    assert [call] == said(outcome)


def test_a_try_by_policy_is_the_same_again() -> None:
    """After the wait, at the step that it has; the message counts one try more."""
    held, outbox = make_held(), Outbox()
    held.delivery = replace(held.delivery, envelope=b'{"b":"[[],{},{}]"}')
    outbox.end(held, Outcome("retry", '{"e":"x"}', wait=1_500), 0.25)

    ((move, given),) = outbox.pack(10)

    assert "retry" == move
    assert ["acme.1", 1, "+1500", '{"e":"x"}', "a.b", "acme", "", 250] == [*given[:3], *given[4:]]
    assert '"retries":1' in given[3]


def test_what_never_began_has_no_duration() -> None:
    """And the last death of a task that asked for it says so."""
    assert [("finish", ["acme.1", 1, "cancelled", "", "", ""])] == said(Outcome("cancelled"), ran=None)
    assert [("died", ["acme.1", 1, "1"])] == said(Outcome("died"), last=True)


def test_ends_go_together_up_to_a_bound() -> None:
    """One move ends many runs, and what is over the bound goes with the next."""
    outbox = Outbox()
    for number in range(5):
        outbox.end(make_held(f"acme.{number}"), Outcome("succeeded"), 0.0)

    ((move, arguments),) = outbox.pack(3)
    assert ("finish", ["acme.0", "acme.1", "acme.2"]) == (move, arguments[::6])
    assert outbox
    assert ["acme.3", "acme.4"] == outbox.pack(3)[0][1][::6]
    assert not outbox


def test_many_go_back_in_one_move_in_their_order() -> None:
    """To the head of their queues; and none go back in no move."""
    outbox = Outbox()
    outbox.hand_back_at_once([])
    assert not outbox
    outbox.hand_back_at_once([make_held("acme.1").delivery, make_held("acme.2", 2).delivery])
    assert [("hand_back", ["", "acme.1", 1, "acme.2", 2])] == outbox.pack(10)


def test_what_was_logged_is_said_before_the_end() -> None:
    """So that who is told of an end finds all lines there; of much, some at a time, and the ends behind all of it."""
    outbox = Outbox()
    line = (time.monotonic(), 8_000, "INFO\tlog\tshop", "x" * 8_000)
    log = [Said(2, 1 + 100 * part, 0, Bounds(5, 6), [line] * 100, 800_000) for part in range(3)]
    outbox.end(make_held(), Outcome("retry", again=("+5", "{}", "a.b", "acme", 0), log=log), 0.0)
    outbox.end(make_held("acme.2"), Outcome("succeeded"), 0.0)

    rounds = []
    while outbox:
        rounds.append(outbox.pack(10))

    assert MOST_LOGGED < sum(said.size for said in log)
    assert [[move for move, _ in calls] for calls in rounds] == [["log", "log"], ["log", "finish", "retry"]]
    assert [given[:7] for calls in rounds for move, given in calls if move == "log"] == [
        ["acme.1", 1, 2, first, 0, 5, 6] for first in (1, 101, 201)
    ]
