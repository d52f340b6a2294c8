"""A list that may be too large for memory."""

from __future__ import annotations

import pytest
from taglane_scheduler import spool
from taglane_scheduler.spool import Spool


@pytest.mark.parametrize("in_memory", [1 << 20, 10])
def test_what_is_added_is_read_again(in_memory: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """In its order, as often as asked for, by several readers at once; in memory, and on disk when there is much."""
    monkeypatch.setattr(spool, "IN_MEMORY", in_memory)
    values = [["acme", {"é": [1, None, "x" * number]}] for number in range(50)]
    with Spool() as kept:
        assert [] == list(kept)
        for value in values:
            kept.add(value)

        assert list(zip(values, values, strict=True)) == list(zip(kept, kept, strict=True))
        kept.add((1,))
        assert [*values, [1]] == list(kept)
