"""Templates of a jobs file: what a tenant says of a job goes before what its template says."""

from __future__ import annotations

from typing import Any

import pytest
from taglane_scheduler.job_templates import check_known, merged, read_taken, read_templates
from taglane_scheduler.yaml_events import BadYaml
from taglane_scheduler.yaml_tree import read_yaml

REPORT = "{task: a.b, cron: 'H 3 * * *', params: {region: eu, days: 1}, expires: 1h, tag: '{tenant}.gpu'}"


def fields(text: str) -> Any:
    """A mapping's values by name, as `merged` takes them."""
    return {key.name: value for key, value in read_yaml(text).data.items()}


def plain(template: str, own: str) -> dict[str, Any]:
    return {name: value.plain() for name, value in merged(fields(template), fields(own), "acme").items()}


def test_what_a_tenant_leaves_out_is_its_templates() -> None:
    """With the tenant's own name in the tag."""
    assert {
        "task": "a.b",
        "cron": "H 3 * * *",
        "params": {"region": "eu", "days": 1},
        "expires": "1h",
        "tag": "acme.gpu",
    } == plain(REPORT, "{}")


@pytest.mark.parametrize(
    ("own", "changed"),
    [
        ("{task: c.d}", {"task": "c.d"}),
        ("{cron: 0 4 * * *}", {"cron": "0 4 * * *"}),
        ("{every: 30s}", {"cron": None, "every": "30s"}),
        ("{manual: true}", {"cron": None, "manual": True}),
        ("{manual: false}", {"manual": False}),
        ("{params: {region: apac}}", {"params": {"region": "apac", "days": 1}}),
        ("{params: {region: null, more: 1}}", {"params": {"region": None, "days": 1, "more": 1}}),
        ("{params: }", {"params": None}),
        ("{expires: }", {"expires": None}),
        ("{timeout: }", {}),
        ("{tag: acme.io, priority: 3}", {"tag": "acme.io", "priority": 3}),
    ],
)
def test_what_a_tenant_says_goes_first(own: str, changed: dict[str, Any]) -> None:
    """Params key by key; one kind of schedule in the place of another; what is left empty is not there."""
    expected = {**plain(REPORT, "{}"), **changed}

    assert {name: value for name, value in expected.items() if value is not None} == plain(REPORT, own)


def test_a_merged_field_stands_where_it_was_written() -> None:
    """So that a mistake in it is found there."""
    own = fields("a: 1\nparams: {region: apac}")

    both = merged(fields(REPORT), own, "acme")

    assert (1, 8) == (both["task"].line, both["task"].column)
    assert (2, 9) == (both["params"].line, both["params"].column)


def test_templates_are_read_by_name() -> None:
    """Whole ones, and those that leave the schedule or the task to the tenants."""
    text = f"whole: {REPORT}\nbare: {{params: {{a: 1}}}}\nnone:\nio: {{task: a.b, tag: acme.io}}"

    assert ["whole", "bare", "none", "io"] == list(read_templates(read_yaml(text)))
    assert {} == read_templates(read_yaml(""))


@pytest.mark.parametrize(
    ("text", "line", "column", "why"),
    [
        ("[a]", 1, 1, "templates is a mapping by name, not a list"),
        ("A: {}", 1, 1, "job 'A' must be"),
        ("a: 5", 1, 4, "template 'a' is a mapping, not a number"),
        ("a: {evry: 5s}", 1, 5, "template 'a' has no field 'evry': did you mean 'every'?"),
        ("a: {template: b}", 1, 5, "template 'a' has no field 'template'"),
        ("a: {every: 5}", 1, 12, "every is a text, like 30s, not a number (template 'a')"),
        ("a: {cron: 61 * * * *}", 1, 11, "cron field minute: '61'"),
        ("a: {every: 5s, cron: '* * * * *'}", 1, 1, "exactly one of"),
        ("a: {params: {x: .nan}}", 1, 17, "params.x is nan"),
        ("a: {tag: A}", 1, 10, "tag 'A' must be"),
        ("a: {tag: '{tenant}.a b'}", 1, 10, "tag 'tenant.a b' must be"),
        ("a: {timezone: Mars}", 1, 15, "unknown time zone 'Mars'"),
        ("a: {retry: {atempts: 5}}", 1, 13, "did you mean 'attempts'?"),
        ("a: {}\na: {}", 2, 1, "'a' is there twice"),
    ],
)
def test_a_template_is_checked_though_no_tenant_has_it(text: str, line: int, column: int, why: str) -> None:
    """At the place of the mistake. A template has no template, so none can be its own."""
    with pytest.raises(BadYaml, match=r".") as caught:
        read_templates(read_yaml(text))

    assert (line, column) == (caught.value.line, caught.value.column)
    assert why in caught.value.why


@pytest.mark.parametrize(
    ("text", "column", "why"),
    [
        ("report", 1, "templates is a list of names, like [report], not a text"),
        ("[reprot]", 2, "no template 'reprot': did you mean 'report'?"),
        ("[report, report]", 10, "template 'report' is there twice"),
        ("[5]", 2, "template is a text, like report, not a number"),
    ],
)
def test_what_is_taken_is_a_list_of_templates(text: str, column: int, why: str) -> None:
    with pytest.raises(BadYaml, match=r".") as caught:
        read_taken(read_yaml(text), read_templates(read_yaml(f"report: {REPORT}")))

    assert (column, why) == (caught.value.column, caught.value.why)


def test_what_is_taken_knows_its_place() -> None:
    """Nothing is an empty list."""
    templates = read_templates(read_yaml("a: {manual: true}\nb: {manual: true}"))

    assert [("b", 2), ("a", 5)] == [
        (name, at.column) for name, at in read_taken(read_yaml("[b, a]"), templates).items()
    ]
    assert {} == read_taken(read_yaml(""), templates)


def test_a_template_that_is_not_there() -> None:
    """It says what is, or that there is none."""
    place = read_yaml("x")
    with pytest.raises(BadYaml, match="no template 'x': there are mail, report"):
        check_known("x", place, ["mail", "report"])
    with pytest.raises(BadYaml, match="no template 'x': the file has no 'templates'"):
        check_known("x", place, [])


def test_what_a_check_fills_in_is_not_kept() -> None:
    """The fields of a template are those that were written."""
    templates = read_templates(read_yaml("a: {every: 5s}\nb:"))

    assert ["every"] == list(templates["a"])
    assert {} == templates["b"]
