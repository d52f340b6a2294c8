"""Which addresses a webhook may reach, and that it reaches the one that was checked."""

from __future__ import annotations

import ipaddress
import socket
from contextlib import closing
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from receivers import silent_port
from taglane.errors import BadSetting
from taglane_scheduler.alerting.reach import NotReachable, Reach, is_public, read_networks

if TYPE_CHECKING:
    from collections.abc import Iterator

CLOSED = """
0.0.0.0 0.1.2.3 10.0.0.1 10.255.255.255 100.64.0.1 100.100.100.200 127.0.0.1 127.255.0.1 169.254.169.254 172.16.0.1
172.31.255.255 192.0.0.192 192.0.2.1 192.88.99.1 192.168.0.1 198.18.0.1 198.19.255.255 198.51.100.1 203.0.113.9
224.0.0.1 239.255.255.250 240.0.0.1 255.255.255.255 168.63.129.16
:: ::1 ::ffff:127.0.0.1 ::ffff:10.0.0.1 ::ffff:a9fe:a9fe ::127.0.0.1 64:ff9b::7f00:1 64:ff9b::a9fe:a9fe 64:ff9b:1::1
100::1 2001::1 2001:0:7f00:1::1 2001:10::1 2001:db8::1 2002:7f00:1:: 2002:a00:1:: 3fff::1 5f00::1 fc00::1 fd00:ec2::254
fe80::1 fe80::1%lo fec0::1 ff02::1
"""
OPEN = "1.1.1.1 8.8.8.8 93.184.216.34 100.63.255.255 100.128.0.0 172.32.0.1 2606:4700:4700::1111 2a00:1450:4001::1"


@pytest.mark.parametrize("text", CLOSED.split())
def test_an_address_of_a_local_network_is_closed(text: str) -> None:
    """In whatever spelling; for the operator and for tenants."""
    address = ipaddress.ip_address(text)
    assert not is_public(address)
    for owner in ("", "acme"):
        with pytest.raises(NotReachable, match="is no public address"):
            Reach().check(address, owner=owner, scheme="https")


@pytest.mark.parametrize("text", OPEN.split())
def test_a_public_address_is_open_to_what_nobody_can_read(text: str) -> None:
    """By https."""
    address = ipaddress.ip_address(text)
    assert is_public(address)
    Reach().check(address, owner="acme", scheme="https")
    with pytest.raises(NotReachable, match="use https"):
        Reach().check(address, owner="acme", scheme="http")


@given(st.one_of(st.ip_addresses(v=4), st.ip_addresses(v=6)))
def test_what_is_open_is_global(address: ipaddress.IPv4Address | ipaddress.IPv6Address) -> None:
    """As Python's own tables see it, too."""
    assert not is_public(address) or (address.is_global and not address.is_multicast)


def test_the_operator_allows_networks_to_itself_and_to_tenants_apart() -> None:
    """An IPv4 address in the spelling of IPv6 is in the same network; there http is allowed as well."""
    reach = Reach(read_networks("A", "10.0.0.0/8, fd00::/8"), read_networks("B", "10.1.0.0/16"))
    for text in ("10.2.0.1", "::ffff:10.2.0.1", "fd00::1"):
        reach.check(ipaddress.ip_address(text), owner="", scheme="http")
        with pytest.raises(NotReachable, match="TAGLANE_WEBHOOK_ALLOW_TENANTS"):
            reach.check(ipaddress.ip_address(text), owner="acme", scheme="https")
    reach.check(ipaddress.ip_address("10.1.0.1"), owner="acme", scheme="http")
    with pytest.raises(NotReachable, match=r"TAGLANE_WEBHOOK_ALLOW$"):
        reach.check(ipaddress.ip_address("192.168.0.1"), owner="", scheme="http")


@pytest.mark.parametrize("text", ["10.0.0.0/33", "10.0.0.1/8", "here"])
def test_a_setting_that_names_no_network_is_told(text: str) -> None:
    """With its name and value."""
    with pytest.raises(BadSetting, match=r"TAGLANE_WEBHOOK_ALLOW='.*write it like"):
        read_networks("TAGLANE_WEBHOOK_ALLOW", text)
    assert () == read_networks("TAGLANE_WEBHOOK_ALLOW", "")


@pytest.fixture
def port() -> Iterator[int]:
    with silent_port() as port:
        yield port


def name_server(monkeypatch: pytest.MonkeyPatch, *answers: list[str]) -> list[str]:
    """Let each question for a name have the next of these answers; return what was asked."""
    asked: list[str] = []

    def resolve(host: str, port: int, **_: Any) -> list[Any]:
        asked.append(host)
        kinds = {4: socket.AF_INET, 6: socket.AF_INET6}
        found = [(each, kinds[ipaddress.ip_address(each).version]) for each in answers[len(asked) - 1]]
        return [(kind, socket.SOCK_STREAM, 6, "", (each, port)) for each, kind in found]

    monkeypatch.setattr(socket, "getaddrinfo", resolve)
    return asked


def test_a_name_is_asked_for_once(monkeypatch: pytest.MonkeyPatch, port: int) -> None:
    """What it says a moment later is not heard: the connection goes to the address that was checked."""
    asked = name_server(monkeypatch, ["127.0.0.2"], ["169.254.169.254"])
    reach = Reach(read_networks("A", "127.0.0.2/32"))
    with (
        closing(socket.create_server(("127.0.0.2", port))),
        closing(reach.connect("hook.test", port, owner="", scheme="http", timeout=1)) as connection,
    ):
        assert ("127.0.0.2", port) == connection.getpeername()
    assert ["hook.test"] == asked


def test_one_address_that_is_closed_closes_the_name(monkeypatch: pytest.MonkeyPatch, port: int) -> None:
    """Wherever it stands among them: nobody is connected to."""
    reach = Reach(read_networks("A", "127.0.0.1/32"))
    for answer in (["127.0.0.1", "10.0.0.1"], ["10.0.0.1", "127.0.0.1"], ["127.0.0.1", "::1"]):
        name_server(monkeypatch, answer)
        with pytest.raises(NotReachable):
            reach.connect("hook.test", port, owner="", scheme="http", timeout=1)


@pytest.mark.parametrize("host", ["127.1", "0x7f.1", "2130706433", "0177.0.0.1", "localhost", "[::1]", "0"])
def test_no_spelling_of_the_loopback_interface_leads_there(host: str) -> None:
    """The system may know a spelling or not: what it makes of it is checked."""
    with pytest.raises((NotReachable, OSError)) as caught:
        Reach().connect(host.strip("[]"), 9, owner="acme", scheme="https", timeout=1)
    assert not isinstance(caught.value, ConnectionError)


def test_another_address_is_tried(monkeypatch: pytest.MonkeyPatch, port: int) -> None:
    """When the first doesn't answer; when none does, the error says so."""
    reach = Reach(read_networks("A", "127.0.0.0/8"))
    name_server(monkeypatch, ["127.0.0.9", "127.0.0.1"], ["127.0.0.9"])
    with closing(reach.connect("hook.test", port, owner="", scheme="http", timeout=1)) as connection:
        assert "127.0.0.1" == connection.getpeername()[0]
    with pytest.raises(ConnectionRefusedError):
        reach.connect("hook.test", port, owner="", scheme="http", timeout=1)
