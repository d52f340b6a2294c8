"""What a process says of itself. How it is told is held by the tests of `health`."""

from __future__ import annotations

import os

from taglane.runtime.pulse import Pulse


def test_a_child_reports_to_who_forked_it() -> None:
    """The memory is shared; a successor begins anew."""
    pulse = Pulse()
    child = os.fork()
    if not child:
        pulse.answer()
        os._exit(0)
    os.waitpid(child, 0)
    assert "ok" == pulse.ready_checks()["work"]

    pulse.begin()

    assert {"server": "not yet", "work": "starting"} == pulse.ready_checks()
