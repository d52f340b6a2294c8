"""Command groups that import a command's module when that command is called, and not for the list of commands.

`taglane --help` and each TAB must not pay for celery, redis and pydantic: 200 ms apiece.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

from click_didyoumean import DYMGroup

if TYPE_CHECKING:
    from collections.abc import Sequence

    import click


class LazyGroup(DYMGroup):  # click_didyoumean has no types
    """A group of commands named beforehand.

    Args:
        lazy: ``(name, "module:attribute", the help's first line)`` for each command, in the order of the help. The line
            stands here since asking the command for it would import it; a test compares the two.
        **options: as of any click group.
    """

    def __init__(self, *args: Any, lazy: Sequence[tuple[str, str, str]] = (), **options: Any) -> None:
        super().__init__(*args, **options)
        self.lazy = {name: (target, line) for name, target, line in lazy}

    def list_commands(self, ctx: click.Context) -> list[str]:
        """Return the names in the order in which they were given."""
        return [*self.lazy, *super().list_commands(ctx)]

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """Import the command's module, now that it is wanted."""
        if cmd_name not in self.lazy:
            found: click.Command | None = super().get_command(ctx, cmd_name)
            return found
        module, _, attribute = self.lazy[cmd_name][0].partition(":")
        command: click.Command = getattr(import_module(module), attribute)
        return command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Write the list of commands without importing any."""
        del ctx
        with formatter.section("Commands"):
            formatter.write_dl([(name, line) for name, (_, line) in self.lazy.items()])
