"""The moves that workers make, and those who watch them, on the plain model."""

from __future__ import annotations

from typing import Any

from taglane.store import keys

from moves.lives import Lives
from moves.things import ALONE_AFTER, Log, Run, Worker

Entry = tuple[str, int, int, str, str, int, str]
"""A run as a fetch gives it: id, token, attempts, tag, job, rescues, how the run ended that it follows."""


def entry(run: Run) -> Entry:
    return run.id, run.token, run.attempts, run.tag, run.job, run.rescues, run.ended


class ByWorkers(Lives):
    """Each method is the move of its name, with the move's own arguments and its answer."""

    def hello(self, name: str, *said: Any) -> None:
        known = self.workers.get(name, Worker())
        tags = dict(zip(said[::2], said[1::2], strict=True)).get("tags")
        self.workers[name] = Worker(tags=known.tags if tags is None else frozenset(tags.split()))

    def fetch(self, name: str, seq: int, most: int, idle: str, *tags: str) -> Any:
        """Answers how to wait (-1: no instant is known, 100: soon, 1: until one), and the runs."""
        worker = self.workers.get(name)
        if worker is None:
            return 0
        for tag in tags:
            self.promote(tag)
        wait = 1 if any(run.tag in tags for run in self.at("delayed")) else -1
        if worker.seq and seq <= worker.seq:
            still = [self.runs[run] for run, token in worker.taken if self.holding(run, token)]
            return wait, [entry(run) for run in still] if seq == worker.seq else []
        free = self.free(most)
        runs, stopped = self.serve(name, min(most, free), tags, idle=idle == "1")
        self.note_capped(tags, len(runs), free, stopped=stopped or free >= most)
        worker.seq, worker.taken = seq, [run[:2] for run in runs]
        return 100 if stopped and not runs else wait, runs

    def free(self, most: int) -> int:
        """How many runs the limits let all workers have, beside those that they have."""
        if self.limits.get("state") == "paused":
            return 0
        cap = self.limits.get("running")
        return max(0, int(cap) - len(self.at("leased"))) if cap else most

    def note_capped(self, tags: tuple[str, ...], took: int, free: int, *, stopped: bool) -> None:
        """Remember of which tags runs are left because of the limit: with no slot free, nobody needs to look."""
        if self.limits.get("state") == "paused":
            return
        for tag in tags:
            if not any(self.queues[tag, step] for step in keys.STEPS):
                if self.limits.get("running"):
                    self.capped.discard(tag)
            elif "running" in self.limits and not stopped and free <= took:
                self.capped.add(tag)
                self.rung.discard(tag)

    def serve(self, name: str, most: int, tags: tuple[str, ...], *, idle: bool) -> tuple[list[Entry], bool]:
        taken: list[Entry] = []
        stop = False
        for step, tag in [(step, tag) for step in keys.STEPS for tag in tags]:
            queue = self.queues[tag, step]
            while queue and len(taken) < most and not stop:
                run = self.runs[queue.pop(0)]
                alone = run.rescues >= ALONE_AFTER
                if run.is_late:
                    self.end(run, "expired")
                elif alone and (taken or not idle):
                    queue.insert(0, run.id)
                    stop = True
                else:
                    stop = alone
                    run.place, run.holder = "leased", name
                    run.token += 1
                    run.attempts += 1
                    taken.append(entry(run))
            if queue and taken and (stop or len(taken) >= most):
                self.rung.add(tag)
        return taken, stop

    def renew(self, name: str, _: int, starts: int, *rest: Any) -> Any:
        worker = self.workers.get(name)
        if worker is None:
            return 0
        worker.beat += 1
        for i in range(0, 4 * starts, 4):
            run = self.holding(rest[i], rest[i + 1])
            if run:
                run.started, run.state, run.last = True, "running", run.last or rest[i + 3] == "1"
        named = rest[4 * starts :]
        lost = [named[i] for i in range(0, len(named), 2) if not self.holding(named[i], named[i + 1])]
        return lost, sorted(run.id for run in self.held(name) if run.cancel)

    def beat(self, name: str) -> int:
        worker = self.workers.get(name)
        if worker is None:
            return 0
        worker.beat += 1
        return worker.beat

    def progress(self, run_id: str, token: int, said: str) -> int:
        run = self.holding(run_id, token)
        if run is None:
            return 0
        if said:
            run.state, run.started = "running", True
            return 1
        was, run.replacing = run.replacing, True
        return int(not was)

    def log(self, run_id: str, token: int, _: int, first: int, dropped: int, most: int, __: int, *lines: str) -> int:
        log = self.logged(run_id, token)
        if log is None:
            return 0
        log.lines += [line.split("\t")[-1] for line in lines[max(0, log.heard + 1 - first) :]]
        log.heard = max(log.heard, first + len(lines) - 1 if lines else 0)
        over = len(log.lines) - most
        if over > 0:
            log.lines, log.lost = log.lines[over:], log.lost + over
        return self.log_lost(run_id, token, dropped)

    def log_lost(self, run_id: str, token: int, dropped: int) -> int:
        log = self.logged(run_id, token)
        if log is None:
            return 0
        log.lost += max(0, dropped - log.dropped)
        log.dropped = max(log.dropped, dropped)
        return 1

    def logged(self, run_id: str, token: int) -> Log | None:
        """The log of a run, when this token may write it: that of its last lease, also when it has ended."""
        run = self.runs.get(run_id)
        if run is None or run.token != token:
            return None
        log = self.logs[run_id]
        if log.token != token:
            log.token, log.heard, log.dropped = token, 0, 0
        return log

    def log_page(self, run_id: str, _: str, __: int) -> Any:
        run = self.runs.get(run_id)
        if run is None:
            return "", "0", []
        log = self.logs.get(run_id, Log())
        return run.state, str(log.lost), log.lines

    def finish(self, *args: Any) -> list[int]:
        answer = []
        for i in range(0, len(args), 6):
            run_id, token, state, ran, _, part = args[i : i + 6]
            run = self.holding(run_id, token)
            answer.append(int(run is not None))
            if run is None:
                continue
            if ran != "":
                self.count_attempt(run, ran)
            if state == "replaced":
                self.release(run, begun=True)
                if self.may_wait(run):
                    run.place = run.state = "replaced"
                continue
            self.end(run, state, run.cancel if state == "cancelled" else "", told=ran != "" and part != "-")
            if part not in {"", "-"}:
                place, group, _ = part.split(" ")
                self.add_part(group, place)
        self.trim()
        return answer

    def retry(
        self,
        run_id: str,
        token: int,
        at: str,
        _: str,
        __: str,
        ___: str,
        tag: str,
        step: int | str,
        ran: int | str = "",
    ) -> int:
        run = self.holding(run_id, token)
        if run is None:
            return 0
        self.note_try(run, "retry")
        if run.started or ran != "":
            self.count_attempt(run, ran)
        self.release(run, begun=True)
        if self.may_wait(run):
            self.count(run.job, "retried")
            run.tag, run.step = tag, run.step if step == "" else int(step)
            if at:
                self.delay(run, self.instant(at, "delayed", run.id), "retrying")
            else:
                self.push(run)
        return 1

    def hand_back(self, wait: str | int, *leases: Any) -> int:
        back = 0
        for i in range(len(leases) - 2, -1, -2):
            run = self.holding(leases[i], leases[i + 1])
            if run:
                self.release(run)
                run.attempts -= 1
                self.wait_again(run, self.clock("delayed", run.id) if wait != "" else 0)
                back += 1
        return back

    def leave(self, name: str) -> int:
        back = 0
        for run in self.held(name):
            self.release(run)
            run.attempts -= 1
            back += self.wait_again(run)
        self.workers.pop(name, None)
        return back

    def rescue(self, name: str, beat: int) -> list[int]:
        worker = self.workers.get(name)
        if worker and worker.beat != beat:
            return [0, 0]
        moved = [self.take_over(run, child=False) for run in self.held(name)]
        self.workers.pop(name, None)
        return [sum(queued for queued, _ in moved), sum(dead for _, dead in moved)]

    def died(self, run_id: str, token: int, last: str = "") -> list[int]:
        run = self.holding(run_id, token)
        if run is None:
            return [0, 0]
        run.last = run.last or last == "1"
        return list(self.take_over(run, child=True))
