"""Things that are not there, that are there already, or that a limit keeps out."""

from __future__ import annotations

from taglane.errors.kinds import Conflict, NotFound, OverLimit


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


class WorkerNotFound(NotFound):
    """No worker has that id; one that has ended is none any more."""

    def __init__(self, tenant: str, worker: str) -> None:
        self.tenant, self.worker = tenant, worker
        super().__init__(f"tenant {tenant!r} has no worker {worker!r}: see  taglane workers --tenant {tenant}")


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
