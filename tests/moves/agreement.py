"""Compares what stands in the server with what the model says; and what must hold of both, whatever the model says."""

from __future__ import annotations

import json
from collections import defaultdict
from typing import TYPE_CHECKING, Any

from taglane.model.run import ENDED
from taglane.store import keys

from moves.things import FAILING, PAST

if TYPE_CHECKING:
    from collections.abc import Iterable

    from moves.model import Model
    from moves.things import Run

FIELDS = (
    "state",
    "token",
    "attempts",
    "deaths",
    "rescues",
    "tag",
    "holder",
    "job",
    "ended",
    "tries",
    "error",
    "started",
    "last",
    "replacing",
    "cancel",
    "expires",
    "started_at",
    "envelope",
)


def text(value: bytes | None) -> str:
    return "" if value is None else value.decode()


class Seen:
    """One reading of all that a tenant has in the server."""

    def __init__(
        self, redis: Any, model: Model, tags: Iterable[str], workers: Iterable[str], jobs: Iterable[str]
    ) -> None:
        self.pipeline = redis.pipeline(transaction=False)
        tenant = model.tenant
        queues = [(tag, step) for tag in tags for step in keys.STEPS]
        asked: dict[tuple[Any, ...], tuple[Any, ...]] = {
            **{("run", run): ("HMGET", keys.run(tenant, run), *FIELDS) for run in model.runs},
            **{("queue", *queue): ("LRANGE", keys.queue(tenant, *queue), 0, -1) for queue in queues},
            **{("delayed", tag): ("ZRANGE", keys.delayed(tenant, tag), 0, -1) for tag in tags},
            **{("bell", tag): ("LLEN", keys.bell(tenant, tag)) for tag in tags},
            **{("held", name): ("SMEMBERS", keys.held(tenant, name)) for name in workers},
            **{("cancels", name): ("SMEMBERS", keys.cancels(tenant, name)) for name in workers},
            **{("worker", name): ("HGET", keys.worker(tenant, name), "beat") for name in workers},
            **{("parked", name): ("LRANGE", keys.parked(tenant, name), 0, -1) for name in jobs},
            **{("job", name): ("HMGET", keys.job(tenant, name), "revision", "last", "streak") for name in jobs},
            **{
                ("chord", group): ("HMGET", keys.chord(tenant, group), "size", "parts", "started")
                for group in model.chords
            },
            ("leases",): ("ZRANGE", keys.leases(tenant), 0, -1),
            ("expiring",): ("ZRANGE", keys.expiring(tenant), 0, -1),
            ("ended",): ("ZRANGE", keys.ended(tenant), 0, -1),
            ("dead",): ("ZRANGE", keys.dead(tenant), 0, -1),
            ("runs",): ("ZRANGE", keys.runs(tenant), 0, -1),
            ("due",): ("ZRANGE", keys.due(tenant), 0, -1),
            ("waiting",): ("SMEMBERS", keys.waiting(tenant)),
            ("workers",): ("SMEMBERS", keys.workers(tenant)),
            ("jobs",): ("ZRANGE", keys.jobs(tenant), 0, -1),
            ("unwell",): ("ZRANGE", keys.unwell(tenant), 0, -1),
            ("failing",): ("ZRANGE", keys.failing(tenant), 0, -1),
            **{("last", name): ("LRANGE", keys.last(tenant, name), 0, -1) for name in jobs},
            ("tags",): ("SMEMBERS", keys.tags(tenant)),
            ("capped",): ("SMEMBERS", keys.capped(tenant)),
            ("aside",): ("LRANGE", keys.aside(tenant), 0, -1),
        }
        for command in asked.values():
            self.pipeline.execute_command(*command)
        self.answers = dict(zip(asked, self.pipeline.execute(), strict=True))
        self.gone = model.gone

    def raw(self, *what: Any) -> Any:
        return self.answers[what]

    def ids(self, *what: Any) -> list[str]:
        """The members of a list or a set, in its order, without those that mean nothing any more."""
        return [found for found in map(text, self.answers[what]) if found not in self.gone]

    def of(self, kind: str) -> dict[Any, Any]:
        """All readings of one kind, by what they are of."""
        return {what[1:]: answer for what, answer in self.answers.items() if what[0] == kind}


def compare(model: Model, seen: Seen) -> None:
    """Every run is in exactly one place, the one that the model says, and the indexes say the same."""
    for (run_id,), values in seen.of("run").items():
        compare_run(model.runs[run_id], dict(zip(FIELDS, values, strict=True)))
    compare_places(model, seen)
    compare_workers(model, seen)
    compare_jobs(model, seen)
    for group, chord in model.chords.items():
        size, count, started = seen.raw("chord", group)
        assert (chord.size, chord.count, chord.started) == (int(size) if size else None, int(count or 0), bool(started))


