"""What a pool's worker says, by tenant; what is one tenant's trouble alone."""

from __future__ import annotations

import pytest
from taglane.errors import LibraryMissing, NodeUnavailable, ServerUnavailable, TaglaneError
from taglane.store.pool_said import by_tenant, is_one_tenants, note_said, renewals, verdict
from taglane.store.turns import Turns


def holding() -> Turns:
    """Two tenants' runs."""
    turns = Turns()
    for run, tenant in (("a.1", "a"), ("a.2", "a"), ("b.1", "b")):
        assert turns.hold(run, 1, tenant)
    return turns


def test_what_is_said_is_split_by_tenant() -> None:
    """Ends, returns and heartbeats; of a run that is not held nothing is said."""
    turns = holding()
    ends = ["a.1", 1, "succeeded", 5, "{}", "", "b.1", 1, "failed", 5, "{}", "", "a.2", 1, "failed", 5, "{}", ""]

    assert {"a": ends[:6] + ends[12:], "b": ends[6:12]} == by_tenant(turns, "finish", ends)
    assert {"a": [9, "a.1", 1], "b": [9, "b.1", 1]} == by_tenant(turns, "hand_back", [9, "a.1", 1, "b.1", 1, "c.1", 1])
    told = renewals(turns, "w.1", ["w", 1, 1, "a.1", 1, 20, 0, "a.1", 1, "b.1", 1])
    assert [("a", ["w.1", 1, 1, "a.1", 1, 20, 0, "a.1", 1]), ("b", ["w.1", 1, 0, "b.1", 1])] == [
        (tenant, given) for _, tenant, given in told
    ]


def test_what_was_said_is_held_no_more() -> None:
    """However it left."""
    turns = holding()
    note_said(turns, "finish", ["a.1", 1, "succeeded", 5, "{}", ""])
    note_said(turns, "hand_back", [9, "a.2", 1])
    note_said(turns, "renew", ["w.1", 0, 0, "b.1", 1])
    assert [("b.1", 1)] == list(turns.stays)
    note_said(turns, "retry", ["b.1", 1])
    assert not turns.stays


@pytest.mark.parametrize(
    ("error", "alone"),
    [
        (NodeUnavailable("gone"), True),
        (ServerUnavailable("fetch: WRONGTYPE Operation"), True),
        (ServerUnavailable("gone"), False),
        (LibraryMissing(), False),
    ],
)
def test_whose_trouble_it_is(error: TaglaneError, alone: bool) -> None:
    """One tenant's, by its keys or its node; or the server's."""
    assert alone == is_one_tenants(error)


def test_a_limit_parks_and_an_empty_queue_ends_turns() -> None:
    """What a fetch says, in the words of pool.lua."""
    told = [verdict(why, 30) for why in ("", "running", "paused", "slots", "rate", "alone", "more")]
    assert ["empty", "park", "park", "park", "park 30", "park 100", "more"] == told
