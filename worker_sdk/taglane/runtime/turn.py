"""Decides between threads, and between a thread and a signal's handler, who does what is to be done once."""

from __future__ import annotations


class Turn:
    """The first who takes it has it; it needs no lock, so that a handler may take it at any moment."""

    __slots__ = ("_left",)

    def __init__(self) -> None:
        self._left: list[None] = [None]

    def take(self) -> bool:
        """Whether it is the caller's; every other one has come too late."""
        try:
            self._left.pop()
        except IndexError:
            return False
        return True
