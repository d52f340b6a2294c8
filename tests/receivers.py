"""What alerts are sent to in tests: a webhook's receiver and a mail server, both real, on the loopback interface."""

from __future__ import annotations

import socket
import socketserver
import threading
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterator


@dataclass
class Receiver:
    """Receives webhooks: keeps what came, and answers as it is told to."""

    port: int = 0
    requests: list[tuple[str, dict[str, str], bytes]] = field(default_factory=list)
    """Path, headers in lower case, and body of each request."""
    answers: list[tuple[int, dict[str, str]]] = field(default_factory=list)
    """What it answers next; when there is none, 204."""
    body: bytes = b""
    """What follows the head of an answer."""
    hold: threading.Event = field(default_factory=threading.Event)
    """What an answer waits for; set unless a test clears it."""

    def __post_init__(self) -> None:
        self.hold.set()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}/hook?a=1"


@contextmanager
def receiver() -> Iterator[Receiver]:
    """A webhook's receiver."""
    state = Receiver()

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
            state.requests.append((self.path, {name.lower(): value for name, value in self.headers.items()}, body))
            state.hold.wait(10)
            code, headers = state.answers.pop(0) if state.answers else (204, {})
            self.send_response(code)
            for name, value in headers.items():
                self.send_header(name, value)
            self.end_headers()
            self.wfile.write(state.body)

        def log_message(self, *_: Any) -> None:
            """Say nothing."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    state.port = server.server_address[1]
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
    thread.start()
    try:
        yield state
    finally:
        state.hold.set()
        server.shutdown()
        server.server_close()


@dataclass
class MailSink:
    """A mail server in the clear: keeps who got what, and refuses those recipients that it is told to."""

    port: int = 0
    mails: list[tuple[list[str], str]] = field(default_factory=list)
    """Recipients, and the whole text."""
    refused: set[str] = field(default_factory=set)
    greeting: bytes = b"220 sink"


@contextmanager
def mail_sink() -> Iterator[MailSink]:
    """A mail server."""
    state = MailSink()

    class Handler(socketserver.StreamRequestHandler):
        def handle(self) -> None:
            self.say(state.greeting)
            to: list[str] = []
            while line := self.rfile.readline():
                word = line.strip().upper()
                if word.startswith(b"RCPT"):
                    address = line.decode().partition("<")[2].partition(">")[0]
                    if address in state.refused:
                        self.say(b"550 no such person")
                        continue
                    to.append(address)
                elif word == b"DATA":
                    self.say(b"354 go on")
                    text = b""
                    while (part := self.rfile.readline()) not in {b".\r\n", b""}:
                        text += part
                    state.mails.append((to, text.decode()))
                elif word == b"QUIT":
                    self.say(b"221 bye")
                    return
                self.say(b"250 ok")

        def say(self, text: bytes) -> None:
            self.wfile.write(text + b"\r\n")

    server = socketserver.ThreadingTCPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    state.port = server.server_address[1]
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
    thread.start()
    try:
        yield state
    finally:
        server.shutdown()
        server.server_close()


@contextmanager
def silent_port() -> Iterator[int]:
    """A port that takes connections, and says nothing."""
    with socket.create_server(("127.0.0.1", 0)) as listening:
        yield listening.getsockname()[1]
