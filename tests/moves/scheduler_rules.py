"""What happens to jobs: they are defined, paused and deleted, and schedulers fire them by views of any age."""

from __future__ import annotations

from typing import Any

from hypothesis import strategies as st
from hypothesis.stateful import precondition, rule
from taglane.store import keys

from moves.machine import Machine, choose, flags, jobs, picks, seldom, steps
from moves.things import ENVELOPE, PAST, TASK

overlaps = st.sampled_from(["skip", "queue", "queue", "queue", "cancel_running", "allow"])
unserved = st.sampled_from([" !no worker", " ~3600000", " +5000 ~60000 @", " @"])
hows = st.sampled_from(["", "", "", " +5000", " missed by 2h: misfire is skip", "moved"]) | unserved
policies = ("", "", "skip", "wait:1h")


class SchedulerRules(Machine):
    """Any number of schedulers: each is a view that it took once, and may fire by again."""

    @rule(
        name=jobs,
        overlap=overlaps,
        after=flags,
        due=st.sampled_from(["new", "new", "keep", ""]),
        tag=picks,
        step=steps,
        old=seldom,
    )
    def put(self, name: str, overlap: str, after: bool, due: str, tag: int, step: int, old: bool = False) -> None:
        """With the due it has when its schedule stays the same: whoever changes that says when it is due.

        Some have seen an older job, or the one that is there, and say so; others put over whatever there is.
        """
        known = self.model.jobs.get(name)
        instant: Any = next(self.numbers) if due == "new" or (due == "keep" and not known) else due
        delay = 3_600_000 if (known.after if known and due == "keep" else after) else ""
        expires = 3_600_000 if tag % 3 else ""
        definition = (name, "{}", TASK, self.tags[tag % 2], step, ENVELOPE, delay, overlap, expires, instant, "{}")
        seen = "" if tag % 3 == 1 else self.seen_of(name, old=old)
        revision = self.make("put", *definition, "all" if tag % 2 else "", seen, policies[tag % 4])
        if revision > 0:
            stamp = self.redis.hget(keys.job(self.tenant, name), "born")
            self.model.jobs[name].stamp = stamp.decode()
            self.sights.append((name, f"{revision}-{stamp.decode()}"))

    def seen_of(self, name: str, *, old: bool) -> str:
        """What a caller may have seen of a job: what there is, or long ago."""
        if old:
            return next((seen for of, seen in self.sights if of == name), "0")
        job = self.model.jobs.get(name)
        return f"{job.revision}-{job.stamp}" if job else "0"

    @rule(name=jobs, often=seldom)
    def remove(self, name: str, often: bool) -> None:
        if often:
            self.make("remove", name)

    @precondition(lambda self: self.lossy)
    @rule(name=jobs, often=seldom)
    def lose_a_job(self, name: str, often: bool) -> None:
        """Its definition is not there any more, and nobody has told what waits for its runs."""
        if often and name in self.model.jobs:
            self.redis.delete(keys.job(self.tenant, name), keys.last(self.tenant, name))
            self.redis.zrem(keys.failing(self.tenant), name)
            self.redis.zrem(keys.jobs(self.tenant), name)
            self.redis.zrem(keys.due(self.tenant), name)
            self.model.loosen(name)
            del self.model.jobs[name]

    @rule(name=jobs, paused=flags, old=seldom)
    def pause(self, name: str, paused: bool, old: bool) -> None:
        """Who resumes a job says what he planned its due by."""
        seen = "" if paused else self.seen_of(name, old=old)
        self.make("pause", name, "1" if paused else "", "" if paused else next(self.numbers), seen)

    @rule(name=jobs)
    def trigger(self, name: str) -> None:
        """Said twice: the reply to the first was lost."""
        run_id = self.fresh("trigger")
        assert self.make("trigger", name, run_id, "") == self.make("trigger", name, run_id, "")

    @rule()
    def look(self) -> None:
        self.views += [view[:3] for view in self.make("look", 16)[3]]

    @precondition(lambda self: bool(self.views))
    @rule(pick=picks, newest=flags, how=hows, further=st.lists(hows, max_size=2), ends=flags)
    def fire(self, pick: int, newest: bool, how: str, further: list[str], ends: bool) -> None:
        """A scheduler fires what it saw due, and what was missed behind that in the same call; then says so again."""
        view = choose(pick, self.views[-4:] if newest else self.views)
        if view:
            self.claim(view, [how, *further], ends=ends)

    @rule(how=hows, name=jobs, ends=flags, again=flags)
    def look_and_fire(self, how: str, name: str, ends: bool, again: bool) -> None:
        """The usual way of a scheduler; and two of them that see the same."""
        self.look()
        view = next((view for view in reversed(self.views) if view[0] == name), None)
        if view:
            self.claim(view, [how], ends=ends)
            if again:
                self.claim(view, [how], ends=ends)

    def claim(self, view: tuple[str, int, int], how: list[str], *, ends: bool) -> None:
        name, due, revision = view
        job = self.model.jobs.get(name)
        created = job.created if job else 0
        dues: list[Any] = [due, *(next(self.numbers) for _ in how)]
        if ends or (job and job.after):
            dues[-1] = ""
        claims: list[Any] = []
        for i, each in enumerate(how):
            run_id = f"{self.tenant}.{name}-{created}-{dues[i]}"
            if run_id in self.model.gone:
                return
            passed = " 3" if each and i % 2 == 0 else ""
            run = "" if each == "moved" else run_id + each.replace("@", "@" + self.tags[1])
            claims += [name, dues[i], revision, f"{dues[i + 1]}{passed}", run]
        for i, outcome in enumerate(self.make("fire", *claims)):
            if outcome in {1, 2}:
                instant = (name, f"{created}-{dues[i]}")
                assert instant not in self.won
                self.won.add(instant)
        self.make("fire", *claims)

    @rule(name=jobs)
    def fire_ahead(self, name: str) -> None:
        """A scheduler whose clock is ahead of the server's fires nothing."""
        job = self.model.jobs.get(name)
        if job and job.due is not None and job.due > PAST:
            assert self.make("fire", name, job.due, job.revision, "", self.fresh("ahead")) in ([0], [4])

    @rule(name=jobs, again=seldom)
    def let_a_job_be_due(self, name: str, again: bool) -> None:
        """Its delay has passed; or its due is set to an instant that it was fired for already."""
        job = self.model.jobs.get(name)
        if job and job.due is not None and (again or job.due > PAST):
            fired = [int(due.partition("-")[2]) for of, due in sorted(self.won) if of == name]
            job.due = fired[-1] if again and fired else next(self.numbers)
            self.redis.zadd(keys.due(self.tenant), {name: job.due}, xx=True)

    @rule(name=jobs, how_many=st.integers(2, 4), flush=flags)
    def fire_often(self, name: str, how_many: int, flush: bool) -> None:
        """Fires come faster than runs end."""
        if name not in self.model.jobs:
            self.put(name, "queue", after=False, due="new", tag=1, step=0)
        for _ in range(how_many):
            self.let_a_job_be_due(name, again=False)
            self.look_and_fire("", name, ends=False, again=False)
        if flush:
            self.make("expire")

    @rule(name=jobs, how=unserved, after=flags)
    def fire_for_nobody(self, name: str, how: str, after: bool) -> None:
        """A scheduler has seen that no worker serves the tag, and does as a job says of that."""
        if name not in self.model.jobs:
            self.put(name, "skip", after, due="new", tag=3, step=0)
        self.let_a_job_be_due(name, again=False)
        self.look_and_fire(how, name, ends=False, again=False)
