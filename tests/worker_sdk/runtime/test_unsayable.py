from __future__ import annotations

import json

import pytest
from taglane.runtime.unsayable import instead, singly

LARGE = '{"r":"' + "x" * 1_000 + '"}'


def test_ends_are_said_one_by_one() -> None:
    """All other moves as they are, and all in their order."""
    calls = [
        ("finish", ["a", 1, "succeeded", 2, "{}", "", "b", 2, "failed", 3, "{}", ""]),
        ("hand_back", ["", "c", 3, "d", 4]),
        ("died", ["e", 5]),
    ]

    assert [
        ("finish", ["a", 1, "succeeded", 2, "{}", ""]),
        ("finish", ["b", 2, "failed", 3, "{}", ""]),
        ("hand_back", ["", "c", 3, "d", 4]),
        ("died", ["e", 5]),
    ] == singly(calls)


@pytest.mark.parametrize(
    ("kind", "said"), [("succeeded", "failed"), ("failed", "failed"), ("dead", "dead"), ("cancelled", "cancelled")]
)
def test_an_end_that_is_not_taken_is_a_smaller_one(kind: str, said: str) -> None:
    """It says how large the other was, and why it was not taken."""
    other = instead(("finish", ["a", 1, kind, 2, LARGE, ""]), "too long")

    assert other is not None
    move, (run, token, state, ran, result, part) = other
    assert ("finish", "a", 1, said, 2, "") == (move, run, token, state, ran, part)
    error = json.loads(result)["e"]
    assert "EndRefused" == error["exc_type"]
    size = len(f"a1{kind}2{LARGE}")
    assert [f"the server took no word of its end, of {size} bytes: too long"] == error["exc_message"]


def test_a_part_of_a_chord_fails_with_its_run() -> None:
    """At its place in its group."""
    other = instead(("finish", ["a", 1, "succeeded", 2, LARGE, f"0:a group {LARGE}"]), "too long")

    assert other is not None
    place, group, outcome = other[1][5].split(" ", 2)
    assert ("0:a", "group") == (place, group)
    told = json.loads(outcome)
    assert ("FAILURE", "a", "EndRefused") == (told["s"], told["id"], told["r"]["exc_type"])


def test_a_try_that_is_not_taken_is_a_failure() -> None:
    """Nobody behind the run has been told of it yet."""
    other = instead(("retry", ["a", 1, "+5", LARGE, "", "a.task", "acme", 0]), "too long")

    assert other is not None
    assert ("finish", ["a", 1, "failed", ""], "-") == (other[0], other[1][:4], other[1][5])


def test_what_is_left_out() -> None:
    """What loses nothing; and what was said in the place of another, or it would never end."""
    assert instead(("hand_back", ["", "c", 3]), "no") is None
    assert instead(("died", ["c", 3]), "no") is None
    other = instead(("finish", ["a", 1, "succeeded", 2, LARGE, ""]), "no")
    assert other is not None
    assert instead(other, "no") is None
