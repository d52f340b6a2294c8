"""A server with a tenant that attacks, others that must not notice, and a witness of all that is not the attacker's.

What others own holds a canary. An attack has succeeded when anything of theirs has changed, when an answer holds the
canary, or when a listener of theirs has heard something.
"""

from __future__ import annotations

from contextlib import suppress
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from factories import make_job
from redis.exceptions import ConnectionError as Lost
from redis.exceptions import ResponseError
from taglane.model.limits import change_limits, read_limits
from taglane.store import keys
from taglane.store.jobs import Jobs
from taglane.store.limits import LimitStore
from taglane.store.server import Server, connect
from taglane_scheduler.tenancy.tenants import Tenants

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

Word = str | bytes | int | float

ATTACKER, VICTIM = "acme", "globex"
NEIGHBOURS = (VICTIM, "acme1", "acm", "acme-1")
"""Others, most with a name that a sloppy pattern would confuse with the attacker's."""

CANARY = "canary7f3a9c"
OWN = keys.prefix(ATTACKER)
VICTIMS_RUN = f"{VICTIM}.{CANARY}"
ENVELOPE = f'{{"b":"[[\\"{CANARY}\\"],{{}},{{}}]"}}'

TYPES = ("string", "hash", "list", "set", "zset", "stream", "number", "none")
"""Kinds of keys that each neighbour has one of, called so; `none` is a key that is not there."""


def typed(tenant: str, kind: str) -> str:
    """The key of one kind of one tenant."""
    return f"{keys.prefix(tenant)}{kind}"


TARGETS = (
    *(typed(VICTIM, kind) for kind in TYPES),
    typed("acme1", "hash"),
    *(keys.POOLS, keys.pool_active("small"), keys.pool_terms("small"), keys.pool_active("acme")),
    *(
        keys.TENANTS,
        keys.SCHEDULERS,
        keys.AUDIT,
        keys.DENIED,
        keys.DENIALS,
        keys.ALERTS,
        keys.ALERT_CHANNELS,
        keys.WATCH,
        keys.limits(VICTIM),
    ),
    *("another-application", "taglane:", "taglane:{acme}", "taglane:{acme", "taglane-ro:{acme1}:limits"),
)
"""Keys that are not the attacker's."""


@dataclass(frozen=True)
class Sight:
    """All that is not the attacker's, at one moment."""

    keys: dict[bytes, tuple[bytes | None, int]]
    sizes: tuple[int, ...]
    functions: bytes
    users: tuple[str, ...]
    settings: dict[str, str]
    scripts: int
    role: str
    heard: list[Any] = field(default_factory=list)

    def differences(self, other: Sight) -> list[str]:
        """What is otherwise in *other*."""
        found = [name for name in self.__slots_named() if getattr(self, name) != getattr(other, name)]
        changed = {key for key in {*self.keys, *other.keys} if self.keys.get(key) != other.keys.get(key)}
        return [*found, *map(repr, sorted(changed))]

    @staticmethod
    def __slots_named() -> tuple[str, ...]:
        return ("keys", "sizes", "functions", "users", "settings", "scripts", "role", "heard")


