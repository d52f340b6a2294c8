from __future__ import annotations

import re
import string
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st
from taglane.errors import BadName, TaglaneError, TagNotOwned
from taglane.model.names import (
    RESERVED,
    check_job,
    check_run_id,
    check_tag,
    check_task,
    check_tenant,
    fired_run_id,
    new_run_id,
    owner_of,
    replayed_run_id,
    tag_for,
    tag_of_queue,
    tenant_of_run,
)
from taglane.store import keys

if TYPE_CHECKING:
    from collections.abc import Callable

FIRST = string.ascii_lowercase + string.digits
names = st.builds(str.__add__, st.sampled_from(FIRST), st.text(FIRST + "_-", max_size=62)).filter(
    lambda name: name not in RESERVED
)
pools = names
instants = st.integers(0, 2**50 - 1)

HOSTILE = [
    "", " ", "*", "?", "a*", "acme*", "{acme}", "acme}", "{", "}:run:", "a:b", "a/b", "a\\b", "a b", " acme", "acme ",
    "acme\n", "\nacme", "a\0b", "a\rb", "Acme", "ACME", "ac.me.x", ".acme", "acme.", "..", ".", "_acme", "-acme", "é",
    "acmé", "acme\u0301", "\uff41cme", "\u0430", "\u0661", "\u017f", "\u200bacme", "acme\u00ad", "\ud800", "[a]",
    "a" * 64, "a" * 100_000,
    "a,b", "a|b", "a%b", "%7Bacme", "a$b", "a'b", 'a"b', "a;b", "~acme", "@acme", "&*", "+@all", "a+b", "a=b",
]  # fmt: skip
"""What would mean something in a key, in an ACL pattern, in a shell, or look like a name and be none."""


def refused(check: Callable[[str], str], name: str) -> bool:
    try:
        check(name)
    except TaglaneError:
        return True
    return False


@given(names)
def test_names_are_taken_as_they_are(name: str) -> None:
    """What can be a tenant can be a job and a tag, and no check changes it."""
    assert name == check_tenant(name) == check_job(name) == check_tag(name) == tag_for(name, name)


@given(st.text())
def test_whatever_passes_is_of_the_alphabet(text: str) -> None:
    """A text is refused, or it has 1 to 63 of the harmless characters: nothing passes by its beginning or end."""
    for check in (check_tenant, check_job):
        assert refused(check, text) or re.fullmatch("[a-z0-9][a-z0-9_-]{0,62}", text)
    assert refused(check_tag, text) or re.fullmatch("[a-z0-9][a-z0-9_-]{0,62}([.][a-z0-9][a-z0-9_-]{0,62})?", text)


@pytest.mark.parametrize("name", HOSTILE, ids=ascii)
def test_hostile_texts_become_nothing(name: str) -> None:
    """Separators, braces, patterns, unicode, empty, very long: never a tenant, a job, a tag, a pool or a queue."""
    for check in (check_tenant, check_job, check_tag):
        with pytest.raises(BadName):
            check(name)
    with pytest.raises(BadName):
        check_tag(f"acme.{name}")
    with pytest.raises(BadName):
        tag_for("acme", name)
    with pytest.raises(BadName):
        tag_of_queue("acme", f"acme.{name}", "celery")


@given(names, st.characters(exclude_characters=FIRST + "_-."), st.integers(0, 63))
def test_one_strange_character_anywhere_spoils_a_name(name: str, character: str, place: int) -> None:
    """At the start, the end or in between."""
    spoiled = name[:place] + character + name[place:]

    for check in (check_tenant, check_job, check_tag):
        assert refused(check, spoiled)


@pytest.mark.parametrize("name", sorted(RESERVED))
def test_reserved_names_are_no_tenants(name: str) -> None:
    """Neither as a tenant nor as the owner of a tag; `shared` owns pools and is no tag alone."""
    with pytest.raises(BadName, match="is reserved"):
        check_tenant(name)
    with pytest.raises(BadName):
        check_tag(name)
    if name == "shared":
        assert "shared.gpu" == check_tag("shared.gpu")
    else:
        with pytest.raises(BadName, match="is reserved"):
            check_tag(f"{name}.gpu")


