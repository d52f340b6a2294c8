"""What requests and answers of the API are made of: instants, pages, and models that take no field they don't know."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any, Generic, TypeVar

from pydantic import BaseModel, ConfigDict, Field, WithJsonSchema
from taglane.errors import BadSchedule
from taglane.model.duration import parse_duration
from taglane.model.instant import format_instant, parse_instant
from typing_extensions import TypedDict

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

MOST = 500
"""Things of one page."""

MOST_TENANTS = 200
"""Tenants that one page of a list by tenants looks at."""

Instant = Annotated[str, WithJsonSchema({"type": "string", "format": "date-time"})]
"""ISO 8601, UTC."""

Limit = Annotated[int, Field(ge=1, le=MOST)]

Cursor = Annotated[str, Field(max_length=1_000)]

Name = Annotated[str, Field(max_length=200)]

T = TypeVar("T")


class Wanted(BaseModel):
    """What a request may say: nothing else, and nothing of another type."""

    model_config = ConfigDict(extra="forbid", strict=True, frozen=True)


class Asked(BaseModel):
    """What may stand behind the ``?`` of a path."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class PageAsked(Asked):
    """Which page."""

    after: Cursor = ""
    limit: Limit = 50


class TenantPageAsked(PageAsked):
    """Which page, of one tenant or of all that there are for who asks."""

    tenant: Name = ""


class Page(TypedDict, Generic[T]):
    """Some things, in their order, and what to ask the next page with: null when there is none."""

    items: list[T]
    next: str | None


class Empty(Wanted):
    """Nothing."""


class Count(TypedDict):
    """How many."""

    count: int


def instant(ms: int | None) -> str | None:
    """Return an instant as JSON has it; None also for one that no calendar has: a tenant may have written it."""
    try:
        return None if ms is None else format_instant(ms)
    except (OverflowError, ValueError):
        return None


def read_instant(field: str, text: str | None, tz: str = "UTC") -> int | None:
    """Read an instant of a request, ms.

    Raises:
        BadSchedule: it is none; names the field.
    """
    try:
        return None if text is None else parse_instant(text, tz)
    except (ValueError, OverflowError) as error:
        raise BadSchedule(f"{field}: {error}") from error


def read_duration(field: str, text: str | None) -> int | None:
    """Read a duration of a request, ms.

    Raises:
        BadSchedule: it is none; names the field.
    """
    try:
        return None if text is None else parse_duration(text, minimum=1)
    except ValueError as error:
        raise BadSchedule(f"{field}: {error}") from error


def cut(text: str | None, most: int = 2_000) -> str | None:
    """Return a text that a list shows, not longer than that."""
    return text if text is None or len(text) <= most else text[:most] + "…"


def by_tenants(
    tenants: Sequence[str], after: str, limit: int, read: Callable[[Sequence[str]], Sequence[tuple[str, Any]]]
) -> Page[Any]:
    """Return a page of things that are read whole tenants at a time; the cursor is the last tenant's name.

    It ends with the tenant that fills it; of very many tenants with nothing, it may end before it is full.
    """
    left = [tenant for tenant in tenants if tenant > after][: MOST_TENANTS + 1]
    some, rest = left[:MOST_TENANTS], left[MOST_TENANTS:]
    items: list[Any] = []
    start, batch = 0, 8
    while start < len(some) and len(items) < limit:
        part = some[start : start + batch]
        found = read(part)
        for number, tenant in enumerate(part):
            items += [item for owner, item in found if owner == tenant]
            if len(items) >= limit:
                last = start + number + 1 == len(some) and not rest
                return {"items": items[:MOST], "next": None if last else tenant}
        start, batch = start + batch, batch * 2
    return {"items": items, "next": some[-1] if rest else None}
