"""What a url says: of one server, or of sentinels; and what of it may be shown."""

from __future__ import annotations

from contextlib import closing
from typing import TYPE_CHECKING, Any

import pytest
from eventually import eventually
from taglane.errors import BadSetting, ServerUnavailable
from taglane.store.connect import _OPTIONS, _TLS_OPTIONS, address_of, connect, connect_node, plain, tenant_of_url
from taglane.store.server import Server
from taglane_scheduler.embedded import EmbeddedServer, free_port
from tls import tls_server

if TYPE_CHECKING:
    from pathlib import Path

    from taglane_scheduler.server_binary import ServerBinary

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
        (f"unix://:{SECRET}@/run/valkey.sock?db=1", "/run/valkey.sock"),
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
    "REDIS://h/0",
    "redis://h/abc",
    "redis://h/0/1",
    "redis://h/²",
    "sentinel://h/abc?master=main",
    "sentinel://h/0?master=main&master=other",
    "redis://h/0?db=1&db=2",
    "redis://h/0?foo=1",
    "unix:///run/s?socket_keepalive=1",
    "redis://h/0?decode_responses=1",
    "redis://h/0?ssl_cert_reqs=none",
    "redis://h/0?master=main",
]


@pytest.mark.parametrize("url", BAD)
def test_a_url_that_is_none(url: Any) -> None:
    """It is refused when the client is made, with an example of each kind."""
    with pytest.raises(BadSetting, match=r"TAGLANE_URL.*redis://.*sentinel://.*master="):
        connect(url)


@pytest.mark.parametrize(
    ("url", "text"),
    [
        (
            "127.0.0.1:x/0",
            "TAGLANE_URL='127.0.0.1:x/0': its scheme is none of redis, rediss, unix, sentinel, sentinels",
        ),
        ("http://h/0", "TAGLANE_URL='http://h/0': its scheme is none of redis, rediss, unix, sentinel, sentinels"),
        ("redis://u:p@h:x/0", "TAGLANE_URL='redis://...@h:x/0': Port could not be cast to integer value as 'x'"),
        ("redis://h/abc", "TAGLANE_URL='redis://h/abc': 'abc' is not the number of a database"),
        ("redis://h/0?user=x", "TAGLANE_URL='redis://h/0': it has no option 'user': did you mean 'username'?"),
        ("redis://h/0?foo=1", "it has no option 'foo': there are username, password, db, client_name"),
        ("sentinel://h/0?master=m&foo=1", "it has no option 'foo': there are username"),
        ("sentinel://h/0?master=m&master=n", "the option 'master' is there twice"),
        ("redis://h/0?db=x", "Invalid value for 'db' in connection URL."),
    ],
)
def test_what_is_wrong_with_a_url(url: str, text: str) -> None:
    """Is said with the url's scheme and host, with what is wrong in it, and with what would be right."""
    with pytest.raises(BadSetting) as caught:
        connect(url)

    assert text in str(caught.value)


@pytest.mark.parametrize("scheme", ["redis", "rediss", "unix", "sentinel", "sentinels"])
def test_every_option_that_a_url_takes_is_known_to_the_connection(scheme: str) -> None:
    """None is passed over, or stumbled on when it connects."""
    options = [*_OPTIONS, *(_TLS_OPTIONS if scheme in ("rediss", "sentinels") else ())]
    if scheme == "unix":
        options.remove("socket_keepalive")
    spelled = "&".join(f"{name}={_VALUES.get(name, '1')}" for name in options)
    master = "master=main&" if scheme.startswith("sentinel") else ""

    client = connect(f"{scheme}://{'/run/s' if scheme == 'unix' else 'h/3'}?{master}{spelled}")
    made: Any = client.connection_pool.make_connection()

    assert (1, "1") == (made.db, made.username)


_VALUES = {"ssl_cert_reqs": "none", "ssl_check_hostname": "false", "ssl_min_version": "771"}


@pytest.mark.parametrize(
    "url",
    [
        f"http://user:{SECRET}@h/0",
        f"redis://user:{SECRET}@h/0?foo={SECRET}",
        f"redis://user:{SECRET}@h/abc",
        f"user:{SECRET}@h/0",
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
    assert "No master found for 'main': " in str(caught.value)
    assert "redis.client" not in str(caught.value)
    server.close()


@pytest.mark.one_server("one beside which nobody is")
def test_one_node_is_spoken_to_under_the_same_credential(server: EmbeddedServer) -> None:
    """Whatever the url says of where the server is."""
    url = server.url.replace(f"127.0.0.1:{server.port}", "127.0.0.1:1")

    with connect_node(url, "127.0.0.1", server.port, timeout=1.0) as client:
        assert client.ping()


def test_a_unix_socket(tmp_path: Path) -> None:
    """A url may name one, with the credential that the server asks for."""
    socket = tmp_path / "s"
    with EmbeddedServer(options={"unixsocket": str(socket)}) as server:
        url = f"unix://:{server.password}@{socket}?db=1"
        client = connect(url)

        assert client.ping()
        assert 1 == client.client_info()["db"]
        client.close()


def test_who_speaks_to_a_server_without_a_client_is_told_where_it_is() -> None:
    """With its login; what has TLS, or several servers, takes a client."""
    login = {"username": "taglane-acme", "password": "p@ss", "db": 2}
    assert {"host": "h", "port": 7000, **login} == plain("redis://taglane-acme:p%40ss@h:7000/2")
    assert {"host": "localhost", "port": 6379, "username": "", "password": "", "db": 0} == plain("redis://localhost")
    assert {"path": "/run/s.sock", **login} == plain("unix://taglane-acme:p%40ss@/run/s.sock?db=2")
    assert None is plain("rediss://h/0")
    assert None is plain("sentinel://h/0?master=main")


@pytest.mark.parametrize("password", ["", SECRET])
@pytest.mark.parametrize("kind", ["server", "cluster"])
def test_a_server_with_tls(binary: ServerBinary, tmp_path: Path, kind: str, password: str) -> None:
    """Each new connection is good for a call, whether it logs in or not: what a handshake leaves is no answer."""
    options = ["--requirepass", password] if password else []
    login = f":{password}@" if password else ""
    if kind == "cluster":
        options += ["--cluster-enabled", "yes", "--cluster-config-file", "nodes.conf"]
    with tls_server(binary, tmp_path, *options) as place:
        url = f"rediss://{login}{place}"
        if kind == "cluster":
            with closing(connect(url)) as node:
                node.execute_command("CLUSTER ADDSLOTSRANGE", 0, 16383)  # type: ignore[no-untyped-call]
                eventually(lambda: node.execute_command("CLUSTER INFO")["cluster_state"] == "ok")  # type: ignore[no-untyped-call]
            url = f"clusters://{login}{place}"
        for number in range(20):
            with closing(connect(url)) as client:
                assert client.set("key", number)
        host, _, port = place.partition("?")[0].partition(":")
        for _ in range(20):
            with closing(connect_node(url, host, int(port), timeout=5.0)) as client:
                assert client.ping()
