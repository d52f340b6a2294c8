"""The form of a tenant's limits."""

from __future__ import annotations

from taglane.model.limits import FIELDS, Limits
from taglane_scheduler.web.console.limit_form import LABELS, as_command, fields_of, read_form

LIMITS = Limits(running=4, rate=10.0, memory=64 * 2**20)
FORM = {field.name: field.value for field in fields_of(LIMITS)}


def test_every_limit_has_a_field() -> None:
    """What is new in the model is missed here."""
    assert [*FIELDS] == [*LABELS] == [field.name for field in fields_of(LIMITS)]
    assert ("4", "10/s", "64MiB", "") == tuple(FORM[name] for name in ("running", "rate", "memory", "queued"))


def test_only_what_was_changed_is_written() -> None:
    """An empty field takes a limit away; one left alone is not written, or two who look would undo each other."""
    changes, fields = read_form(LIMITS, FORM | {"running": " 8 ", "rate": ""})

    assert {"running": "8", "rate": "none"} == changes
    assert not any(field.wrong for field in fields)


def test_each_wrong_field_says_so_and_keeps_what_was_typed() -> None:
    """More than one at once."""
    _, fields = read_form(LIMITS, FORM | {"running": "many", "rate": "fast", "queued": "7"})

    wrong = {field.name: field.value for field in fields if field.wrong}
    assert {"running": "many", "rate": "fast"} == wrong


def test_the_form_as_a_command() -> None:
    assert "taglane tenant limit acme running=4 rate=10/s memory=64MiB" == as_command("acme", LIMITS)
    assert "taglane tenant limit acme" == as_command("acme", Limits())
