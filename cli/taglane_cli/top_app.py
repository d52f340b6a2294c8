"""Draws `taglane top`: a screen that a thread fills, so that a slow server never keeps a key from being heard."""

from __future__ import annotations

import time
from contextlib import suppress
from dataclasses import replace
from threading import Event, Thread
from typing import TYPE_CHECKING, Any, ClassVar

from rich.text import Text
from textual.app import App
from textual.containers import Vertical
from textual.widgets import DataTable, Input, Static

from taglane_cli.top_source import MOST_ROWS, Snapshot, View
from taglane_cli.top_text import (
    RUN_COLUMNS,
    TAG_COLUMNS,
    TENANT_COLUMNS,
    attention_lines,
    headline,
    run_cells,
    tag_cells,
    tenant_cells,
)

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from textual.app import ComposeResult
    from textual.binding import BindingType

    from taglane_cli.top_source import Source
    from taglane_cli.top_text import Span

ATTENTION_LINES = 6
KEYS = "sort a t b o r f w   / filter   Enter tenant   Esc back   q quit"
SORTS = {
    "a": "attention",
    "t": "tenant",
    "b": "queued",
    "o": "oldest",
    "r": "running",
    "f": "failed",
    "w": "workers",
}


class TopApp(App[None]):
    """The screen.

    Args:
        source: what reads what is to be seen.
        every: seconds between two readings.
    """

    CSS = """
    Screen { layout: vertical; }
    #head { height: 1; }
    #attention { height: auto; max-height: 8; margin: 1 0; }
    DataTable { height: 1fr; background: transparent; }
    #closely { display: none; height: 1fr; }
    #filter { display: none; height: 1; border: none; padding: 0; }
    #keys { height: 1; color: $text-muted; }
    """
    ENABLE_COMMAND_PALETTE = False
    BINDINGS: ClassVar[list[BindingType]] = [
        *((key, f"sort('{sort}')", sort) for key, sort in SORTS.items()),
        ("slash", "filter", "filter"),
        ("escape", "leave", "back"),
        ("q", "quit", "quit"),
    ]

    def __init__(self, source: Source, *, every: float) -> None:
        super().__init__(ansi_color=True)
        self.animation_level = "none"
        self._source = source
        self._every = every
        self._view = View()
        self._asked = Event()
        self._over = Event()
        self._shown = Snapshot()
        self._drawn: dict[str, list[list[Text]]] = {}

    def compose(self) -> ComposeResult:
        """Lay out what there is: a line of sums, what needs attention, the tenants or one of them, the keys."""
        yield Static(id="head")
        yield Static(id="attention")
        yield DataTable(id="tenants", cursor_type="row", zebra_stripes=False)
        with Vertical(id="closely"):
            yield Static(id="whose")
            yield DataTable(id="tags", cursor_type="none")
            yield DataTable(id="runs", cursor_type="none")
        yield Input(placeholder="a part of a tenant's name; Enter keeps it, Esc forgets it", id="filter")
        yield Static(KEYS, id="keys")

    def on_mount(self) -> None:
        """Begin to read."""
        for name, columns in (("tenants", TENANT_COLUMNS), ("tags", TAG_COLUMNS), ("runs", RUN_COLUMNS)):
            self._table(name).add_columns(*columns)
        self._table("tenants").focus()
        self.query_one("#head", Static).update(Text(f"taglane top  {self._source.where}  reading …"))
        Thread(target=self._read_on, daemon=True).start()  # who quits need not wait for a server that is silent

    def on_unmount(self) -> None:
        """Let the reader end."""
        self._over.set()
        self._asked.set()

    def _read_on(self) -> None:
        while not self._over.is_set():
            self._asked.clear()
            snapshot = self._source.read(self._view)
            if self._over.is_set():
                return
            with suppress(RuntimeError):  # the screen is gone by now
                self.call_from_thread(self.show, snapshot)
            self._asked.wait(self._every)

    def show(self, snapshot: Snapshot) -> None:
        """Draw a snapshot; what is as before is left alone, so that a slow link has little to carry."""
        self._shown = snapshot
        silent = None if snapshot.read_at is None else time.monotonic() - snapshot.read_at
        self._say("head", [headline(self._source.where, snapshot.totals, snapshot.trouble, silent)])
        now = max((each.at for each in snapshot.tenants), default=0)
        self._say("attention", attention_lines(snapshot.attention, now, ATTENTION_LINES))
        names = [each.tenant for each in snapshot.tenants]
        self._fill("tenants", names, [tenant_cells(each) for each in snapshot.tenants])
        self.query_one("#closely").display = bool(self._view.tenant)
        self._table("tenants").display = not self._view.tenant
        if self._view.tenant and snapshot.view.tenant == self._view.tenant:
            self._show_closely(snapshot)
        sort = next(key for key, sort in SORTS.items() if sort == self._view.sort)
        more = f"   {snapshot.fitting - MOST_ROWS} more: filter" if snapshot.fitting > MOST_ROWS else ""
        only = f"   /{self._view.pattern}" if self._view.pattern else ""
        self._say("keys", [[(KEYS.replace(f" {sort} ", f" [{sort}] ", 1) + only + more, "dim")]])

    def _show_closely(self, snapshot: Snapshot) -> None:
        each = snapshot.closely
        if each is None:
            self._say("whose", [[(f"{self._view.tenant} was not read yet, or is gone", "yellow")]])
            return
        told = f"  {each.state or 'active'}, {each.jobs} jobs, {each.dead} dead letters, {each.running} runs held"
        self._say("whose", [[(each.tenant, "bold"), (told, "")]])
        self._fill("tags", [tag.tag for tag in each.tags], [tag_cells(tag) for tag in each.tags])
        self._fill("runs", [run.id for run in snapshot.runs], [run_cells(run, each.at) for run in snapshot.runs])

    def _say(self, name: str, lines: Iterable[Sequence[Span]]) -> None:
        text = Text("\n").join(_text(line) for line in lines)
        text.no_wrap = True
        text.overflow = "ellipsis"
        if self._drawn.get(name) != [[text]]:
            self._drawn[name] = [[text]]
            self.query_one(f"#{name}", Static).update(text)

    def _fill(self, name: str, keys: Sequence[str], rows: Sequence[Sequence[Sequence[Span]]]) -> None:
        """Put rows into a table; the cursor stays on the row where it was, wherever that is now."""
        texts = [[_text(spans) for spans in row] for row in rows]
        if self._drawn.get(name) == texts:
            return
        self._drawn[name] = texts
        table = self._table(name)
        chosen = self._chosen() if name == "tenants" else ""
        place = table.cursor_row
        table.clear()
        for key, row in zip(keys, texts, strict=True):
            table.add_row(*row, key=key)
        if keys and name == "tenants":
            table.move_cursor(row=keys.index(chosen) if chosen in keys else min(place, len(keys) - 1))

    def _chosen(self) -> str:
        table = self._table("tenants")
        if not table.row_count:
            return ""
        return str(table.coordinate_to_cell_key(table.cursor_coordinate).row_key.value)

    def _table(self, name: str) -> DataTable[Any]:
        return self.query_one(f"#{name}", DataTable)

    def _look(self, view: View) -> None:
        """Look at something else, at once."""
        self._view = view
        self._asked.set()
        self.show(self._shown)

    def action_sort(self, sort: Any) -> None:
        """Sort the tenants otherwise."""
        self._look(replace(self._view, sort=sort))

    def action_filter(self) -> None:
        """Ask for a part of the names."""
        field = self.query_one("#filter", Input)
        field.display = True
        field.value = self._view.pattern
        field.focus()

    def on_input_changed(self, event: Input.Changed) -> None:
        """Filter while somebody types."""
        self._look(replace(self._view, pattern=event.value.strip()))

    def on_input_submitted(self) -> None:
        """Keep the filter."""
        self.query_one("#filter", Input).display = False
        self._table("tenants").focus()

    def on_data_table_row_selected(self, event: DataTable.RowSelected) -> None:
        """Look closely at a tenant."""
        if event.data_table.id == "tenants" and event.row_key.value:
            self._look(replace(self._view, tenant=event.row_key.value))

    def action_leave(self) -> None:
        """Leave the filter, or the tenant."""
        field = self.query_one("#filter", Input)
        if field.display or self._view.pattern:
            field.value = ""
            field.display = False
            self._table("tenants").focus()
            self._look(replace(self._view, pattern=""))
        elif self._view.tenant:
            self._look(replace(self._view, tenant=""))
            self._table("tenants").focus()


def _text(spans: Sequence[Span]) -> Text:
    return Text.assemble(*(span if span[1] else span[0] for span in spans))
