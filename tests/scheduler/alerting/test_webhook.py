"""Sending to webhooks, real ones: what arrives, and what a receiver can't make us do."""

from __future__ import annotations

import hashlib
import hmac
import socket
import ssl
import subprocess
import threading
import time
from typing import TYPE_CHECKING

import pytest
from receivers import Receiver, receiver, silent_port
from taglane_scheduler.alerting.channels import Channel, make_channel
from taglane_scheduler.alerting.reach import Reach, read_networks
from taglane_scheduler.alerting.webhook import Webhook

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

SECRET = "a-secret-of-16-characters"
REACH = Reach(read_networks("A", "127.0.0.0/8"))


def to(url: str, **fields: str) -> Channel:
    return make_channel(name="ops", kind="webhook", url=url, secret=SECRET, **fields)


def is_genuine(secret: str, header: str, body: bytes) -> bool:
    """What docs/alerts.md tells a receiver to do."""
    fields = dict(part.split("=", 1) for part in header.split(","))
    made = hmac.new(secret.encode(), fields["t"].encode() + b"." + body, hashlib.sha256).hexdigest()
    return hmac.compare_digest(made, fields["v1"]) and abs(time.time() - int(fields["t"])) < 300


def test_a_message_arrives_signed(hook: Receiver) -> None:
    """The very bytes, with the message's id; the query of the address is kept."""
    body = b'{"text": "late"}'

    outcome = Webhook(REACH).send(to(hook.url), "i1.firing.ops", body)

    ((path, headers, got),) = hook.requests
    assert (True, "HTTP 204 No Content") == (outcome.ok, outcome.answer)
    assert ("/hook?a=1", body) == (path, got)
    assert (f"127.0.0.1:{hook.port}", "application/json") == (headers["host"], headers["content-type"])
    assert "i1.firing.ops" == headers["taglane-message"]
    assert is_genuine(SECRET, headers["taglane-signature"], got)
    assert not is_genuine(SECRET, headers["taglane-signature"], got + b" ")
    assert not is_genuine("another", headers["taglane-signature"], got)


@pytest.mark.parametrize("code", [301, 302, 303, 307, 308])
def test_a_redirect_is_not_followed(hook: Receiver, code: int) -> None:
    """It could lead anywhere; and is no success."""
    with receiver() as other:
        hook.answers.append((code, {"Location": other.url}))
        outcome = Webhook(REACH).send(to(hook.url), "i", b"{}")
        assert [] == other.requests
    assert (False, True) == (outcome.ok, outcome.final)
    assert "redirects are not followed" in outcome.answer


@pytest.mark.parametrize(
    ("code", "final"), [(400, True), (404, True), (410, True), (408, False), (429, False), (500, False), (503, False)]
)
def test_an_answer_says_whether_trying_again_helps(hook: Receiver, code: int, final: bool) -> None:
    """A receiver that says no will say so again; one that is busy may not."""
    hook.answers.append((code, {}))
    outcome = Webhook(REACH).send(to(hook.url), "i", b"{}")
    assert (False, final) == (outcome.ok, outcome.final)
    assert f"HTTP {code}" in outcome.answer


def test_where_it_may_not_lead_nobody_is_asked(hook: Receiver) -> None:
    """Without leave, and for a tenant with leave for the operator alone."""
    for webhook, channel in (
        (Webhook(Reach()), to(hook.url)),
        (Webhook(REACH), to(hook.url, owner="acme")),
    ):
        outcome = webhook.send(channel, "i", b"{}")
        assert (False, True) == (outcome.ok, outcome.final)
        assert "127.0.0.1 is no public address" in outcome.answer
    assert [] == hook.requests


def test_a_receiver_that_is_not_there_is_an_outcome() -> None:
    """As is a name that nobody knows."""
    with silent_port() as port:
        pass
    outcome = Webhook(REACH).send(to(f"http://127.0.0.1:{port}/"), "i", b"{}")
    assert (False, False) == (outcome.ok, outcome.final)
    assert "ConnectionRefusedError" in outcome.answer


@pytest.fixture
def dripping() -> Iterator[int]:
    """A port that sends a byte of its answer now and then, for ever."""
    with socket.create_server(("127.0.0.1", 0)) as listening:

        def serve() -> None:
            connection, _ = listening.accept()
            with connection:
                connection.settimeout(0.02)
                connection.sendall(b"HTTP/1.1 200 OK\r\nX: ")
                while True:
                    try:
                        connection.sendall(b"x")
                        connection.recv(65536)
                    except TimeoutError:
                        continue
                    except OSError:
                        return

        threading.Thread(target=serve, daemon=True).start()
        yield listening.getsockname()[1]


def test_a_receiver_has_so_much_time_in_all(dripping: int) -> None:
    """One that says nothing, and one that never ends to speak."""
    webhook = Webhook(REACH, timeout=0.2)
    with silent_port() as port:
        outcomes = [webhook.send(to(f"http://127.0.0.1:{each}/"), "i", b"{}") for each in (port, dripping)]
    for outcome in outcomes:
        assert (False, False) == (outcome.ok, outcome.final)
        assert "TimeoutError" in outcome.answer


def test_a_huge_answer_is_not_read(hook: Receiver) -> None:
    """A kilobyte of it is shown, on one line, and none that could steer a terminal."""
    hook.answers.append((500, {"X-Much": "y" * 60_000}))
    hook.body = b"\x1b[2J no\r\n" + b"y" * 60_000
    answer = Webhook(REACH).send(to(hook.url), "i", b"{}").answer
    assert answer.startswith("HTTP 500 Internal Server Error ?[2J no yyy")
    assert len(answer) <= 1_024


@pytest.fixture
def certificate(tmp_path: Path) -> Path:
    """A certificate for hook.test, with its key."""
    path = tmp_path / "hook.pem"
    command = ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes"]
    command += ["-keyout", str(path), "-out", str(tmp_path / "cert"), "-subj", "/CN=hook.test"]
    command += ["-addext", "subjectAltName=DNS:hook.test", "-days", "2"]
    subprocess.run(command, check=True, capture_output=True)
    path.write_text(path.read_text() + (tmp_path / "cert").read_text())
    return path


def test_a_certificate_is_checked_against_the_name(
    hook: Receiver, certificate: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Though the connection goes to the address: the name is asked for, and another's certificate is refused."""
    asked: list[str | None] = []
    serving = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    serving.load_cert_chain(certificate)
    serving.sni_callback = lambda _socket, name, _context: asked.append(name)
    trusting = ssl.create_default_context(cafile=str(certificate))
    resolve = socket.getaddrinfo
    monkeypatch.setattr(socket, "getaddrinfo", lambda _host, port, **more: resolve("127.0.0.1", port, **more))
    with socket.create_server(("127.0.0.1", 0)) as listening:
        port = listening.getsockname()[1]

        def serve() -> None:
            for _ in range(2):
                connection, _ = listening.accept()
                try:
                    with serving.wrap_socket(connection, server_side=True) as secure:
                        while not secure.recv(65536).endswith(b"{}"):
                            continue
                        secure.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")
                except OSError:
                    continue

        thread = threading.Thread(target=serve, daemon=True)
        thread.start()
        webhook = Webhook(REACH, trusting)
        good = webhook.send(to(f"https://hook.test:{port}/"), "i", b"{}")
        bad = webhook.send(to(f"https://other.test:{port}/"), "i", b"{}")
        thread.join(5)

    assert (True, False) == (good.ok, bad.ok), (good, bad)
    assert "CERTIFICATE_VERIFY_FAILED" in bad.answer
    assert ["hook.test", "other.test"] == asked
    assert [] == hook.requests
