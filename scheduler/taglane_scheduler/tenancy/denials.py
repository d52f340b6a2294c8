"""Copies what the server refused into the audit log, with how often: the server itself groups that, and forgets it.

A server's own log of refusals (`ACL LOG`) joins those that come within a minute of each other into one entry with a
count, keeps 128 entries, and is gone with its process. Each scheduler reads it every other second, of a cluster that of
every node, and enters by how much each count has grown.

From Redis 7.2 and in each Valkey an entry has an id. How often it was counted is kept in `taglane:{.}:denials`, and
written in one transaction with the entries of the audit log: so of many schedulers one counts, and one that is killed
between any two commands loses nothing and counts nothing twice. In Redis 7.0 an entry has none: there the log is read
and emptied in one transaction, which also counts once; a scheduler that is killed right then loses what it had read.
"""

from __future__ import annotations

import logging
from collections import Counter, defaultdict
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from redis.exceptions import WatchError
from taglane.errors import Refused, TaglaneError
from taglane.store import full, keys
from taglane.store.server import USER

from taglane_scheduler.tenancy.audit import DENIED, add, client_fields, fields

if TYPE_CHECKING:
    import threading
    from collections.abc import Iterable, Iterator, Mapping, Sequence

    from taglane.store.server import Server

log = logging.getLogger(__name__)

EVERY = 2.0
"""Seconds between two readings."""

ALL = 100_000
"""Entries asked for: as many as there are."""

MOST_OBJECTS = 10
"""Of one tenant, reason and context, in one reading, entered by name; the rest are one entry: a tenant that tries a
thousand keys fills no log with their names."""

LONGEST = 200
"""Characters of an object: a key may have millions."""


@dataclass(frozen=True, slots=True)
class Denial:
    """One entry of the server's log.

    id       its own, which no other has; empty where the server has none
    count    how often, since it was made
    reason   `auth`, `command`, `key`, `channel` or `database`
    context  `toplevel`, `multi`, `lua`, `module`: inside a function it is `lua`
    object   what was asked for: a command, a key, a channel
    user     the ACL user, or the one that somebody failed to log in as
    address  from where it came the last time
    """

    id: str
    count: int
    reason: str
    context: str
    object: str
    user: str
    address: str

    @property
    def tenant(self) -> str:
        """The tenant whose user this is; empty for another."""
        return self.user.removeprefix(USER) if self.user.startswith(USER) else ""