def test_a_shared_tag_lacks_its_pool() -> None:
    """The error says what to write."""
    with pytest.raises(BadName, match=r"write shared\.<pool>"):
        check_tag("shared")


@given(names, names, pools)
def test_a_tag_is_its_owners_alone(tenant: str, other: str, pool: str) -> None:
    """However alike two names are, a tag of one is never taken for the other's; a shared pool is everyone's."""
    assume(tenant != other)

    assert tenant == tag_for(tenant, None)
    assert f"{tenant}.{pool}" == tag_for(tenant, f"{tenant}.{pool}")
    assert f"shared.{pool}" == tag_for(tenant, f"shared.{pool}")
    for tag in (other, f"{other}.{pool}"):
        with pytest.raises(TagNotOwned):
            tag_for(tenant, tag)
        with pytest.raises(TagNotOwned):
            tag_of_queue(tenant, f"{other}.{pool}", "celery")


@pytest.mark.parametrize("other", ["acme1", "acme-", "acme_", "acm", "a", "1acme", "acme-1", "me", "acmeacme"])
def test_no_prefix_or_part_is_a_match(other: str) -> None:
    """`acme` and `acme1` have nothing in common: not as tags, not as owners of ids, not as keys."""
    for mine, theirs in (("acme", other), (other, "acme")):
        with pytest.raises(TagNotOwned):
            tag_for(mine, theirs)
        with pytest.raises(TagNotOwned):
            tag_for(mine, f"{theirs}.gpu")
        assert mine == tenant_of_run(new_run_id(mine))
        assert not keys.run(mine, "x").startswith(keys.prefix(theirs))


@given(names, pools)
def test_the_owner_of_a_tag_is_what_stands_before_its_dot(tenant: str, pool: str) -> None:
    """Of a tag with a pool and of one without."""
    assert tenant == owner_of(tenant) == owner_of(f"{tenant}.{pool}")


@given(names, names)
def test_celery_queues_are_tags(tenant: str, queue: str) -> None:
    """The default queue, whatever it is called, and one called like the tenant mean its own tag; others a pool."""
    assert tenant == tag_of_queue(tenant, "celery", "celery")
    assert tenant == tag_of_queue(tenant, tenant, "celery")
    assert tenant == tag_of_queue(tenant, queue, queue)
    assert tenant == tag_of_queue(tenant, "", "celery")
    assume(queue not in {tenant, "celery"})
    assert f"{tenant}.{queue}" == tag_of_queue(tenant, queue, "celery")
    assert f"{tenant}.{queue}" == tag_of_queue(tenant, f"{tenant}.{queue}", "celery")


def test_a_queue_that_can_be_no_tag_says_so() -> None:
    """A Celery queue with an impossible name is refused with that name."""
    with pytest.raises(BadName, match="High Priority"):
        tag_of_queue("acme", "High Priority", "celery")


@given(names, names, st.text(max_size=20), instants)
def test_a_fired_id_is_a_function_of_what_fires(tenant: str, job: str, created: str, due: int) -> None:
    """Whoever computes it gets the same id, which can be a key and carries its tenant."""
    assume("\0" not in created)
    made = fired_run_id(tenant, job, created, due)

    assert made == fired_run_id(tenant, job, created, due)
    assert made == check_run_id(made)
    assert tenant == tenant_of_run(made)
    assert len(tenant) + 27 == len(made)


@given(
    st.lists(st.tuples(names, names, st.integers(0, 2**44).map(str), instants), min_size=2, max_size=20, unique=True)
)
def test_different_fires_have_different_ids(fires: list[tuple[str, str, str, int]]) -> None:
    """Another tenant, job, creation or instant is another run: a job made anew does not repeat its forerunner's ids."""
    assert len(fires) == len({fired_run_id(*fire) for fire in fires})


