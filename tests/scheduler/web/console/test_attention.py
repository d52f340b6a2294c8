"""What needs attention, in the reader's language, with the place where it is."""

from __future__ import annotations

import pytest
from taglane.model.standing import FailingJob, TagStanding, TenantStanding
from taglane_scheduler.alerting import rules
from taglane_scheduler.care.attention import KINDS, Attention, attention
from taglane_scheduler.web.console.attention import NAMES, told
from taglane_scheduler.web.console.view import Ask

STANDING = TenantStanding(
    "acme",
    tags=(TagStanding("acme.gpu", queued=1, oldest=90_000),),
    queued=1,
    running=4,
    oldest=90_000,
    stalled_workers=("w-1",),
    failing=(FailingJob("sync", 5, 1),),
    overdue=2,
    first_due=("report", 1_000),
    at_limit=True,
    dead=1,
    last_death=9_000_000,
    readable=False,
    at=9_060_000,
)
PAUSED = TenantStanding("initech", state="paused", queued=2, oldest=5_000, at=9_000_000)


def test_all_that_is_said_has_a_name_a_place_and_a_translation() -> None:
    """Whatever `care.attention` says today is found again in Chinese: a text that it changes is missed here."""
    found = [told(each, Ask("/", language="zh")) for each in attention([STANDING, PAUSED])]

    assert set(KINDS) == {each.kind for each in found}
    assert {*KINDS, *rules.STANDING} <= NAMES.keys()
    assert [] == [each.text for each in found if each.text.isascii()]
    assert all(each.place.startswith("/") for each in found)


@pytest.mark.parametrize(
    ("kind", "tenant", "subject", "place"),
    [
        ("no_worker", "acme", "acme.gpu", "/queues?tenant=acme"),
        ("stalled", "acme", "w-1", "/workers?tenant=acme"),
        ("failing", "acme", "a/../b", "/jobs/acme/a%2F..%2Fb"),
        ("dead", "acme", "", "/dead?tenant=acme"),
        ("alert_channel", "acme", "hook", "/alerts"),
        ("memory", "", "server", "/alerts"),
        ("memory", "acme", "", "/tenants/acme"),
    ],
)
def test_it_leads_to_its_place(kind: str, tenant: str, subject: str, place: str) -> None:
    """What is in a name can't lead out of it."""
    assert place == told(Attention(kind, tenant, subject, "a text of its own", "", None), Ask("/")).place
