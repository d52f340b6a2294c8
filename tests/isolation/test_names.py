"""Names that try it: whatever is taken for a tenant, a tag, a run or a job, none of them reaches another tenant."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st
from isolation.world import ATTACKER, CANARY, NEIGHBOURS, VICTIM, World, leaks
from taglane.client import Taglane
from taglane.errors import BadName, TaglaneError
from taglane.model.names import check_tag, check_tenant, owner_of
from taglane.store import keys
from taglane.store.jobs import Jobs
from taglane.store.limits import LimitStore
from taglane.store.queues import Queues
from taglane.store.server import Server
from taglane_scheduler.tenancy import acl
from taglane_scheduler.tenancy.users import Users

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

NAMES = st.from_regex(r"[a-z0-9][a-z0-9_-]{0,62}", fullmatch=True)
ENDS = st.text("ab01_-", min_size=1, max_size=3)

LOOKALIKES = ["\u0430cme", "\uff41\uff43\uff4d\uff45", "acm\u00e9", "acme\u200b", "ac\u00adme"]
"""With a Cyrillic letter, full width, an accent, nothing that is seen."""

HOSTILE = [
    "", "*", "?", "[a-z]*", "acme*", "*acme", "{acme}", "acme}", "{acme", "acme:", ":acme", "acme.", ".acme",
    "acme..gpu", "acme}:run:{globex", f"acme}}:x taglane:{{{VICTIM}}}:", "globex", "globex.gpu", "GLOBEX", "Acme",
    "acme ", " acme", "acme\n", "acme\x00", *LOOKALIKES, "shared", "shared.small", "default", "taglane", "operator",
    "taglane-globex", "../globex", "globex/acme", "acme,globex", "acme;globex", "a" * 63, "a" * 64, "a" * 10_000,
    "-acme", f"{VICTIM}.{CANARY}", "acme1", "acm", "acme-1", "~*", "+@all", "allkeys", "%RW~*", "acme ~*",
    "acme on nopass",
]  # fmt: skip


@pytest.fixture(scope="module")
def lane(world: World) -> Iterator[Taglane]:
    """The attacker's client."""
    made = Taglane(world.attackers_url)
    yield made
    made.close()


@st.composite
def neighbours(draw: st.DrawFn) -> tuple[str, str]:
    """Two names, of which one is all but the other."""
    one = draw(NAMES)
    other = draw(
        st.one_of(NAMES, ENDS.map(lambda end: (one + end)[:63]), st.just(one[:-1] or "a"), st.just("x" + one[:62]))
    )
    return one, other


@given(neighbours())
@example(("acme", "acme1"))
@example(("acme1", "acme"))
@example(("tenant_1", "tenant_10"))
@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_of_two_names_neither_reaches_the_other(world: World, names: tuple[str, str]) -> None:
    """As the server itself judges it, of every kind of key and channel; its own it reaches."""
    one, other = names
    redis: Any = world.redis
    redis.execute_command("ACL", "SETUSER", "probe", *acl.rules(one, ["0" * 64]))

    def may(*words: str) -> bool:
        return bool(redis.execute_command("ACL", "DRYRUN", "probe", *words) in (b"OK", "OK"))

    assert may("GET", keys.run(one, "x"))
    assert may("HGETALL", keys.limits(one))
    assert not may("HSET", keys.limits(one), "running", "9")
    if one != other:
        assert not may("GET", keys.run(other, "x"))
        assert not may("HGETALL", keys.limits(other))
        assert not may("FCALL", "taglane_purge", "1", keys.prefix(other), other)
        assert not may("PUBLISH", keys.wake(other), "1")


@given(st.one_of(st.sampled_from(HOSTILE), st.text(max_size=80)))
@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_whatever_is_taken_for_a_name_reaches_nobody_else(world: World, lane: Taglane, text: str) -> None:
    """As a tenant, a tag, a run, a job, an idempotency key: it is refused, or means something of one's own."""
    before = world.look()
    own = Server(world.attackers_url)
    calls: list[Callable[[], Any]] = [
        lambda: lane.enqueue("shop.task", tenant=text).id,
        lambda: lane.enqueue("shop.task", tag=text).id,
        lambda: lane.enqueue("shop.task", key=text).id,
        lambda: lane.run(text).info,
        lambda: lane.runs.cancel(text),
        lambda: lane.runs.list(text),
        lambda: lane.put_job(text, task="shop.task", manual=True),
        lambda: Jobs(own, 1_000).list(text),
        lambda: Jobs(own, 1_000).get(ATTACKER, text),
        lambda: Queues(own, 1_000).purge(text, text),
        lambda: LimitStore(own).get(text),
        lambda: own.call("cancel", text, text, "why"),
    ]
    for call in calls:
        try:
            answer: Any = call()
        except (TaglaneError, UnicodeEncodeError) as error:
            answer = str(error).replace(text, "") if text else str(error)
        assert not leaks(answer)
    own.close()
    assert [] == before.differences(world.look())


@given(st.text(max_size=80))
def test_a_text_is_a_name_only_without_a_meaning_to_the_server(text: str) -> None:
    """So no rule and no key that is made of a name says something else: a wildcard, a brace, a second word."""
    for check in (check_tenant, check_tag):
        try:
            name = check(text)
        except BadName:
            continue
        assert set(name) <= set("abcdefghijklmnopqrstuvwxyz0123456789_-.")
        assert len(name) <= 127


@pytest.mark.parametrize("text", HOSTILE)
def test_no_hostile_name_becomes_a_tenant(world: World, text: str) -> None:
    """Unless it is a good one: then it is that one, and nobody else."""
    before = world.look()
    try:
        check_tenant(text)
    except BadName:
        with pytest.raises(BadName):
            world.tenants.create(text)
        assert [] == before.differences(world.look())
    else:
        assert text in NEIGHBOURS or world.redis.exists(keys.run(text, "x")) == 0


def test_a_tag_has_one_owner() -> None:
    """The name before its dot, whole."""
    assert ["acme", "acme1", "shared"] == [owner_of(tag) for tag in ("acme.gpu", "acme1.gpu", "shared.small")]


def test_a_user_that_was_made_by_hand_reaches_what_it_was_given(world: World) -> None:
    """What is no tenant's stays as the operator made it, also when it is called like one."""
    redis: Any = world.redis
    redis.execute_command("ACL", "SETUSER", "taglane-metrics", "on", "nopass", "+info")
    Users(world.operator).apply_all()

    assert "taglane-metrics" in redis.acl_users()
    redis.execute_command("ACL", "DELUSER", "taglane-metrics")
