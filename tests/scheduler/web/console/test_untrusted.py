"""What tenants wrote is fit to be shown."""

from __future__ import annotations

from typing import Any

from hypothesis import given
from hypothesis import strategies as some
from taglane_scheduler.web.console.untrusted import plain, shown_json


def test_what_steers_a_terminal_or_turns_text_is_left_out() -> None:
    """Colours, titles, links, controls, marks of direction; lines and tabs stay."""
    text = "a\x1b[31;1mred\x1b[0m\x1b]0;title\x07\x1b]8;;http://x\x1b\\link\x00\x08\u202eabc\u2066\r\n\tend\ud800\x1b"

    assert "aredlinkabc\n\tend" == plain(text)


@given(some.text(), some.integers(1, 50))
def test_a_text_is_bounded(text: str, most: int) -> None:
    """One character says that there was more."""
    assert len(plain(text, most)) <= most + 1
    assert "\x1b" not in plain(text * 9, most)


def test_json_is_bounded_and_never_too_deep() -> None:
    """Huge and hostile values are cut."""
    deep: Any = []
    for _ in range(20_000):
        deep = [deep]

    assert len(shown_json(["x" * 100_000])) < 20_100
    assert shown_json(["x" * 100_000]).endswith("+80008")
    assert "…" == shown_json(deep)
    assert '{\n  "é": "\\u001b"\n}' == shown_json({"é": "\x1b"})
