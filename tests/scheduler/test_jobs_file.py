"""Jobs files: what they say, and where a mistake is."""

from __future__ import annotations

import io
import json
import re
from collections import Counter

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from taglane.errors import BadJobsFile, TenantNotFound
from taglane.model.limits import Limits
from taglane.model.retry import Retry
from taglane.model.schedule import After, At, Cron, Every, Manual, next_due
from taglane.store.job_plan import prepare
from taglane_scheduler import jobs_file
from taglane_scheduler.jobs_file import JobsFile, read_jobs_file, stream_parts

FILE = """\
tenants:
  acme:
    timezone: Europe/Berlin
    jobs:
      report: {task: shop.tasks.report, cron: "*/5 9-17 * * MON-FRI", params: {region: eu, ids: [1, 2]}}
      sync:   {task: shop.tasks.sync, every: 30s, tag: acme.io, priority: 3, overlap: allow, expires: 1h}
      clean:  {task: shop.tasks.clean, after: 5m, timezone: UTC}
      once:   {task: shop.tasks.once, at: 2026-11-22T09:00:00}
      ask:
        task: shop.tasks.ask
        manual: true
        params:
  other:
    jobs:
  empty:
"""

TEMPLATES = """\
templates:
  nightly: {task: shop.tasks.report, cron: "H 3 * * *", params: {region: eu, days: 1}}
  mail: {task: shop.tasks.mail, every: 5m, tag: "{tenant}.mail", timezone: Asia/Tokyo}
defaults:
  timezone: America/New_York
  templates: [nightly]
  limits: {running: 10, queued: 1000}
tenants:
"""


def job(fields: str) -> str:
    """A file with one job; its fields start at line 4, column 13."""
    return f"tenants:\n  acme:\n    jobs:\n      report: {{{fields}}}\n"


def test_a_file_is_read_into_jobs() -> None:
    """All five kinds; the tenant's zone unless the job has one; durations as text."""
    read = read_jobs_file(FILE)
    report, sync, clean, once, ask = read.jobs

    assert ["acme", "other", "empty"] == read.tenants
    assert {"acme"} == {each.tenant for each in read.jobs}
    assert Cron(expr="*/5 9-17 * * MON-FRI", tz="Europe/Berlin") == report.schedule
    assert ({"region": "eu", "ids": [1, 2]}, "acme") == (report.params, report.tag)
    assert isinstance(sync.schedule, Every)
    assert (30_000, "acme.io", 3, "allow", 3_600_000) == (
        sync.schedule.interval,
        sync.tag,
        sync.priority,
        sync.overlap,
        sync.expires,
    )
    assert After(delay=300_000) == clean.schedule
    assert At(instant=1_795_334_400_000, tz="Europe/Berlin") == once.schedule
    assert (Manual(tz="Europe/Berlin"), {}) == (ask.schedule, ask.params)


def test_policies() -> None:
    """Retries in short or at length, time limits, overlap and misfire."""
    policy = "{attempts: 5, delay: 10s, backoff: exponential, max_delay: 10m, jitter: true, on: [ConnectionError]}"
    limits = "timeout: 5m, soft_timeout: 4m, overlap: queue, misfire: all"
    (long,) = read_jobs_file(job(f"task: a.b, every: 5s, retry: {policy}, {limits}")).jobs
    (short,) = read_jobs_file(job("task: a.b, every: 5s, retry: 5, no_worker: wait:1h")).jobs

    assert Retry(attempts=5, delay=10_000, on=("ConnectionError",)) == long.retry
    assert (300_000, 240_000, "queue", "all") == (long.timeout, long.soft_timeout, long.overlap, long.misfire)
    assert (Retry(attempts=5), "wait:1h") == (short.retry, short.no_worker)


def of_templates(*tenants: str) -> JobsFile:
    """What is read of tenants, a line each from line 9 on, below two templates and defaults."""
    return read_jobs_file(TEMPLATES + "".join(f"  {tenant}\n" for tenant in tenants))


