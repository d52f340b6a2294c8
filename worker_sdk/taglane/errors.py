"""Everything Taglane raises, grouped by who can act.

TaglaneError
├── CallerError              the call was wrong: nothing was written
│   ├── BadName              a tenant, tag, job or run id that can't be one
│   ├── BadSchedule          a cron, duration, instant or time zone that says nothing
│   ├── BadParams            not an object, not JSON, or too large
│   ├── BadJobsFile          jobs.yaml, with file, line and column
│   ├── BadSetting           a setting or TAGLANE_URL that can't be used
│   ├── BadLimit             a limit of a tenant that says nothing
│   ├── BadAlertRule         an alert rule, channel or silence that says nothing
│   ├── BadQuery             a search for runs that says nothing
│   ├── ExtraMissing         what an optional extra brings is not installed
│   ├── TenantMissing        a task was sent with no tenant in reach
│   └── TagNotOwned          the tag is another tenant's
├── NotFound
│   ├── TenantNotFound
│   ├── JobNotFound
│   ├── RunNotFound
│   ├── DeadLetterNotFound
│   └── AlertPartNotFound    a rule, a channel or a silence
├── OverLimit                a limit of the tenant's is in the way: nothing was written
│   ├── QueueFull            it has as many runs waiting as it may
│   ├── ParamsOverLimit      the params take more bytes than it may send
│   ├── TooManyAlertParts    it has as many rules, channels or silences as it may
│   └── TenantDraining       it takes no more
├── Conflict
│   ├── TenantExists
│   ├── JobTooNew            a newer Taglane wrote the job
│   ├── ChannelInUse         rules send to it
│   └── NotReplayable        a run that goes on, or of which too little is kept
├── Refused                  the credential does not reach that far
│   ├── OperatorNeeded       it is a tenant's, and takes the operator's
│   ├── OtherTenant          a run of one tenant, and the other is not its own
│   ├── RoleNeeded           a key or a person of the console that may not do that
│   └── NotFenced            it may make no users, so there are no passwords of tenants
├── ServerUnavailable        no answer, or no answer that we can use
│   ├── ServerFull           maxmemory is reached: nothing was written
│   ├── NotReplicated        written on the primary, and on too few replicas yet
│   └── LibraryMissing       the server has no functions of ours yet
├── RunFailed                the run ended without a result
└── RunTimeout               the run did not end in time: it still goes on
"""

from __future__ import annotations

from typing import Any


class TaglaneError(Exception):
    """Whatever Taglane raises on purpose; its text is fit for a user."""

    def __reduce__(self) -> tuple[Any, ...]:
        """Be pickled with text and values as they are: most are not made of their text, as exceptions are unpickled."""
        return _rebuilt, (type(self), self.args, vars(self))


def _rebuilt(kind: type[TaglaneError], args: tuple[Any, ...], values: dict[str, Any]) -> TaglaneError:
    error = kind.__new__(kind, *args)
    vars(error).update(values)
    return error


class CallerError(TaglaneError):
    """The call was wrong: nothing was written."""


class NotFound(TaglaneError):
    """What was named is not there."""


class Conflict(TaglaneError):
    """What was asked for is there already."""


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


class TenantNotFound(NotFound):
    """No tenant is called that."""

    def __init__(self, tenant: str, near: str = "") -> None:
        self.tenant = tenant
        hint = f" (did you mean {near!r}?)" if near else ""
        super().__init__(f"no tenant {tenant!r}{hint}: create it with  taglane tenant create {tenant}")


class JobNotFound(NotFound):
    """The tenant has no job of that name."""

    def __init__(self, tenant: str, name: str) -> None:
        self.tenant, self.name = tenant, name
        super().__init__(f"tenant {tenant!r} has no job {name!r}: see  taglane job list --tenant {tenant}")


class RunNotFound(NotFound):
    """No run has that id, or it was trimmed from the history."""

    def __init__(self, run_id: str) -> None:
        self.run_id = run_id
        super().__init__(f"no run {run_id!r} is kept: see  taglane run list")


