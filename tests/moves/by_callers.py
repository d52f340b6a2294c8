"""The moves that callers and operators make, on the plain model."""

from __future__ import annotations

from typing import Any

from taglane.store import keys

from moves.lives import Lives
from moves.things import Chord, Run


class ByCallers(Lives):
    """Each method is the move of its name, with the move's own arguments and its answer."""

    def govern(self, *args: str) -> int:
        for name, value in zip(args[::2], args[1::2], strict=True):
            self.limits[name] = value
        self.limits = {name: value for name, value in self.limits.items() if value}
        self.capped.clear()
        self.rung |= {tag for (tag, _), queue in self.queues.items() if queue}
        return 1

    def enqueue(self, *args: Any) -> Any:
        calls = [args[i : i + 9] for i in range(0, len(args), 9)]
        binding = [call for call in calls if "c" not in call[8]]
        new = [call for call in calls if call[7] not in self.keys and call[0] not in self.runs]
        if binding and (refusal := self.refusal(len(new))):
            return refusal
        answer: list[Any] = []
        for i in range(0, len(args), 9):
            answer += self.make(*args[i : i + 9])
        return answer

    def make(self, *args: Any) -> tuple[str, int]:
        run_id, _, tag, step, _, at, expires, key, depends = args
        if key in self.keys:
            return self.keys[key], 0
        run = self.runs.get(run_id)
        if run is None:
            run = Run(run_id, tag, step)
        elif not self.make_way(run):
            return run_id, 0
        run.tag, run.step, run.deps, run.has_envelope = tag, step, "1" in depends, True
        run.expires = self.instant(expires, "expires", run_id)
        self.admit(run, self.instant(at, "delayed", run_id), again=run_id in self.runs)
        if key:
            self.keys[key] = run_id
        return run_id, 1

    def make_way(self, run: Run) -> bool:
        """Whether an id is open again: its run said that others replace it, and nobody has cancelled it."""
        if not (run.goes and (run.state == "replaced" or run.replacing)):
            return False
        self.release(run)
        self.aged.discard(run.id)
        return self.may_wait(run)

    def record(self, run_id: str, state: str, _: str, __: str, tag: str) -> int:
        run = self.runs.get(run_id)
        if run and (not run.goes or run.place == "leased"):
            return 0
        if run is None:
            run = self.runs[run_id] = Run(run_id, tag, 0, has_envelope=False)
            self.ledger["", "made"] += 1
        self.end(run, state, told=True)
        return 1

    def cancel(self, run_id: str, why: str) -> str:
        run = self.runs.get(run_id)
        if run is None:
            return "missing"
        return self.stop(run, why) if run.goes else "ended"

    def replay(self, run_id: str, new: str) -> str:
        run = self.runs.get(run_id)
        if run is None or run.goes or not run.has_envelope:
            return ""
        if run.state == "dead" and run.replayed:
            return run.replayed
        if new not in self.runs:
            if refusal := self.refusal(1):
                return refusal
            again = Run(new, run.tag, run.step, job=run.job, ended=run.ended, loose=True)
            if not run.ended:
                again.join, again.deps = run.join, bool(run.join)
            self.admit(again)
            self.count(run.job, "replayed")
            if run.place == "dead":
                self.aged.discard(run_id)
            run.replayed, run.place = new, "ended"
        return new

    def drop(self, run_id: str) -> int:
        run = self.runs.get(run_id)
        if run is None or run.place != "dead":
            return 0
        self.forget(run)
        return 1

    def purge(self, tag: str, delayed: str) -> list[int]:
        ended = self.purge_queues(tag)
        if delayed:
            waiting = [run for run in self.at("delayed") if run.tag == tag]
            for run in sorted(waiting, key=lambda run: (run.at, run.id)):
                if run.ended:
                    run.state = "scheduled"
                else:
                    ended += self.purge_one(run)
            ended += self.purge_queues(tag)
        self.trim()
        return [ended, 0]

    def purge_queues(self, tag: str) -> int:
        """End what the tag's queues hold, and what these ends release into them."""
        ended, before = 0, -1
        while ended != before:
            before = ended
            for step in keys.STEPS:
                queue = self.queues[tag, step]
                while queue:
                    run = self.runs[queue.pop(0)]
                    if run.ended:
                        self.delay(run, next(self.past))
                        self.clocked.append(("delayed", run.id, run.at))
                    else:
                        ended += self.purge_one(run)
        return ended

    def purge_one(self, run: Run) -> int:
        self.end(run, "cancelled", "purged")
        return 1

    def expire(self) -> int:
        late = [run for run in self.runs.values() if run.expiring and run.is_late]
        ended = 0
        for run in sorted(late, key=lambda run: (run.expires, run.id)):
            run.expiring = False
            if run.place != "leased":
                self.end(run, "expired")
                ended += 1
        return ended

    def chord(self, group: str, join: str, _: str, tag: str, step: int, __: str) -> int:
        chord = self.chords.setdefault(group, Chord())
        chord.join, chord.tag, chord.step = join, tag, step
        return 1

    def chord_size(self, group: str, size: str | int) -> int:
        chord = self.chords.get(group)
        if chord and chord.join:
            if str(size).startswith("+"):
                chord.count -= int(size)
            else:
                chord.size = int(size)
            self.start_join(group)
        return 1

    def part(self, group: str, index: str, _: str) -> int:
        self.add_part(group, index)
        return 1
