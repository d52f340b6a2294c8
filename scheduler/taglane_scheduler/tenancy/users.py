"""Makes the ACL users that the record of tenants asks for: where the record lies, and on every other node.

A server neither replicates its users nor appends them to its log. A replica that becomes the primary must have them by
then: it has the tenants' data and the function library, and without the users nobody could log in. Each node of a
cluster has every tenant's user: a tenant may move to any, and a client asks any of them where its tenant is.

Where the operator's credential may make no users, as on some managed servers, the record is kept all the same and no
user is made: workers then have the operator's credential, and a tag is a convention. `enforces` tells.
"""

from __future__ import annotations

import logging
import time
from contextlib import closing
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from redis.exceptions import ConnectionError as LostConnection
from redis.exceptions import NoPermissionError, OutOfMemoryError, RedisError, ResponseError, WatchError
from redis.exceptions import TimeoutError as TimedOut
from taglane.store import full, keys
from taglane.store.server import USER, connect_node

from taglane_scheduler.tenancy import acl
from taglane_scheduler.tenancy.amiss import amiss_at
from taglane_scheduler.tenancy.nodes import members
from taglane_scheduler.tenancy.record import Record, has_ends

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterator, Mapping, Sequence

    from taglane.store.server import Server

log = logging.getLogger(__name__)

BATCH = 100
"""Users made in one step: about 15 ms, in which the server serves nobody else."""

NODE_TIMEOUT = 1.0
"""Seconds that a replica has to answer: who asks fires jobs, too."""

SHUNNED = 300.0
"""Seconds for which a replica that gave no answer is not asked again."""

SHUNNED_NODE = 5.0
"""Likewise a node of a cluster: it has tenants of its own, who can't log in to it without their users."""

ROUNDS = 5
"""How often a replica is brought up to a record that changes under our hands; the next sweep does the rest."""


_NO_RULE = "?"
"""A word that no server knows as a rule: who may make users is told so, and who may not is refused before."""


@dataclass(slots=True)
class _Other:
    """What this process has told one node: for which of its lives, and of which records."""

    life: str = ""
    applied: dict[str, bytes] = field(default_factory=dict)
    not_before: float = 0.0