class DeadLetterNotFound(NotFound):
    """No dead letter has that id: there is no such run, it ended otherwise, or it was replayed."""

    def __init__(self, run_id: str, state: str | None = None, replayed: str | None = None) -> None:
        self.run_id, self.state, self.replayed = run_id, state, replayed
        if replayed:
            why = f"run {run_id!r} is no dead letter any more, it was replayed: see  taglane run show {replayed}"
        elif state:
            why = f"run {run_id!r} is {state}, and no dead letter: see  taglane run show {run_id}"
        else:
            why = f"no dead letter {run_id!r} is kept: see  taglane dead list"
        super().__init__(why)


class AlertPartNotFound(NotFound):
    """No rule, channel or silence is called that; *part* says which of them, *tenant* is empty for the operator's."""

    def __init__(self, part: str, name: str, tenant: str = "") -> None:
        self.part, self.name, self.tenant = part, name, tenant
        whose = f" of tenant {tenant!r}" if tenant else ""
        option = f" --owner {tenant}" if tenant else ""
        super().__init__(f"no alert {part} {name!r}{whose}: see  taglane alert {part} list{option}")


class OverLimit(TaglaneError):
    """A limit of the tenant's is in the way: nothing was written."""


class QueueFull(OverLimit):
    """The tenant has as many runs waiting as it may; `retry_after` says in how many seconds there may be room."""

    def __init__(self, tenant: str, limit: int, waiting: int, retry_after: float) -> None:
        self.tenant, self.limit, self.waiting, self.retry_after = tenant, limit, waiting, retry_after
        super().__init__(
            f"the queues of tenant {tenant!r} are full, {waiting} of {limit} runs wait: come back in {retry_after:g} s,"
            f" or let the operator raise it:  taglane tenant limit {tenant} queued=N"
        )


class ParamsOverLimit(OverLimit):
    """The params of a run take more bytes than its tenant may send."""

    def __init__(self, tenant: str, size: int, limit: int) -> None:
        self.tenant, self.size, self.limit = tenant, size, limit
        super().__init__(
            f"the params take {size} bytes, and tenant {tenant!r} may send {limit}: store the data elsewhere and send "
            f"where it is, or let the operator raise it:  taglane tenant limit {tenant} payload=N"
        )


class TooManyAlertParts(OverLimit):
    """There are as many rules, channels or silences of one owner as there may be."""

    def __init__(self, part: str, most: int, tenant: str = "") -> None:
        self.part, self.most, self.tenant = part, most, tenant
        whose = f"tenant {tenant!r}" if tenant else "the operator"
        verb = "end" if part == "silence" else "delete"
        super().__init__(
            f"{whose} has {most} alert {part}s, and that is the most: {verb} one with  taglane alert {part} {verb}"
        )


class TenantDraining(OverLimit):
    """The tenant finishes what it has, and takes no more."""

    def __init__(self, tenant: str) -> None:
        self.tenant = tenant
        super().__init__(
            f"tenant {tenant!r} drains, and takes no more until the operator says  taglane tenant resume {tenant}"
        )


class TenantExists(Conflict):
    """A tenant of that name is there."""

    def __init__(self, tenant: str) -> None:
        self.tenant = tenant
        super().__init__(f"tenant {tenant!r} exists: see  taglane tenant show {tenant}")


class JobTooNew(Conflict):
    """A newer Taglane wrote the job: it fires as it is, and is left as it is."""

    def __init__(self, tenant: str, name: str, what: str) -> None:
        self.tenant, self.name, self.what = tenant, name, what
        super().__init__(
            f"a newer Taglane wrote job {name!r} of tenant {tenant!r} ({what} is not known here): it goes on as it is; "
            "upgrade this one to show or change it"
        )


