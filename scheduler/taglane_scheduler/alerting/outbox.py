"""Keeps incidents, and the messages about them until they are delivered: any number of schedulers may write and send.

An incident's record and the messages about it are written in one step, and only if the record is still as its writer
read it. Messages wait in a queue a channel, in order; who sends takes a channel for a while, and the first message
stays in its queue until it is delivered or given up. So a sender that dies loses none; one may be sent twice.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from taglane.store import keys

from taglane_scheduler.alerting.incidents import Incident, read_incident

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from taglane.store.server import Server

MOST_INCIDENTS, MOST_OF_TENANT = 10_000, 100
"""That stand at once, in all and of one tenant; of more, those that come are not told before others are over."""

MOST_QUEUED = 1_000
"""Messages that wait for one channel; of more, the oldest are dropped."""

KEPT = 1_000
"""Outcomes that are kept."""

LEASE_MS = 120_000
"""For how long a channel is its taker's: longer than any sending takes."""

_CHANGE = """#!lua flags=allow-oom
if (redis.call('HGET', KEYS[1], ARGV[1]) or '') ~= ARGV[2] then return 0 end
if ARGV[3] == '' then
    redis.call('HDEL', KEYS[1], ARGV[1])
else
    redis.call('HSET', KEYS[1], ARGV[1], ARGV[3])
end
for number = 4, #KEYS do
    local at = 6 + (number - 4) * 3
    redis.call('HSET', KEYS[3], ARGV[at + 1], ARGV[at + 2])
    if redis.call('RPUSH', KEYS[number], ARGV[at + 1]) > tonumber(ARGV[5]) then
        local oldest = redis.call('LPOP', KEYS[number])
        redis.call('HDEL', KEYS[3], oldest, oldest .. '#', oldest .. '!')
    end
    redis.call('ZADD', KEYS[2], 'NX', ARGV[4], ARGV[at])
end
return 1"""

_TAKE = """#!lua flags=allow-oom
local due = redis.call('ZSCORE', KEYS[1], ARGV[1])
if not due or tonumber(due) > tonumber(ARGV[2]) then return false end
while true do
    local id = redis.call('LINDEX', KEYS[3], 0)
    if not id then
        redis.call('ZREM', KEYS[1], ARGV[1])
        return false
    end
    local body = redis.call('HGET', KEYS[2], id)
    if body then
        redis.call('ZADD', KEYS[1], ARGV[3], ARGV[1])
        return {id, body, redis.call('HINCRBY', KEYS[2], id .. '#', 1)}
    end
    redis.call('LPOP', KEYS[3])
end"""

_SETTLE = """#!lua flags=allow-oom
local ours = tonumber(redis.call('ZSCORE', KEYS[1], ARGV[1]) or '-1') == tonumber(ARGV[3])
local id = ARGV[2]
if ARGV[6] ~= '' then
    redis.call('LREM', KEYS[3], 1, id)
    redis.call('HDEL', KEYS[2], id, id .. '#', id .. '!')
    redis.call('LPUSH', KEYS[4], ARGV[6])
    redis.call('LTRIM', KEYS[4], 0, ARGV[7] - 1)
    if redis.call('LLEN', KEYS[3]) == 0 then
        redis.call('ZREM', KEYS[1], ARGV[1])
        return 1
    end
elseif redis.call('HEXISTS', KEYS[2], id) == 1 then
    redis.call('HSET', KEYS[2], id .. '!', ARGV[5])
end
if ours then
    redis.call('ZADD', KEYS[1], ARGV[4], ARGV[1])
end
return 1"""


@dataclass(frozen=True, slots=True)
class Taken:
    """The first message of a channel, which is its taker's until *until*, ms. *tries* counts this one."""

    channel: str
    id: str
    body: bytes
    tries: int
    until: int


@dataclass(frozen=True, slots=True)
class Delivery:
    """What became of a message, or how it stands. *outcome* is ``delivered``, ``given_up`` or ``waiting``."""

    id: str
    channel: str
    at: int
    """When it was delivered or given up, or is tried next, ms."""
    outcome: str
    tries: int
    answer: str
    """What the receiver said, or what went wrong."""
    message: Mapping[str, Any]


