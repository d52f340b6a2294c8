"""The roster of leases."""

from __future__ import annotations

from factories import make_held
from taglane.runtime.carry import Outcome
from taglane.runtime.held import Roster
from taglane.runtime.run_log import Bounds, Said


def test_a_lease_is_found_by_run_message_and_tag() -> None:
    """A follow-up goes by the id of the run whose end it tells, as a message; a tag is for one lease alone."""
    roster = Roster()
    held = make_held("acme.1~end", 7, ended="dead", of="acme.1")
    roster.add(held)

    assert held is roster.of_run("acme.1~end")
    assert held is roster.of_message("acme.1")
    assert held is roster.of_tag("7:acme.1~end")
    assert roster.of_tag("6:acme.1~end") is None
    assert [held] == list(roster)

    roster.remove(held)
    assert (0, None, None) == (len(roster), roster.of_run("acme.1~end"), roster.of_message("acme.1"))


def test_a_renewal_marks_what_it_names() -> None:
    """What has started is said once, with its age in ms; what is lost is not claimed."""
    roster = Roster()
    roster.add(make_held("acme.1", 1, started_at=9.5, last=True))
    roster.add(make_held("acme.2", 2))
    roster.add(make_held("acme.3", 3, started_at=9.0, lost=True))

    assert 9.5 == roster.first_unmarked()
    assert [1, "acme.1", 1, 500, "1", "acme.1", 1, "acme.2", 2] == roster.renewal(10.0)
    assert roster.first_unmarked() is None
    assert [0, "acme.1", 1, "acme.2", 2] == roster.renewal(11.0)


def test_stuck_is_what_the_pool_was_given_and_did_not_begin() -> None:
    """Neither what executes, nor what waits in the inbox, nor what is fresh."""
    roster = Roster()
    roster.add(make_held("acme.stuck", taken=True))
    roster.add(make_held("acme.executes", taken=True, started_at=10.5))
    roster.add(make_held("acme.waits"))
    roster.add(make_held("acme.fresh", taken=True, fetched_at=12.0))

    assert ["acme.stuck"] == roster.stuck_since(11.0)


def test_what_was_noted_wins_but_for_what_was_logged() -> None:
    """The parent's word of an end, and the lines that its child has brought; without either it has failed."""
    held, log = make_held(), [Said(1, 1, 0, Bounds(1, 1), [], 0)]

    assert held.last_word(None) == Outcome("failed")
    assert held.last_word(Outcome("succeeded", log=log)) == Outcome("succeeded", log=log)
    held.note(Outcome("cancelled", "why"))
    assert held.last_word(Outcome("succeeded", log=log)) == Outcome("cancelled", "why", log=log)
    assert held.last_word(None) == Outcome("cancelled", "why")