class ChannelInUse(Conflict):
    """Rules send to the channel."""

    def __init__(self, name: str, rules: list[str]) -> None:
        self.name, self.rules = name, rules
        told = ", ".join(rules[:3]) + (f" and {len(rules) - 3} more" if len(rules) > 3 else "")
        super().__init__(
            f"alert channel {name!r} is used by rule {told}: change that first, as in"
            f"  taglane alert rule delete {rules[0]}"
        )


class NotReplayable(Conflict):
    """A run that goes on, or of which too little is kept, can't be run again as it was."""

    def __init__(self, run_id: str, state: str, *, is_ended: bool) -> None:
        self.run_id, self.state = run_id, state
        if is_ended:
            why = "and its params are not kept: make a new one with  taglane enqueue  or  taglane job trigger"
        else:
            why = f"and goes on: wait for its end with  taglane run wait {run_id}"
        super().__init__(f"run {run_id!r} is {state} {why}")


class Refused(TaglaneError):
    """The credential does not reach that far; *operator* says that it is the operator's which would."""

    def __init__(self, what: str, why: str = "", *, operator: bool = False) -> None:
        self.what = what
        reason = f": {why}" if why else ""
        asked = "the operator's, with its password" if operator else "this tenant's (taglane tenant create)"
        super().__init__(f"the server refused {what}{reason}: is TAGLANE_URL {asked}?")


class OperatorNeeded(Refused):
    """A tenant's credential, where it takes the operator's."""

    def __init__(self, what: str, tenant: str) -> None:
        self.what, self.tenant = what, tenant
        told = f"{what} takes the operator's credential, and TAGLANE_URL holds that of tenant {tenant!r}"
        TaglaneError.__init__(self, told)


class OtherTenant(Refused):
    """A run reaches its own tenant alone, whatever credential its worker has."""

    def __init__(self, own: str, other: str) -> None:
        self.own, self.other = own, other
        told = f"a run of tenant {own!r} reaches no other tenant, and {other!r} is one: do it from outside of tasks"
        TaglaneError.__init__(self, told)


class RoleNeeded(Refused):
    """Who asks may not do that: `needed` says which role may, `tenant` for whom; None is all tenants."""

    def __init__(self, what: str, needed: str, has: str, tenant: str | None = None) -> None:
        self.what, self.needed, self.has, self.tenant = what, needed, has, tenant
        whose = "for all tenants" if tenant is None else f"for tenant {tenant!r}"
        told = f"{what} takes the role {needed!r} {whose}, and yours is {has!r}: ask who administers the console"
        TaglaneError.__init__(self, told)


class NotFenced(Refused):
    """The operator's credential may make no users: tenants have no passwords, and isolation is a convention."""

    def __init__(self, what: str) -> None:
        self.what = what
        TaglaneError.__init__(
            self,
            f"{what}: the server lets this credential make no users (ACL SETUSER), so tenants have no passwords "
            "of their own; grant it that, start a scheduler, and ask again",
        )


class ServerUnavailable(TaglaneError):
    """The server gives no answer that we can use."""


class ServerFull(ServerUnavailable):
    """The server's maxmemory is reached: nothing was written."""

    def __init__(self) -> None:
        super().__init__(
            "the server is out of memory (maxmemory) and took nothing: let the workers drain, or raise maxmemory"
        )


class NotReplicated(ServerUnavailable):
    """The primary has written it, and too few replicas have it yet: should the primary be lost now, it may be too."""

    def __init__(self, reached: int, wanted: int) -> None:
        self.reached, self.wanted = reached, wanted
        super().__init__(
            f"the run is made on the primary, and only {reached} of {wanted} replicas have it yet (TAGLANE_REPLICAS): "
            "ask again with the same idempotency key, which makes no second one"
        )


class LibraryMissing(ServerUnavailable):
    """The server has no functions of ours yet."""

    def __init__(self) -> None:
        super().__init__(
            "the server has no Taglane functions: start the scheduler once with the operator's url  (taglane scheduler)"
        )


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
