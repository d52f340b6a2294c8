"""The kinds of errors, by who can act, and those that are about a run's own end."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Sequence


class TaglaneError(Exception):
    """Whatever Taglane raises on purpose; its text is fit for a user."""

    made: Sequence[Any] = ()
    """Handles to what was made all the same, of a call that makes many. They stay in this process."""

    def __reduce__(self) -> tuple[Any, ...]:
        """Be pickled with text and values as they are: most are not made of their text, as exceptions are unpickled."""
        return _rebuilt, (type(self), self.args, {name: value for name, value in vars(self).items() if name != "made"})


def _rebuilt(kind: type[TaglaneError], args: tuple[Any, ...], values: dict[str, Any]) -> TaglaneError:
    error = kind.__new__(kind, *args)
    vars(error).update(values)
    return error


class CallerError(TaglaneError):
    """The call was wrong: nothing was written."""


class NotFound(TaglaneError):
    """What was named is not there."""


class OverLimit(TaglaneError):
    """A limit of the tenant's is in the way: nothing was written."""


class Conflict(TaglaneError):
    """What was asked for is there already."""


class Refused(TaglaneError):
    """The credential does not reach that far; *operator* says that it is the operator's which would."""

    def __init__(self, what: str, why: str = "", *, operator: bool = False) -> None:
        self.what = what
        reason = f": {why}" if why else ""
        asked = "the operator's, with its password" if operator else "this tenant's (taglane tenant create)"
        super().__init__(f"the server refused {what}{reason}: is TAGLANE_URL {asked}?")


class ServerUnavailable(TaglaneError):
    """The server gives no answer that we can use."""


class RunFailed(TaglaneError):
    """The run ended without a result: `state` says how, `error` is what the task raised."""

    def __init__(self, run_id: str, state: str, error: Any = None, traceback: str | None = None) -> None:
        self.run_id, self.state, self.error, self.traceback = run_id, state, error, traceback
        came = "was given up" if state == "dead" else state
        super().__init__(f"run {run_id} {came}{': ' + str(error) if error else ''}")


class RunTimeout(TaglaneError):
    """The run did not end in time; it still goes on."""

    def __init__(self, run_id: str, state: str, seconds: float) -> None:
        self.run_id, self.state, self.seconds = run_id, state, seconds
        super().__init__(f"run {run_id} is still {state} after {seconds:g} s: see  taglane run show {run_id}")
