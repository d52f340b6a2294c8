"""What a url says: of one server, or of sentinels; and what of it may be shown."""

from __future__ import annotations

from typing import Any

import pytest
from taglane.errors import BadSetting, ServerUnavailable
from taglane.store.connect import address_of, connect, connect_node, tenant_of_url
from taglane.store.server import Server
from taglane_scheduler.embedded import EmbeddedServer, free_port

SECRET = "s3cret"
URL = f"redis://taglane-acme:{SECRET}@h.example:7000/0"
SENTINELS = f"sentinel://taglane-acme:{SECRET}@h1:7001,h2,[::1]:7003/2?master=main&sentinel_password=hush"


@pytest.mark.parametrize(
    ("url", "tenant"),
    [
        (URL, "acme"),
        ("redis://taglane-acme1:x@h/0", "acme1"),
        ("redis://taglane%2Dacme:x@h/0", "acme"),
        ("redis://:x@h/0", None),
        ("redis://h/0", None),
        ("redis://default:x@h/0", None),
        ("redis://acme:x@h/0", None),
        ("redis://xtaglane-acme:x@h/0", None),
        (SENTINELS, "acme"),
        ("sentinel://:x@h1,h2/0?master=main", None),
    ],
)
def test_the_tenant_of_a_url(url: str, tenant: str | None) -> None:
    """Its user's name says whose credential it is; any other user is the operator."""
    assert tenant == tenant_of_url(url)
    assert tenant == Server(url).tenant


@pytest.mark.parametrize(
    ("url", "address"),
    [
        (URL, "h.example:7000"),
        ("redis://h", "h:6379"),
        ("redis:///0", "localhost:6379"),
        (SENTINELS, "h1:7001,h2:26379,::1:7003"),
    ],
)
def test_the_address_of_a_url(url: str, address: str) -> None:
    """What may be shown of it: host and port, of each sentinel."""
    assert address == address_of(url)


BAD = [
    "",
    "http://h/0",
    "h:6379",
    "redis://h:port/0",
    "sentinel://h1,h2/0",
    "sentinel://h1:port/0?master=main",
    "sentinel:///0?master=main",
    "sentinel://h1,,h2/0?master=main",
]


@pytest.mark.parametrize("url", BAD)
def test_a_url_that_is_none(url: Any) -> None:
    """It is refused when the client is made, with an example of each kind."""
    with pytest.raises(BadSetting, match=r"TAGLANE_URL.*redis://.*sentinel://.*master="):
        connect(url)


@pytest.mark.parametrize(
    "url",
    [
        f"http://user:{SECRET}@h/0",
        f"http://h/0?password={SECRET}",
        f"sentinel://user:{SECRET}@h/0",
        f"sentinel://h:port/0?master=main&sentinel_password={SECRET}",
    ],
)
def test_no_error_shows_a_password(url: str) -> None:
    """Wherever in the url it stands."""
    with pytest.raises(BadSetting) as caught:
        connect(url)

    assert SECRET not in str(caught.value)


def test_a_client_of_sentinels_has_what_the_url_says() -> None:
    """Credential, database and timeouts for the server; for the sentinels a password of their own, and a short one."""
    pool: Any = connect(f"{SENTINELS}&sentinel_username=guard", timeout=7.0).connection_pool
    server = pool.connection_kwargs
    sentinels = [client.connection_pool.connection_kwargs for client in pool.sentinel_manager.sentinels]

    assert ("taglane-acme", SECRET, 2, 7.0) == tuple(
        server[name] for name in ("username", "password", "db", "socket_timeout")
    )
    assert "main" == pool.service_name
    assert [("h1", 7001), ("h2", 26379), ("::1", 7003)] == [(each["host"], each["port"]) for each in sentinels]
    assert {("guard", "hush", 1.0)} == {
        (each["username"], each["password"], each["socket_timeout"]) for each in sentinels
    }


def test_tls_is_for_servers_and_sentinels() -> None:
    """One scheme says it for both, with the same certificates."""
    pool: Any = connect("sentinels://h1/0?master=main&ssl_cert_reqs=none").connection_pool
    (sentinel,) = pool.sentinel_manager.sentinels

    assert "SSL" in pool.connection_class.__name__
    assert "SSL" in sentinel.connection_pool.connection_class.__name__
    assert "none" == sentinel.connection_pool.connection_kwargs["ssl_cert_reqs"]


def test_sentinels_that_are_gone() -> None:
    """It is no server, as any other that is not there; the error names the sentinels, and no password."""
    ports = free_port(), free_port()
    server = Server(f"sentinel://:{SECRET}@127.0.0.1:{ports[0]},127.0.0.1:{ports[1]}/0?master=main")

    with pytest.raises(ServerUnavailable, match=f"127.0.0.1:{ports[0]},127.0.0.1:{ports[1]}") as caught:
        server.call("beat", "acme", "w")

    assert SECRET not in str(caught.value)
    server.close()


def test_one_node_is_spoken_to_under_the_same_credential(server: EmbeddedServer) -> None:
    """Whatever the url says of where the server is."""
    url = server.url.replace(f"127.0.0.1:{server.port}", "127.0.0.1:1")

    with connect_node(url, "127.0.0.1", server.port, timeout=1.0) as client:
        assert client.ping()
