"""The API's jobs files."""

from __future__ import annotations

import json
from threading import BoundedSemaphore
from typing import TYPE_CHECKING

from taglane_scheduler.web.api import files

if TYPE_CHECKING:
    from collections.abc import Callable

    import pytest
    from starlette.testclient import TestClient


FILE = "tenants: {acme: {jobs: {mail: {task: shop.mail, every: 1h}}}}"


def test_a_file_is_compared_and_applied_in_yaml_or_json(rest: Callable[..., TestClient]) -> None:
    """What was exported makes no difference; a mistake is told with its line."""
    client = rest("acme", "write")
    in_json = json.dumps({"tenants": {"acme": {"jobs": {"mail": {"task": "shop.mail", "every": "1h"}}}}})

    assert "1h" == client.post("/diff", json={"file": FILE}).json()["items"][0]["after"]["every"]
    assert ["created"] == [row["change"] for row in client.post("/apply", json={"file": FILE}).json()["items"]]
    assert ["unchanged"] == [row["change"] for row in client.post("/apply", json={"file": in_json}).json()["items"]]
    exported = client.get("/tenants/acme/jobs-file")
    assert exported.headers["content-type"].startswith("application/yaml")
    assert [] == client.post("/diff", json={"file": exported.text}).json()["items"]
    wrong = client.post("/diff", json={"file": "tenants:\n  acme: {jobs: {mail: {task: a}}}"}).json()
    assert ("urn:taglane-problem:bad-jobs-file", 2) == (wrong["type"], wrong["line"])


def test_a_tenants_file_is_about_that_tenant(rest: Callable[..., TestClient]) -> None:
    """With another in it, or with limits, nothing of it is applied."""
    client = rest("acme", "admin")
    other = FILE.replace("acme:", "globex:")

    assert 404 == client.post("/apply", json={"file": other}).status_code
    assert 403 == client.post("/apply", json={"file": FILE.replace("{jobs", "{limits: {running: 9}, jobs")}).status_code
    assert [] == client.get("/jobs").json()["items"]


def test_few_files_are_read_at_a_time(rest: Callable[..., TestClient], monkeypatch: pytest.MonkeyPatch) -> None:
    """Each may take a core for long: who comes then is told when to come again."""
    turns = BoundedSemaphore(1)
    monkeypatch.setattr(files, "_reading", turns)
    client = rest("acme", "write")

    with turns:
        late = client.post("/diff", json={"file": FILE})

    assert (429, "2") == (late.status_code, late.headers["retry-after"])
    assert 200 == client.post("/diff", json={"file": FILE}).status_code
