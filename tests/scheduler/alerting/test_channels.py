"""Channels: where messages may go, and what is shown of it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from taglane.errors import BadAlertRule
from taglane_scheduler.alerting.channels import Channel, make_channel

if TYPE_CHECKING:
    from scheduler.alerting.conftest import Desk

SECRET = "a-secret-of-16-characters"


def channel(**fields: Any) -> Channel:
    return make_channel(**{"name": "ops", "kind": "webhook", "url": "https://example.com/hook", **fields})


@pytest.mark.parametrize(
    ("fields", "field", "why"),
    [
        ({"url": "ftp://example.com"}, "url", "like https://"),
        ({"url": "https://"}, "url", "like https://"),
        ({"url": "https://example.com:99999"}, "url", "ort out of range"),
        ({"url": "https://example.com:0"}, "url", "port is 0"),
        ({"url": "https://bob:word@example.com"}, "url", "name or a password"),
        ({"url": "https://example.com/a b"}, "url", "spells as %XX"),
        ({"url": "https://example.com/\r\nX-Evil: 1"}, "url", "spells as %XX"),
        ({"url": "https://exämple.com"}, "url", "spells as %XX"),
        ({"url": "https://example.com/#x"}, "url", "#fragment"),
        ({"secret": "short"}, "secret", "at least 16"),
        ({"to": ["a@example.com"]}, "to", "no addresses"),
        ({"name": "A"}, "name", "must be"),
        ({"kind": "pigeon"}, "kind", "'webhook', 'mail' or 'apprise'"),
        ({"kind": "mail", "url": ""}, "to", "at least one"),
        ({"kind": "mail", "to": ["a@example.com"]}, "url", "TAGLANE_SMTP"),
        ({"kind": "mail", "url": "", "to": ["a@example.com\r\nBcc: b@example.com"]}, "to", "no mail address"),
        ({"kind": "mail", "url": "", "to": ["a@example.com, b@example.com"]}, "to", "no mail address"),
        ({"kind": "mail", "url": "", "to": ["a@example.com"], "owner": "acme"}, "kind", "operator's to use"),
        ({"kind": "apprise", "url": "slack"}, "url", "that apprise knows"),
        ({"kind": "apprise", "url": "slack://a", "owner": "acme"}, "kind", "operator's to use"),
    ],
)
def test_a_mistake_is_told_with_its_field(fields: dict[str, Any], field: str, why: str) -> None:
    """And with its value, unless that may be secret."""
    with pytest.raises(BadAlertRule) as caught:
        channel(**fields)

    assert field == caught.value.field.partition(".")[0]
    assert why in str(caught.value)
    assert 1 == len(str(caught.value).splitlines())
    for hidden in ("short", "bob", "word"):
        assert hidden not in str(caught.value).replace("password", "")


def test_secrets_are_shown_nowhere(desk: Desk) -> None:
    """Not the secret, nor a path or a token that may be one."""
    made = channel()
    assert len(made.secret) >= 40
    assert made.secret != channel().secret
    for each, target in (
        (
            channel(url="https://hooks.example.com:8443/services/T0/B0/xyzzy?k=xyzzy"),
            "https://hooks.example.com:8443/…",
        ),
        (channel(kind="apprise", url="slack://xyzzy/b/c"), "slack://…"),
        (channel(kind="mail", url="", to=["a@example.com", "b@example.com"]), "a@example.com, b@example.com"),
    ):
        desk.alerting.channels.put(each)
        (kept,) = desk.alerting.channels.list()
        assert {"owner": "", "name": "ops", "kind": each.kind, "target": target} == kept.shown
        assert each == kept == desk.alerting.channels.get("ops")
    desk.alerting.channels.delete("ops")
    assert [] == desk.alerting.channels.list()
