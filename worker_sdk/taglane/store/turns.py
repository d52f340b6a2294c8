"""Keeps what a pool's worker owes to the pool: what each tenant's runs took, and what became of its turns. Pure."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator


@dataclass(slots=True)
class Stay:
    """One run that this worker holds, of which tenant. Instants are seconds of the monotonic clock."""

    tenant: str
    charged_ms: float = 0.0
    """What the tenant was charged with for it so far: an estimate first."""
    started_at: float | None = None


@dataclass(slots=True)
class _Account:
    seq: str = ""
    verdict: str = ""
    took: int = 0
    charged: int = 0
    ended: int = 0
    freed: bool = False
    spent_ms: float = 0.0
    due_ms: float = 0.0


@dataclass(slots=True)
class Turns:
    """The accounts of one life of a worker. Not thread-safe.

    A run is known by its id and its token, which two tenants' runs can have alike only where somebody chose the ids.
    """

    stays: dict[tuple[str, int], Stay] = field(default_factory=dict)
    visiting: dict[str, tuple[int, float]] = field(default_factory=dict)
    """Tenants that this worker is about to fetch from, for how many runs, and what each was charged with, ms: their
    books are not closed meanwhile."""
    counted: set[str] = field(default_factory=set)
    """Tenants of which the pool wants to know at once that they have fewer slots."""
    _accounts: dict[str, _Account] = field(default_factory=dict)
    _changed: set[str] = field(default_factory=set)
    _held: dict[str, int] = field(default_factory=dict)
    _anew: set[str] = field(default_factory=set)

    def begin(self, tenant: str, runs: int, each_ms: float = 0.0, *, counted: bool = False) -> None:
        """Note a turn that was given, for so many runs, each of them charged; whether the pool counts its slots."""
        self.visiting[tenant] = (runs, each_ms)
        if counted:
            self.counted.add(tenant)
        else:
            self.counted.discard(tenant)

    def end(self, tenant: str, seq: str, verdict: str, took: int) -> None:
        """Note what became of a turn: how many runs it had, and what its queue says, see pool.lua."""
        account = self._account(tenant)
        runs, each_ms = self.visiting.pop(tenant, (0, 0.0))
        account.charged += runs
        account.took += took
        account.due_ms -= (runs - took) * each_ms
        account.seq, account.verdict = seq, verdict
        self._changed.add(tenant)

    def suspend(self, tenant: str, seq: str, verdict: str) -> None:
        """Note that what became of a turn is not known: the tenant has no other for now, and its books stay open."""
        account = self._account(tenant)
        account.seq, account.verdict = seq, verdict
        self._changed.add(tenant)

    def hold(self, run: str, token: int, tenant: str) -> bool:
        """Note a run that was fetched; False when another tenant's is held that can't be told from it."""
        if (run, token) in self.stays:
            return False
        self.stays[run, token] = Stay(tenant, self.visiting.get(tenant, (0, 0.0))[1])
        self._held[tenant] = self._held.get(tenant, 0) + 1
        self._changed.add(tenant)
        return True

    def tenant_of(self, run: str, token: int) -> str | None:
        """Whose run this is, while it is held."""
        stay = self.stays.get((run, token))
        return stay.tenant if stay else None

    def started(self, run: str, token: int, at: float) -> None:
        """Note when the execution of a run began."""
        stay = self.stays.get((run, token))
        if stay is not None:
            stay.started_at = at

    def let_go(self, run: str, token: int, now: float, ran_ms: float | None = None) -> None:
        """Note that a run is not held any more; *ran_ms* is how long it ran, where that is known."""
        stay = self.stays.pop((run, token), None)
        if stay is None:
            return
        tenant = stay.tenant
        self._held[tenant] -= 1
        if not self._held[tenant]:
            del self._held[tenant]
        self._changed.add(tenant)
        if ran_ms is None and stay.started_at is not None:
            ran_ms = (now - stay.started_at) * 1000
        account = self._account(tenant)
        account.freed = True
        if ran_ms is not None:
            account.ended += 1
            account.spent_ms += ran_ms
        account.due_ms += (ran_ms or 0.0) - stay.charged_ms

    def charge_going(self, now: float) -> None:
        """Charge what is being executed, since it was charged last: a long run does not outrun its clock."""
        for stay in self.stays.values():
            if stay.started_at is not None:
                ran = (now - stay.started_at) * 1000
                if ran > stay.charged_ms:
                    self._account(stay.tenant).due_ms += ran - stay.charged_ms
                    stay.charged_ms = ran
                    self._changed.add(stay.tenant)

    def recount(self, tenants: Iterable[str]) -> None:
        """Tell of these tenants, too, how many runs are held: the pool may have another number."""
        self._changed.update(tenants)

    def recount_all(self) -> None:
        """Tell of all tenants how many runs are held, or may soon be: the pool may have forgotten that."""
        self._anew = {stay.tenant for stay in self.stays.values()} | set(self.visiting)
        self._changed |= self._anew

    def is_pressing(self) -> bool:
        """Whether there is something that others should know at once: a queue that is empty, a slot that is free."""
        for tenant in self._changed:
            account = self._accounts.get(tenant)
            if account and (account.verdict not in ("", "more") or (account.freed and tenant in self.counted)):
                return True
        return False

    def statement(self) -> list[str | int]:
        """Take out what is to be told, as pool_turn takes it: nine a tenant."""
        return [value for tenant in sorted(self._changed) for value in self._told(tenant)]

    def restore(self, said: list[str | int]) -> None:
        """Put back a statement that the server did not get, or did not answer: at worst a little is charged twice."""
        for i in range(0, len(said), 9):
            tenant, seq, verdict, took, charged, ended, spent, due, _ = said[i : i + 9]
            account = self._account(str(tenant))
            if not account.verdict:
                account.seq, account.verdict = str(seq), str(verdict)
            account.took += int(took)
            account.charged += int(charged)
            account.ended += int(ended)
            account.spent_ms += float(spent)
            account.due_ms += float(due)
            self._changed.add(str(tenant))

    def _told(self, tenant: str) -> Iterator[str | int]:
        account = self._accounts.pop(tenant, None) or _Account()
        yield from (tenant, account.seq, account.verdict, account.took, account.charged, account.ended)
        yield from (f"{account.spent_ms:.3f}", f"{account.due_ms:.3f}")
        coming = self.visiting[tenant][0] if tenant in self.visiting else 0
        is_open = tenant in self.visiting and tenant not in self._anew
        yield "" if is_open else self._held.get(tenant, 0) + coming
        self._changed.discard(tenant)
        self._anew.discard(tenant)

    def _account(self, tenant: str) -> _Account:
        return self._accounts.setdefault(tenant, _Account())
