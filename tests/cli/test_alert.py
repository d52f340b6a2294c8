"""`taglane alert`."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest
from receivers import Receiver, receiver
from taglane.settings import load_settings
from taglane.store import keys
from taglane_scheduler.services import build

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from cli.conftest import Cli
    from redis import Redis

ALLOW = {"TAGLANE_WEBHOOK_ALLOW": "127.0.0.0/8"}
SECRET = "a-secret-of-16-characters"


@pytest.fixture
def hook() -> Iterator[Receiver]:
    with receiver() as running:
        yield running


def add_channel(taglane: Cli, url: str = "https://example.com/x", *more: str) -> None:
    taglane.ok("alert", "channel", "add", "ops", "--kind", "webhook", "--url", url, *more)


def test_a_rule_is_added_shown_changed_and_deleted(taglane: Cli, acme: Cli) -> None:
    """With all its fields as JSON; each change is in the audit log. It takes the operator's credential."""
    add_channel(taglane)
    add = ("alert", "rule", "add", "nights", "--on", "failed", "--job", "report*", "-c", "ops")
    made = taglane.ok(*add, "--tenant", "acme", "--threshold", "3", "--window", "1h", "-o", "json").json

    assert {
        "name": "nights",
        "owner": None,
        "on": "failed",
        "says": "failed, 3 within 1h",
        "tenant": "acme",
        "job": "report*",
        "tag": None,
        "threshold": 3,
        "in_a_row": False,
        "window": "1h",
        "after": None,
        "silence": "10m",
        "recovered": True,
        "channels": ["ops"],
        "enabled": True,
    } == made
    assert made == taglane.ok("alert", "rule", "show", "nights", "-o", "json").json
    changed = taglane.ok(*add, "--in-a-row", "--no-recovered", "--disabled", "-o", "json").json
    assert [changed] == taglane.ok("alert", "rule", "list", "-o", "json").json
    assert ("failed, 3 in a row", False, False) == (changed["says"], changed["recovered"], changed["enabled"])
    assert "failed, 3 in a row" in taglane.ok("alert", "rule", "list").out
    assert 4 == acme("alert", "rule", "list").code
    assert 5 == taglane("alert", "channel", "delete", "ops").code
    taglane.ok("alert", "rule", "delete", "nights")
    taglane.ok("alert", "channel", "delete", "ops")
    assert 3 == taglane("alert", "rule", "delete", "nights").code
    assert "nobody is told of anything" in taglane.ok("alert", "rule", "list").err
    assert "no channels" in taglane.ok("alert", "channel", "list").err
    noted = [row["action"] for row in taglane.ok("audit", "-o", "json").json if row["action"].startswith("alert")]
    assert ["channel", "rule", "rule", "rule-delete", "channel-delete"] == [
        each.removeprefix("alert-") for each in noted
    ]


@pytest.mark.parametrize(
    ("args", "code", "said"),
    [
        (["--on", "nope", "-c", "ops"], 2, "rule.on: 'nope' can't be: it is one of failed"),
        (["--on", "late", "-c", "nope"], 3, "no alert channel 'nope': see  taglane alert channel list"),
        (["--on", "late", "-c", "ops", "--tenant", "nobody"], 3, "no tenant 'nobody'"),
        (["--on", "late", "-c", "ops", "--after", "soon"], 2, "rule.after: 'soon' can't be: 'soon' is not a duration"),
        (["--on", "late", "-c", "ops", "--owner", "nobody"], 3, "no tenant 'nobody'"),
    ],
)
def test_a_mistake_is_told(taglane: Cli, args: list[str], code: int, said: str) -> None:
    """In one line, with field and value; nothing is written."""
    add_channel(taglane)
    answer = taglane("alert", "rule", "add", "nights", *args)
    assert code == answer.code
    assert answer.error.startswith(said)
    assert [] == taglane.ok("alert", "rule", "list", "-o", "json").json


def test_a_secret_is_given_in_a_file_and_shown_once_when_it_is_made(taglane: Cli, redis: Redis, tmp_path: Path) -> None:
    """Neither command shows what was given; the audit log has none either."""
    (tmp_path / "secret").write_text(f"{SECRET}\n")
    add = ("alert", "channel", "add", "ops", "--kind", "webhook")
    made = taglane.ok(*add, "--url", "https://example.com/x", "-o", "json").json
    given = taglane.ok(
        *add, "--url-file", "-", "--secret-file", str(tmp_path / "secret"), stdin="https://h.test/xyzzy\n"
    )
    mail = taglane.ok("alert", "channel", "add", "mail", "--kind", "mail", "--to", "a@example.com", "-o", "json").json

    assert len(made["secret"]) >= 40
    assert {"owner": None, "name": "mail", "kind": "mail", "target": "a@example.com"} == mail
    kept = json.loads(redis.hget(keys.ALERT_CHANNELS, "/ops") or "")
    assert (SECRET, "https://h.test/xyzzy") == (kept["secret"], kept["url"])
    shown = given.out + taglane.ok("alert", "channel", "list", "-o", "json").out + taglane.ok("audit", "-o", "json").out
    for hidden in (SECRET, "xyzzy", made["secret"]):
        assert hidden not in shown
    assert "https://h.test/…" in shown.encode().decode("unicode_escape") or "https://h.test/\\u2026" in shown
    assert 2 == taglane(*add, "--url", "https://a", "--url-file", "-", stdin="https://b").code


