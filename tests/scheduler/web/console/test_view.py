"""What pages are made of."""

from __future__ import annotations

from taglane_scheduler.web.console.view import Ask


def test_who_asks_is_answered_in_its_language() -> None:
    """An action says what it did in the language of its page."""
    assert "已取消 3 个等待中的运行。" == Ask("/", language="zh").say("Cancelled {count} runs that waited.", count=3)
