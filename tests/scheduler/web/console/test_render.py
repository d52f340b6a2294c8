"""Templates, and what they may call."""

from __future__ import annotations

import re
from importlib.resources import files

import pytest
from taglane_scheduler.access.principal import Principal
from taglane_scheduler.web.console import render
from taglane_scheduler.web.console.view import Ask, View


@pytest.mark.parametrize(
    ("ms", "said", "chinese"),
    [
        (None, "-", "-"),
        (320, "320 ms", "320 毫秒"),
        (4_200, "4.2 s", "4.2 秒"),
        (300_000, "5 min", "5 分钟"),
        (10_800_000, "3 h", "3 小时"),
        (172_800_000, "2 d", "2 天"),
    ],
)
def test_a_duration_is_short(ms: int | None, said: str, chinese: str) -> None:
    assert (said, chinese) == (render.ago(ms), render.ago(ms, "zh"))


def test_half_of_a_surrogate_pair_breaks_no_page() -> None:
    """JSON of a tenant's may hold one, and UTF-8 has none."""
    view = View("error.html", "Not possible", {"text": "a\ud800b"})
    frame = {"ask": Ask("/"), "me": Principal("ann", None, "read"), "csrf": "", "language": "en", "flash": None}

    assert b"a?b" in render.render(view, frame).encode()


def test_commands_to_be_copied_quote_what_they_name() -> None:
    """A link to a form, or a worker's name, can't put a command of its own into one that somebody pastes."""
    view = View("tenant_new.html", "New tenant", {"typed": "a; reboot", "wrong": ""})
    frame = {"ask": Ask("/"), "me": Principal("ann", None, "admin"), "csrf": "", "language": "en", "flash": None}

    assert "taglane tenant create &#39;a; reboot&#39;" in render.render(view, frame)


def test_what_can_be_no_instant_is_none() -> None:
    """A tenant may write any number where a time should be."""
    assert "1970-01-01T00:00:00.001+00:00" == render.iso(1)
    assert ["", ""] == [render.iso(10**18), render.iso(None)]


def test_a_text_and_a_value_have_an_end() -> None:
    assert "ab…" == render.cut("abcdef", 3)
    assert render.pretty({"a": "x" * 100}, 20).endswith("more characters")


def test_a_static_file_has_its_hash_in_its_path() -> None:
    assert re.fullmatch(r"/static/taglane\.css\?v=[0-9a-f]{12}", render.asset("taglane.css"))


@pytest.mark.parametrize("name", render.environment().list_templates(extensions=["html"]))
def test_no_template_has_script_or_style_of_its_own(name: str) -> None:
    """The policy would not run it; and each is one that can be read."""
    source = files(render.PACKAGE).joinpath("templates", name).read_text("utf-8")

    render.environment().get_template(name)
    assert not re.search(r"<style|\sstyle=|\son[a-z]+=|javascript:|\|\s*safe|<script(?![^>]*\bsrc=)", source)
