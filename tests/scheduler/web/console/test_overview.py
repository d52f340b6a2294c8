"""The page of the overview."""

from __future__ import annotations

from typing import TYPE_CHECKING

from eventually import eventually

if TYPE_CHECKING:
    from collections.abc import Callable

    from starlette.testclient import TestClient
    from taglane_scheduler.services import Services


def test_all_tenants_are_on_one_screen(filled: Services, console: Callable[..., TestClient]) -> None:
    """What needs attention first, then a line for each: one that has spoiled its keys says so, and breaks nothing."""
    filled.alerts.raise_alert("no_worker", "globex", "globex", "1 run waits: <script>alert(1)</script>")
    page = console(None, "read").get("/")

    assert 200 == page.status_code
    assert page.text.index("1 run waits: &lt;script&gt;") < page.text.index('id="tenant-acme"')
    assert "<script>alert" not in page.text
    assert "unreadable" in page.text.partition('id="tenant-zorg"')[2]


def test_the_list_is_sorted_and_filtered_by_the_url(filled: Services, console: Callable[..., TestClient]) -> None:
    """A link shows to another what I see; what is no column is passed over."""
    assert filled
    admin = console()

    assert 'id="tenant-acme"' not in admin.get("/?name=glob").text
    text = admin.get("/?sort=queued").text
    assert text.index('id="tenant-acme"') < text.index('id="tenant-globex"')
    assert 200 == admin.get("/?sort=nonsense&start=x").status_code
    assert "No tenant&#39;s name holds &lt;b&gt;." in admin.get("/?name=<b>").text


def test_all_is_well(services: Services, console: Callable[..., TestClient]) -> None:
    """Nothing to do is said, too."""
    services.tenants.create("acme")

    assert "All is well" in console().get("/").text


def test_a_tenant_sees_its_own_tags_and_nobody_else(filled: Services, console: Callable[..., TestClient]) -> None:
    """No name, count or alert of another."""
    filled.alerts.raise_alert("memory", "globex", "", "globex has too much")
    text = console("acme", "read").get("/").text

    assert 'id="tag-acme-acme"' in text
    assert "globex" not in text
    assert "zorg" not in text


def test_it_says_what_is_in_the_board_as_soon_as_it_is_read(
    filled: Services, console: Callable[..., TestClient]
) -> None:
    """A tenant that was just made is there at the next look but one."""
    admin = console()
    admin.get("/")
    filled.tenants.create("newcomer")

    eventually(lambda: 'id="tenant-newcomer"' in admin.get("/").text, 15)
