"""The whole stack: server, scheduler, worker and `taglane console`, each a process. At first nobody can log in."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from eventually import eventually
from playwright.sync_api import expect
from processes import BIN, SchedulerProcess, TaglaneProcess, WorkerProcess
from taglane.settings import load_settings
from taglane_scheduler.embedded import EmbeddedServer
from taglane_scheduler.services import build
from taglane_scheduler.web.app import FLASH

if TYPE_CHECKING:
    from pathlib import Path

    from playwright.sync_api import Browser, Page
    from taglane_scheduler.embedded import ServerBinary

PASSWORD = "correct horse battery"

WRONG = {
    "name": "Gate keeper",
    "task": "no task",
    "params": "{",
    "value": "61 * * * *",
    "tz": "Mars/Olympus",
    "tag": "globex",
    "no_worker": "pray",
    "priority": "first",
    "expires": "soon",
    "timeout": "-1",
    "start": "one day",
}
"""A mistake for each field of a job's form."""


class ConsoleProcess(TaglaneProcess):
    """One `taglane console`, on a port that is free."""

    @property
    def command(self) -> list[str]:
        """What it runs."""
        return [str(BIN / "taglane"), "console", "--port", "0"]

    def printed(self, name: str) -> str:
        """The address that it prints behind a word."""
        found = eventually(lambda: re.search(rf"^{name} +(\S+)$", self.log_text(), re.MULTILINE), 30)
        assert found
        return str(found[1])


def test_from_the_set_up_link_to_a_tenants_person(
    page: Page, browser: Browser, binary: ServerBinary, tmp_path: Path
) -> None:
    """One sets up, adds a job past all mistakes, sees it fire, pauses, deletes; another sees one tenant and no more."""
    with EmbeddedServer(binary=binary, directory=tmp_path) as server:
        services = build(load_settings(url=server.url))
        services.prepare()
        acme = services.tenants.create("acme")
        services.tenants.create("globex")
        with (
            SchedulerProcess(server.url),
            WorkerProcess(acme.url, ["acme"], "talky.celery", pool="solo"),
            ConsoleProcess({"TAGLANE_URL": server.url}) as console,
        ):
            url = console.printed("console")
            set_up(page, console.printed("set up"))
            add_past_mistakes(page, url)

            expect(page.locator("svg.bars a").first).to_be_visible()  # it fires every second, and nobody clicks
            page.goto(f"{url}/tenants/acme")
            page.get_by_role("button", name="Pause", exact=True).click()
            page.get_by_role("button", name="Yes, do it").click()
            expect(page.locator("#live .state").first).to_have_text("paused")

            page.goto(f"{url}/people")
            form = page.locator("form[action='/people']")
            for name, value in {"name": "greg", "password": PASSWORD, "tenant": "globex"}.items():
                form.locator(f"[name={name}]").fill(value)
            form.locator("[name=role]").select_option("admin")
            form.get_by_role("button").click()
            expect(page.locator("#person-greg")).to_contain_text("globex")
            other = browser.new_context(locale="en-US").new_page()
            eventually(lambda: all(run.is_ended for run in services.stores.runs.list("acme")))
            before = services.stores.runs.list("acme")
            sees_one_tenant(other, url, before[0].id)
            other.context.close()
            assert not services.jobs.get("acme", "tick").paused
            assert before == services.stores.runs.list("acme")

            page.goto(f"{url}/jobs/acme/tick")
            page.get_by_text("Delete the job").first.click()
            page.locator("details.typed input[name=typed]").fill("tick")
            page.locator("details.typed form button.danger").click()
            page.goto(f"{url}/jobs/acme/tick")
            expect(page.locator("#live")).to_contain_text("There is no job tick of tenant acme")
        services.close()


def set_up(page: Page, link: str) -> None:
    """Become the first person; the link opens once."""
    page.goto(link)
    page.get_by_label("Name", exact=True).fill("ann")
    page.locator("[name=password]").fill(PASSWORD)
    page.locator("[name=again]").fill(PASSWORD)
    page.get_by_role("button", name="Set up").click()
    expect(page.get_by_role("heading", level=1)).to_have_text("Overview")


def add_past_mistakes(page: Page, url: str) -> None:
    """Each mistake stands beside its field, what was typed stays, and nothing is saved until none is left."""
    page.goto(f"{url}/jobs/new?tenant=acme")
    for name, value in WRONG.items():
        page.locator(f"main [name={name}]").fill(value)
    page.get_by_role("button", name="Add the job").click()
    for name, value in WRONG.items():
        expect(page.locator(f"#wrong-{name}")).to_be_visible()
        expect(page.locator(f"main [name={name}]")).to_have_value(value)
    right = {**dict.fromkeys(WRONG, ""), "name": "tick", "task": "talky.celery.nothing", "params": "{}", "value": "1s"}
    for name, value in (right | {"no_worker": "wait", "priority": "0"}).items():
        page.locator(f"main [name={name}]").fill(value)
    page.get_by_label("Kind of schedule").select_option("every")
    page.get_by_role("button", name="Add the job").click()
    expect(page.get_by_role("heading", level=1)).to_contain_text("acme / tick")


def sees_one_tenant(page: Page, url: str, run: str) -> None:
    """By no address, query or form."""
    page.goto(f"{url}/jobs/acme/tick")  # asks who it is, and goes on there
    page.locator("[name=name]").fill("greg")
    page.locator("[name=password]").fill(PASSWORD)
    with page.expect_navigation():
        page.get_by_role("button", name="Log in").click()
    for path in ("/tenants/acme", f"/runs/{run}", f"/runs/{run}/log.txt", "/people", "/tenants"):
        answer = page.goto(url + path)
        assert answer is not None
        assert answer.status in {403, 404}, path
        assert "log.txt" in path or not page.locator("#gone").is_visible(), path  # nothing is lost
    for path in ("/", "/jobs?tenant=acme", "/runs?q=tenant:acme", "/queues?tenant=acme", "/dead?tenant=acme", "/audit"):
        page.goto(url + path)
        assert "tick" not in page.locator("#live").inner_text(), path
        assert run not in page.content(), path
    page.goto(f"{url}/account")
    csrf = page.locator("[name=csrf]").first.input_value()
    for path in ("/jobs/acme/tick/pause", "/tenants/acme/resume", f"/runs/{run}/retry", "/jobs/acme/tick/trigger"):
        answered = page.request.post(url + path, form={"csrf": csrf}, headers={"Origin": url}, max_redirects=0)
        assert f"{FLASH}={b'!no '.hex()}" in answered.headers["set-cookie"], path  # there is none, it says
