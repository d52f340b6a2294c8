"""The page of the queues."""

from __future__ import annotations

from typing import TYPE_CHECKING

from taglane_scheduler.web.console import queues

if TYPE_CHECKING:
    from collections.abc import Callable

    import pytest
    from starlette.testclient import TestClient
    from taglane_scheduler.services import Services


def test_each_tag_of_each_tenant(
    filled: Services, console: Callable[..., TestClient], monkeypatch: pytest.MonkeyPatch
) -> None:
    """A page at a time, by tenant and tag; one that nobody serves has the command that mends it."""
    assert filled
    monkeypatch.setattr(queues, "LIMIT", 1)
    admin = console()

    first = admin.get("/queues").text
    assert 'id="tag-acme-acme"' in first
    assert "spoiled keys" in first
    assert "after=acme~acme" in first or "after=acme%7Eacme" in first
    second = admin.get("/queues?after=acme~acme").text
    assert 'id="tag-globex-globex"' in second
    assert "taglane worker --tag globex" in second
    assert 'id="tag-acme-acme"' not in admin.get("/queues?only=unserved").text


def test_a_queue_is_emptied_by_who_may(filled: Services, console: Callable[..., TestClient]) -> None:
    """A reader sees no button, and is refused who sends the form anyway; so is another tenant's operator."""
    reader, operator, other = console("acme", "read"), console("acme", "operate"), console("globex", "operate")
    form = {"csrf": "the-form's-own", "tenant": "acme", "tag": "acme", "delayed": ""}

    assert "/queues/purge" not in reader.get("/queues").text
    assert "/queues/purge" in operator.get("/queues").text
    for who in (reader, other):
        who.post("/queues/purge", data=form)
    assert 2 == filled.stores.queues.list("acme")[0].queued
    done = operator.post("/queues/purge", data=form)
    assert (303, "/queues?tenant=acme") == (done.status_code, done.headers["location"])
    assert "Cancelled 2 runs" in operator.get("/queues").text
    assert 0 == filled.stores.queues.list("acme")[0].queued