@given(names, instants, instants)
def test_fired_ids_sort_by_time(tenant: str, first: int, second: int) -> None:
    """Among a tenant's, the order of ids is the order of what they are due at."""
    assume(first != second)
    earlier, later = sorted([first, second])

    assert fired_run_id(tenant, "z", "9", earlier) < fired_run_id(tenant, "a", "0", later)


def test_new_ids_sort_by_time(monkeypatch: pytest.MonkeyPatch) -> None:
    """A later millisecond is a greater id; within one millisecond ids differ."""
    now = 1_795_000_000_000
    made = []
    for instant in range(now, now + 3_000, 37):
        monkeypatch.setattr("taglane.model.names.time.time_ns", lambda instant=instant: instant * 1_000_000)
        made.append(new_run_id("acme"))
        assert new_run_id("acme") != new_run_id("acme")

    assert sorted(made) == made


@given(names)
def test_new_ids_carry_their_tenant(tenant: str) -> None:
    """And can be keys."""
    made = new_run_id(tenant)

    assert tenant == tenant_of_run(made)
    assert made == check_run_id(made)
    assert re.fullmatch("[0-9a-hjkmnp-tv-z]{26}", made.removeprefix(f"{tenant}."))


@pytest.mark.parametrize("run_id", ["x", "550e8400-e29b-41d4-a716-446655440000", "acme.", ".x", "Acme.x", "a b.x", ""])
def test_ids_that_carry_no_tenant(run_id: str) -> None:
    """An id that somebody chose himself belongs to the tenant in reach."""
    assert tenant_of_run(run_id) is None


@given(st.text())
def test_a_run_id_can_be_a_key(text: str) -> None:
    """Any other text is refused: it could be read as another key, or as a pattern."""
    assert refused(check_run_id, text) or re.fullmatch("[A-Za-z0-9_.:~@=+-]{1,200}", text)


@pytest.mark.parametrize(
    "run_id", ["", " ", "a b", "{acme}", "a}", "*", "a\n", "é", "a/b", "a'", "\0", "a" * 201, "\ud800", "a" * 100_000]
)
def test_what_can_be_no_run_id(run_id: str) -> None:
    """Braces, spaces, patterns, ends of line, unicode, empty, very long."""
    with pytest.raises(BadName, match="run id"):
        check_run_id(run_id)


@pytest.mark.parametrize("run_id", ["a", "A-1", "acme.x", "group:1", "550e8400-e29b", "a~end", "x@y=1+2", "a" * 200])
def test_ids_that_applications_choose(run_id: str) -> None:
    """Celery's own, and most that one finds in applications, stay as they are."""
    assert run_id == check_run_id(run_id)


@pytest.mark.parametrize("task", ["report", "shop.tasks.report", "_x.y", "a-b.c", "__main__.add", "a:b", "a" * 200])
def test_task_names(task: str) -> None:
    """As Celery makes them, of modules and functions."""
    assert task == check_task(task)


@pytest.mark.parametrize(
    "task", ["", " ", ".", "a.", ".a", "a..b", "a b", "a\n", "a/b", "1a", "{a}", "é.a", "a" * 201, None, 1, b"a", ["a"]]
)
def test_what_can_be_no_task(task: Any) -> None:
    """The error shows what was given and what a name looks like."""
    with pytest.raises(BadName, match=r"must be a dotted name like shop\.tasks\.report") as caught:
        check_task(task)
    assert repr(task) in str(caught.value)


def test_whoever_replays_a_run_as_one_of_many_gives_it_the_same_name() -> None:
    """Another one for another run, or another end of it; and it carries its tenant."""
    made = replayed_run_id("acme", "acme.1", 1_000)

    assert made == replayed_run_id("acme", "acme.1", 1_000)
    others = (replayed_run_id("acme", "acme.2", 1_000), replayed_run_id("acme", "acme.1", 1_001))
    assert 3 == len({made, *others})
    assert "acme" == tenant_of_run(check_run_id(made))
