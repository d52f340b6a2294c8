"""The API's alert rules, channels and silences."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

    from starlette.testclient import TestClient


HOOK = {"kind": "webhook", "url": "https://example.com/secret-path"}


def test_a_rule_sends_to_a_channel(rest: Callable[..., TestClient]) -> None:
    """The secret that was made for it is told once; where it leads is told without what could be one."""
    client = rest("acme", "admin")
    hook = client.put("/alert-channels/hook", json=HOOK).json()

    assert 20 < len(hook["secret"])
    assert None is client.put("/alert-channels/hook", json={**HOOK, "secret": "s" * 20}).json()["secret"]
    assert "secret-path" not in client.get("/alert-channels").text
    rule = client.put("/alert-rules/nights", json={"on": "failed", "channels": ["hook"], "window": "10m"}).json()
    assert ("acme", "acme", "10m") == (rule["owner"], rule["tenant"], rule["window"])
    assert rule == client.get("/alert-rules/nights").json()
    assert 409 == client.delete("/alert-channels/hook").status_code
    assert 404 == client.put("/alert-rules/b", json={"on": "failed", "channels": ["nothing"]}).status_code
    wrong = client.put("/alert-rules/b", json={"on": "rain", "channels": ["hook"]})
    assert (422, "on") == (wrong.status_code, wrong.json()["field"])
    assert [204, 204] == [client.delete(f"/alert-{path}").status_code for path in ("rules/nights", "channels/hook")]


def test_a_silence_lasts_until_it_is_ended(rest: Callable[..., TestClient]) -> None:
    """By who operates."""
    client = rest("acme", "operate")
    made = client.post("/silences", json={"duration": "2h", "why": "repair"}).json()

    assert made["until"] > made["since"]
    assert [made["id"]] == [row["id"] for row in client.get("/silences").json()["items"]]
    assert 422 == client.post("/silences", json={"duration": "long"}).status_code
    assert 204 == client.delete(f"/silences/{made['id']}").status_code
    assert [] == client.get("/silences").json()["items"]
