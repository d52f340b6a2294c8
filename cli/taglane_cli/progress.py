"""Shows how far a long command is, as a bar on the terminal; nowhere else, and not for what takes no time."""

from __future__ import annotations

import sys
from contextlib import contextmanager
from typing import TYPE_CHECKING

import click

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

LONG = 1_000
"""How many things take so long that somebody who waits wants to see them go by."""


@contextmanager
def progress(label: str, length: int) -> Iterator[Callable[[int], None] | None]:
    """Give what is to be told how many more of *length* things are done; None where nobody is to see it."""
    if length < LONG or not sys.stderr.isatty():
        yield None
        return
    with click.progressbar(length=length, label=label, file=sys.stderr) as bar:
        yield bar.update
