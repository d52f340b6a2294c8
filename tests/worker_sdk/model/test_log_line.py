"""A logged line is a value."""

from __future__ import annotations

from taglane.model.log_line import LOG, LogLine


def test_lines_are_values() -> None:
    """Two that say the same are equal, and can be told apart by their place."""
    one = LogLine("1-0", 1, "INFO", "shop", "text", 1, LOG)

    assert one == LogLine("1-0", 1, "INFO", "shop", "text", 1, LOG)
    assert one != LogLine("1-1", 1, "INFO", "shop", "text", 1, LOG)
