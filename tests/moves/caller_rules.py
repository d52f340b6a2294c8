"""What callers and operators do: they make runs, ask again when a reply was lost, and change their minds."""

from __future__ import annotations

from hypothesis import strategies as st
from hypothesis.stateful import precondition, rule

from moves.machine import Machine, choose, flags, picks, seldom, steps
from moves.things import ENVELOPE, LATER, PAST, TASK

PLACES = st.sampled_from([("leased",), ("queue", "delayed"), ("parked",), ("ended", "dead", "replaced")])


class CallerRules(Machine):
    """Callers may be cut off between any two of their moves."""

    @rule(
        tag=picks,
        step=steps,
        at=st.sampled_from(["", "", "1", "+3600000"]),
        expires=st.sampled_from(["", "+3600000", "+3600000", "1"]),
        key=st.sampled_from(["", "", "k", "l}"]),
        deps=flags,
        two=seldom,
    )
    def enqueue(self, tag: int, step: int, at: str, expires: str, key: str, deps: bool, two: bool) -> None:
        run = (self.fresh(), TASK, self.tags[tag % 2], step, ENVELOPE, at, expires, key, "1" if deps else "")
        other = (self.fresh(), TASK, self.tags[0], step, ENVELOPE, "", "", "", "")
        answer = self.make("enqueue", *run, *(other if two else ()))
        self.made |= {each[0]: each for each in ((run, other) if two else (run,)) if each[0] in answer}

    @rule(pick=picks)
    def enqueue_again(self, pick: int) -> None:
        """The reply was lost, however long ago. Only a run that is to be replaced is made again under its id."""
        made = choose(pick, [self.made[run] for run in self.model.runs if run in self.made])
        if made:
            self.make("enqueue", *made)

    @precondition(lambda self: not self.lossy)
    @rule(
        state=st.sampled_from(["", "", "", "paused", "draining"]),
        running=st.sampled_from(["", "1", "2", "40"]),
        queued=st.sampled_from(["", "", "2", "5"]),
        often=seldom,
    )
    def govern(self, state: str, running: str, queued: str, often: bool) -> None:
        """The operator changes what the tenant may have, whatever it has."""
        if often:
            self.make("govern", "state", state, "running", running, "queued", queued)

    @rule(pick=picks, ours=flags, twice=flags)
    def replay(self, pick: int, ours: bool, twice: bool) -> None:
        """What joins a chord or tells of an end may be replayed, too; and a dead letter that was replayed before."""
        ended = self.model.at("ended", "dead")
        run = choose(pick, [run for run in ended if run.join or run.ended or run.state == "dead"] if ours else ended)
        if run:
            new = self.fresh("replay")
            made = self.make("replay", run.id, new)
            if twice and made not in self.model.gone:
                assert made == self.make("replay", run.id, new)

    @precondition(lambda self: bool(self.model.where(lambda run: run.state == "dead")))
    @rule(pick=picks)
    def drop(self, pick: int) -> None:
        run = choose(pick, self.model.where(lambda run: run.state == "dead"))
        if run:
            self.make("drop", run.id)
            assert 0 == self.make("drop", run.id)

    @rule(tag=picks, delayed=flags, often=seldom)
    def purge(self, tag: int, delayed: bool, often: bool) -> None:
        if often:
            self.make("purge", self.tags[tag % 2], "1" if delayed else "")

    @rule(pick=picks, places=PLACES)
    def cancel(self, pick: int, places: tuple[str, ...]) -> None:
        run = choose(pick, self.model.at(*places))
        self.make("cancel", run.id if run else self.fresh("nobody"), f"said {next(self.numbers)}")

    @rule()
    def expire(self) -> None:
        self.make("expire")

    @rule(pick=picks, state=st.sampled_from(["failed", "succeeded", "cancelled"]), known=flags)
    def record(self, pick: int, state: str, known: bool) -> None:
        """A chain's earlier link failed: how the later one ends is kept under its id, whether it was sent or not."""
        run = choose(pick, list(self.model.runs.values())) if known else None
        run_id = run.id if run else self.fresh("link")
        self.make("record", run_id, state, '{"r":1}', TASK, self.tags[0])
        assert 0 == self.make("record", run_id, state, '{"r":1}', TASK, self.tags[0])

    # -- chords ------------------------------------------------------------------------------------------------------

    @rule(size=st.integers(1, 3), tag=picks, until=st.integers(1, 9))
    def send_chord(self, size: int, tag: int, until: int) -> None:
        """Its join, its parts, how many they are: the caller may die, or be refused, before each of these."""
        group = self.fresh("g")
        home = self.tags[tag % 2]
        self.make("chord", group, f"{group}~join", TASK, home, 0, ENVELOPE)
        for place in range(min(size, until)):
            run = (self.fresh("part"), TASK, home, 0, ENVELOPE, "", "", "", "1")
            if self.make("enqueue", *run) != [run[0], 1]:
                return  # over a limit: the caller is told, and gives up
            self.made[run[0]] = run
            self.model.runs[run[0]].part = (f"{place}:{run[0]}", group)
        if until > size:
            self.make("chord_size", group, size)

    @precondition(lambda self: bool(self.model.chords))
    @rule(pick=picks, new=seldom)
    def bring_part(self, pick: int, new: bool) -> None:
        """The outcome of a part that no worker executes, or of one that was brought before."""
        group = choose(pick, sorted(self.model.chords))
        if group:
            known = sorted(self.model.chords[group].parts)
            index = f"9:{self.fresh('outside')}" if new or not known else known[pick % len(known)]
            self.make("part", group, index, "{}")

    @precondition(lambda self: bool(self.model.chords))
    @rule(pick=picks, more=seldom)
    def size_chord(self, pick: int, more: bool) -> None:
        """The size is said again, or that there is one more part."""
        group = choose(pick, sorted(self.model.chords))
        if group:
            self.make("chord_size", group, "+1" if more else self.model.chords[group].size or 2)

    # -- time --------------------------------------------------------------------------------------------------------

    @precondition(lambda self: bool(self.model.at("delayed")))
    @rule(pick=picks)
    def let_a_delay_pass(self, pick: int) -> None:
        run = choose(pick, [run for run in self.model.at("delayed") if run.at > PAST])
        if run:
            self.pass_delay(run)

    @rule(pick=picks, places=PLACES, then=flags)
    def let_a_run_expire(self, pick: int, places: tuple[str, ...], then: bool) -> None:
        run = choose(pick, [run for run in self.model.at(*places) if run.goes and run.expires >= LATER])
        if run:
            self.expire_at(run, next(self.numbers))
            if then:
                self.make("expire")

    @rule(pick=picks)
    def let_history_age(self, pick: int) -> None:
        """A run ended a day ago, a dead letter is a month old; successors that never came were to come that long."""
        run = choose(pick, self.model.at("ended", "dead", "replaced"))
        if run:
            self.age(run)

    # -- loss --------------------------------------------------------------------------------------------------------

    @precondition(lambda self: self.lossy)
    @rule(pick=picks, waited_for=flags)
    def lose_a_run(self, pick: int, waited_for: bool) -> None:
        """Any run, or one for whose end a job waits."""
        lasts = {job.last for job in self.model.jobs.values()}
        run = choose(pick, [run for run in self.model.runs.values() if not waited_for or run.id in lasts])
        if run:
            self.lose(run)
