"""All pages and actions of the console."""

from __future__ import annotations

from typing import TYPE_CHECKING

from taglane_scheduler.web.console import account, keys, people, workers

if TYPE_CHECKING:
    from taglane_scheduler.web.console.view import Action, Page

PAGES: list[Page] = [*workers.PAGES, *account.PAGES, *keys.PAGES, *people.PAGES]

ACTIONS: list[Action] = [*account.ACTIONS, *keys.ACTIONS, *people.ACTIONS]
