"""Decides which addresses a webhook may reach, and connects to the very one that it has checked.

A webhook's address is given by somebody; without a check it could make the scheduler ask what only its own network
reaches: a metadata service, a database, a neighbour's console. So a name is resolved once, every address that it has
must be a public one, and the connection is made to that address, not to what the name says a moment later.
"""

from __future__ import annotations

import ipaddress
import socket
from dataclasses import dataclass
from typing import TYPE_CHECKING

from taglane.errors import BadSetting

if TYPE_CHECKING:
    from collections.abc import Sequence

    Address = ipaddress.IPv4Address | ipaddress.IPv6Address
    Network = ipaddress.IPv4Network | ipaddress.IPv6Network

_CLOSED_4 = tuple(
    ipaddress.IPv4Network(each)
    for each in (
        *("0.0.0.0/8", "10.0.0.0/8", "100.64.0.0/10", "127.0.0.0/8", "169.254.0.0/16", "172.16.0.0/12"),
        *("192.0.0.0/24", "192.0.2.0/24", "192.88.99.0/24", "192.168.0.0/16", "198.18.0.0/15", "198.51.100.0/24"),
        *("203.0.113.0/24", "224.0.0.0/4", "240.0.0.0/4"),
        "168.63.129.16/32",  # Azure's own service: a public address that each of its machines reaches
    )
)
_OPEN_6 = ipaddress.IPv6Network("2000::/3")
"""What is handed out of IPv6; all else is local, multicast, or an IPv4 address in another spelling."""

_CLOSED_6 = tuple(
    ipaddress.IPv6Network(each)
    for each in ("2001::/23", "2001:db8::/32", "2002::/16", "3fff::/20")  # protocols and tunnels, examples, 6to4
)


class NotReachable(Exception):
    """A webhook may not reach that; the text says why."""


@dataclass(frozen=True, slots=True)
class Reach:
    """What webhooks may reach beside public addresses.

    allowed   networks for the operator's channels
    tenants   networks for the channels of tenants
    """

    allowed: Sequence[Network] = ()
    tenants: Sequence[Network] = ()

    def check(self, address: Address, *, owner: str, scheme: str) -> None:
        """Check one address for a channel of *owner*, empty for the operator.

        Raises:
            NotReachable: it is not public and not allowed; or it is public, and what is sent would be open to read.
        """
        address = _plain(address)
        if any(address in network for network in (self.tenants if owner else self.allowed)):
            return
        if not is_public(address):
            setting = "TAGLANE_WEBHOOK_ALLOW_TENANTS" if owner else "TAGLANE_WEBHOOK_ALLOW"
            raise NotReachable(f"{address} is no public address: the operator allows a network with {setting}")
        if scheme != "https":
            raise NotReachable(f"{address} is public, and {scheme} is open to read on the way: use https")

    def connect(self, host: str, port: int, *, owner: str, scheme: str, timeout: float) -> socket.socket:
        """Resolve a name once, check all its addresses, and connect to one of them.

        Raises:
            NotReachable: one of its addresses may not be reached.
            OSError: nobody answers at any.
        """
        try:
            found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
        except UnicodeError as error:
            raise NotReachable(f"{host!r} is no host's name") from error
        for _, _, _, _, place in found:
            self.check(_address(str(place[0])), owner=owner, scheme=scheme)
        failed: OSError = OSError(f"{host} has no address")
        for family, kind, protocol, _, place in found[:4]:
            connection = socket.socket(family, kind, protocol)
            connection.settimeout(timeout)
            try:
                connection.connect(place)
            except OSError as error:
                connection.close()
                failed = error
            else:
                return connection
        raise failed


def is_public(address: Address) -> bool:
    """Whether an address is one of the internet's, that no local network, tunnel or protocol has for itself."""
    address = _plain(address)
    if isinstance(address, ipaddress.IPv4Address):
        return not any(address in network for network in _CLOSED_4)
    return address in _OPEN_6 and not any(address in network for network in _CLOSED_6)


def read_networks(setting: str, text: str) -> tuple[Network, ...]:
    """Read networks as a setting names them: ``10.0.0.0/8,fd00::/8``.

    Raises:
        BadSetting: names the setting and the value.
    """
    words = [word.strip() for word in text.replace(" ", ",").split(",") if word.strip()]
    try:
        return tuple(ipaddress.ip_network(word) for word in words)
    except ValueError as error:
        raise BadSetting(setting, text, f"{error}: write it like 10.0.0.0/8,fd00::/8") from error


def _address(text: str) -> Address:
    try:
        return ipaddress.ip_address(text)
    except ValueError as error:
        raise NotReachable(f"{text} is no address") from error


def _plain(address: Address) -> Address:
    """Return the IPv4 address of one that is spelled as IPv6, and one of a link without the link."""
    if isinstance(address, ipaddress.IPv6Address):
        return address.ipv4_mapped or ipaddress.IPv6Address(int(address))
    return address
