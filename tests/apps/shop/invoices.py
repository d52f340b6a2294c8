"""A billing run: one invoice a seat. Pure, and in whole cents throughout."""

from __future__ import annotations

import hashlib
import re
from typing import NamedTuple, TypedDict

VAT_PERCENT = 19


class Invoice(NamedTuple):
    """One seat's bill for one month; amounts in cents."""

    number: str
    net_cents: int
    vat_cents: int


class BillingRun(TypedDict):
    """The sums of a run in cents; `checksum` is the SHA-256, in hex, of all its invoices in their order."""

    period: str
    invoices: int
    net_cents: int
    vat_cents: int
    total_cents: int
    checksum: str


def bill(*, plan_cents: int, seats: int, period: str, discount_percent: int = 0) -> BillingRun:
    """The run that bills `seats` seats at `plan_cents` each. ValueError as for `invoices_of`."""
    invoices = invoices_of(plan_cents=plan_cents, seats=seats, period=period, discount_percent=discount_percent)
    net, vat = sum(one.net_cents for one in invoices), sum(one.vat_cents for one in invoices)
    lines = "".join(f"{one.number};{one.net_cents};{one.vat_cents}\n" for one in invoices)
    return BillingRun(
        period=period,
        invoices=len(invoices),
        net_cents=net,
        vat_cents=vat,
        total_cents=net + vat,
        checksum=hashlib.sha256(lines.encode()).hexdigest(),
    )


def invoices_of(*, plan_cents: int, seats: int, period: str, discount_percent: int = 0) -> list[Invoice]:
    """One invoice a seat, numbered `2026-01-0001` and on; discount and VAT are each rounded half up.

    ValueError for a period that is no month (`2026-01`), a negative amount or count, a discount outside 0 to 100.
    """
    if not re.fullmatch(r"\d{4}-(0[1-9]|1[0-2])", period):
        raise ValueError(f"period {period!r} is no month such as 2026-01")
    if plan_cents < 0 or seats < 0 or not 0 <= discount_percent <= 100:
        raise ValueError(f"can't bill {seats} seats at {plan_cents} cents less {discount_percent} %")
    net = plan_cents - _percent(plan_cents, discount_percent)
    vat = _percent(net, VAT_PERCENT)
    return [Invoice(f"{period}-{seat:04d}", net, vat) for seat in range(1, seats + 1)]


def _percent(cents: int, percent: int) -> int:
    return (cents * percent + 50) // 100
