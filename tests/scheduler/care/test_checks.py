"""What `doctor` makes of what it has read: a healthy server passes; each thing that is wrong is named and mended."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from taglane_scheduler.care.checks import MOST_TAGS, Check, Facts, ServerFacts, checks_of

SERVER = ServerFacts(
    flavour="valkey",
    version=(9, 1, 2),
    role="master",
    cluster=False,
    replicas=1,
    used=100 * 2**20,
    limit=1024 * 2**20,
    has_maxmemory=True,
    policy="noeviction",
    aof=True,
    written=True,
    fsync="everysec",
    save="",
    timeout=0,
    keepalive=300,
    min_replicas=1,
    open_default=False,
)
FACTS = Facts(
    address="h:6379",
    latency_ms=0.2,
    skew_ms=3,
    library="7-abc",
    wanted_library="7-abc",
    server=SERVER,
    awaited=1,
    schedulers=2,
    users_amiss=[],
)


def judged(server: dict[str, Any] | None = None, **facts: Any) -> dict[str, Check]:
    """The checks by name, of a healthy server with these things changed."""
    changed = replace(FACTS, server=replace(SERVER, **(server or {})), **facts)
    return {check.check: check for check in checks_of(changed)}


def test_a_healthy_server_passes() -> None:
    """All is ok, and nothing is to be mended."""
    checks = checks_of(FACTS)

    assert {"ok"} == {check.status for check in checks}
    assert {""} == {check.mend for check in checks}
    assert all(check.seen for check in checks)


@pytest.mark.parametrize(
    ("server", "check", "status", "seen", "mend"),
    [
        ({"version": (7, 1, 9)}, "version", "fail", "valkey 7.1.9 is too old", "valkey 7.2"),
        ({"version": (6, 2, 0), "flavour": "redis"}, "version", "fail", "redis 6.2.0", "redis 7.0"),
        ({"cluster": True}, "cluster", "fail", "cluster", "cluster://"),
        ({"role": "slave"}, "role", "fail", "replica", "primary"),
        ({"policy": "allkeys-lru"}, "eviction", "fail", "allkeys-lru", "CONFIG SET maxmemory-policy noeviction"),
        ({"used": 900 * 2**20}, "memory", "warn", "88% of maxmemory", "drain"),
        ({"used": 1000 * 2**20}, "memory", "fail", "98%", "raise maxmemory"),
        ({"written": False}, "persistence", "fail", "could not write", "disk"),
        ({"fsync": "no"}, "persistence", "warn", "appendfsync no", "CONFIG SET appendfsync everysec"),
        ({"aof": False}, "persistence", "warn", "neither", "CONFIG SET appendonly yes"),
        ({"aof": False, "save": "60 1"}, "persistence", "warn", "snapshots only (60 1)", "CONFIG SET appendonly yes"),
        ({"aof": False, "save": None}, "persistence", "warn", "does not say", ""),
        ({"replicas": 0}, "replicas", "fail", "TAGLANE_REPLICAS=1", "start a replica"),
        ({"min_replicas": 0}, "replicas", "warn", "cut off", "min-replicas-to-write 1"),
        ({"timeout": 60}, "idle-timeout", "warn", "60 s", "CONFIG SET timeout 0"),
        ({"keepalive": 0}, "keepalive", "warn", "off", "CONFIG SET tcp-keepalive 60"),
        ({"open_default": True}, "default-user", "fail", "no password", "requirepass"),
    ],
    ids=lambda value: str(value) if isinstance(value, dict) else "",
)
def test_what_is_wrong_with_a_server(server: dict[str, Any], check: str, status: str, seen: str, mend: str) -> None:
    """It is seen, and the setting that mends it is named; everything else stays as it was."""
    checks = judged(server)

    assert status == checks[check].status
    assert seen in checks[check].seen
    assert mend in checks[check].mend
    assert {check} == {name for name, each in checks.items() if each.status != "ok"}


@pytest.mark.parametrize(
    ("facts", "check", "status", "mend"),
    [
        ({"latency_ms": 80.0}, "server", "warn", "near"),
        ({"library": None}, "library", "fail", "taglane scheduler"),
        ({"library": "6-abc"}, "library", "warn", "taglane scheduler"),
        ({"library": "7-def"}, "library", "warn", "taglane scheduler"),
        ({"library": "8-abc"}, "library", "ok", ""),
        ({"library": "0123456789abcdef"}, "library", "warn", "taglane scheduler"),
        ({"skew_ms": -1_500}, "clock", "warn", "NTP"),
        ({"skew_ms": 6_000}, "clock", "fail", "NTP"),
        ({"fenced": False, "users_amiss": None}, "isolation", "warn", "ACL SETUSER"),
        ({"users_amiss": ["acme"]}, "users", "fail", "taglane scheduler"),
        ({"schedulers": 0}, "schedulers", "warn", "taglane scheduler"),
        ({"unserved": {"acme.gpu": (3, 0)}}, "workers", "warn", "taglane worker --tag acme.gpu"),
        ({"silent_workers": ["w"]}, "silent-workers", "warn", "taglane scheduler"),
        ({"unreadable": ["acme"]}, "jobs", "warn", "taglane apply"),
        ({"dead": 2}, "dead-letters", "warn", "taglane dead list"),
        ({"awaited": 0}, "replicas", "warn", "TAGLANE_REPLICAS=1"),
        ({"awaited": 2}, "replicas", "fail", "TAGLANE_REPLICAS"),
    ],
    ids=lambda value: str(value) if isinstance(value, dict) else "",
)
def test_what_is_wrong_with_the_rest(facts: dict[str, Any], check: str, status: str, mend: str) -> None:
    """Of the way there, the operator's side, and the tenants'."""
    checks = judged(**facts)

    assert status == checks[check].status
    assert mend in checks[check].mend


def test_a_tenant_gets_the_checks_that_are_its_own() -> None:
    """And a word of why there are no others."""
    facts = replace(FACTS, tenant="acme", server=None, schedulers=None, users_amiss=None)

    checks = checks_of(facts)

    assert ["server", "scope", "library", "clock", "workers", "dead-letters"] == [check.check for check in checks]
    assert "acme" in checks[1].seen


def test_each_tag_has_its_command_and_many_do_not_fill_the_screen() -> None:
    """The first ones one by one, then how many more there are."""
    unserved = {f"t{number:03}": (1, 0) for number in range(MOST_TAGS + 5)}

    checks = [check for check in checks_of(replace(FACTS, unserved=unserved)) if check.check == "workers"]

    assert [f"taglane worker --tag {tag}" for tag in list(unserved)[:MOST_TAGS]] == [each.mend for each in checks[:-1]]
    assert "5 more" in checks[-1].seen


def test_long_lists_are_cut() -> None:
    """Five names, and how many more."""
    amiss = judged(users_amiss=[f"t{number}" for number in range(8)])["users"]

    assert amiss.seen.endswith("t0; t1; t2; t3; t4 and 3 more")


def test_a_server_that_does_not_tell_its_settings() -> None:
    """A managed one, that refuses CONFIG: what can't be known is not warned of."""
    checks = judged({"fsync": None, "save": None, "timeout": None, "keepalive": None, "open_default": None})

    assert {"ok"} == {check.status for check in checks.values()}
    assert not {"connections", "idle-timeout", "default-user"} & set(checks)
