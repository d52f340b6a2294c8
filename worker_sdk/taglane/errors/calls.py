"""What was wrong with a call."""

from __future__ import annotations

from typing import Any

from taglane.errors.kinds import CallerError


class BadName(CallerError):
    """A name that can't be one."""

    def __init__(self, kind: str, value: str, why: str = "") -> None:
        self.kind = kind
        self.value = value
        shape = "1 to 63 of a-z 0-9 _ -, starting with a letter or digit"
        if kind == "tag":
            shape = f"<tenant> or <tenant>.<pool>, each {shape}"
        super().__init__(f"{kind} {value!r} {why}" if why else f"{kind} {value!r} must be {shape}")


class BadSchedule(CallerError):
    """A schedule that says nothing."""


class BadParams(CallerError):
    """Params that are no JSON object, or over the limit."""


class BadSetting(CallerError):
    """A setting that can't be used."""

    def __init__(self, name: str, value: str, why: str) -> None:
        self.name = name
        super().__init__(f"{name}={value!r}: {why}")


class BadJobsFile(CallerError):
    """A jobs file that can't be applied; nothing of it was."""

    def __init__(self, path: str, line: int, column: int, why: str) -> None:
        self.path, self.line, self.column = path, line, column
        super().__init__(f"{path}:{line}:{column}: {why}")


class BadLimit(CallerError):
    """A limit of a tenant that can't be one."""

    def __init__(self, name: str, value: Any, why: str) -> None:
        self.name, self.value, self.why = name, value, why
        super().__init__(f"limits.{name}: {value!r} can't be: {why}")


class BadAlertRule(CallerError):
    """A part of alerting that says nothing; *part* is ``rule``, ``channel`` or ``silence``."""

    def __init__(self, part: str, field: str, value: Any, why: str) -> None:
        self.part, self.field, self.value, self.why = part, field, value, why
        super().__init__(f"{part}.{field}: {value!r} can't be: {why}")


class BadQuery(CallerError):
    """A search for runs that can't be read."""

    def __init__(self, query: str, position: int, value: str, why: str) -> None:
        self.query, self.position, self.value, self.why = query, position, value, why
        super().__init__(f"query {query!r}, at character {position}: {why}")


class ExtraMissing(CallerError):
    """What an optional extra brings is not installed."""

    def __init__(self, what: str, extra: str) -> None:
        self.what, self.extra = what, extra
        super().__init__(f"{what} takes more than is installed here:  pip install 'taglane[{extra}]'")


class TenantMissing(CallerError):
    """A task was sent with no tenant in reach."""

    def __init__(self, task: str) -> None:
        self.task = task
        super().__init__(
            f"{task} was sent with no tenant in reach: send it inside `with taglane.tenant(name):`, "
            "or connect with a tenant's own url"
        )


class TagNotOwned(CallerError):
    """The tag is another tenant's."""

    def __init__(self, tag: str, tenant: str) -> None:
        self.tag, self.tenant = tag, tenant
        super().__init__(
            f"tag {tag!r} does not belong to tenant {tenant!r}: use {tenant!r}, '{tenant}.<pool>' or 'shared.<pool>'"
        )
