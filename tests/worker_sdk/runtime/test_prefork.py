"""The pool of child processes. How it executes is held by the tests of `pools`, and end to end."""

from __future__ import annotations

from taglane.model.envelope import Delivery
from taglane.runtime import current
from taglane.runtime.carry import execute_if_ours
from taglane.runtime.holdings import Holdings
from taglane.runtime.prefork import Prefork
from taglane.runtime.standing import NEVER, Standing

RUN = "acme.1"


def test_a_child_is_told_how_much_was_lost_before() -> None:
    """What was lost on the way to the pool is never begun."""
    held = Holdings(lease=15.0, batch=8)
    held.serve(2)
    held.receive([Delivery(RUN, 1, b"{}", 1, "acme", "acme", "", None, 0, "", "", "a.b")])
    held.take()
    standing = Standing()
    standing.lose()
    current.stand(standing)
    try:
        assert (execute_if_ours, (1.0,)) == Prefork.call_of(Prefork(1), held, RUN)
        held.lose([RUN])
        assert (execute_if_ours, (NEVER,)) == Prefork.call_of(Prefork(1), held, RUN)
    finally:
        current.stand(None)
