"""What a url says, a server, the sentinels that know one, or a cluster, and the client that connects to it."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from difflib import get_close_matches
from typing import Any
from urllib.parse import parse_qsl, quote, unquote, urlencode, urlsplit, urlunsplit

import redis as redis_py
from redis.backoff import NoBackoff
from redis.connection import SSLConnection, parse_url
from redis.retry import Retry
from redis.sentinel import Sentinel

from taglane.errors import BadSetting
from taglane.store.cluster import ClusterClient

USER = "taglane-"
"""What the ACL user of a tenant is called, before the tenant's name."""

SENTINELS = {"sentinel": "redis", "sentinels": "rediss"}
"""Schemes of urls that name sentinels, and what the servers themselves are then spoken to with; the second has TLS."""

CLUSTERS = {"cluster": "redis", "clusters": "rediss"}
"""Schemes of urls that name some nodes of a cluster, and what these are spoken to with; the second has TLS."""

EXAMPLES = (
    "it must look like redis://user:password@host:6379/0 (rediss:// with TLS) or, where sentinels choose the primary, "
    "sentinel://user:password@host:26379,host2:26379/0?master=NAME (sentinels:// with TLS) or, of a cluster, "
    "cluster://user:password@host:6379,host2:6379 (clusters:// with TLS)"
)

CONNECT_TIMEOUT = 5.0
SENTINEL_TIMEOUT = 1.0
"""Seconds that one sentinel has to answer, before the next one is asked."""

NODE_TIMEOUT = 3.0
"""Seconds that a node of a cluster has to answer: those that stand still are found out by that."""

NAME = "taglane"
"""What a connection with TLS is called that needs no login: it has to hear something before it counts as ready.

After the handshake a server sends tickets, which redis-py takes for an answer to nobody where nothing was asked yet.
"""

_SENTINEL_PORT = 26379
_NODE_PORT = 6379

_SCHEMES = ("redis", "rediss", "unix", *SENTINELS, *CLUSTERS)

# What may stand behind the question mark; more of what redis-py knows would change what it answers.
_OPTIONS = (
    *("username", "password", "db", "client_name", "max_connections"),
    *("socket_timeout", "socket_connect_timeout", "socket_keepalive", "health_check_interval"),
)
_TLS_OPTIONS = (
    *("ssl_keyfile", "ssl_certfile", "ssl_password", "ssl_cert_reqs", "ssl_check_hostname"),
    *("ssl_ca_certs", "ssl_ca_path", "ssl_ca_data", "ssl_min_version", "ssl_ciphers"),
)
_SENTINEL_OPTIONS = ("master", "sentinel_username", "sentinel_password")

_CLIENT = re.compile(r"<redis\.client\.Redis\(.*?\)>\)>\)> - ")
"""How redis-py shows a sentinel that gave no answer."""


def tenant_of_url(url: str) -> str | None:
    """Return the tenant whose credential *url* carries, or None for another user's."""
    user = unquote(urlsplit(url).username or "")
    return user.removeprefix(USER) if user.startswith(USER) else None


def is_cluster(url: str) -> bool:
    """Whether a url names nodes of a cluster."""
    return urlsplit(url).scheme in CLUSTERS


def address_of(url: str) -> str:
    """Return what may be shown of *url*, which has a password: ``host:port``, each sentinel's, or a socket's path."""
    parts = urlsplit(url)
    if parts.scheme == "unix":
        return unquote(parts.path)
    if parts.scheme in SENTINELS or parts.scheme in CLUSTERS:
        return ",".join(f"{host}:{port}" for host, port in _hosts(parts.netloc, _port(parts.scheme)))
    return f"{parts.hostname or 'localhost'}:{parts.port or 6379}"