def test_a_tenant_is_a_word_where_the_defaults_say_it_all() -> None:
    """It has the templates, the limits and the zone that every tenant of the file has."""
    read = of_templates("acme:", "globex: {}")

    assert ["acme", "globex"] == [each.tenant for each in read.jobs]
    assert {Cron(expr="H 3 * * *", tz="America/New_York")} == {each.schedule for each in read.jobs}
    assert {("acme", "nightly"): "nightly", ("globex", "nightly"): "nightly"} == read.templates
    assert dict.fromkeys(["acme", "globex"], Limits(running=10, queued=1000)) == read.limits


def test_templates_can_not_make_a_file_grow_without_end() -> None:
    """Some lines could make millions of jobs, or a thousand that are large: that is refused before it is made."""
    long = f"templates: {{big: {{task: a.b, every: 1h, params: {{x: {'y' * 1_000_000}}}}}}}\n"
    jobs = ", ".join(f"j{number}: {{template: big}}" for number in range(300))

    with pytest.raises(BadJobsFile, match="too large with its templates filled in"):
        read_jobs_file(f"{long}tenants: {{acme: {{jobs: {{{jobs}}}}}}}")


def test_who_may_not_name_a_tenant_makes_nobody_read_its_jobs() -> None:
    """Before any job is made."""

    def check(tenant: str) -> None:
        if tenant != "acme":
            raise TenantNotFound(tenant)

    with pytest.raises(TenantNotFound):
        read_jobs_file("tenants: {acme: {jobs: {bad: {}}}, globex: {}}", check=check)


def test_a_tenant_overrides_its_templates() -> None:
    """By a job of the template's name, or by one that names its template: as many of one template as it likes."""
    read = of_templates(
        "acme: {templates: [mail], jobs: {nightly: {params: {region: apac}}, weekly: {template: nightly, every: 7d}}}"
    )
    mail, nightly, weekly = read.jobs

    assert ("mail", "shop.tasks.mail", "acme.mail") == (mail.name, mail.task, mail.tag)
    assert {"region": "apac", "days": 1} == nightly.params
    assert ("weekly", "shop.tasks.report", {"region": "eu", "days": 1}) == (weekly.name, weekly.task, weekly.params)
    assert isinstance(weekly.schedule, Every)
    assert {"mail", "nightly"} == set(read.templates.values())


@pytest.mark.parametrize(
    ("tenant", "zone"),
    [
        ("acme: {templates: [mail]}", "Asia/Tokyo"),
        ("acme: {templates: [mail], timezone: Europe/Berlin}", "Europe/Berlin"),
        ("acme: {templates: [mail], timezone: Europe/Berlin, jobs: {mail: {timezone: UTC}}}", "UTC"),
    ],
)
def test_the_nearest_zone_holds(tenant: str, zone: str) -> None:
    """The job's own, its tenant's, its template's, that of all tenants."""
    (mail,) = [each for each in of_templates(tenant).jobs if each.name == "mail"]

    assert zone == mail.schedule.tz


