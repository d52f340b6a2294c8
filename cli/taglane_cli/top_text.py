"""Spells what `taglane top` shows: numbers, ages, spark lines. Pure."""

from __future__ import annotations

from typing import TYPE_CHECKING

from taglane.model.duration import format_duration
from taglane_scheduler.care.attention import KINDS

from taglane_cli.render import cell

if TYPE_CHECKING:
    from collections.abc import Sequence

    from taglane.model.run import RunInfo
    from taglane.model.standing import Minute, TagStanding, TenantStanding
    from taglane_scheduler.care.attention import Attention
    from taglane_scheduler.care.board import Totals

SPARK_WIDTH = 20
_BARS = "▁▂▃▄▅▆▇█"

Span = tuple[str, str]
"""A text and its style, '' for none."""

TENANT_COLUMNS = ("TENANT", "STATE", "BACKLOG", "OLDEST", "RUNNING", "OK", "FAILED", "LAST HOUR", "WORKERS")
TAG_COLUMNS = ("TAG", "QUEUED", "BY STEP", "DELAYED", "PARKED", "OLDEST", "RUNNING", "WORKERS", "SLOTS")
RUN_COLUMNS = ("RUN", "JOB", "TASK", "TAG", "WORKER", "ATTEMPT", "FOR")


def count(number: int) -> str:
    """Spell a number shortly: 950, 12.3k, 4.5M."""
    for size, unit in ((1_000_000, "M"), (10_000, "k")):
        if number >= size:
            short = number / (1_000_000 if unit == "M" else 1_000)
            return f"{short:.1f}{unit}" if short < 100 else f"{short:.0f}{unit}"
    return str(number)


def age(ms: int | None) -> str:
    """Spell for how long something has been, by its largest unit or two: 45s, 3m20s, 2h5m, 4d."""
    if ms is None:
        return "-"
    for unit, finer in ((172_800_000, 86_400_000), (3_600_000, 60_000), (60_000, 1_000)):
        if ms >= unit:
            return format_duration(ms // finer * finer)
    return f"{max(0, ms) // 1_000}s"


def spark(minutes: Sequence[Minute], width: int = SPARK_WIDTH) -> list[Span]:
    """Draw what ended, the oldest first: a bar for some minutes each, red where more of it failed than not."""
    if not minutes:
        return [(" " * width, "")]
    each = max(1, len(minutes) // width)
    groups = [minutes[start : start + each] for start in range(0, len(minutes), each)][-width:]
    sums = [(sum(m.succeeded for m in group), sum(m.failed for m in group)) for group in groups]
    most = max(ok + bad for ok, bad in sums)
    return [_bar(ok, bad, most) for ok, bad in sums]


def _bar(ok: int, bad: int, most: int) -> Span:
    total = ok + bad
    if not total:
        return " ", ""
    bar = _BARS[min(len(_BARS) - 1, (len(_BARS) * total - 1) // most)]
    return bar, "red" if bad > ok else "yellow" if bad else "green"


def tenant_cells(each: TenantStanding) -> list[Sequence[Span]]:
    """Return the cells of a tenant's row, as `TENANT_COLUMNS` names them."""
    state = "?" if not each.readable else each.state or ("at limit" if each.at_limit else "")
    workers = f"{each.workers}" + (f" ({each.stalled} stalled)" if each.stalled else "")
    lonely = any(tag.waits_in_vain for tag in each.tags)
    return [
        [(each.tenant, "bold red" if lonely else "bold")],
        [(state, "yellow")],
        [(count(each.queued + each.delayed), "")],
        [(age(each.oldest), "red" if lonely else "")],
        [(count(each.running), "cyan" if each.running else "")],
        [(count(each.succeeded), "")],
        [(count(each.failed), "red" if each.failed else "")],
        spark(each.recent),
        [(workers, "red" if each.stalled or lonely else "")],
    ]


def tag_cells(each: TagStanding) -> list[Sequence[Span]]:
    """Likewise of a tag: `TAG_COLUMNS`."""
    lonely = "red" if each.waits_in_vain else ""
    return [
        [(each.tag, f"bold {lonely}".strip())],
        [(count(each.queued), "")],
        [("/".join(count(number) for number in each.by_step), "dim")],
        [(count(each.delayed), "")],
        [(count(each.parked), "")],
        [(age(each.oldest), lonely)],
        [(count(each.running), "")],
        [("pool" if each.tag.startswith("shared.") else str(each.workers), lonely)],
        [(str(each.slots) if each.workers else "-", "")],
    ]


def run_cells(each: RunInfo, now: int) -> list[Sequence[Span]]:
    """Likewise of a run: `RUN_COLUMNS`. What a tenant has said is spelled out where it could steer the terminal."""
    texts = (each.id, each.job, each.task, each.tag, each.worker, str(each.attempt))
    ran = age(now - each.started_at) if each.started_at is not None else "-"
    return [*([(cell(text)[:60], "")] for text in texts), [(ran, "")]]


def headline(where: str, totals: Totals, trouble: str, silent: float | None) -> list[Span]:
    """Return the first line: where, how much of everything, and, while the server is gone, since when."""
    spans: list[Span] = [(f"taglane top  {where}  ", "bold")]
    if trouble:
        since = "" if silent is None else f" (last heard {age(round(silent * 1_000))} ago)"
        return [*spans, (f"{trouble.splitlines()[0]}; trying again{since}", "bold red")]
    told = [
        ("tenants", count(totals.tenants)),
        ("backlog", count(totals.queued + totals.delayed)),
        ("oldest", age(totals.oldest)),
        ("running", count(totals.running)),
        ("workers", count(totals.workers)),
        ("ok/h", count(totals.succeeded)),
        ("failed/h", count(totals.failed)),
    ]
    if totals.read < totals.tenants:
        told.insert(1, ("read", count(totals.read)))
    for name, value in told:
        spans += [(f"{name} ", "dim"), (f"{value}  ", "bold" if value not in {"0", "-"} else "")]
    return spans


def attention_lines(found: Sequence[Attention], now: int, most: int) -> list[list[Span]]:
    """Return what needs attention, a line each, and how much more there is."""
    lines: list[list[Span]] = []
    for each in found[:most]:
        is_told = each.kind in KINDS and each.kind != "failing"  # the text has it already
        since = "" if is_told or each.since is None else f", since {age(now - each.since)}"
        grave = "red" if each.kind in {"no_worker", "stalled", "failing"} else "yellow"
        line: list[Span] = [("! ", grave), (f"{cell(each.tenant or '-')}  ", "bold"), (f"{cell(each.text)}{since}", "")]
        if each.command:
            line.append((f"  {cell(each.command)}", "dim"))
        lines.append(line)
    if len(found) > most:
        lines.append([(f"  and {len(found) - most} more", "dim")])
    return lines or [[("nothing needs attention", "green")]]
