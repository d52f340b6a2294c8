"""What is wrong with a login, a person or a key. They are of the kinds of `taglane.errors`, and told as those are."""

from __future__ import annotations

from taglane.errors import CallerError, Conflict, NotFound, OverLimit, Refused


class BadPassword(CallerError):
    """A password that can't be one, or that is not the old one."""

    def __init__(self, why: str) -> None:
        super().__init__(f"password: {why}")


class BadRole(CallerError):
    """No role is called that."""

    def __init__(self, value: str, roles: tuple[str, ...]) -> None:
        self.value = value
        super().__init__(f"role {value!r} must be one of {', '.join(roles)}")


class PersonNotFound(NotFound):
    """Nobody is called that."""

    def __init__(self, name: str) -> None:
        self.name = name
        super().__init__(f"nobody is called {name!r}: see  taglane user list")


class PersonExists(Conflict):
    """Somebody is called that."""

    def __init__(self, name: str) -> None:
        self.name = name
        super().__init__(f"somebody is called {name!r}: see  taglane user list")


class OwnAccount(Conflict):
    """Who administers the console can't take that away from itself: perhaps nobody else could give it back."""

    def __init__(self, what: str) -> None:
        super().__init__(f"{what} your own account is left to others, or to  taglane user")


class NoPerson(Conflict):
    """Who asks came by a link or with a key, and has no account."""

    def __init__(self) -> None:
        super().__init__("only who logs in with a name and a password has an account:  taglane user add")


class ApiKeyNotFound(NotFound):
    """No key has that id."""

    def __init__(self, key_id: str) -> None:
        self.key_id = key_id
        super().__init__(f"no API key {key_id!r}: see  taglane key list")


class TooManyKeys(OverLimit):
    """There are as many keys of one tenant, or for all, as there may be."""

    def __init__(self, tenant: str | None, most: int) -> None:
        self.tenant, self.most = tenant, most
        whose = f"tenant {tenant!r}" if tenant else "for all tenants there are"
        has = " has" if tenant else ""
        super().__init__(f"{whose}{has} {most} API keys, and that is the most:  taglane key revoke ID")


class TooManyTries(OverLimit):
    """A login was tried too often; `retry_after` says in how many seconds it may be tried again."""

    def __init__(self, retry_after: float) -> None:
        self.retry_after = retry_after
        super().__init__(f"too many tries: come back in {retry_after:.0f} s")


class LoginRefused(Refused):
    """Name and password do not open anything; which of the two is wrong is not told."""

    def __init__(self) -> None:
        self.what = "the login"
        Exception.__init__(self, "name or password is wrong")


class LinkOver(Refused):
    """A link that opens once was used, is too old, or never was."""

    def __init__(self) -> None:
        self.what = "the link"
        Exception.__init__(self, "this link was used, or is too old: start the console again for another")