def test_an_h_spreads_the_tenants_of_a_template() -> None:
    """One cron, and every minute of the hour is some tenants': none gets more than four times its share."""
    jobs = of_templates(*(f"t{number}:" for number in range(1_200))).jobs
    dues = [next_due(each.schedule, after=0, hash_id=f"{each.tenant}/{each.name}") for each in jobs]

    minutes = Counter((due or 0) // 60_000 % 60 for due in dues)

    assert 60 == len(minutes)
    assert max(minutes.values()) <= 4 * 20


@pytest.mark.parametrize("off", ["off", "false"])
def test_a_tenant_opts_out(off: str) -> None:
    """Of a template that it would have, or might get."""
    read = of_templates(f"acme: {{jobs: {{nightly: {off}, mail: {off}}}}}", "globex:")

    assert ["globex"] == [each.tenant for each in read.jobs]
    assert [("acme", "nightly"), ("acme", "mail")] == read.off


def test_a_job_with_a_task_is_the_tenants_own() -> None:
    """Though a template that it would have is called so: only a job that names its template has one."""
    read = of_templates("acme: {jobs: {nightly: {task: a.b, manual: true}}}")

    assert ["a.b"] == [each.task for each in read.jobs]
    assert {} == read.templates


def test_limits_are_named_or_left_alone() -> None:
    """A tenant's go over those of all; a file without any says nothing of limits."""
    read = of_templates("acme: {limits: {running: 40, queued: none, rate: 10/s}}", "globex: {limits: }")
    alone = read_jobs_file("tenants: {acme: {limits: {running: 4}}, globex: {}, initech: {limits: {}}}")

    assert {"acme": Limits(running=40, rate=10), "globex": Limits(running=10, queued=1000)} == read.limits
    assert {"acme": Limits(running=4), "initech": Limits()} == alone.limits


@pytest.mark.parametrize(
    ("tenant", "line", "column", "why"),
    [
        ("acme: {templates: [nigthly]}", 9, 22, "no template 'nigthly': did you mean 'nightly'?"),
        ("acme: {jobs: {a: {template: weekly}}}", 9, 31, "no template 'weekly'"),
        ("acme: {jobs: {a: {template: [nightly]}}}", 9, 31, "template is a text, like report, not a list"),
        ("acme: {jobs: {weekly: off}}", 9, 17, "no template 'weekly': there are nightly, mail"),
        ("acme: {jobs: {nightly: on}}", 9, 26, "job 'nightly' is a mapping, not a text"),
        ("acme: {jobs: {nightly: {parms: {}}}}", 9, 27, "job 'nightly' has no field 'parms': did you mean 'params'?"),
        ("acme: {jobs: {mail: {every: 5m}}}", 9, 17, "job 'mail' has no 'task': is it to have  template: mail ?"),
        ("acme: {jobs: {nightly: {every: 5s, cron: 0 3 * * *}}}", 9, 17, "given were cron, every (job 'nightly' of te"),
        ("acme: {jobs: {nightly: {params: {a: .nan}}}}", 9, 39, "params.a is nan"),
        (
            "acme: {jobs: {nightly: {template: nightly, task: }}}",
            9,
            17,
            "has no 'task' (job 'nightly' of tenant 'acme'",
        ),
        ("acme: {jobs: {nightly: {task: }}}", 9, 33, "task is a text, like shop.tasks.report, not nothing"),
        ("acme: {limits: {running: 0}}", 9, 28, "limits.running: 0 can't be"),
        ("acme: {limits: {rate: -1/s}}", 9, 25, "limits.rate: '-1/s' can't be"),
        ("acme: {limits: {weight: heavy}}", 9, 27, "limits.weight: 'heavy' can't be: it must be a number"),
        ("acme: {limits: {runing: 1}}", 9, 19, "did you mean 'running'?"),
        ("acme: {limit: {running: 1}}", 9, 10, "tenant 'acme' has no field 'limit': did you mean 'limits'?"),
    ],
)
def test_a_mistake_of_a_tenant_stands_in_its_line(tenant: str, line: int, column: int, why: str) -> None:
    with pytest.raises(BadJobsFile) as caught:
        of_templates(tenant)

    assert (line, column) == (caught.value.line, caught.value.column)
    assert why in str(caught.value)


@pytest.mark.parametrize(
    ("text", "line", "column", "why"),
    [
        ("templates: {a: {evry: 5s}}\ntenants:", 1, 17, "template 'a' has no field 'evry': did you mean 'every'?"),
        ("templates: {a: {task: x, cron: 61 * * * *}}\ntenants:", 1, 32, "cron field minute: '61'"),
        ("templates: {a: {task: x}}\ntenants: {acme: {templates: [a]}}", 2, 30, "given were none (job 'a' of tenant"),
        ("templates: {a: {manual: true, task: x, tag: b.c}}\ntenants: {acme: {templates: [a]}}", 1, 45, "not belong"),
        ("defaults: {templates: [a]}\ntenants:", 1, 24, "no template 'a': the file has no 'templates'"),
        (
            "defaults: {jobs: {}}\ntenants:",
            1,
            12,
            "defaults has no field 'jobs': there are timezone, limits, templates",
        ),
        ("defaults: {limits: {running: 0}}\ntenants:", 1, 30, "limits.running: 0 can't be"),
        ("defaults: {timezone: Mars}\ntenants:", 1, 22, "unknown time zone"),
        ("templates: {a: {manual: true}}", 1, 1, "there is no 'tenants' in it"),
    ],
)
def test_a_mistake_in_what_is_common_stands_there(text: str, line: int, column: int, why: str) -> None:
    """And names the job that it was found by, where it is none of the template alone."""
    with pytest.raises(BadJobsFile) as caught:
        read_jobs_file(text)

    assert (line, column) == (caught.value.line, caught.value.column)
    assert why in str(caught.value)


def test_the_example_of_the_module_is_a_jobs_file() -> None:
    """It shows every way to have a template, to change it, and not to have it."""
    read = read_jobs_file((jobs_file.__doc__ or "").partition("\n")[2].partition("\nThe server")[0])

    assert ["acme/mail", "acme/nightly", "acme/weekly", "acme/sync", "initech/nightly"] == [
        f"{each.tenant}/{each.name}" for each in read.jobs
    ]
    assert ([("globex", "nightly")], {"acme", "globex", "initech"}) == (read.off, set(read.limits))


@pytest.mark.parametrize(
    ("text", "line", "column", "why"),
    [
        ("", 1, 1, "there is no 'tenants' in it"),
        ("- a", 1, 1, "a jobs file is a mapping, not a list"),
        ("tenant: {}", 1, 1, "did you mean 'tenants'?"),
        ("tenants: [acme]", 1, 10, "tenants is a mapping by name, not a list"),
        ("tenants:\n  Acme: {}", 2, 3, "tenant 'Acme' must be"),
        ("tenants:\n  acme: {}\n  acme: {}", 3, 3, "'acme' is there twice"),
        ("tenants:\n  acme: {job: {}}", 2, 10, "tenant 'acme' has no field 'job': did you mean 'jobs'?"),
        ("tenants:\n  acme: {timezone: Europe/Berln}", 2, 20, "did you mean 'Europe/Berlin'?"),
        ("tenants:\n  acme:\n    jobs: 5", 3, 11, "jobs is a mapping by name, not a number"),
        ("tenants:\n  acme:\n    jobs:\n      a b: {}", 4, 7, "job 'a b' must be"),
        ("tenants:\n  acme:\n    jobs:\n      a: {}\n      a: {}", 5, 7, "'a' is there twice"),
        ("tenants:\n  acme:\n    jobs:\n      a:", 4, 7, "job 'a' has no 'task'"),
        (job("task: a.b, evry: 30s"), 4, 27, "job 'report' has no field 'evry': did you mean 'every'?"),
        (job("every: 30s"), 4, 7, "job 'report' has no 'task'"),
        (job("task: a.b"), 4, 7, "exactly one of cron, every, after, at, manual"),
        (job("task: a.b, manual: true, every: 5s"), 4, 7, "exactly one of"),
        (job("task: a b, manual: true"), 4, 22, "task 'a b' must be"),
        (job("task: 5, manual: true"), 4, 22, "task is a text, like shop.tasks.report, not a number"),
        (job("task: a.b, cron: '61 * * * *'"), 4, 33, "cron field minute: '61'"),
        (job("task: a.b, every: 30"), 4, 34, "every is a text, like 30s, not a number"),
        (job("task: a.b, every: 30 s"), 4, 34, "every: '30 s' is not a duration"),
        (job("task: a.b, after: 1ms"), 4, 34, "after: 1 ms is not a whole number of seconds"),
        (job("task: a.b, at: 2026-13-01T00:00:00Z"), 4, 31, "at: "),
        (job("task: a.b, manual: maybe"), 4, 35, "manual is true or false, not a text"),
        (job("task: a.b, every: 5s, timezone: Mars"), 4, 48, "unknown time zone 'Mars'"),
        (job("task: a.b, every: 5s, start: x"), 4, 45, "start: 'x' is not an instant"),
        (job("task: a.b, every: 5s, tag: other"), 4, 43, "tag 'other' does not belong to tenant 'acme'"),
        (job("task: a.b, every: 5s, tag: A"), 4, 43, "tag 'A' must be"),
        (job("task: a.b, every: 5s, params: [1]"), 4, 46, "params is a mapping, not a list"),
        (job("task: a.b, every: 5s, params: {1: 2}"), 4, 46, "the key 1"),
        (job("task: a.b, every: 5s, params: {a: .nan}"), 4, 50, "params.a is nan"),
        (job("task: a.b, every: 5s, priority: 10"), 4, 48, "priority: 10"),
        (job("task: a.b, every: 5s, priority: true"), 4, 48, "priority is a whole number, not true or false"),
        (job("task: a.b, every: 5s, overlap: no"), 4, 47, "overlap: 'no'"),
        (job("task: a.b, every: 5s, misfire: all"), 4, 47, "misfire: all takes overlap queue or allow"),
        (
            job("task: a.b, every: 5s, no_worker: somewhere"),
            4,
            49,
            "is not one of wait, wait:<duration>, skip, fail, ov",
        ),
        (job("task: a.b, every: 5s, no_worker: overflow:acme"), 4, 49, "the tag that its runs ask for already"),
        (job("tag: acme.a, task: a.b, every: 5s, no_worker: overflow:b"), 4, 62, "tag 'b' does not belong to tenant"),
        (job("task: a.b, every: 5s, timeout: 5"), 4, 47, "timeout is a text, like 5m, not a number"),
        (job("task: a.b, every: 5s, timeout: 1ms"), 4, 47, "timeout: '1ms' is too short"),
        (job("task: a.b, every: 5s, timeout: 5s, soft_timeout: 5s"), 4, 65, "soft_timeout 5s must be shorter"),
        (job("task: a.b, every: 5s, retry: yes"), 4, 45, "retry is a whole number or a mapping, like 5 or {attempts"),
        (job("task: a.b, every: 5s, retry: 0"), 4, 45, "retry.attempts: 0 is not a whole number"),
        (job("task: a.b, every: 5s, retry: {delay: 5s}"), 4, 45, "retry.attempts is missing"),
        (job("task: a.b, every: 5s, retry: {atempts: 5}"), 4, 46, "no such field: did you mean 'attempts'?"),
        (job("task: a.b, every: 5s, retry: {attempts: 5, delay: x}"), 4, 66, "retry.delay: 'x' is not a duration"),
        (job("task: a.b, every: 5s, retry: {attempts: 5, delay: 90}"), 4, 66, "delay is a text, like 10s, not"),
        (job("task: a.b, every: 5s, retry: {attempts: 5, max_delay: 1.5}"), 4, 70, "max_delay is a text, like 10m,"),
        (job("task: a.b, every: 5s, retry: {attempts: true}"), 4, 56, "attempts is a whole number, not true or false"),
        (job("task: a.b, every: 5s, retry: {attempts: 5, jitter: 1}"), 4, 67, "jitter is true or false, not a number"),
        (job("task: a.b, every: 5s, retry: {attempts: 5, on: A}"), 4, 63, "on is a list, like [ConnectionError], not"),
        (job("task: a.b, every: 5s, retry: {attempts: 5, on: []}"), 4, 63, "retry.on: it names no exception: leave it"),
        (job("task: a.b, every: 5s, retry: {attempts: 5, on: [1]}"), 4, 63, "retry.on: 1 is not the name of"),
        (job("task: a.b, every: 5s, task: c.d"), 4, 38, "'task' is there twice"),
        (job("task: a.b, every: 5s"), 0, 0, ""),
        ("tenants:\n  acme:\n    jobs: {a: {task: [}", 3, 23, "no YAML"),
    ],
)
def test_a_mistake_is_named_with_its_place(text: str, line: int, column: int, why: str) -> None:
    """Line and column count from 1, and are the value's, or the key's where that is what is wrong."""
    if not why:
        assert 1 == len(read_jobs_file(text).jobs)
        return
    with pytest.raises(BadJobsFile) as caught:
        read_jobs_file(text, "jobs.yaml")

    assert str(caught.value).startswith(f"jobs.yaml:{line}:")
    assert why in str(caught.value)
    assert column == caught.value.column


@settings(max_examples=100, deadline=None)
@given(st.lists(st.sampled_from((TEMPLATES + FILE).replace("\n", "\n ").split(" ")), max_size=20))
def test_no_file_breaks_the_reader(words: list[str]) -> None:
    """Whatever is in it, the answer is a file or one error of ours."""
    try:
        read = read_jobs_file(" ".join(words))
    except BadJobsFile as error:
        assert error.line >= 1  # noqa: PT017 - either is right
    else:
        assert set(read.tenants) >= {each.tenant for each in read.jobs}


COMMON = TEMPLATES.replace("tenants:\n", "")
SAID = """\
tenants:
  acme: {templates: [mail], jobs: {nightly: {params: {region: apac}}, weekly: {template: nightly, every: 7d}}}
  globex: {jobs: {nightly: off}, limits: {running: 5}}
  initech: &same {timezone: UTC}
  hooli: *same
  umbrella:
"""


def all_of(read: JobsFile) -> object:
    """What a file says, whenever it is read; the order of what a tenants' `<<` brings is nobody's."""
    jobs = sorted((job.tenant, prepare(job)) for job in read.jobs)
    return sorted(read.tenants), jobs, read.templates, read.limits, sorted(read.off)


@pytest.mark.parametrize(
    "text",
    [
        FILE,
        COMMON + SAID,
        SAID + COMMON,
        json.dumps({"tenants": {"acme": {"jobs": {"a": {"task": "a.b", "every": "1h"}}}}}),
        "tenants:\n  <<: {acme: {}, globex: {}}\n  acme: {timezone: UTC}\n",
        "&top\ntenants: {acme: }\n",
        "tenants: &all {acme: }\n",
        "tenants:\n",
    ],
)  # fmt: skip
def test_a_file_says_the_same_tenant_by_tenant(text: str) -> None:
    """As it does when it is read whole, wherever in it stands what is common: as a text, and as a file."""
    whole = all_of(read_jobs_file(text))

    for source in (text, io.StringIO(text)):
        found = JobsFile()
        for part in stream_parts(source):
            found.add(part)
        assert whole == all_of(found)


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("tenants: {acme: {}, acme: {}}", "1:21: 'acme' is there twice"),
        ("tenants: {acme: {}}\ntenants: {globex: {}}", "2:1: 'tenants' is there twice"),
        ("tenants: {acme: {}}\ntemplate: {}", "2:1: a jobs file has no field 'template': did you mean 'templates'?"),
        ("templates: {a: {manual: true}}", "1:1: there is no 'tenants' in it"),
        ("", "1:1: there is no 'tenants' in it"),
        ("[acme]", "1:1: a jobs file is a mapping, not a list"),
        ("tenants: {acme: {}}\n---\na: b", "2:1: no YAML"),
        ('tenants: {acme: {}}\n"temp\\x6cates": {}', "2:1: 'templates' is to be written so, without escapes"),
        ("tenants: [acme]", "1:10: tenants is a mapping by name, not a list"),
        ("tenants: {Acme: {}}", "1:11: tenant 'Acme' must be"),
        ("tenants: {acme: {jobs: {a: {task: a b, manual: true}}}}", "1:35: task 'a b' must be"),
        (SAID + "templates: {nightly: {cron: 61 * * * *}}", "7:29: cron field minute: '61'"),
    ],
)
def test_a_mistake_is_found_tenant_by_tenant(text: str, told: str) -> None:
    """Also one that is none of a tenant."""
    for source in (text, io.StringIO(text)):
        with pytest.raises(BadJobsFile, match=re.escape(told)):
            list(stream_parts(source))


def test_what_templates_make_of_many_tenants_is_not_held_together(monkeypatch: pytest.MonkeyPatch) -> None:
    """Of one tenant it may be as much as of a file that is read whole; a job of a template is made once."""
    monkeypatch.setattr(jobs_file, "MOST_BYTES", 3_000)
    text = COMMON + "tenants:\n" + "".join(f"  t{number}:\n" for number in range(100))

    parts = list(stream_parts(io.StringIO(text)))

    assert 1 == len({id(job.made) for part in parts for job in part.jobs})
    assert ("t99", "t99") == (parts[99].jobs[0].of("t99").tenant, parts[99].jobs[0].of("t99").tag)
    with pytest.raises(BadJobsFile, match="too large with its templates filled in"):
        read_jobs_file(text)
