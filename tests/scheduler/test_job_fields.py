"""The fields of one job in a jobs file; every mistake with its place is in test_jobs_file.py."""

from __future__ import annotations

from typing import Any

import pytest
from taglane.model.job import JobFields
from taglane.model.names import check_job
from taglane.model.schedule import Cron
from taglane_scheduler.job_fields import FIELDS, gives_kind, read_job, read_name, read_text, read_zone
from taglane_scheduler.yaml_events import BadYaml
from taglane_scheduler.yaml_tree import Key, Value, read_yaml

PLACE = Key("report", 7, 9)


def fields(text: str) -> dict[str, Value]:
    return {key.name: value for key, value in read_yaml(text).data.items()}


def test_a_file_says_all_that_can_be_said_of_a_job() -> None:
    """With the zone under its long name."""
    assert {"task", "timezone", *JobFields.__annotations__} - {"tz"} == set(FIELDS)


def test_a_job_is_made_of_its_fields() -> None:
    job = read_job("acme", "report", fields("{task: a.b, cron: 0 9 * * *, timezone: Europe/Berlin, params: }"), PLACE)

    assert ("acme", "report", "a.b", {}) == (job.tenant, job.name, job.task, job.params)
    assert Cron(expr="0 9 * * *", tz="Europe/Berlin") == job.schedule


@pytest.mark.parametrize(
    ("text", "line", "column"),
    [("{cron: 0 9 * * *}", 7, 9), ("{task: a.b}", 7, 9), ("{task: a.b, every: x}", 1, 20)],
)
def test_a_mistake_of_no_field_is_the_jobs(text: str, line: int, column: int) -> None:
    """And that of a field stands at its value."""
    with pytest.raises(BadYaml, match=r".") as caught:
        read_job("acme", "report", fields(text), PLACE)

    assert (line, column) == (caught.value.line, caught.value.column)


@pytest.mark.parametrize(
    ("text", "gives"),
    [
        ("{task: a.b}", False),
        ("{every: }", False),
        ("{manual: false}", False),
        ("{manual: true}", True),
        ("{at: x}", True),
    ],
)
def test_what_says_when_a_job_is_due(text: str, gives: Any) -> None:
    assert gives is gives_kind(fields(text))


def test_names_texts_and_zones_are_read_at_their_place() -> None:
    """Of a key, and of a value in a list."""
    value = read_yaml("Europe/Berlin")

    assert "report" == read_name(PLACE, check_job)
    assert ("Europe/Berlin", "Europe/Berlin") == (read_zone(value), read_text("timezone", value))
    with pytest.raises(BadYaml, match="1:1: job 'Europe/Berlin' must be"):
        read_name(value, check_job)
    with pytest.raises(BadYaml, match="1:1: timezone is a text"):
        read_zone(read_yaml("5"))
