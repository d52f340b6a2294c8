"""Groups that import a command when it is called."""

from __future__ import annotations

import click
import pytest
from taglane_cli.main import cli


@pytest.mark.parametrize("name", cli.lazy)
def test_the_line_in_the_list_is_the_commands_own(name: str) -> None:
    """The list of commands is written without importing them, and says what they would say."""
    context = click.Context(cli)

    command = cli.get_command(context, name)

    assert command is not None
    assert name == command.name
    assert cli.lazy[name][1] == (command.help or "").split("\n\n")[0].replace("\n", " ")


def test_an_unknown_name_is_no_command() -> None:
    """As with any group."""
    assert None is cli.get_command(click.Context(cli), "nope")
