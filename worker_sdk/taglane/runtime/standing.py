"""Whether what a worker was given is still its own, in memory that it shares with the children that execute it.

A run may lie in a child's pipe while the whole worker stands still, for longer than its lease: then another worker
has it by now. The child that comes to it afterwards asks here, and no server, before it begins.
"""

from __future__ import annotations

import mmap
import struct
import time

NEVER = -1.0
"""Stands for a run that is known to be another's already."""


class Standing:
    """What the parent process last heard of its leases. To be made before the children are forked.

    Its two numbers are written by one thread, each alone: nobody needs a lock. Losses are written before the renewal
    that told them: who reads that reads them too.
    """

    def __init__(self) -> None:
        self._memory = mmap.mmap(-1, 16)
        self.renew(float("inf"))

    def renew(self, until: float) -> None:
        """Say that the leases hold until an instant of the monotonic clock, which all processes of a machine share."""
        struct.pack_into("d", self._memory, 0, until)

    def lose(self) -> None:
        """Say that the server has given some of them to others: to be said before the renewal that told it."""
        struct.pack_into("d", self._memory, 8, self.losses + 1)

    @property
    def losses(self) -> float:
        """How often that was: goes with each run that is given to a child."""
        return float(struct.unpack_from("d", self._memory, 8)[0])

    def is_sure(self, losses: float) -> bool:
        """Whether a run that was given away after so many losses may begin."""
        until, now_lost = struct.unpack_from("dd", self._memory)
        return bool(now_lost == losses and time.monotonic() <= until)
