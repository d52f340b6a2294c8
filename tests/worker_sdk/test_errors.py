"""The errors: who can act on each, and what it says."""

from __future__ import annotations

import inspect
import pickle
import re
from typing import TYPE_CHECKING

import pytest
from taglane import errors
from taglane.errors import (
    AlertPartNotFound,
    BadAlertRule,
    BadJobsFile,
    BadLimit,
    BadName,
    BadParams,
    BadQuery,
    BadSchedule,
    BadSetting,
    CallerError,
    ChannelInUse,
    ClusterUrlNeeded,
    Conflict,
    DeadLetterNotFound,
    ExtraMissing,
    JobNotFound,
    JobTooNew,
    LibraryMissing,
    NoCluster,
    NodeUnavailable,
    NotFenced,
    NotFound,
    NotReplayable,
    NotReplicated,
    OperatorNeeded,
    OtherTenant,
    OverLimit,
    ParamsOverLimit,
    QueueFull,
    Refused,
    RoleNeeded,
    RunFailed,
    RunNotFound,
    RunTimeout,
    ServerFull,
    ServerUnavailable,
    TaglaneError,
    TagNotOwned,
    TenantDraining,
    TenantExists,
    TenantMissing,
    TenantNotFound,
    TooManyAlertParts,
    WorkerNotFound,
)

if TYPE_CHECKING:
    from collections.abc import Iterator

EXAMPLES = [
    BadName("tenant", "Acme"),
    BadSchedule("cron: no"),
    BadParams("no"),
    BadJobsFile("jobs.yaml", 3, 7, "no"),
    BadSetting("TAGLANE_BATCH", "0", "no"),
    BadLimit("running", 0, "no"),
    ExtraMissing("the console", "console"),
    BadAlertRule("rule", "on", "fire", "no"),
    AlertPartNotFound("rule", "nights", "acme"),
    ChannelInUse("ops", ["nights", "days", "a", "b"]),
    TooManyAlertParts("rule", 100, "acme"),
    BadQuery("stat:x", 1, "stat:x", "no"),
    ExtraMissing("taglane top", "top"),
    OverLimit("no"),
    QueueFull("acme", 100, 100, 2.5),
    ParamsOverLimit("acme", 2_000, 1_000),
    TenantDraining("acme"),
    ExtraMissing("the console", "console"),
    TenantMissing("shop.tasks.report"),
    TagNotOwned("other", "acme"),
    TenantNotFound("acme"),
    JobNotFound("acme", "report"),
    RunNotFound("acme.1"),
    WorkerNotFound("acme", "apps-1"),
    DeadLetterNotFound("acme.1"),
    NotReplayable("acme.1", "queued", is_ended=False),
    TenantExists("acme"),
    JobTooNew("acme", "report", "the field 'quota'"),
    Refused("fetch"),
    RoleNeeded("pausing jobs", "operate", "read", "acme"),
    OperatorNeeded("a scheduler", "acme"),
    OtherTenant("acme", "globex"),
    NotFenced("tenant acme can't be given a new password"),
    ServerUnavailable("no server at h:1"),
    ServerFull(),
    NotReplicated(0, 1),
    LibraryMissing(),
    NodeUnavailable("no server at 127.0.0.1:7000"),
    ClusterUrlNeeded("127.0.0.1:7000"),
    NoCluster("127.0.0.1:7000"),
    RunFailed("acme.1", "failed", "ValueError: no", "Traceback"),
    RunTimeout("acme.1", "queued", 2.0),
]


def classes() -> Iterator[type[TaglaneError]]:
    for _, value in inspect.getmembers(errors, inspect.isclass):
        if issubclass(value, TaglaneError) and value.__module__ == errors.__name__:
            yield value


