"""A plain model of one tenant, in memory: each move of the library as a method that takes and answers the same."""

from __future__ import annotations

from moves.by_callers import ByCallers
from moves.by_schedulers import BySchedulers
from moves.by_workers import ByWorkers


class Model(ByWorkers, ByCallers, BySchedulers):
    """Says what the server has to answer to a move, and what has to be where after it."""
