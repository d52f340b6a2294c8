"""The overview, looked at while things happen."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from axe_playwright_python.sync_playwright import Axe
from factories import HandWorker, enqueue
from playwright.sync_api import expect
from seed import fill

if TYPE_CHECKING:
    from consoles import Console
    from playwright.sync_api import Page


PATHS = (
    "/",
    "/queues",
    "/workers",
    "/tenants",
    "/tenants/hooli",
    "/new-tenant",
    "/templates",
    "/audit",
    "/alerts",
    "/jobs",
    "/jobs/acme/report",
    "/jobs/acme/gone",
    "/jobs/new",
    "/runs",
    "/runs?q=stat:x",
    "/dead",
    "/people",
    "/keys",
    "/account",
)
"""Every page but that of a run, which tests/browser/test_runs.py has while it runs and when it has failed."""


def test_what_happens_is_seen_without_a_click(page: Page, console: Console) -> None:
    """A run that waits, one that fails, a worker that comes; what the reader has opened and typed stays as it is."""
    console.services.tenants.create("acme")
    page.goto(console.enter())
    row = page.locator("#tenant-acme")
    expect(row).to_be_visible()
    page.locator(".menu summary").click()
    page.get_by_role("searchbox").fill("ac")

    run = enqueue(console.services.server, "acme")
    expect(row.locator("td").nth(2)).to_have_text("1")
    worker = HandWorker(console.services.server, "acme").hello()
    worker.finish(worker.fetch(), "failed")

    expect(row).to_contain_text("0 / 1")
    expect(page.get_by_role("searchbox")).to_have_value("ac")
    expect(page.locator(".menu > div")).to_be_visible()
    assert run


def test_the_server_goes_and_comes_back(page: Page, console: Console) -> None:
    """The banner says that it is gone; when it is back, the page goes on by itself."""
    console.services.tenants.create("acme")
    page.goto(console.enter())
    expect(page.locator("#tenant-acme")).to_be_visible()

    console.server.kill()
    expect(page.locator("#gone")).to_be_visible()
    console.server.restart()
    enqueue(console.services.server, "acme")

    expect(page.locator("#gone")).to_be_hidden()
    expect(page.locator("#tenant-acme td").nth(2)).to_have_text("1")


@pytest.mark.parametrize(("scheme", "width"), [("light", 1280), ("dark", 390)])
def test_every_page_can_be_read_by_all(page: Page, console: Console, scheme: str, width: int) -> None:
    """No fault that axe knows, and no page is wider than the window, whether of a desk or of a phone."""
    fill(console.services)
    page.emulate_media(color_scheme="dark" if scheme == "dark" else "light")
    page.set_viewport_size({"width": width, "height": 800})
    page.goto(f"{console.url}/login")
    readable(page)
    page.goto(console.enter())
    for path in PATHS:
        page.goto(console.url + path)
        readable(page)


def readable(page: Page) -> None:
    """Hold what the rule says of the page that is open."""
    found = Axe().run(page, options={"runOnly": ["wcag2a", "wcag2aa", "wcag21aa"]})
    assert 0 == found.violations_count, f"{page.url}\n{found.generate_report()}"
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth"), page.url


def test_keys_lead_to_pages(page: Page, console: Console) -> None:
    """`g q` goes to the queues."""
    page.goto(console.enter())
    page.keyboard.press("g")
    page.keyboard.press("q")
    page.wait_for_url("**/queues")


@pytest.mark.parametrize("tabs", [10])
def test_ten_tabs_at_once(page: Page, console: Console, tabs: int) -> None:
    """A browser opens six connections to a server: tabs that are not looked at hold none, so no page waits for one."""
    console.services.tenants.create("acme")
    page.goto(console.enter())
    opened = [page.context.new_page() for _ in range(tabs)]
    for tab in opened:
        tab.goto(console.url + "/")
        expect(tab.locator("#tenant-acme")).to_be_visible()
    opened[0].bring_to_front()
    enqueue(console.services.server, "acme")

    expect(opened[0].locator("#tenant-acme td").nth(2)).to_have_text("1")
