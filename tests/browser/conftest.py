"""A browser before a real console: of a server of its own, which is logged in to by a link.

Debian's chromium is driven; where there is none, these tests are skipped, and say so: everything else about the pages
is tested without. `CHROMIUM` names another one.
"""

from __future__ import annotations

import os
import shutil
from typing import TYPE_CHECKING

import pytest
from consoles import SECONDS, console_of
from playwright.sync_api import expect, sync_playwright
from taglane_scheduler.embedded import EmbeddedServer

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from consoles import Console
    from playwright.sync_api import Browser, Page
    from taglane_scheduler.embedded import ServerBinary


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    """One browser for the tests of a module: Playwright's loop goes on in this thread, where others may want theirs."""
    path = os.environ.get("CHROMIUM") or shutil.which("chromium") or shutil.which("chromium-browser")
    if path is None:
        pytest.skip("no chromium on PATH: apt-get install chromium, or say CHROMIUM=/path/to/it")
    with sync_playwright() as playwright:
        running = playwright.chromium.launch(executable_path=path, args=["--no-sandbox", "--disable-dev-shm-usage"])
        yield running
        running.close()


@pytest.fixture
def console(binary: ServerBinary, tmp_path: Path) -> Iterator[Console]:
    """A console in a thread, as `taglane console` runs it, on a server that may be killed."""
    with EmbeddedServer(binary=binary, directory=tmp_path) as server, console_of(server) as running:
        yield running


@pytest.fixture
def page(browser: Browser) -> Iterator[Page]:
    """An empty tab: `page.goto(console.enter())` logs it in; what its pages complain of fails the test."""
    context = browser.new_context(locale="en-US", viewport={"width": 1280, "height": 800})
    context.set_default_timeout(SECONDS * 1000)
    expect.set_options(timeout=SECONDS * 1000)
    tab = context.new_page()
    complaints: list[str] = []
    tab.on("pageerror", lambda error: complaints.append(str(error)))
    tab.on("console", lambda said: complaints.append(said.text) if "Content Security Policy" in said.text else None)
    yield tab
    context.close()
    assert [] == complaints