class Users:
    """The users of all tenants of one server. For one thread. Takes the operator's credential."""

    def __init__(self, server: Server) -> None:
        self._server = server
        self._redis: Any = server.redis
        self._others: dict[tuple[str, int], _Other] = {}
        self._enforces: bool | None = None

    def enforces(self, *, ask_again: bool = False) -> bool:
        """Whether this credential may make users, and so whether the server fences the tenants."""
        if self._enforces is None or ask_again:
            self._enforces = self._may_make_users()
        return self._enforces

    def write(self, name: str, change: Callable[[Record | None], Record | None], *, disconnects: bool = False) -> bool:
        """Change one tenant's record and its user in one step, and with *disconnects* end its connections in it, too.

        Connections end by their user, not by their ids: one that opens meanwhile needs a password that holds.

        Args:
            name: the tenant.
            change: what the record becomes, None for none; called again when another process was faster. Nothing is
                written when it answers what it was given.
            disconnects: whether to end all of the tenant's connections.

        Returns whether anything was written.
        """
        fenced = self.enforces()
        kick = ("CLIENT KILL", "USER", acl.user_of(name), "SKIPME", "yes")
        while True:
            with self._redis.pipeline() as pipeline:
                pipeline.watch(keys.TENANTS)
                text = pipeline.hget(keys.TENANTS, name)
                old = None if text is None else Record.from_json(text)
                new = change(old)
                if new == old:
                    return False
                pipeline.multi()
                if new is None:
                    pipeline.hdel(keys.TENANTS, name)
                else:
                    full.write(pipeline, "HSET", keys.TENANTS, name, new.to_json())
                wanted = None if new is None else new.to_json().encode()
                ends = [kick] if disconnects and new is not None else []  # with a user end its connections anyway
                for command in [*_commands({name: wanted}, self._database()), *ends] if fenced else ():
                    pipeline.execute_command(*command)
                try:
                    pipeline.execute()
                except WatchError:
                    continue
                except OutOfMemoryError:  # Redis refuses any transaction when it is full, Valkey does not
                    if not self._write_when_full(name, text, wanted):
                        continue
                    if fenced:
                        _tell(self._home, {name: wanted}, self._database(), *ends)
                break
        if fenced:
            self._tell_others(name, wanted, ends)
        return True

    def end_passwords(self) -> list[str]:
        """End the passwords whose overlap is over, and all connections of these tenants, which are returned.

        A client that has the new password connects again by itself.
        """
        seconds, micros = self._home.time()
        now = seconds * 1000 + micros // 1000

        def at_now(record: Record | None) -> Record | None:
            return record and record.at(now)

        kept = {name: Record.from_json(text) for name, text in self._records().items() if has_ends(text)}
        over = [name for name, record in kept.items() if record.at(now) != record]
        return [name for name in over if self.write(name, at_now, disconnects=True)]

    def apply_all(self) -> int:
        """Make every user anew, and remove those of tenants that are gone; return how many tenants there are.

        It interrupts no connection of a tenant.
        """
        tenants = {name.decode() for name in self._redis.hkeys(keys.TENANTS)}
        if not self.enforces(ask_again=True):
            return len(tenants)
        names = sorted(tenants | self._strays(self._home, tenants))
        for start in range(0, len(names), BATCH):
            self._apply(names[start : start + BATCH])
        self._others.clear()
        self.apply_to_replicas()
        return len(tenants)

    def apply(self, name: str) -> None:
        """Make one tenant's user as its record says now, or remove it when there is none."""
        if self.enforces():
            self._apply([name])
            self._tell_others(name, self._redis.hget(keys.TENANTS, name), [])

    def disconnect(self, name: str) -> None:
        """End all connections of a tenant. By user, not by id: those that open meanwhile need the new password."""
        if self.enforces():
            end = ("CLIENT KILL", "USER", acl.user_of(name), "SKIPME", "yes")
            self._home.execute_command(*end)
            self._on_others(lambda node, _: node.execute_command(*end))

    def apply_to_replicas(self) -> None:
        """Bring every other node up to the record: all of it for a new one, what has changed for one that we know.

        One that can't be reached is logged, and left alone for a while.
        """
        if self.enforces():
            self._on_others(self._bring_up)

    def amiss(self) -> list[str]:
        """Return the tenants whose user a primary has not, or has otherwise than the record asks for.

        A node of a cluster that gives no answer is passed over: nobody can log in there anyway.
        """
        wanted = [(name, Record.from_json(text)) for name, text in sorted(self._records().items())]
        found: dict[str, None] = {}
        for node in self._server.nodes():
            try:
                found |= dict.fromkeys(amiss_at(node, wanted, self._database()))
            except (LostConnection, TimedOut):
                if not self._server.clustered:
                    raise
        return sorted(found)

    @property
    def _home(self) -> Any:
        """A plain client of the node that has the record."""
        return self._server.node_at(keys.TENANTS)

    def _write_when_full(self, name: str, old: bytes | None, new: bytes | None) -> bool:
        """Write a record outside of a transaction; answers whether it was still as it had been read."""
        if new is None:
            return bool(self._redis.hdel(keys.TENANTS, name))
        if old is None:
            return bool(full.write(self._redis, "HSETNX", keys.TENANTS, name, new))
        return full.swap(self._redis, keys.TENANTS, name, old, new.decode())

    def _may_make_users(self) -> bool:
        try:
            self._home.execute_command("ACL SETUSER", USER, _NO_RULE)
        except NoPermissionError:
            return False
        except ResponseError as error:
            return "unknown command" not in str(error).lower()  # some managed servers have renamed it away
        return True

    def _apply(self, names: Sequence[str]) -> None:
        """Make these users on the primary; asked again when the record was changed before we were done."""
        while True:
            with self._redis.pipeline() as pipeline:
                pipeline.watch(keys.TENANTS)
                records = dict(zip(names, pipeline.hmget(keys.TENANTS, names), strict=True))
                pipeline.multi()
                for command in _commands(records, self._database()):
                    pipeline.execute_command(*command)
                try:
                    pipeline.execute()
                except WatchError:
                    continue
                except OutOfMemoryError:  # Redis refuses any transaction when it is full, Valkey does not
                    self._apply_when_full(names)
                return

    def _apply_when_full(self, names: Sequence[str]) -> None:
        """Make these users outside of a transaction: one that was changed meanwhile is wrong until it is made again."""
        done: Any = None
        while (texts := self._redis.hmget(keys.TENANTS, names)) != done:
            _tell(self._home, dict(zip(names, texts, strict=True)), self._database())
            done = texts

    def _tell_others(self, name: str, record: bytes | None, ends: Sequence[Sequence[str]]) -> None:
        """Make one user on the other nodes, again when the record was changed meanwhile: who wrote last tells last."""
        told: bytes | None = b""
        while told != record:
            told = record
            wanted = {name: record}
            self._on_others(lambda node, _: _tell(node, wanted, self._database(), *ends))  # noqa: B023 - called at once
            record = self._redis.hget(keys.TENANTS, name)

    def _on_others(self, step: Callable[[Any, _Other], object]) -> None:
        """Do *step* on one other node after the other; what goes wrong with one is logged, and the next has its turn.

        Of one server these are its replicas, of a cluster all nodes but the one that has the record.
        """
        self._others = {address: self._others.get(address, _Other()) for address in self._other_addresses()}
        shunned = SHUNNED_NODE if self._server.clustered else SHUNNED
        for (host, port), other in self._others.items():
            if time.monotonic() < other.not_before:
                continue
            try:
                with closing(connect_node(self._server.url, host, port, timeout=NODE_TIMEOUT)) as client:
                    step(client, other)
            except (RedisError, OSError) as error:
                other.not_before, other.life = time.monotonic() + shunned, ""
                log.warning("replica_without_users replica=%s:%d error=%s", host, port, error)

    def _other_addresses(self) -> Sequence[tuple[str, int]]:
        if not self._server.clustered:
            return self._server.replica_addresses()
        home = _address_of(self._home)
        return [address for address in members(self._server) if address != home]

    def _bring_up(self, redis: Any, other: _Other) -> None:
        life = str(redis.info("server")["run_id"])
        if other.life != life:
            other.life, other.applied = life, {}
        for _ in range(ROUNDS):
            wanted = self._records()
            gone = set(other.applied) - set(wanted) if other.applied else self._strays(redis, wanted)
            changed = {name: record for name, record in wanted.items() if other.applied.get(name) != record}
            if not changed and not gone:
                return
            _tell(redis, {**changed, **dict.fromkeys(gone)}, self._database())
            other.applied = wanted

    def _records(self) -> dict[str, bytes]:
        with self._server.renamed("the list of tenants"):  # so that an error of the primary is not a replica's
            return {name.decode(): record for name, record in self._redis.hgetall(keys.TENANTS).items()}

    def _strays(self, redis: Any, tenants: Collection[str]) -> set[str]:
        """The tenants whose users a server has, and the record has not; an operator's own user may be called alike."""
        users = [name.decode() if isinstance(name, bytes) else name for name in redis.execute_command("ACL USERS")]
        unknown = {name.removeprefix(USER) for name in users if name.startswith(USER)} - set(tenants)
        return {name for name in unknown if _is_ours(redis, name)}

    def _database(self) -> int:
        return int(self._redis.get_connection_kwargs().get("db") or 0)


def _address_of(redis: Any) -> tuple[str, int]:
    told = redis.get_connection_kwargs()
    return told["host"], told["port"]


def _commands(records: Mapping[str, bytes | None], database: int) -> Iterator[Sequence[str]]:
    for name, text in records.items():
        user = acl.user_of(name)
        if text is None:
            yield "ACL DELUSER", user
        else:
            yield "ACL SETUSER", user, *Record.from_json(text).rules(name, database)


def _tell(redis: Any, records: Mapping[str, bytes | None], database: int, *more: Sequence[str]) -> None:
    pipeline = redis.pipeline(transaction=False)
    for command in [*_commands(records, database), *more]:
        pipeline.execute_command(*command)
    pipeline.execute()


def _is_ours(redis: Any, tenant: str) -> bool:
    user = redis.execute_command("ACL GETUSER", acl.user_of(tenant))
    return bool(user) and f"~{keys.prefix(tenant)}*" in user["keys"]
