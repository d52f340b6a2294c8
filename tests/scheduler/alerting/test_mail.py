"""Sending mail, to a real server."""

from __future__ import annotations

import json

import pytest
from receivers import mail_sink, silent_port
from taglane.errors import BadSetting
from taglane_scheduler.alerting.channels import Channel, make_channel
from taglane_scheduler.alerting.mail import Mail, MailServer, read_mail_server

BODY = {"text": "acme: late\r\nBcc: evil@example.com", "state": "firing", "incident": "1f", "command": "taglane alerts"}


def to(*addresses: str) -> Channel:
    return make_channel(name="ops", kind="mail", to=list(addresses))


@pytest.mark.parametrize(
    ("text", "server"),
    [
        ("smtp://mail.example.com", MailServer("mail.example.com", 587, "starttls")),
        ("smtps://a%40b:p%2Fw@mail.example.com", MailServer("mail.example.com", 465, "tls", "a@b", "p/w")),
        ("smtp://127.0.0.1:25?tls=none", MailServer("127.0.0.1", 25, "none")),
    ],
)
def test_a_setting_says_by_which_server(text: str, server: MailServer) -> None:
    """With TLS unless it says no; a password is shown nowhere."""
    assert server == read_mail_server(text)
    assert "p/w" not in repr(server)


@pytest.mark.parametrize(
    "text", ["mail.example.com", "smtp://", "smtp://u:hidden@h:x", "smtp://h?tls=maybe", "smtp://u:hidden@h?tls=none"]
)
def test_a_setting_that_says_nothing_is_told(text: str) -> None:
    """Without its password."""
    with pytest.raises(BadSetting, match="TAGLANE_SMTP=") as caught:
        read_mail_server(text)
    assert "hidden" not in str(caught.value)


def test_a_message_becomes_a_mail() -> None:
    """To all addresses; what a job is called can't add a header."""
    with mail_sink() as sink:
        mail = Mail(read_mail_server(f"smtp://127.0.0.1:{sink.port}?tls=none"), "taglane@example.com")
        sink.refused.add("gone@example.com")
        outcome = mail.send(to("a@example.com", "gone@example.com"), "1f.firing.ops", json.dumps(BODY).encode())

    ((recipients, text),) = sink.mails
    assert (True, "taken, but not for gone@example.com") == (outcome.ok, outcome.answer)
    assert ["a@example.com"] == recipients
    head, _, rest = text.partition("\r\n\r\n")
    assert "Subject: [taglane] acme: late Bcc: evil@example.com" in head
    assert "\nBcc:" not in head
    assert "Message-ID: <1f.firing.ops@taglane>" in head
    assert "taglane alerts" in rest


def test_what_goes_wrong_is_an_outcome() -> None:
    """A server that says no, for good or for now, none that answers, none that was named, one without TLS."""
    body = json.dumps(BODY).encode()
    with mail_sink() as sink:
        clear = read_mail_server(f"smtp://127.0.0.1:{sink.port}?tls=none")
        sink.refused.add("a@example.com")
        refused = Mail(clear, "t@example.com").send(to("a@example.com"), "i", body)
        sink.greeting = b"421 busy"
        busy = Mail(clear, "t@example.com").send(to("b@example.com"), "i", body)
        sink.greeting = b"220 sink"
        secure = read_mail_server(f"smtp://127.0.0.1:{sink.port}")
        no_tls = Mail(secure, "t@example.com").send(to("b@example.com"), "i", body)
    gone = Mail(clear, "t@example.com").send(to("b@example.com"), "i", body)
    with silent_port() as port:
        silent = MailServer("127.0.0.1", port, "none")
        slow = Mail(silent, "t@example.com", timeout=0.1).send(to("b@example.com"), "i", body)
    unset = Mail(None, "t@example.com").send(to("b@example.com"), "i", body)

    assert [] == sink.mails
    assert (False, False, False, False, False, False) == tuple(
        each.ok for each in (refused, busy, no_tls, gone, slow, unset)
    )
    assert (False, True, False, False, True) == tuple(each.final for each in (busy, no_tls, gone, slow, unset))
    assert "421" in busy.answer
    assert "STARTTLS" in no_tls.answer
    assert "TAGLANE_SMTP" in unset.answer
