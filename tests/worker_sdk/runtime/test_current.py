"""The holdings of this process."""

from __future__ import annotations

from taglane.runtime import current
from taglane.runtime.holdings import Holdings
from taglane.runtime.standing import Standing


def test_a_process_has_one_at_most() -> None:
    """There are none until a worker starts, and none after it."""
    assert current.holdings() is None
    held = Holdings(lease=15.0, batch=8)
    current.hold(held)
    try:
        assert held is current.holdings()
    finally:
        current.hold(None)
    assert current.holdings() is None


def test_a_process_has_one_standing() -> None:
    """Its children inherit it."""
    assert current.standing() is None
    standing = Standing()
    current.stand(standing)
    try:
        assert standing is current.standing()
    finally:
        current.stand(None)
