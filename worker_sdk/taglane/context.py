"""Whose work this is: the tenant that calls are made for, the run that is being executed."""

from __future__ import annotations

from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from taglane.errors import OtherTenant
from taglane.model.names import check_tenant

if TYPE_CHECKING:
    from collections.abc import Iterator


@dataclass(frozen=True, slots=True)
class CurrentRun:
    """The run that this code is executed by. `due` is ms since 1970, None when no schedule made the run."""

    id: str
    tenant: str
    tag: str
    job: str | None
    due: int | None
    attempt: int
    token: int
    """The lease under which it runs: what the server checks before it believes this worker."""


_tenant: ContextVar[str | None] = ContextVar("taglane_tenant", default=None)
_run: ContextVar[CurrentRun | None] = ContextVar("taglane_run", default=None)
_confined: ContextVar[str | None] = ContextVar("taglane_confined", default=None)


@contextmanager
def tenant(name: str) -> Iterator[None]:
    """Make the tasks sent inside the block the tenant's, Celery's own calls too.

    Raises:
        BadName: no tenant can be called that.
    """
    token = _tenant.set(check_tenant(name))
    try:
        yield
    finally:
        _tenant.reset(token)


def current_tenant() -> str | None:
    """The tenant in reach: of the innermost `tenant` block, or of the run being executed."""
    run = _run.get()
    return _tenant.get() or (run.tenant if run else None)


def current_run() -> CurrentRun | None:
    """The run that is being executed here, or None outside of a task."""
    return _run.get()


def check_reach(tenant: str) -> None:
    """Raise OtherTenant when a run is being executed here that is of another one, or the block is confined to one.

    What a run, or who asks by HTTP, is told to look at may be anything: a worker of a shared pool and the console have
    the operator's credential, which would not be refused.
    """
    run = _run.get()
    if run is not None and run.tenant != tenant:
        raise OtherTenant(run.tenant, tenant)
    confined = _confined.get()
    if confined is not None and confined != tenant:
        raise OtherTenant(confined, tenant)


@contextmanager
def confined(to: str | None) -> Iterator[None]:
    """Let the block spell no key of any tenant but one, whatever its credential reaches; None confines to nothing."""
    token = _confined.set(to)
    try:
        yield
    finally:
        _confined.reset(token)


class Binding:
    """A block in which context variables have other values: what each run comes through is no generator."""

    __slots__ = ("_tokens", "_values")

    def __init__(self, *values: tuple[ContextVar[Any], Any]) -> None:
        self._values = values

    def __enter__(self) -> None:
        self._tokens = [(variable, variable.set(value)) for variable, value in self._values]

    def __exit__(self, *_: object) -> None:
        for variable, token in reversed(self._tokens):
            variable.reset(token)


def executing(run: CurrentRun) -> Binding:
    """Execute the block as *run*: its tenant and no other is in reach."""
    return Binding((_run, run), (_tenant, None))