class World:
    """One server, planted. Close it in the end."""

    def __init__(self, url: str) -> None:
        self.url = url
        self.operator = Server(url)
        self.redis: Any = self.operator.redis
        self.tenants = Tenants(self.operator)
        self.attackers_url = ""
        self._listener: Any = None
        self.plant()

    def plant(self) -> None:
        """Make the tenants, and what they own, anew."""
        self.close_listener()
        for database in (1, 0):
            with connect(self.url.removesuffix("/0") + f"/{database}") as client:
                client.flushdb()
                client.set(f"another-application:{database}", CANARY)
        for name in NEIGHBOURS:
            self.tenants.create(name)
            _plant_keys(self.redis, name)
        self.operator.call("enqueue", VICTIM, VICTIMS_RUN, "shop.task", VICTIM, 0, ENVELOPE, "", "", "", "")
        Jobs(self.operator, 1_000_000).put(make_job("report", tenant=VICTIM, params={"secret": CANARY}))
        self.attackers_url = self.tenants.create(ATTACKER).url
        limits = LimitStore(self.operator)
        for name in (ATTACKER, VICTIM):
            limits.put(name, change_limits(read_limits({}), {"running": 5}))
        self.redis.hset(keys.limits(VICTIM), "note", CANARY)
        for table in (keys.SCHEDULERS, keys.ALERTS, keys.ALERT_CHANNELS, keys.ALERT_MESSAGES, keys.WATCH):
            self.redis.hset(table, CANARY, 1)
        self.redis.set("another-application", CANARY)
        self.redis.sadd(keys.POOLS, "small", "acme", CANARY)
        for pool in ("small", "acme"):
            self.redis.zadd(keys.pool_active(pool), {VICTIM: 1, CANARY: 2})
            self.redis.hset(keys.pool_terms(pool), VICTIM, CANARY)
        self.redis.xadd(keys.DENIED, {"action": "denied", "who": CANARY})
        self.redis.hset(keys.DENIALS, f"0-{CANARY}", 1)
        self.redis.client_setname(CANARY)
        self._listener = self.redis.pubsub(ignore_subscribe_messages=True)
        self._listener.psubscribe("*")
        self._heard: list[Any] = []
        self._hear()

    def look(self) -> Sight:
        """Look at all that is not the attacker's."""
        names = sorted(key for key in self.redis.keys("*") if not key.startswith(OWN.encode()))
        pipeline = self.redis.pipeline(transaction=False)
        for name in names:
            pipeline.dump(name)
            pipeline.pexpiretime(name)
        told = pipeline.execute()
        spaces: dict[str, Any] = self.redis.info("keyspace")
        return Sight(
            keys=dict(zip(names, zip(told[::2], told[1::2], strict=True), strict=True)),
            sizes=tuple(spaces[f"db{n}"]["keys"] if f"db{n}" in spaces else 0 for n in range(1, 16)),
            functions=bytes(self.redis.function_dump()),
            users=tuple(sorted(map(str, self.redis.acl_list()))),
            settings=dict(self.redis.config_get("*")),
            scripts=int(self.redis.info("memory")["number_of_cached_scripts"]),
            role=str(self.redis.info("replication")["role"]),
            heard=self._hear(),
        )

    def _hear(self) -> list[Any]:
        """What was published that is not the attacker's own to publish."""
        while message := self._listener.get_message(timeout=0):
            if not message["channel"].startswith(OWN.encode()):
                self._heard.append((message["channel"], message["data"]))
        return list(self._heard)

    def close_listener(self) -> None:
        """End the subscription."""
        if self._listener is not None:
            self._listener.close()

    def close(self) -> None:
        """End all connections."""
        self.close_listener()
        self.operator.close()


def _plant_keys(redis: Any, tenant: str) -> None:
    redis.set(typed(tenant, "string"), CANARY)
    redis.set(typed(tenant, "number"), 7)
    redis.hset(typed(tenant, "hash"), CANARY, CANARY)
    redis.rpush(typed(tenant, "list"), CANARY, CANARY)
    redis.sadd(typed(tenant, "set"), CANARY)
    redis.zadd(typed(tenant, "zset"), {CANARY: 1})
    redis.xadd(typed(tenant, "stream"), {CANARY: CANARY}, id="1-1")
    redis.xgroup_create(typed(tenant, "stream"), "x", "0")
    redis.xreadgroup("x", "x", {typed(tenant, "stream"): ">"})


class Attacker:
    """One connection under one credential, which takes what the server says as it is, and comes back when it is cut."""

    def __init__(self, url: str) -> None:
        self._client: Any = connect(url, timeout=5.0)
        self._connection: Any = None

    def send(self, words: Sequence[Word]) -> Any:
        """Send one command; answers what came, an error as the exception that it is."""
        return self.send_many([words])[0]

    def send_many(self, commands: Sequence[Sequence[Word]]) -> list[Any]:
        """Send several in one write; answers all that came."""
        if self._connection is None:
            self._connection = self._client.connection_pool.get_connection()
        connection = self._connection
        connection.send_packed_command([b"".join(b"".join(connection.pack_command(*words)) for words in commands)])
        return [self._read() for _ in commands]

    def _read(self) -> Any:
        try:
            return self._connection.read_response() if self._connection else Lost("cut")
        except ResponseError as error:
            return error
        except Lost as error:  # what it said has cut it, as QUIT does
            self.start_anew()
            return error

    def start_anew(self) -> None:
        """Drop the connection, in whatever state it is."""
        connection, self._connection = self._connection, None
        if connection is not None:
            with suppress(Lost):
                connection.disconnect()
            self._client.connection_pool.release(connection)

    def close(self) -> None:
        """End it."""
        self.start_anew()
        self._client.close()


def words_in(answer: Any) -> Iterator[str]:
    """All texts of an answer, however deep; also what an error says."""
    if isinstance(answer, (list, tuple, set)):
        for each in answer:
            yield from words_in(each)
    elif isinstance(answer, dict):
        yield from words_in(list(answer.items()))
    else:
        yield answer.decode(errors="replace") if isinstance(answer, bytes) else str(answer)


def leaks(answer: Any, sent: Sequence[Word] = ()) -> bool:
    """Whether an answer holds what only others know: not when the attacker has said the word itself."""
    return CANARY not in " ".join(map(str, sent)) and any(CANARY in text for text in words_in(answer))