class Denials:
    """Counts what a server refuses, or each node of a cluster. Takes the operator's, with the right to `ACL LOG`."""

    def __init__(self, server: Server) -> None:
        self._server = server
        self._redis: Any = server.redis
        self._heads: dict[str, Denial] = {}
        self._said_refused = False

    def run(self, over: threading.Event) -> None:
        """Count every other second until *over* is set: for a thread of its own, so that no fire waits for it."""
        while not over.wait(EVERY):
            try:
                self.step()
            except Refused as error:
                if not self._said_refused:
                    log.warning("denials_not_read error=%s", error)
                self._said_refused = True
            except TaglaneError as error:  # the loop says that the server is gone; the log is read when it is back
                log.debug("denials_not_read error=%s", error)

    def step(self) -> int:
        """Enter what was refused since the last time; return how many refusals that were.

        Raises:
            ServerUnavailable: a server gives no answer; the other nodes of a cluster are counted all the same.
        """
        if not self._server.clustered:
            return self._step_at(self._redis, "")
        counted, errors = 0, []
        for node in self._server.nodes(replicas=True):
            told = node.get_connection_kwargs()
            try:
                counted += self._step_at(node, f"{told['host']}:{told['port']}/")
            except TaglaneError as error:
                errors.append(error)
        if errors:
            raise errors[0]
        return counted

    def _step_at(self, node: Any, name: str) -> int:
        with self._server.renamed("reading what was refused", operator=True):
            head = [read_denial(entry) for entry in node.execute_command("ACL", "LOG", 1)]
            if not head or head[0] == self._heads.get(name):
                return 0
            if not head[0].id:
                return self._take(node)
            counted, self._heads[name] = self._claim(node, name), head[0]
            return counted

    def _claim(self, node: Any, name: str) -> int:
        """Enter by how much the entries of a node's log have grown since anybody has counted them.

        What was counted is kept under their ids, behind the node's *name*: each numbers its own.
        """
        while True:
            with self._redis.pipeline() as pipeline:
                pipeline.watch(keys.DENIALS)
                kept = {field.decode(): int(count) for field, count in pipeline.hgetall(keys.DENIALS).items()}
                seen = {field[len(name) :]: count for field, count in kept.items() if _is_of(field, name)}
                # Read behind the watch: what others have counted is in it, and what is not in it is gone.
                denials = [read_denial(entry) for entry in node.execute_command("ACL", "LOG", ALL)]
                grown = [(denial, denial.count - seen.get(denial.id, 0)) for denial in denials]
                grown = [(denial, more) for denial, more in grown if more > 0]
                if not grown:
                    return 0
                forgotten = gap(seen, [denial.id for denial in denials])
                gone = set(seen) - {denial.id for denial in denials}
                pipeline.multi()
                self._enter(pipeline, grown, forgotten)
                counts = [word for denial, _ in grown for word in (name + denial.id, str(denial.count))]
                full.write(pipeline, "HSET", keys.DENIALS, *counts)
                if gone:
                    pipeline.hdel(keys.DENIALS, *(name + each for each in gone))
                try:
                    pipeline.execute()
                except WatchError:
                    continue
                return sum(more for _, more in grown)

    def _take(self, node: Any) -> int:
        """Read the log and empty it, in one step, and enter what it said."""
        with node.pipeline() as pipeline:
            pipeline.execute_command("ACL", "LOG", ALL)
            pipeline.execute_command("ACL", "LOG", "RESET")
            answer, _ = pipeline.execute()
        grown = [(denial, denial.count) for denial in map(read_denial, answer)]
        with self._redis.pipeline(transaction=False) as pipeline:
            self._enter(pipeline, grown, 0)
            pipeline.execute()
        return sum(count for _, count in grown)

    def _enter(self, pipeline: Any, grown: Sequence[tuple[Denial, int]], forgotten: int) -> None:
        for tenant, user, address, details in entries(grown):
            add(pipeline, keys.DENIED, fields(DENIED, tenant, user, address, details))
        if forgotten:
            lost: dict[str, str | int] = {"reason": "forgotten", "object": "(acllog-max-len)", "count": forgotten}
            add(pipeline, keys.DENIED, fields(DENIED, "", "", "", lost))


def _is_of(field: str, name: str) -> bool:
    """Whether a count is of an entry of this node: one server's own have no name before them."""
    return field.startswith(name) and "/" not in field[len(name) :]


def gap(seen: Iterable[str], there: Iterable[str]) -> int:
    """How many entries the server has made and dropped between two readings, by the numbers that their ids begin with.

    None when the numbers have begun anew, as they do with a new process, or when nothing was read before.
    """
    before, now = (sorted(int(each.partition("-")[0]) for each in ids) for ids in (seen, there))
    new = [number for number in now if before and number > before[-1]]
    return new[0] - before[-1] - 1 if new else 0


def entries(grown: Sequence[tuple[Denial, int]]) -> Iterator[tuple[str, str, str, Mapping[str, str | int]]]:
    """Yield what is entered of these: tenant, user, address, details; the many objects of one tenant as one of them."""
    groups: defaultdict[tuple[str, str, str], list[tuple[Denial, int]]] = defaultdict(list)
    for denial, more in grown:
        groups[denial.user, denial.reason, denial.context].append((denial, more))
    for (user, reason, context), members in groups.items():
        counts: Counter[str] = Counter()
        for denial, more in members:
            counts[denial.object] += more
        named = counts.most_common(MOST_OBJECTS)
        rest = len(counts) - len(named)
        if rest:
            named.append((f"({rest} more)", counts.total() - sum(count for _, count in named)))
        first = members[0][0]
        for what, count in named:
            details: dict[str, str | int] = {"reason": reason, "object": what, "context": context, "count": count}
            yield first.tenant, user, first.address, details


def read_denial(entry: Any) -> Denial:
    """Read one entry as the server gives it: names and values in turn."""
    values = {_text(name): value for name, value in zip(entry[::2], entry[1::2], strict=False)}
    number, created = values.get("entry-id"), values.get("timestamp-created")
    return Denial(
        id="" if number is None else f"{_text(number)}-{_text(created)}",
        count=int(values["count"]),
        reason=_text(values["reason"]),
        context=_text(values["context"]),
        object=_text(values["object"])[:LONGEST],
        user=_text(values["username"])[:LONGEST],
        address=client_fields(values.get("client-info", "")).get("addr", "").rpartition(":")[0],
    )


def _text(value: Any) -> str:
    return value.decode(errors="backslashreplace") if isinstance(value, bytes) else str(value)
