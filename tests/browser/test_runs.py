"""Jobs and runs in a browser, with a worker that executes them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import expect
from processes import WorkerProcess

if TYPE_CHECKING:
    from pathlib import Path

    from consoles import Console
    from playwright.sync_api import Page

AXE = {"runOnly": ["wcag2a", "wcag2aa"]}


def test_a_job_is_added_run_watched_cancelled_and_retried(page: Page, console: Console, tmp_path: Path) -> None:
    """From the form to the log that grows while one looks; each page can be used without seeing and without a mouse."""
    acme = console.services.tenants.create("acme")
    gate = tmp_path / "gate"
    lane = console.services.stores.client
    with WorkerProcess(acme.url, ["acme"], "talky.celery") as worker:
        worker.wait_ready()
        failing = lane.enqueue("talky.celery.fail", tenant="acme").id

        page.goto(console.enter())
        page.goto(f"{console.url}/jobs/new")
        page.get_by_label("Tenant", exact=True).fill("acme")
        page.get_by_label("Name", exact=True).fill("Gate keeper")
        page.get_by_label("Task", exact=True).fill("talky.celery.wait")
        page.get_by_label("Params").fill(f'{{"gate": "{gate}"}}')
        page.get_by_label("Kind of schedule").select_option("manual")
        page.get_by_role("button", name="Add the job").click()
        expect(page.locator("#wrong-name")).to_contain_text("a-z")
        page.get_by_label("Name", exact=True).fill("gate-keeper")
        page.get_by_role("button", name="Add the job").click()
        expect(page.get_by_role("heading", level=1)).to_contain_text("acme / gate-keeper")

        page.get_by_role("button", name="Run now").click()
        state, log = page.locator("#live .state").first, page.locator("#log")
        expect(state).to_have_text("running")
        expect(log).to_contain_text("before")
        looks_well(page)
        gate.touch()
        expect(state).to_have_text("succeeded")
        expect(log).to_contain_text("after")

        gate.unlink()
        page.goto(f"{console.url}/jobs/acme/gate-keeper")
        looks_well(page)
        page.get_by_role("button", name="Run now").click()
        expect(state).to_have_text("running")
        page.get_by_role("button", name="Cancel", exact=True).click()
        page.get_by_role("button", name="Yes, do it").click()
        expect(state).to_have_text("cancelled")

        page.goto(f"{console.url}/runs?q=state:failed")
        looks_well(page)
        page.locator(f'a[href="/runs/{failing}"]').click()
        page.get_by_text("Traceback", exact=True).click()
        expect(page.locator("details pre")).to_contain_text("ValueError: it fails")
        page.get_by_role("button", name="Run again").click()
        expect(page.locator("#live")).to_contain_text("Runs again")
        expect(state).to_have_text("failed")

    for path in ("/jobs", "/jobs/new", "/dead", "/runs?q=stat:x", f"/runs/{failing}/again", "/runs/bulk?do=retry&q="):
        page.goto(f"{console.url}{path}")
        looks_well(page)


def looks_well(page: Page) -> None:
    """Nothing on the page breaks WCAG's rules at level AA, and it is no wider than the window."""
    assert [] == [each["id"] for each in Axe().run(page, options=AXE).response["violations"]]
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")