def connect(url: str, *, timeout: float | None = 10.0) -> redis_py.Redis:
    """Return a client of *url* that answers bytes; it connects when first used.

    With sentinels, each new connection asks them where the primary is; one that turns out to be a replica is dropped.
    Of a cluster, each command goes to the node that has its key: see `cluster.ClusterClient`.

    Args:
        url: see `EXAMPLES`; ``sentinel_username`` and ``sentinel_password`` in the query are for the sentinels.
        timeout: seconds until a silent server counts as gone; None to wait for ever (blocking reads).

    Raises:
        BadSetting: the url is none.
    """
    place = _read(url)
    if place.nodes:
        patience = timeout if timeout is None else min(timeout, NODE_TIMEOUT)
        return ClusterClient(place.nodes, {**_client_options(patience), **place.options})
    if not place.sentinels:
        wanted = _client_options(timeout)
        if "path" in place.options:
            del wanted["socket_keepalive"]  # a unix socket has none
        if "client_name" in place.options:
            wanted["client_name"] = place.options["client_name"]
        return redis_py.Redis.from_url(url, **wanted)
    options = {**_client_options(timeout), **place.options}
    asked = {**_client_options(SENTINEL_TIMEOUT), **_named({**_tls(options), **place.sentinel_login})}
    asked["socket_connect_timeout"] = SENTINEL_TIMEOUT
    sentinel: Any = Sentinel  # untyped, as is parse_url
    client: redis_py.Redis = sentinel(place.sentinels, sentinel_kwargs=asked).master_for(place.master, **options)
    return client


def connect_node(url: str, host: str, port: int, *, timeout: float | None) -> redis_py.Redis:
    """Return a client of one certain server, a replica for one, under the credential of *url*."""
    patience = CONNECT_TIMEOUT if timeout is None else timeout
    options = {**_client_options(timeout), **_read(url).options, "socket_connect_timeout": patience}
    for name in ("path", "connection_class"):  # of a unix socket: its replicas are elsewhere
        options.pop(name, None)
    return redis_py.Redis(**{**options, "host": host, "port": port})


def plain(url: str) -> dict[str, Any] | None:
    """Return where the one server of *url* is, and the login: for who speaks to it without TLS and without redis-py.

    None for what takes more than that.

    Raises:
        BadSetting: the url is none.
    """
    if urlsplit(url).scheme not in ("redis", "unix"):
        return None
    options = {"host": "localhost", "port": 6379, "username": "", "password": "", "db": 0} | _read(url).options
    known = ("path",) if "path" in options else ("host", "port")
    return {name: options[name] for name in (*known, "username", "password", "db")}


def _client_options(timeout: float | None) -> dict[str, Any]:
    return {
        "protocol": 2,
        "driver_info": None,  # it need not say which library it is: Redis 7.0 has no CLIENT SETINFO
        "socket_timeout": timeout,
        "socket_connect_timeout": CONNECT_TIMEOUT,
        "socket_keepalive": True,
        "health_check_interval": 0,
        "retry": Retry(NoBackoff(), 0),
    }


@dataclass(frozen=True, slots=True)
class _Place:
    """A url, read: redis-py's options for a server, and the sentinels or nodes that know where servers are."""

    options: dict[str, Any]
    sentinels: list[tuple[str, int]] = field(default_factory=list)
    master: str = ""
    sentinel_login: dict[str, str] = field(default_factory=dict)
    nodes: list[tuple[str, int]] = field(default_factory=list)


def without_clients(error: Exception) -> str:
    """Return what redis-py says of a connection, without what it shows of its own objects: the sentinels it asked."""
    return _CLIENT.sub("", str(error)).replace("' : ", "': ", 1)


def _read(url: str) -> _Place:
    try:
        _check(url)
        scheme = urlsplit(url).scheme
        if scheme in CLUSTERS:
            return _read_cluster(url)
        return _read_sentinels(url) if scheme in SENTINELS else _Place(_options(url))
    except ValueError as error:
        raise BadSetting("TAGLANE_URL", _without_secrets(url), f"{error}; {EXAMPLES}") from error


