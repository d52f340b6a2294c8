"""How changes are shown; on a real server in test_apply.py."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, Any

from taglane_cli import changes as module
from taglane_cli.changes import row, show_diff, show_lines
from taglane_scheduler.jobs_diff import Change

if TYPE_CHECKING:
    import pytest


def make(tenant: str = "acme", job: str | None = "report", **fields: Any) -> Change:
    fields = {"change": "updated", "before": {"task": "a.b"}, "after": {"task": "c.d"}, **fields}
    return Change(tenant, job, **fields)


def test_a_row_names_what_changes() -> None:
    """Without its fields; limits have no job."""
    assert {"tenant": "acme", "job": "report", "template": "nightly", "change": "updated"} == row(
        make(template="nightly")
    )
    assert {"tenant": "acme", "job": None, "template": None, "change": "updated"} == row(make(job=None))


def test_many_changes_are_summed_up(capsys: pytest.CaptureFixture[str]) -> None:
    """On stderr, and what is unchanged is in the sum alone; a few are all told."""
    changes = [make(f"t{number}", change="unchanged" if number else "updated") for number in range(1_001)]

    show_lines(changes, Counter(str(each.change) for each in changes))
    many = capsys.readouterr()
    show_lines(changes[:20], Counter(str(each.change) for each in changes[:20]))

    few = capsys.readouterr()
    assert ("updated    t0/report\n", "1 updated, 1,000 unchanged\n") == (many.out, many.err)
    assert (20, "") == (len(few.out.splitlines()), few.err)


def test_what_differs_alike_is_one_part(capsys: pytest.CaptureFixture[str]) -> None:
    """With the first tenants and how many there are; another job, template or difference is another part."""
    alike = [make(f"t{number}", template="nightly") for number in range(5)]
    others = [make("b"), make("c", before=None), make("d", job=None), make("e", after=None)]

    show_diff([*alike, *others], "jobs.yaml")

    heads = [line for line in capsys.readouterr().out.splitlines() if line.startswith(("---", "+++"))]
    assert [
        "--- report of t0, t1, t2 and 2 more (server)",
        "+++ report of t0, t1, t2 and 2 more (jobs.yaml, template nightly)",
        "--- b/report (server)",
        "+++ b/report (jobs.yaml)",
        "--- /dev/null",
        "+++ c/report (jobs.yaml)",
        "--- d limits (server)",
        "+++ d limits (jobs.yaml)",
        "--- e/report (server)",
        "+++ /dev/null",
    ] == heads


def test_of_very_many_parts_the_last_are_told_one_by_one(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """What is alike is looked for among so many as memory allows: none is left out."""
    monkeypatch.setattr(module, "_MOST_PARTS", 1)

    show_diff([make("a"), make("b", before=None), make("c"), make("d", before=None)], "jobs.yaml")

    heads = [line for line in capsys.readouterr().out.splitlines() if line.startswith("+++")]
    assert ["report of a, c", "b/report", "d/report"] == [line[4 : line.index(" (")] for line in heads]


def test_the_order_of_params_is_no_difference(capsys: pytest.CaptureFixture[str]) -> None:
    """The server keeps them in an order of its own."""
    before, after = {"task": "a", "params": {"x": 1, "y": 2}}, {"task": "b", "params": {"y": 2, "x": 1}}

    show_diff([make(before=before, after=after)], "jobs.yaml")

    assert ' params: {"x": 1, "y": 2}\n' in capsys.readouterr().out


def test_what_a_field_says_can_not_steer_a_terminal(capsys: pytest.CaptureFixture[str]) -> None:
    show_diff([make(after={"task": "a\x1b[31m", "params": {"é": "\x1b"}})], "jobs.yaml")

    out = capsys.readouterr().out
    assert "\x1b" not in out
    assert '+task: a\\x1b[31m\n+params: {"\\u00e9": "\\u001b"}\n' in out
