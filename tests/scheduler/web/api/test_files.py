"""The API's jobs files."""

from __future__ import annotations

from threading import BoundedSemaphore
from typing import TYPE_CHECKING

from taglane_scheduler.web.api import files

if TYPE_CHECKING:
    import pytest
    from scheduler.web.api.world import World


def test_few_files_are_read_at_a_time(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each may take a core for long: who comes then is told when to come again."""
    turns = BoundedSemaphore(1)
    monkeypatch.setattr(files, "_reading", turns)
    client = world.client("write", "acme")

    with turns:
        late = client.post("/api/v1/diff", json={"file": "tenants: {acme: {}}"})
    fine = client.post("/api/v1/diff", json={"file": "tenants: {acme: {}}"})

    assert (429, "2") == (late.status_code, late.headers["retry-after"])
    assert 200 == fine.status_code
