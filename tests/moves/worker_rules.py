"""What workers do, what is done to them, and how they die."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from hypothesis import strategies as st
from hypothesis.stateful import precondition, rule
from taglane.store import keys

from moves.machine import Machine, choose, flags, names, picks, seldom, steps
from moves.things import ENVELOPE, TASK

if TYPE_CHECKING:
    from moves.things import Run

amounts = st.integers(1, 4)
somebody_works = precondition(lambda self: bool(self.model.at("leased")))
outcomes = st.sampled_from(["succeeded", "succeeded", "failed", "cancelled", "dead"])


class WorkerRules(Machine):
    """Three workers, any of which may stop in the middle of everything."""

    def leased(self, pick: int) -> Run | None:
        return choose(pick, self.model.at("leased"))

    def outcome(self, run: Run, state: str, *, ran: bool) -> tuple[Any, ...]:
        """What a worker says of a run that it has executed, or ends without that."""
        ran = ran or state == "succeeded"
        part = f"{run.part[0]} {run.part[1]} {{}}" if run.part and ran else ""
        return run.id, run.token, state, 7 if ran else "", '{"r":1}', part

    @rule(name=names, again=seldom, both=flags)
    def hello(self, name: str, again: bool, both: bool) -> None:
        if again or name not in self.model.workers:
            self.make("hello", name, "tags", " ".join(self.tags if both else self.tags[:1]))

    @rule(name=names, most=amounts, both=flags, turned=flags)
    def fetch(self, name: str, most: int, both: bool, turned: bool) -> None:
        if name not in self.model.workers:
            assert 0 == self.make("fetch", name, 1, most, "1", *self.tags)
            self.make("hello", name, "tags", " ".join(self.tags))
        tags = (self.tags if both else self.tags[:1])[:: -1 if turned else 1]
        seq = self.model.workers[name].seq + 1
        self.asked[name] = (name, seq, most, "" if self.model.held(name) else "1", *tags)
        taken: list[Any] = self.make("fetch", *self.asked[name])[1]
        self.granted += [run[:2] for run in taken]

    @rule(name=names, late=flags)
    def fetch_again(self, name: str, late: bool) -> None:
        """The reply was lost, or the call comes late: the worker has made another one since."""
        if name in self.asked:
            _, seq, *rest = self.asked[name]
            known = self.model.workers.get(name)
            if known and known.seq >= seq > int(late):
                self.make("fetch", name, seq - late, *rest)

    @rule(name=names, tag=picks, most=amounts)
    def wake_by_the_bell(self, name: str, tag: int, most: int) -> None:
        """Who takes a bell's tokens looks into the queue: what it leaves there, it rings for again."""
        woken = self.tags[tag % 2]
        self.redis.delete(keys.bell(self.tenant, woken))
        self.model.rung.discard(woken)
        self.fetch(name, most, both=True, turned=tag % 3 == 0)
        for left in self.tags if not self.model.limits else ():
            if self.model.workers[name].taken and any(self.model.queues[left, step] for step in keys.STEPS):
                assert left in self.model.rung

    @rule(name=names, start=picks, last=flags)
    def renew(self, name: str, start: int, last: bool) -> None:
        """A heartbeat says what has started, and names what the worker holds, and what it held long ago."""
        held = self.model.held(name)
        run, old = choose(start, held), choose(start, self.granted)
        marks = [run.id, run.token, 5, "1" if last else ""] if run else []
        named = [value for each in held for value in (each.id, each.token)]
        self.make("renew", name, len(held), len(marks) // 4, *marks, *named, *(old or ()))

    @rule(name=names)
    def beat(self, name: str) -> None:
        self.make("beat", name)

    @somebody_works
    @rule(pick=picks)
    def progress(self, pick: int) -> None:
        run = self.leased(pick)
        if run:
            self.make("progress", run.id, run.token, '{"s":"HALF"}')

    @somebody_works
    @rule(pick=picks, late=seldom, first=st.integers(1, 4), size=st.integers(0, 3), dropped=st.integers(0, 2))
    def log(self, pick: int, late: bool, first: int, size: int, dropped: int) -> None:
        """Lines of a run that somebody holds, or held long ago: new ones, or some that were said before."""
        run = self.leased(pick)
        lease = choose(pick, self.granted) if late else (run.id, run.token) if run else None
        if lease:
            lines = [f"5\tINFO\tlog\tshop\t{number}" for number in range(first, first + size)]
            self.make("log", *lease, 1, first, dropped, 3, 10_000, *lines)
            self.make("log_lost", *lease, dropped + 1)
            self.make("log_page", lease[0], "", 10)

    @somebody_works
    @rule(pick=picks, state=outcomes, ran=flags, more=flags)
    def finish(self, pick: int, state: str, ran: bool, more: bool) -> None:
        """The outcomes of one run or two, said twice: the reply to the first was lost."""
        run, other = self.leased(pick), self.leased(pick + 1)
        if run:
            said = self.outcome(run, state, ran=ran)
            said += self.outcome(other, "failed", ran=True) if more and other and other is not run else ()
            assert {1} == set(self.make("finish", *said))
            assert {0} == set(self.make("finish", *said))

    @somebody_works
    @rule(pick=picks, later=flags, tag=picks, step=steps)
    def retry(self, pick: int, later: bool, tag: int, step: int) -> None:
        run = self.leased(pick)
        if run:
            at = "+3600000" if later else ""
            said: tuple[Any, ...] = (
                run.id,
                run.token,
                at,
                ENVELOPE,
                '{"e":1}',
                TASK,
                self.tags[tag % 2],
                step if pick % 2 else "",
            )
            said += (4,) if pick % 3 else ()
            assert 1 == self.make("retry", *said)
            assert 0 == self.make("retry", *said)

    @somebody_works
    @rule(name=names, pick=picks, later=flags, all_of_them=flags)
    def hand_back(self, name: str, pick: int, later: bool, all_of_them: bool) -> None:
        held = self.model.held(name)
        run = choose(pick, held)
        if run:
            given = [value for each in (held if all_of_them else [run]) for value in (each.id, each.token)]
            self.make("hand_back", 3_600_000 if later else "", *given)

    @somebody_works
    @rule(pick=picks, until=st.integers(1, 3), told_first=flags, at=st.sampled_from(["", "+3600000"]))
    def replace(self, pick: int, until: int, told_first: bool, at: str) -> None:
        """A task is replaced by others: the last of them is sent under its id, before its own end is said or after.

        It may die before each of the three things that it has to say.
        """
        run = self.leased(pick)
        if not run or run.ended or run.join:
            return
        token, deps = run.token, "1" if run.deps else ""
        self.made[run.id] = (run.id, TASK, run.tag, run.step, ENVELOPE, at, "", "", deps)
        said: list[tuple[Any, ...]] = [
            ("enqueue", *self.made[run.id]),
            ("finish", run.id, token, "replaced", 1, "", ""),
        ]
        for move, *args in [("progress", run.id, token, ""), *(said[::-1] if told_first else said)][:until]:
            self.make(move, *args)

    @rule(pick=picks, move=st.sampled_from(["finish", "replaced", "retry", "hand_back", "died", "progress", "renew"]))
    def say_something_old(self, pick: int, move: str) -> None:
        """A worker speaks of what it held once: it was given up, or has said so before. Nobody hears it."""
        old = choose(pick, [lease for lease in self.granted if not self.model.holding(*lease)])
        if old is None:
            return
        match move:
            case "finish":
                assert [0] == self.make("finish", *old, "failed", 1, "{}", "")
            case "replaced":
                assert [0] == self.make("finish", *old, "replaced", 1, "", "")
            case "retry":
                assert 0 == self.make("retry", *old, "", ENVELOPE, "", TASK, self.tags[0], 0)
            case "hand_back":
                assert 0 == self.make("hand_back", "", *old)
            case "died":
                assert [0, 0] == self.make("died", *old, "1")
            case "progress":
                assert 0 == self.make("progress", *old, "" if pick % 2 else "{}")
            case _:
                self.make("renew", "w0", 1, 1, *old, 5, "1", *old)

    @somebody_works
    @rule(pick=picks, last=seldom)
    def died(self, pick: int, last: bool) -> None:
        """A worker's child process died in a run."""
        run = self.leased(pick)
        if run:
            self.make("died", run.id, run.token, "1" if last else "")

    @rule(name=names)
    def watch(self, name: str) -> None:
        """Somebody sees where the heartbeat counter of a worker stands."""
        if name in self.model.workers:
            self.beats.append((name, self.model.workers[name].beat))

    @rule(pick=picks, now=flags, name=names)
    def rescue(self, pick: int, now: bool, name: str) -> None:
        """A counter stood still, says somebody who may have seen it long ago: the worker may live, or be rescued."""
        known = self.model.workers.get(name)
        beat = known.beat if known else 0
        seen = (name, beat) if now else choose(pick, [*self.beats, (name, beat - 1)])
        if seen:
            self.make("rescue", *seen)

    @rule(name=names)
    def leave(self, name: str) -> None:
        self.make("leave", name)

    @rule(name=names, most=amounts, how=st.sampled_from(["", "started", "last", "cancelled", "last cancelled"]))
    def crash(self, name: str, most: int, how: str) -> None:
        """A worker dies soon after it fetched: the way by which a poison run goes."""
        self.fetch(name, most, both=True, turned=False)
        if how:
            self.renew(name, 0, "last" in how)
        for run in self.model.held(name) if "cancelled" in how else []:
            self.make("cancel", run.id, "no longer wanted")
        self.make("rescue", name, self.model.workers[name].beat)

    @rule(name=names, state=outcomes)
    def work_off(self, name: str, state: str) -> None:
        """A worker executes all that it holds and some more."""
        self.fetch(name, 4, both=True, turned=True)
        said = [value for run in self.model.held(name) for value in self.outcome(run, state, ran=True)]
        self.make("finish", *said)
