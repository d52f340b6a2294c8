"""What needs attention, by how tenants stand."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from taglane.model.standing import FailingJob, TagStanding, TenantStanding
from taglane_scheduler.care.alerts import Alert
from taglane_scheduler.care.attention import KINDS, Attention, attention
from test_docs import unknown_in

NOW = 1_800_000_000_000


def standing(tenant: str = "acme", **fields: Any) -> TenantStanding:
    return TenantStanding(tenant, at=NOW, **fields)


def one(**fields: Any) -> Attention:
    (found,) = attention([standing(**fields)])
    return found


def test_a_tenant_that_is_well_needs_none() -> None:
    """Nor does one whose work waits for its workers, or has waited for nobody for a moment."""
    busy = TagStanding("acme", queued=500, oldest=60_000, workers=1)
    new = TagStanding("acme.gpu", queued=1, oldest=3_000)

    assert [] == attention([standing(), standing("b", tags=(busy, new), queued=501, workers=1)])


@pytest.mark.parametrize(
    ("fields", "kind", "subject", "text", "command", "since"),
    [
        (
            {"tags": (TagStanding("acme.gpu", queued=2, oldest=125_000),)},
            "no_worker",
            "acme.gpu",
            "2 runs wait for tag acme.gpu, the first for 2m5s, and no living worker serves it",
            "taglane worker --tag acme.gpu",
            NOW - 125_000,
        ),
        (
            {"stalled": 1, "stalled_workers": ("w1",)},
            "stalled",
            "w1",
            "worker w1 has been silent for longer than its lease",
            "taglane workers --tenant acme",
            None,
        ),
        (
            {"failing": (FailingJob("report", 4, NOW - 5),)},
            "failing",
            "report",
            "the last 4 runs of job report did not succeed",
            "taglane run list job:report --tenant acme",
            NOW - 5,
        ),
        (
            {"overdue": 3, "first_due": ("sync", NOW - 7_265_000)},
            "overdue",
            "sync",
            "job sync should have fired 2h1m ago, and 2 more: no scheduler has fired it",
            "taglane job next sync --tenant acme",
            NOW - 7_265_000,
        ),
        (
            {"at_limit": True, "running": 4, "queued": 9, "oldest": 61_000},
            "at_limit",
            "",
            "at its limit of 4 runs at once, and 9 runs wait, the first for 1m1s",
            "taglane tenant show acme",
            None,
        ),
        (
            {"state": "paused", "queued": 1, "oldest": 1_000, "overdue": 1, "first_due": ("x", 1)},
            "paused",
            "",
            "paused, and 1 run waits, the first for 1s",
            "taglane tenant resume acme",
            NOW - 1_000,
        ),
        (
            {"dead": 2, "last_death": NOW - 86_000},
            "dead",
            "",
            "2 dead letters, the last 1m26s ago",
            "taglane dead list --tenant acme",
            NOW - 86_000,
        ),
        (
            {"readable": False},
            "unreadable",
            "",
            "some of its keys hold something else than ours",
            "taglane doctor",
            None,
        ),
    ],
)
def test_what_is_said_of_it(
    fields: dict[str, Any], kind: str, subject: str, text: str, command: str, since: int | None
) -> None:
    """One line for people, and the command that shows or mends it."""
    assert Attention(kind, "acme", subject, text, command, since) == one(**fields)
    assert not unknown_in(command.split()[1:])


def test_what_is_no_news() -> None:
    """An old dead letter, a pause or a limit for which nothing waits, what a draining tenant does not fire any more."""
    assert [] == attention(
        [
            standing("a", dead=1, last_death=NOW - 3_600_001),
            standing("b", state="paused"),
            standing("d", at_limit=True),
            standing("c", state="draining", overdue=1, first_due=("x", 1)),
        ]
    )


def test_the_gravest_first_then_the_oldest() -> None:
    """And what an alert says of the same thing is said once."""
    tags = (TagStanding("acme", queued=1, oldest=9_000),)
    alerts = [
        Alert("no_worker", "acme", "acme", "twice", NOW, NOW),
        Alert("overuse", "b", "memory", "too much", 7, 8),
        Alert("no_worker", "b", "b.gpu", "older", NOW - 90_000, NOW),
    ]

    found = attention(
        [standing(dead=1, last_death=NOW), standing("b", at_limit=True, queued=1), standing(tags=tags)], alerts
    )

    assert [("no_worker", "b"), ("no_worker", "acme"), ("at_limit", "b"), ("dead", "acme"), ("overuse", "b")] == [
        (each.kind, each.tenant) for each in found
    ]
    assert "twice" not in [each.text for each in found]


standings = st.builds(
    TenantStanding,
    tenant=st.sampled_from(["a", "b"]),
    state=st.sampled_from(["", "paused", "draining"]),
    queued=st.integers(0, 9),
    oldest=st.one_of(st.none(), st.integers(0, 10**9)),
    dead=st.integers(0, 2),
    last_death=st.one_of(st.none(), st.integers(0, 2**50)),
    at_limit=st.booleans(),
    readable=st.booleans(),
    at=st.integers(0, 2**50),
    overdue=st.integers(0, 2),
    first_due=st.one_of(st.none(), st.tuples(st.just("x"), st.integers(-1, 2**50))),
    failing=st.just((FailingJob("x", 3, 0),)),
)


@given(st.lists(standings, max_size=6))
def test_each_thing_is_told_once_in_order(found: list[TenantStanding]) -> None:
    told = attention(found)

    assert len(told) == len({(each.kind, each.tenant, each.subject) for each in told})
    assert [KINDS.index(each.kind) for each in told] == sorted(KINDS.index(each.kind) for each in told)
    assert all(each.text and each.command and "\n" not in each.text for each in told)
