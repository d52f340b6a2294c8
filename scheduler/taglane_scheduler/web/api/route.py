"""One route of the API, as the table holds it: what it takes, what it answers, who may ask, what it does."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from pydantic import BaseModel

    from taglane_scheduler.access.principal import Role
    from taglane_scheduler.desk.desk import Desk

Method = Literal["GET", "POST", "PUT", "PATCH", "DELETE"]


@dataclass(frozen=True, slots=True)
class Call:
    """What a request brought, read and checked: *body* and *query* are of the route's models, None where it has none.

    *csrf* is what the changes of this login have to bring; empty for a key.
    """

    parts: Mapping[str, str] = field(default_factory=dict)
    query: Any = None
    body: Any = None
    csrf: str = ""


@dataclass(frozen=True, slots=True)
class Text:
    """An answer that is no JSON."""

    content: bytes
    media: str


@dataclass(frozen=True, slots=True)
class ApiRoute:
    """One method of one path.

    method   of HTTP
    path     below /api/v1, with its parts in braces
    do       answers what JSON can say, of *returns*; raises Taglane's errors
    summary  what it is for, in a line
    role     what it takes at least
    returns  a TypedDict; None for an answer without a body
    body     what it takes as JSON
    query    what it takes behind the ``?``; each field is one word
    status   of the answer
    for_all  whether it takes the role for all tenants
    group    what it is listed under
    media    of the answer
    """

    method: Method
    path: str
    do: Callable[[Desk, Call], Any]
    summary: str
    role: Role
    returns: Any = None
    body: type[BaseModel] | None = None
    query: type[BaseModel] | None = None
    status: int = 200
    for_all: bool = False
    group: str = ""
    media: str = "application/json"