class Outbox:
    """Incidents and messages of one server. Takes the operator's credential."""

    def __init__(self, server: Server) -> None:
        self._server = server
        self._redis: Any = server.redis

    def incidents(self) -> dict[str, tuple[Incident, bytes]]:
        """Return how all incidents stand, by key, each with what `change` is to be told it was read as."""
        with self._server.renamed("reading the incidents", operator=True):
            kept = self._redis.hgetall(keys.ALERT_INCIDENTS)
        read = {field.decode(errors="replace"): (read_incident(value), value) for field, value in kept.items()}
        return {field: (found, value) for field, (found, value) in read.items() if found is not None}

    def change(
        self,
        key: str,
        before: bytes,
        after: Incident | None,
        messages: Sequence[tuple[str, Mapping[str, Any]]],
        *,
        now: int,
    ) -> bool:
        """Write a record, and the messages that come of it; False if it is not as it was: another was faster.

        A message is the id of its channel, and the object that its receiver gets, of which ``id`` is the message's own.
        """
        queues = [keys.alert_queue(channel) for channel, _ in messages]
        packed = [word for channel, each in messages for word in (channel, each["id"], json.dumps(each))]
        names = [keys.ALERT_INCIDENTS, keys.ALERT_OUTBOX, keys.ALERT_MESSAGES, *queues]
        kept = "" if after is None else after.kept()
        with self._server.renamed("writing an incident", operator=True):
            return bool(self._redis.eval(_CHANGE, len(names), *names, key, before, kept, now, MOST_QUEUED, *packed))

    def due(self, now: int, most: int) -> list[str]:
        """Return the ids of channels that have something to send, the one that waits for longest first."""
        with self._server.renamed("looking for messages", operator=True):
            found = self._redis.zrange(keys.ALERT_OUTBOX, "-inf", now, byscore=True, offset=0, num=most)
        return [channel.decode() for channel in found]

    def take(self, channel: str, now: int) -> Taken | None:
        """Take the first message of a channel, to send it; None when there is none, or another has taken it."""
        until = now + LEASE_MS
        names = (keys.ALERT_OUTBOX, keys.ALERT_MESSAGES, keys.alert_queue(channel))
        with self._server.renamed("taking a message", operator=True):
            found = self._redis.eval(_TAKE, len(names), *names, channel, now, until)
        return None if not found else Taken(channel, found[0].decode(), found[1], int(found[2]), until)

    def settle(self, taken: Taken, outcome: str, answer: str, *, now: int, again: int | None = None) -> None:
        """Say what became of a message: it is gone, or, where *again* is given, its channel is tried then, ms."""
        kept = ""
        if again is None:
            message = _object(taken.body)
            kept = json.dumps(
                {"id": taken.id, "channel": taken.channel, "at": now, "outcome": outcome, "tries": taken.tries}
                | {"answer": answer, "message": message}
            )
        names = (keys.ALERT_OUTBOX, keys.ALERT_MESSAGES, keys.alert_queue(taken.channel), keys.ALERT_DELIVERIES)
        said = (taken.channel, taken.id, taken.until, now if again is None else again, answer, kept, KEPT)
        with self._server.renamed("noting what became of a message", operator=True):
            self._redis.eval(_SETTLE, len(names), *names, *said)

    def forget(self, channel: str) -> None:
        """Drop what waits for a channel: it is deleted."""
        with self._server.renamed("dropping messages", operator=True):
            ids = self._redis.lrange(keys.alert_queue(channel), 0, -1)
            pipeline = self._redis.pipeline()
            pipeline.delete(keys.alert_queue(channel))
            pipeline.zrem(keys.ALERT_OUTBOX, channel)
            if ids:
                pipeline.hdel(
                    keys.ALERT_MESSAGES, *(field for each in ids for field in (each, each + b"#", each + b"!"))
                )
            pipeline.execute()

    def hurry(self, channel: str) -> None:
        """Let a channel be tried at once: it was changed."""
        with self._server.renamed("hurrying messages", operator=True):
            self._redis.zadd(keys.ALERT_OUTBOX, {channel: 0}, xx=True)

    def deliveries(self, count: int = 50, *, owner: str | None = None) -> list[Delivery]:
        """Return how messages stand: first the one that each channel tries, then the last *count* that are gone."""
        waiting = [each for each in self._waiting() if owner in (None, each.channel.partition("/")[0])]
        with self._server.renamed("reading the deliveries", operator=True):
            kept = self._redis.lrange(keys.ALERT_DELIVERIES, 0, KEPT - 1)
        gone = [each for each in map(_read, kept) if each and owner in (None, each.channel.partition("/")[0])]
        return [*waiting, *gone[:count]]

    def _waiting(self) -> list[Delivery]:
        with self._server.renamed("reading the deliveries", operator=True):
            due = self._redis.zrange(keys.ALERT_OUTBOX, 0, KEPT - 1, withscores=True)
            pipeline = self._redis.pipeline(transaction=False)
            for channel, _ in due:
                pipeline.lindex(keys.alert_queue(channel.decode()), 0)
            heads = pipeline.execute()
            for head in heads:
                pipeline.hmget(keys.ALERT_MESSAGES, *((head or b"") + end for end in (b"", b"#", b"!")))
            kept = pipeline.execute()
        return [
            Delivery(
                id=head.decode(),
                channel=channel.decode(),
                at=int(at),
                outcome="waiting",
                tries=int(tries or 0),
                answer=(error or b"").decode(errors="replace"),
                message=_object(body or b"{}"),
            )
            for (channel, at), head, (body, tries, error) in zip(due, heads, kept, strict=True)
            if head
        ]


def _object(body: bytes) -> Mapping[str, Any]:
    try:
        found = json.loads(body)
    except ValueError:
        return {}
    return found if isinstance(found, dict) else {}


def _read(kept: bytes) -> Delivery | None:
    try:
        return Delivery(**json.loads(kept))
    except (ValueError, TypeError):
        return None
