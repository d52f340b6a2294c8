"""Reads what a server says of itself to its operator: its settings, its memory, its users; of a cluster, every node."""

from __future__ import annotations

import re
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from redis.exceptions import ConnectionError as LostConnection
from redis.exceptions import ResponseError
from redis.exceptions import TimeoutError as TimedOut

from taglane_scheduler.care.checks import ServerFacts
from taglane_scheduler.care.cluster_checks import SLOTS, ClusterFacts

if TYPE_CHECKING:
    from collections.abc import Mapping

    from taglane.store.server import Server

_SETTINGS = ("appendfsync", "save", "timeout", "tcp-keepalive", "min-replicas-to-write")
_OF_CLUSTERS = ("cluster-require-full-coverage", "cluster-node-timeout")


def facts_of(redis: Any) -> ServerFacts:
    """Read what one server says of itself."""
    info: dict[str, Any] = redis.info()
    settings = settings_of(redis)
    flavour = str(info.get("server_name", "redis"))
    maxmemory = int(info["maxmemory"])
    return ServerFacts(
        flavour=flavour,
        version=tuple(map(int, re.findall(r"\d+", str(info.get(f"{flavour}_version", info["redis_version"])))[:3])),
        role=str(info["role"]),
        cluster=bool(int(info.get("cluster_enabled", 0))),
        replicas=int(info.get("connected_slaves", 0)),
        used=int(info["used_memory"]),
        limit=maxmemory or int(info.get("total_system_memory", 0)),
        has_maxmemory=bool(maxmemory),
        policy=str(info["maxmemory_policy"]),
        aof=bool(int(info["aof_enabled"])),
        written=info.get("aof_last_write_status", "ok") == "ok" and info.get("rdb_last_bgsave_status", "ok") == "ok",
        fsync=settings.get("appendfsync"),
        save=settings.get("save"),
        timeout=_int(settings.get("timeout")),
        keepalive=_int(settings.get("tcp-keepalive")),
        min_replicas=_int(settings.get("min-replicas-to-write")),
        open_default=_open_default(redis),
    )


def facts_of_all(server: Server) -> ClusterFacts:
    """Read what every node of a cluster says of itself, and of the cluster."""
    found = ClusterFacts()
    for node in server.nodes(replicas=True):
        told = node.get_connection_kwargs()
        name = f"{told['host']}:{told['port']}"
        try:
            facts = replace(facts_of(node), name=name)
            settings = settings_of(node, _OF_CLUSTERS)
            if facts.role == "master":
                state = _state(node)
                found = replace(found, slots=min(found.slots, int(state.get("cluster_slots_ok", SLOTS))))
        except (LostConnection, TimedOut):
            found = replace(found, gone=(*found.gone, name))
            continue
        strict = settings.get("cluster-require-full-coverage") == "yes"
        timeout = _int(settings.get("cluster-node-timeout"))
        found = replace(
            found,
            nodes=(*found.nodes, facts),
            strict=(*found.strict, name) if strict else found.strict,
            timeout_ms=max(found.timeout_ms or 0, timeout) if timeout else found.timeout_ms,
        )
    return found


def settings_of(redis: Any, names: tuple[str, ...] = _SETTINGS) -> Mapping[str, str]:
    """Read settings of a server; none where CONFIG is refused, as managed servers do."""
    found: dict[str, str] = {}
    for name in names:
        try:
            answer = redis.config_get(name)
        except ResponseError:
            return {}
        found.update({_text(key): _text(value) for key, value in answer.items()})
    return found


def _state(redis: Any) -> Mapping[str, str]:
    answer = redis.execute_command("CLUSTER INFO")
    if isinstance(answer, dict):  # redis-py reads it itself
        return {_text(name): _text(value) for name, value in answer.items()}
    pairs = (line.partition(":") for line in _text(answer).splitlines())
    return {name: value for name, _, value in pairs}


def _open_default(redis: Any) -> bool | None:
    try:
        user = redis.acl_getuser("default")
    except ResponseError:
        return None
    flags = {_text(flag) for flag in user["flags"]}
    return {"on", "nopass"} <= flags


def _text(value: bytes | str) -> str:
    return value.decode() if isinstance(value, bytes) else str(value)


def _int(text: str | None) -> int | None:
    return int(text) if text is not None and text.isdigit() else None
