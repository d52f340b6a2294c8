"""All pages and actions of the console."""

from __future__ import annotations

from typing import TYPE_CHECKING

from taglane_scheduler.web.console import overview, workers

if TYPE_CHECKING:
    from taglane_scheduler.web.console.view import Action, Page

PAGES: list[Page] = [*overview.PAGES, *workers.PAGES]

ACTIONS: list[Action] = []