def drawn_tree() -> dict[str, str]:
    """Each class of the drawing at the top of the module, with the one that it hangs on."""
    parents: list[str] = []
    tree = {}
    for line in inspect.cleandoc(errors.__doc__ or "").splitlines():
        found = re.match(r"((?:[│ ]   )*)(?:[├└]── )?([A-Z]\w+)", line)
        if found is None or not (parents or found[2] == "TaglaneError"):
            continue
        depth = len(found[1]) // 4 + ("── " in line)
        del parents[depth:]
        if parents:
            tree[found[2]] = parents[-1]
        parents.append(found[2])
    return tree


def test_the_drawing_is_the_tree() -> None:
    """The tree at the top of the module is what the classes are."""
    tree = {each.__name__: each.__bases__[0].__name__ for each in classes() if each is not TaglaneError}

    assert tree == drawn_tree()


@pytest.mark.parametrize("error", EXAMPLES, ids=lambda error: type(error).__name__)
def test_each_says_one_line(error: TaglaneError) -> None:
    """Whatever is raised can be shown to a user as it is: one line, no quotes of reprs of objects."""
    assert str(error)
    assert 1 == len(str(error).splitlines())
    assert "object at" not in str(error)


def test_every_error_has_an_example() -> None:
    """The examples above leave none out but the groups."""
    groups = {TaglaneError, CallerError, NotFound, Conflict}

    assert set(classes()) - groups == {type(error) for error in EXAMPLES}


@pytest.mark.parametrize("error", EXAMPLES, ids=lambda error: type(error).__name__)
def test_each_survives_a_pipe(error: TaglaneError) -> None:
    """A task may let one through: it crosses from a pool's child to its parent, and is the same there."""
    again = pickle.loads(pickle.dumps(error))

    assert type(error) is type(again)
    assert str(error) == str(again)
    assert vars(error) == vars(again)


def test_each_names_what_mends_it() -> None:
    """What a user can mend comes with the command or the setting that does."""
    assert "taglane tenant create acme" in str(TenantNotFound("acme"))
    assert "did you mean 'acme'?" in str(TenantNotFound("acmee", "acme"))
    assert "taglane job list --tenant acme" in str(JobNotFound("acme", "report"))
    assert "taglane run list" in str(RunNotFound("acme.1"))
    assert "taglane tenant show acme" in str(TenantExists("acme"))
    assert "TAGLANE_URL" in str(Refused("fetch"))
    assert "maxmemory" in str(ServerFull())
    assert "taglane scheduler" in str(LibraryMissing())
    assert "taglane run show acme.1" in str(RunTimeout("acme.1", "queued", 2.0))
    assert "taglane.tenant(name)" in str(TenantMissing("a.b"))
    assert "'acme.<pool>'" in str(TagNotOwned("other", "acme"))


def test_each_carries_its_values() -> None:
    """Code that handles one needs not read its text."""
    failed = RunFailed("acme.1", "failed", "ValueError: no", "Traceback …")

    assert ("acme.1", "failed", "ValueError: no", "Traceback …") == (
        failed.run_id,
        failed.state,
        failed.error,
        failed.traceback,
    )
    assert "run acme.1 failed: ValueError: no" == str(failed)
    assert "run acme.1 was given up: no" == str(RunFailed("acme.1", "dead", "no"))
    assert "run acme.1 cancelled" == str(RunFailed("acme.1", "cancelled"))
    assert "run acme.1 is still queued after 2 s: see  taglane run show acme.1" == str(
        RunTimeout("acme.1", "queued", 2.0)
    )
    assert "jobs.yaml:3:7: no" == str(BadJobsFile("jobs.yaml", 3, 7, "no"))


def test_a_bad_name_says_what_a_good_one_is() -> None:
    """With its kind and the value; or what is wrong with this one."""
    assert "tenant 'Acme' must be 1 to 63 of a-z 0-9 _ -, starting with a letter or digit" == str(
        BadName("tenant", "Acme")
    )
    assert "tag 'a b' must be <tenant> or <tenant>.<pool>, each 1 to 63" in str(BadName("tag", "a b"))
    assert "tenant 'shared' is reserved" == str(BadName("tenant", "shared", why="is reserved"))