def compare_run(run: Run, fields: dict[str, bytes | None]) -> None:
    state = text(fields["state"])
    counts = [int(fields[name] or 0) for name in ("token", "attempts", "deaths", "rescues")]
    tries = [json.loads(line) for line in text(fields["tries"]).splitlines()]
    assert run.state == state, run
    assert [run.token, run.attempts, run.deaths, run.rescues] == counts, run
    assert [run.tag, run.job, run.ended] == [text(fields[name]) for name in ("tag", "job", "ended")], run
    assert run.tries == [(each["n"], each["h"]) for each in tries], run
    assert run.has_envelope == (fields["envelope"] is not None), run
    if run.place == "leased":
        assert run.holder == text(fields["holder"])
    if run.state in ENDED:
        assert run.why in text(fields["error"]), run
        return
    assert [run.started, run.last, run.replacing] == [bool(fields[name]) for name in ("started", "last", "replacing")]
    assert run.started == (fields["started_at"] is not None), run
    assert run.cancel in text(fields["cancel"]), run
    assert (run.cancel != "") == (fields["cancel"] is not None), run
    assert (run.expires > 0) == (fields["expires"] is not None), run
    assert run.is_late == (0 < int(fields["expires"] or 0) < PAST), run


def compare_places(model: Model, seen: Seen) -> None:
    places: dict[str, list[str]] = defaultdict(list)
    for run in model.runs.values():
        places[run.place].append(run.id)
    for tag, step in seen.of("queue"):
        # An id that ended there stays until it comes to the head: a fetch drops it.
        live = [run for run in seen.ids("queue", tag, step) if model.runs[run].place == "queue"]
        assert model.queues[tag, step] == live
    for (name,) in seen.of("parked"):
        assert model.parked[name] == seen.ids("parked", name)
    delayed = [run for (tag,) in seen.of("delayed") for run in seen.ids("delayed", tag)]
    assert sorted(places["queue"]) == sorted(run for queue in model.queues.values() for run in queue)
    assert sorted(places["parked"]) == sorted(run for parked in model.parked.values() for run in parked)
    assert sorted(places["delayed"]) == sorted(delayed)
    assert sorted(places["leased"]) == sorted(seen.ids("leases"))
    assert sorted(places["ended"] + places["replaced"]) == sorted(seen.ids("ended"))
    assert sorted(places["dead"]) == sorted(seen.ids("dead"))
    unwell = [run.id for run in model.at("ended") if run.state in {"failed", "cancelled", "expired", "dead"}]
    assert sorted(unwell) == sorted(seen.ids("unwell"))
    assert set(places) <= {"queue", "parked", "delayed", "leased", "ended", "replaced", "dead"}
    assert sorted(model.runs) == sorted(seen.ids("runs"))
    assert {run.id for run in model.runs.values() if run.expiring} == set(seen.ids("expiring"))
    assert {found for found in map(text, seen.raw("aside")) if not found.startswith("job ")} <= model.gone


def compare_workers(model: Model, seen: Seen) -> None:
    assert sorted(model.workers) == sorted(seen.ids("workers"))
    for (name,), beat in seen.of("worker").items():
        known = model.workers.get(name)
        assert (known.beat if known else None) == (None if beat is None else int(beat))
        held = model.held(name)
        assert sorted(run.id for run in held) == sorted(seen.ids("held", name))
        assert sorted(run.id for run in held if run.cancel) == sorted(seen.ids("cancels", name))
    assert sorted(model.capped) == sorted(seen.ids("capped"))
    for (tag,), tokens in seen.of("bell").items():
        assert tokens or tag not in model.rung
        if seen.ids("delayed", tag) or any(model.queues[tag, step] for step in keys.STEPS):
            assert tag in seen.ids("tags")


def compare_jobs(model: Model, seen: Seen) -> None:
    assert sorted(model.jobs) == sorted(seen.ids("jobs"))
    for (name,), (revision, last, streak) in seen.of("job").items():
        job = model.jobs.get(name)
        assert (job.streak if job else 0) == int(streak or 0)
        assert (job.revision if job else 0, job.last if job else "") == (int(revision or 0), text(last))
    assert sorted(name for name, job in model.jobs.items() if job.due is not None) == sorted(seen.ids("due"))
    assert sorted(model.waiting) == sorted(seen.ids("waiting"))
    for (name,), last in seen.of("last").items():
        assert (model.jobs[name].made[-100:] if name in model.jobs else []) == list(map(text, last)), name
    assert sorted(name for name, job in model.jobs.items() if job.streak >= FAILING) == sorted(seen.ids("failing"))


def promises(model: Model) -> None:
    """What must hold, whatever the moves do: of the model, which is what stands in the server."""
    for name, runs in model.lonely():
        job = model.jobs.get(name)
        assert [job.last if job else ""] == [run.id for run in runs], "two runs of a job go at once that must not"
    for name, parked in model.parked.items():
        assert not parked or name in model.waiting, "nobody would look after what is parked"
    for name, job in model.jobs.items():
        if job.after and job.asked and not job.paused and job.due is None:
            assert model.goes(job.last) or name in model.waiting, "a fixed delay would never begin again"
