"""The page of the alerts."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

    from starlette.testclient import TestClient
    from taglane_scheduler.services import Services

CSRF = {"csrf": "the-form's-own"}
HOOK = {"name": "ops", "kind": "webhook", "url": "https://example.com/hook?key=1"}


def test_a_channel_a_rule_and_a_silence(services: Services, console: Callable[..., TestClient]) -> None:
    """Added by forms, listed, deleted; the secret of a channel is shown when it is made, and never again."""
    admin = console()
    made = admin.post("/alerts/channels", data=CSRF | HOOK)
    (channel,) = services.alerting.channels.list()
    assert channel.secret in made.text
    rule = {"name": "failing", "on": "failed", "threshold": "3", "window": "10m", "channels": "ops", "recovered": "1"}
    assert 303 == admin.post("/alerts/rules", data=CSRF | rule).status_code
    admin.post("/alerts/silences", data=CSRF | {"for": "2h", "why": "<b>moving</b>"})

    text = admin.get("/alerts").text
    assert "failed, 3 within 10m" in text
    assert "&lt;b&gt;moving&lt;/b&gt;" in text
    assert channel.secret not in text
    assert "key=1" not in text

    used = admin.post("/alerts/channels/delete", data=CSRF | {"name": "ops", "owner": ""})
    assert 303 == used.status_code
    assert 1 == len(services.alerting.channels.list())  # a rule tells it
    admin.post("/alerts/rules/delete", data=CSRF | {"name": "failing", "owner": ""})
    admin.post("/alerts/channels/delete", data=CSRF | {"name": "ops", "owner": ""})
    admin.post("/alerts/silences/end", data=CSRF | {"name": services.alerting.silences.list()[0].name, "owner": ""})
    assert "There is no rule" in admin.get("/alerts").text
    assert ([], []) == (services.alerting.silences.list(), services.alerting.channels.list())


def test_a_wrong_field_says_so_in_its_form(services: Services, console: Callable[..., TestClient]) -> None:
    """What was typed is kept, the form stays open, nothing is written."""
    admin = console()
    rule = {"name": "failing", "on": "failed", "channels": "ops"}
    for path, form, field in (
        ("rules", rule | {"threshold": "many"}, "threshold"),
        ("rules", rule | {"window": "long"}, "window"),
        ("rules", rule, "channels"),
        ("rules", rule | {"tenant": "nobody1"}, "tenant"),
        ("channels", HOOK | {"url": "ftp://example.com"}, "url"),
        ("silences", {"for": "soon"}, "for"),
        ("silences", {"for": "1h", "rule": "nothing"}, "rule"),
    ):
        wrong = admin.post(f"/alerts/{path}", data=CSRF | form)
        assert 422 == wrong.status_code, (path, form)
        assert f'id="wrong-{field}"' in wrong.text, (path, form)
        assert '<details class="more" open>' in wrong.text
    assert ([], []) == (services.alerting.rules.list(), services.alerting.channels.list())


def test_a_tenant_has_alerts_of_its_own(filled: Services, console: Callable[..., TestClient]) -> None:
    """Its administrator's channels and rules are its own; nobody else's are seen, and a reader changes nothing."""
    filled.alerts.raise_alert("memory", "globex", "", "globex has too much")
    console().post("/alerts/channels", data=CSRF | HOOK)
    mine, reader = console("acme", "admin"), console("acme", "read")
    mine.post("/alerts/channels", data=CSRF | HOOK | {"name": "mine"})
    reader.post("/alerts/channels", data=CSRF | HOOK | {"name": "theirs"})

    assert [("", "ops"), ("acme", "mine")] == [(each.owner, each.name) for each in filled.alerting.channels.list()]
    text = mine.get("/alerts").text
    assert "mine" in text
    assert "globex" not in text
    assert ">ops<" not in text
    assert "/alerts/" not in reader.get("/alerts").text.partition("<main")[2]