def test_a_channel_is_tried(taglane: Cli, hook: Receiver) -> None:
    """Exit 1 when the receiver did not take it, or may not be reached; what came back is told."""
    add_channel(taglane, hook.url)
    hook.answers += [(204, {}), (500, {})]

    good = taglane("alert", "channel", "test", "ops", "-o", "json", **ALLOW)
    bad = taglane("alert", "channel", "test", "ops", "-o", "json", **ALLOW)
    closed = taglane("alert", "channel", "test", "ops", "-o", "json")

    assert (0, {"channel": "ops", "taken": True, "answer": "HTTP 204 No Content"}) == (good.code, good.json)
    assert (1, "HTTP 500 Internal Server Error") == (bad.code, bad.json["answer"])
    assert (1, True) == (closed.code, "TAGLANE_WEBHOOK_ALLOW" in closed.json["answer"])
    assert 2 == len(hook.requests)
    assert 3 == taglane("alert", "channel", "test", "nope").code


def test_silences(taglane: Cli, acme: Cli) -> None:
    """Added, listed, ended."""
    made = taglane.ok(
        "alert", "silence", "add", "--for", "2h", "--tenant", "acme", "--why", "repairs", "-o", "json"
    ).json

    assert ["id", "owner", "tenant", "rule", "since", "until", "why"] == list(made)
    assert [made] == taglane.ok("alert", "silence", "list", "-o", "json").json
    assert ("acme", "repairs") == (made["tenant"], made["why"])
    taglane.ok("alert", "silence", "end", made["id"])
    assert "no silences" in taglane.ok("alert", "silence", "list").err
    assert 3 == taglane("alert", "silence", "end", made["id"]).code
    assert 2 == taglane("alert", "silence", "add", "--for", "soon").code
    assert 2 == taglane("alert", "silence", "add", "--for", "90d").code
    assert 3 == taglane("alert", "silence", "add", "--for", "1h", "--rule", "nope").code
    assert 3 == taglane("alert", "silence", "add", "--for", "1h", "--tenant", "nobody").code
    assert 4 == acme("alert", "silence", "list").code


def test_incidents_and_deliveries(taglane: Cli, acme: Cli, hook: Receiver, monkeypatch: pytest.MonkeyPatch) -> None:
    """What is wrong by which rule, and what was told of it; of a tenant, or of all."""
    assert "no incidents" in taglane.ok("alert", "incidents").err
    assert "nothing was sent" in taglane.ok("alert", "deliveries").err
    add_channel(taglane, hook.url)
    taglane.ok("alert", "rule", "add", "workers", "--on", "no_worker", "-c", "ops")
    monkeypatch.setenv("TAGLANE_WEBHOOK_ALLOW", "127.0.0.0/8")
    services = build(load_settings(url=taglane.url))
    services.alerts.raise_alert("no_worker", "acme", "acme", "1 run waits; start one:  taglane worker --tag acme")
    services.alerting.watcher(services.alerts).step()
    (waiting,) = taglane.ok("alert", "deliveries", "-o", "json").json
    services.alerting.courier.drain()
    services.close()

    (row,) = taglane.ok("alert", "incidents", "--tenant", "acme", "-o", "json").json
    (delivered,) = taglane.ok("alert", "deliveries", "-o", "json").json

    assert ["id", "rule", "tenant", "subject", "since", "told", "count", "text", "command"] == list(row)
    assert ("workers", "acme", "acme", "taglane worker --tag acme") == tuple(
        row[field] for field in ("rule", "tenant", "subject", "command")
    )
    assert "acme: 1 run waits; start one:  taglane worker --tag acme" in taglane.ok("alert", "incidents").out
    assert [] == taglane.ok("alert", "incidents", "--tenant", "other", "-o", "json").json
    assert 3 == taglane("alert", "incidents", "--tenant", "nobody").code
    assert ["id", "channel", "at", "outcome", "tries", "answer", "text"] == list(delivered)
    assert ("waiting", 0, "delivered", 1) == tuple(
        each[field] for each in (waiting, delivered) for field in ("outcome", "tries")
    )
    assert 4 == acme("alert", "deliveries").code
    assert 4 == acme("alert", "incidents").code
