"""What a job says of the time in which nobody serves its tag."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from taglane.errors import BadSchedule
from taglane.model.no_worker import NoWorker, check_no_worker, read_no_worker

policies = st.one_of(
    st.sampled_from([NoWorker("wait"), NoWorker("skip"), NoWorker("fail")]),
    st.integers(1, 10**12).map(lambda ttl: NoWorker("wait", ttl=ttl)),
    st.sampled_from(["acme", "acme.gpu", "shared.small"]).map(lambda tag: NoWorker("overflow", tag=tag)),
)


@given(policies)
def test_round_trip(policy: NoWorker) -> None:
    """What is spelled is read back as it was, and is what a job keeps."""
    assert policy == read_no_worker("acme", policy.spelled)
    assert policy.spelled == check_no_worker("acme", "acme.other", policy.spelled)


def test_a_meaning_has_one_spelling() -> None:
    """A jobs file that says it in other words changes nothing."""
    assert "wait:1h30m" == check_no_worker("acme", "acme", "wait:90m")


@pytest.mark.parametrize(
    ("value", "text"),
    [
        ("somewhere", "'somewhere' is not one of wait, wait:<duration>, skip, fail, overflow:<tag>"),
        ("", "'' is not one of wait, wait:<duration>, skip, fail, overflow:<tag>"),
        ("skip:1h", "'skip:1h' is not one of wait, wait:<duration>, skip, fail, overflow:<tag>"),
        ("overflow", "'overflow' is not one of wait, wait:<duration>, skip, fail, overflow:<tag>"),
        ("overflow:", "'overflow:' is not one of wait, wait:<duration>, skip, fail, overflow:<tag>"),
        ("wait:", "'wait:' is not one of wait, wait:<duration>, skip, fail, overflow:<tag>"),
        (5, "5 is not one of wait, wait:<duration>, skip, fail, overflow:<tag>"),
        (["skip"], "['skip'] is not one of wait, wait:<duration>, skip, fail, overflow:<tag>"),
        ("wait:soon", "'soon' is not a duration: write it like 30s, 5m, 1h30m"),
        ("wait:0s", "'0s' is too short: it takes at least 1ms"),
        (
            "overflow:globex",
            "tag 'globex' does not belong to tenant 'acme': use 'acme', 'acme.<pool>' or 'shared.<pool>'",
        ),
        (
            "overflow:acme1.gpu",
            "tag 'acme1.gpu' does not belong to tenant 'acme': use 'acme', 'acme.<pool>' or 'shared.<pool>'",
        ),
        ("overflow:shared", "tag 'shared' lacks its pool: write shared.<pool>"),
        ("overflow:acme.gpu", "overflow:acme.gpu names the tag that its runs ask for already: give another one"),
    ],
)
def test_refusals(value: Any, text: str) -> None:
    """One sentence that names the field, the value, and what may stand there: never another tenant's tag."""
    with pytest.raises(BadSchedule) as caught:
        check_no_worker("acme", "acme.gpu", value)

    assert f"no_worker: {text}" == str(caught.value)