def _check(url: str) -> None:
    """Raise ValueError for what redis-py would pass over, or stumble on only when it connects."""
    parts = urlsplit(url)
    if parts.scheme not in _SCHEMES or not url.startswith(f"{parts.scheme}://"):
        raise ValueError(f"its scheme is none of {', '.join(_SCHEMES)}")
    database = parts.path.removeprefix("/")
    if parts.scheme != "unix" and database and not (database.isascii() and database.isdigit()):
        raise ValueError(f"{database!r} is not the number of a database")
    if parts.scheme in CLUSTERS and database:
        raise ValueError("a cluster has no databases to choose from")
    never = {"unix": ("socket_keepalive",), "cluster": ("db",), "clusters": ("db",)}.get(parts.scheme, ())
    known = (
        *(name for name in _OPTIONS if name not in never),
        *(_TLS_OPTIONS if parts.scheme in ("rediss", "sentinels", "clusters") else ()),
        *(_SENTINEL_OPTIONS if parts.scheme in SENTINELS else ()),
    )
    seen = set()
    for name, _ in parse_qsl(parts.query, keep_blank_values=True):
        if name not in known:
            near = get_close_matches(name, known, n=1)
            hint = f"did you mean {near[0]!r}?" if near else f"there are {', '.join(known)}"
            raise ValueError(f"it has no option {name!r}: {hint}")
        if name in seen:
            raise ValueError(f"the option {name!r} is there twice")
        seen.add(name)


def _read_sentinels(url: str) -> _Place:
    parts = urlsplit(url)
    query = dict(parse_qsl(parts.query))
    master = query.pop("master", "")
    if not master:
        raise ValueError("it names no master")
    login = {name: query.pop(f"sentinel_{name}") for name in ("username", "password") if f"sentinel_{name}" in query}
    credential = parts.netloc.rpartition("@")[0]
    server = f"{credential}@primary" if credential else "primary"
    plain = urlunsplit((SENTINELS[parts.scheme], server, parts.path, urlencode(query, quote_via=quote), ""))
    options = _options(plain)
    del options["host"]
    return _Place(options, _hosts(parts.netloc, _SENTINEL_PORT), master, login)


def _read_cluster(url: str) -> _Place:
    parts = urlsplit(url)
    credential = parts.netloc.rpartition("@")[0]
    node = f"{credential}@node" if credential else "node"
    options = _options(urlunsplit((CLUSTERS[parts.scheme], node, "", parts.query, "")))
    del options["host"]
    return _Place(options, nodes=_hosts(parts.netloc, _NODE_PORT))


def _port(scheme: str) -> int:
    return _SENTINEL_PORT if scheme in SENTINELS else _NODE_PORT


def _hosts(netloc: str, port: int) -> list[tuple[str, int]]:
    """Read ``a:1,b`` behind the credential, *port* for who has none; ValueError for what is no host or no port."""
    found = []
    for text in netloc.rpartition("@")[2].split(","):
        one = urlsplit(f"//{text.strip()}")
        if not one.hostname:
            raise ValueError("it names no host, or an empty one")
        found.append((one.hostname, one.port or port))
    return found


def _options(url: str) -> dict[str, Any]:
    """Read a url of one server as redis-py does; with TLS said as a client says it, that takes no url."""
    parse: Any = parse_url
    options: dict[str, Any] = parse(url)
    if options.get("connection_class") is SSLConnection:
        del options["connection_class"]
        options["ssl"] = True
    return _named(options)


def _named(options: dict[str, Any]) -> dict[str, Any]:
    """Give a connection a name that would be asked nothing when it is made, where that will not do."""
    needs_name = options.get("ssl") and not options.get("password") and not options.get("client_name")
    return {**options, "client_name": NAME} if needs_name else options


def _tls(options: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in options.items() if name == "ssl" or name.startswith("ssl_")}


def _without_secrets(url: str) -> str:
    """What an error may show: no credential, and of the query nothing, which may hold one as well."""
    login, at, rest = url.rpartition("@")
    scheme, found, _ = login.partition("://")
    hidden = (f"{scheme}://...@" if found and scheme.isalpha() else "...@") if at else ""
    return hidden + rest.partition("?")[0]
