"""A jobs file, written."""

from __future__ import annotations

from typing import Any

from factories import make_job
from hypothesis import given, settings
from hypothesis import strategies as st
from taglane.model.limits import Limits, change_limits, spelled
from taglane_scheduler.jobs_diff import fields_of
from taglane_scheduler.jobs_file import read_jobs_file
from taglane_scheduler.jobs_text import jobs_text

TEXTS = st.text(st.characters(exclude_categories=["Cs"]), max_size=12)
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | TEXTS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(TEXTS, inner, max_size=3),
    max_leaves=8,
)
RATES = st.integers(1, 10**6).map(lambda number: f"{number}/m") | st.floats(0.001, 10**6)
LIMITS = st.fixed_dictionaries(
    {},
    optional={
        "running": st.integers(1, 10**9),
        "rate": RATES,
        "fires": RATES,
        "weight": st.floats(0.001, 1000),
        "borrow": st.integers(0, 10),
    },
)


def test_a_file_is_written_for_people_to_read() -> None:
    """A field a line, in the order in which they are spelled everywhere, without those that have their default."""
    report = make_job(cron="H 3 * * *", tz="Europe/Berlin", params={"region": "eu", "ids": [1, 2]}, retry=5)
    limits = {"acme": change_limits(Limits(), {"running": 4, "rate": "90/m"}), "globex": Limits()}

    assert """\
tenants:
  acme:
    limits:
      running: 4
      rate: 90/m
    jobs:
      report:
        task: shop.tasks.report
        cron: H 3 * * *
        timezone: Europe/Berlin
        params:
          region: eu
          ids:
          - 1
          - 2
        retry: 5
  globex: {}
""" == jobs_text(limits, [report])


@settings(max_examples=200, deadline=None)
@given(st.dictionaries(TEXTS, JSON, max_size=4), LIMITS)
def test_what_is_written_is_read_back(params: dict[str, Any], limits: dict[str, Any]) -> None:
    """Whatever is in the params and the limits: the same fields, and the same limits as users spell them."""
    job = make_job(at="2026-11-22T09:00:00Z", params=params, expires="1h")
    kept = change_limits(Limits(), limits)

    read = read_jobs_file(jobs_text({"acme": kept}, [job]))

    assert [fields_of(job)] == [fields_of(each) for each in read.jobs]
    assert repr(job.params) == repr(read.jobs[0].params)
    assert spelled(kept) == spelled(read.limits.get("acme", Limits()))
