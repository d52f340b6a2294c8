"""What a page is made of: what was asked, what is to be shown, what an action did. Knows nothing of HTTP."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from taglane_scheduler.web.console.languages import translate

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from taglane_scheduler.desk.desk import Desk


@dataclass(frozen=True, slots=True)
class Ask:
    """One request of a page: path and its parts, query, form, language; of a repeated field the last."""

    path: str
    parts: Mapping[str, str] = field(default_factory=dict)
    query: Mapping[str, str] = field(default_factory=dict)
    form: Mapping[str, str] = field(default_factory=dict)
    language: str = "en"

    def say(self, said: str, /, **values: Any) -> str:
        """Return a text in the language of who asks, with its ``{names}`` filled in."""
        return translate(self.language, said, **values)


@dataclass(frozen=True, slots=True)
class Tail:
    """Something that only grows, like a log: `read` answers what is new after a cursor, and the next cursor."""

    target: str
    """The id of the element to whose end it is added."""
    read: Callable[[str], tuple[Mapping[str, Any], str]]
    """From a cursor to the template's data and the next cursor; data that is empty adds nothing."""
    template: str
    begin: Callable[[], str] = str
    """Tells the cursor at which the page as it is rendered ends: asked for a whole page alone."""

    @property
    def cursor(self) -> str:
        """Where the page as it was rendered ends."""
        return self.begin()


@dataclass(frozen=True, slots=True)
class View:
    """A page to be rendered: its template's block `live` is rendered anew while somebody looks at it."""

    template: str
    title: str
    """In English; it is shown in the language of who looks."""
    data: Mapping[str, Any] = field(default_factory=dict)
    status: int = 200
    live: bool = True
    tail: Tail | None = None
    name: str = ""
    """What the page is about, as it is called everywhere: stands behind the title."""


@dataclass(frozen=True, slots=True)
class Download:
    """A text file, read piece by piece while it is sent: `read` answers what comes after a cursor, and the next one."""

    name: str
    read: Callable[[str], tuple[str, str]]
    """From a cursor, first the empty one, to some text and the next cursor; the empty one is the end."""


@dataclass(frozen=True, slots=True)
class Done:
    """What an action did, in words, and where to go on."""

    said: str
    to: str
    bad: bool = False


@dataclass(frozen=True, slots=True)
class Page:
    """A page of the console. *path* is Starlette's, like ``/runs/{run_id}``."""

    path: str
    show: Callable[[Desk, Ask], View]


@dataclass(frozen=True, slots=True)
class FilePage:
    """A file of the console, at a path like a page's."""

    path: str
    get: Callable[[Desk, Ask], Download]


@dataclass(frozen=True, slots=True)
class Action:
    """What a form of the console does when it is posted to *path*; a View is the form again, with what is wrong."""

    path: str
    do: Callable[[Desk, Ask], Done | View]
