"""Compares the users that a server has with those that the record of tenants asks for."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from taglane_scheduler.tenancy import acl

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from taglane_scheduler.tenancy.record import Record


def amiss_at(redis: Any, wanted: Sequence[tuple[str, Record]], database: int) -> Sequence[str]:
    """Return the tenants whose user a server has not, or has otherwise than these records ask for."""
    pipeline = redis.pipeline(transaction=False)
    for name, _ in wanted:
        pipeline.execute_command("ACL GETUSER", acl.user_of(name))
    users = pipeline.execute()
    groups = sorted({group for user in users if user for group in user["categories"]} - {"-@all"})
    meant = {group: _of_group(redis, group[2:]) for group in groups}
    return [
        name
        for (name, record), user in zip(wanted, users, strict=True)
        if not _is_as(user, record.rules(name, database), meant)
    ]


def _is_as(user: Any, rules: Sequence[str], groups: Mapping[str, set[str]]) -> bool:
    """Whether a user is what these rules make. Redis 7.0 tells commands by *groups*, less some: `+@hash -hscan`."""
    if not user or ("on" if "on" in rules else "off") not in user["flags"]:
        return False
    commands = {f"+{command}" for group in user["categories"] if group[0] == "+" for command in groups.get(group, ())}
    commands |= {command for command in user["commands"] if command[0] == "+"}
    commands -= {f"+{command[1:]}" for command in user["commands"] if command[0] == "-"}
    has = commands | {*_words(user["keys"]), *_words(user["channels"])}
    has |= {f"#{digest}" for digest in user["passwords"]}
    return has == set(rules) - {"reset", "on", "off"}


def _of_group(redis: Any, group: str) -> set[str]:
    """Return the commands of one of the server's categories; of `all`, which is none, something that no tenant has."""
    return {group} if group == "all" else {_text(command) for command in redis.execute_command("ACL CAT", group)}


def _text(value: bytes | str) -> str:
    return value.decode() if isinstance(value, bytes) else value


def _words(value: Sequence[str] | str) -> Sequence[str]:
    """Key patterns: a text in one version of the server, a list in another."""
    return value.split() if isinstance(value, str) else value
