"""Reads the form of a tenant's limits, and says of each field what is wrong with it. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from taglane.errors import BadLimit
from taglane.model.limits import FIELDS, NONE, OVERUSE, Limits, change_limits, spelled

from taglane_scheduler.web.console.languages import text

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

LABELS = {
    "running": (text("Runs at once"), text("that its workers hold")),
    "rate": (text("Runs that begin"), text("like 10/s, 90/m, 1000/h")),
    "burst": (text("Burst"), text("of these, at once after a pause")),
    "queued": (text("Runs that wait"), text("queued, delayed and parked")),
    "fires": (text("Fires"), text("like 5/s; what is over it is fired later")),
    "payload": (text("Params of a run"), text("bytes")),
    "weight": (text("Weight in shared pools"), text("0.001 to 1000; without one, 1")),
    "guaranteed": (text("Guaranteed slots"), text("of shared pools")),
    "borrow": (text("Borrowed slots"), text("beyond the guaranteed ones, at most")),
    "connections": (text("Connections"), text("to the server; watched")),
    "bandwidth": (text("Bandwidth"), text("like 5MiB/s; watched")),
    "memory": (text("Memory"), text("like 256MiB; watched")),
    "overuse": (text("When over a watched limit"), text("alarm, or cut off")),
}
"""What each limit is called, and how it is written."""


@dataclass(frozen=True, slots=True)
class Field:
    """One field of the form."""

    name: str
    label: str
    hint: str
    value: str
    wrong: str = ""
    choices: Sequence[str] = ()


def fields_of(limits: Limits) -> list[Field]:
    """Return the form of these limits; an empty field is no limit."""
    return _fields({name: str(value) for name, value in spelled(limits).items()}, {})


def read_form(limits: Limits, form: Mapping[str, str]) -> tuple[dict[str, str], list[Field]]:
    """Return what the form changes in *limits*, as `change_limits` takes it, and the form as it was typed.

    A field that is wrong says so, and changes nothing.
    """
    typed = {name: form.get(name, "").strip() for name in FIELDS}
    before = {name: str(value) for name, value in spelled(limits).items()}
    changes, wrong = {}, {}
    for name, value in typed.items():
        if value == before.get(name, ""):
            continue
        try:
            change_limits(Limits(), {name: value or NONE})
        except BadLimit as error:
            wrong[name] = error.why
        else:
            changes[name] = value or NONE
    return changes, _fields(typed, wrong)


def as_command(tenant: str, limits: Limits) -> str:
    """Return the command that gives a tenant these limits."""
    said = " ".join(f"{name}={value}" for name, value in spelled(limits).items())
    return f"taglane tenant limit {tenant} {said}".rstrip()


def _fields(values: Mapping[str, str], wrong: Mapping[str, str]) -> list[Field]:
    return [
        Field(name, *LABELS[name], values.get(name, ""), wrong.get(name, ""), OVERUSE if name == "overuse" else ())
        for name in FIELDS
    ]
