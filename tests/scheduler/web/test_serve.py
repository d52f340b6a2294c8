"""The console as a process: where it listens, what it needs to start, how it ends."""

from __future__ import annotations

import http.client
import socket
import threading
import time
from contextlib import ExitStack, closing, contextmanager
from queue import Queue
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

import pytest
from cluster import everywhere
from taglane.errors import BadSetting, OperatorNeeded, ServerUnavailable
from taglane.settings import load_settings
from taglane_scheduler.services import build
from taglane_scheduler.web import serve
from taglane_scheduler.web.serve import NobodyCanLogIn, Where, run_console

if TYPE_CHECKING:
    from collections.abc import Iterator

    from taglane_scheduler.services import Services


@contextmanager
def running(services: Services, **how: object) -> Iterator[Where]:
    """A console in a thread; at the end it has ended, within two seconds."""
    ready: Queue[Where] = Queue()
    stop = threading.Event()
    options = {"ports": [0], **how}
    thread = threading.Thread(
        target=run_console, args=(services,), kwargs={"ready": ready.put, "stopping": stop, **options}
    )
    thread.start()
    yield ready.get(timeout=20)
    began = time.monotonic()
    stop.set()
    thread.join(20)
    assert time.monotonic() - began < 2


@contextmanager
def asked(where: Where, path: str, **headers: str) -> Iterator[http.client.HTTPResponse]:
    with closing(http.client.HTTPConnection(urlsplit(where.url).netloc, timeout=10)) as connection:
        connection.request("GET", path, headers=headers)
        with closing(connection.getresponse()) as answer:
            yield answer


def test_it_ends_although_somebody_looks(services: Services) -> None:
    """An event stream has no end of its own. A link that it told of sets it up; with people there is none."""
    token = services.access.sessions.open("link", role="admin")
    with ExitStack() as stack, running(services) as where:
        assert where.url.startswith("http://127.0.0.1:")
        assert where.setup.startswith("/setup?token=")
        with asked(where, where.setup) as page:
            assert 200 == page.status
        looking = asked(where, "/events?at=/workers", Cookie=f"taglane_session={token}")
        stack.enter_context(looking).readline()

    services.access.people.add("ann", "correct horse", "admin")
    with running(services) as where:
        assert "" == where.setup


FORM = b"Content-Type: application/x-www-form-urlencoded\r\nContent-Length: 9\r\n\r\na"


@pytest.mark.parametrize(
    "begun", [b"", b"GET / HTTP/1.1\r\nX: ", b"POST /login HTTP/1.1\r\nHost: localhost\r\n" + FORM]
)
def test_who_never_comes_to_an_end_of_asking_is_cut_off(
    services: Services, monkeypatch: pytest.MonkeyPatch, begun: bytes
) -> None:
    """Thousands of such connections would be all that the process may have open. Who is answered is not cut off."""
    monkeypatch.setattr(serve, "SLOW", 0.5)
    token = services.access.sessions.open("link", role="admin")
    with ExitStack() as stack, running(services) as where:
        looking = stack.enter_context(asked(where, "/events?at=/workers", Cookie=f"taglane_session={token}"))
        slow = stack.enter_context(socket.create_connection(("127.0.0.1", urlsplit(where.url).port or 0), timeout=10))
        slow.sendall(begun)

        assert b"" == slow.recv(1)
        assert looking.readline()


def test_a_port_that_somebody_has_is_named(services: Services) -> None:
    """Where another may do, the next is taken."""
    with closing(socket.create_server(("127.0.0.1", 0))) as taken:
        port = taken.getsockname()[1]
        with pytest.raises(BadSetting, match=f"can't listen on port {port} of 127.0.0.1"):
            run_console(services, ports=[port])
        with running(services, ports=[port, 0]) as where:
            assert f":{port}" not in where.url


def test_it_is_reached_from_elsewhere_only_when_somebody_can_log_in(services: Services) -> None:
    """Or whoever comes first would set it up."""
    with pytest.raises(NobodyCanLogIn, match=r"taglane user add NAME --role admin --all"):
        run_console(services, host="0.0.0.0", ports=[0])

    services.access.people.add("ann", "correct horse", "admin")
    with running(services, host="0.0.0.0") as where:
        assert where.url.startswith("http://0.0.0.0:")


def test_a_tenants_credential_serves_no_console(services: Services) -> None:
    tenant = build(load_settings(url=services.tenants.create("acme").url))

    with pytest.raises(OperatorNeeded):
        run_console(tenant, ports=[0])


def test_a_server_that_is_gone_is_waited_for(caplog: pytest.LogCaptureFixture) -> None:
    """As long as our patience lasts, and it is told once."""
    with closing(socket.create_server(("127.0.0.1", 0))) as free:
        port = free.getsockname()[1]
    nowhere = build(load_settings(url=f"redis://127.0.0.1:{port}", patience="1s"))

    with pytest.raises(ServerUnavailable):
        run_console(nowhere, ports=[0])

    assert 1 == caplog.text.count("server_gone")


def test_without_the_functions_it_says_so(services: Services, caplog: pytest.LogCaptureFixture) -> None:
    """A scheduler brings them: the console starts, and is ready when they are there."""
    everywhere(services.server.redis).function_flush()

    with running(services) as where, asked(where, "/readyz") as answer:
        assert 503 == answer.status
    assert "library_missing" in caplog.text


TOLD = [("127.0.0.1", "10.9.9.9", True), ("", "127.0.0.1", False)]


@pytest.mark.parametrize(("proxies", "address", "is_secure"), TOLD)
def test_a_proxy_is_believed_when_the_settings_name_it(
    services: Services, url: str, proxies: str, address: str, is_secure: bool
) -> None:
    """Where somebody came from, and that they came by TLS; anybody else may say what they like."""
    services.access.people.add("ann", "correct horse", "admin")
    told = build(load_settings(url=url, console_proxy=proxies, console_hosts="console.example.com"))
    said = {"X-Forwarded-For": "10.9.9.9", "X-Forwarded-Proto": "https", "Host": "console.example.com"}
    with running(told) as where, closing(http.client.HTTPConnection(urlsplit(where.url).netloc, timeout=10)) as proxy:
        form = {"Content-Type": "application/x-www-form-urlencoded", "Origin": "https://console.example.com", **said}
        proxy.request("POST", "/login", "name=ann&password=correct+horse", form)
        answer = proxy.getresponse()
        answer.read()

    cookie = answer.getheader("Set-Cookie") or ""
    assert (303, is_secure) == (answer.status, "Secure" in cookie and cookie.startswith("__Host-"))
    assert address == services.audit.list()[-1].address
