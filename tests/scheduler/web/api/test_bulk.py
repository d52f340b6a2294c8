"""The API's bulk actions."""

from __future__ import annotations

from typing import TYPE_CHECKING

from eventually import eventually

if TYPE_CHECKING:
    from collections.abc import Callable

    from starlette.testclient import TestClient


def test_all_that_a_query_takes_is_cancelled_once(rest: Callable[..., TestClient]) -> None:
    """The same key is the same action; another's is as none."""
    client = rest("acme", "write")
    for _ in range(3):
        client.post("/tenants/acme/runs", json={"task": "shop.mail"})
    wanted = {"action": "cancel", "query": "task:shop.*", "key": "1"}

    first, second = (client.post("/bulk", json=wanted).json()["id"] for _ in range(2))
    over = eventually(lambda: (found := client.get(f"/bulk/{first}").json())["is_over"] and found)

    assert first == second
    assert ("done", 3, 0) == (over["state"], over["done"], over["failed"])
    assert 404 == rest("acme", "write").get(f"/bulk/{first}").status_code
    assert 422 == client.post("/bulk", json={**wanted, "action": "delete"}).status_code
    assert 403 == rest("acme", "read").post("/bulk", json=wanted).status_code
