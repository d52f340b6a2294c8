"""Random interleavings of all moves, held against the plain model of tests/moves: what the table of moves promises."""

from __future__ import annotations

import os

from factories import make_server
from hypothesis import HealthCheck, Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import initialize, run_state_machine_as_test
from moves.caller_rules import CallerRules
from moves.machine import flags
from moves.model import Model
from moves.scheduler_rules import SchedulerRules, overlaps
from moves.worker_rules import WorkerRules
from taglane.store.functions import OPERATOR_MOVES, POOL_MOVES, READS, TENANT_MOVES

EXAMPLES = int(os.environ.get("MODEL_EXAMPLES", "0"))
"""So many examples, other ones each time, instead of the few that are always the same."""


class Moves(WorkerRules, CallerRules, SchedulerRules):
    """Workers, callers and schedulers of one tenant."""

    @initialize(overlap=overlaps, after=flags, size=st.integers(1, 3), lossy=st.sampled_from([False, False, True]))
    def populate(self, overlap: str, after: bool, size: int, lossy: bool) -> None:
        """Begin with some of everything: else most rules find nothing to work on."""
        self.lossy = lossy
        self.put("hourly", overlap, after, due="new", tag=2, step=0)
        self.fire_often("hourly", 2, flush=False)
        self.enqueue(0, 0, "", "+3600000", "", deps=True, two=False)
        self.send_chord(size, 0, 9)
        self.enqueue(1, 3, "+3600000", "+3600000", "k", deps=False, two=True)
        self.enqueue(0, 9, "", "1", "", deps=True, two=False)
        self.fetch("w0", 2, both=False, turned=False)
        self.fire_often("hourly", 2, flush=False)


TOLD = ("drain",)
"""What changes no run: it tells a worker, which then makes moves of its own. See tests/faults/test_workers.py."""


def test_the_model_has_every_move() -> None:
    """A move of the library that the model does not know is a gap in it."""
    assert [] == [
        move
        for move in [*TENANT_MOVES, *OPERATOR_MOVES]
        if move not in {*POOL_MOVES, *READS, *TOLD} and not callable(getattr(Model, move, None))
    ]


def test_moves_agree_with_the_model(url: str) -> None:
    """Whatever the order of moves, crashes and lost replies, the server does what the model says, and loses nothing."""
    Moves.server = make_server(url)
    run_state_machine_as_test(
        Moves,
        settings=settings(
            max_examples=EXAMPLES or 150,
            stateful_step_count=50,
            derandomize=not EXAMPLES,
            database=None,
            deadline=None,
            report_multiple_bugs=False,
            phases=[Phase.generate] if EXAMPLES else [Phase.generate, Phase.shrink],
            suppress_health_check=list(HealthCheck),
        ),
    )
    Moves.server.close()
    print(f"{Moves.moves_made} moves")  # shown with -s
