"""Chains: how an event says which earlier events of its aggregate there are, so that a consumer sees what it missed.

Versions cannot say it. A consumer handles some of the types of an aggregate's events and sees holes that are no gaps; one
change may tell two events of one version; an aggregate that is made again begins anew. So each event carries its number in
the outbox, and for each type the number of the last earlier event of its aggregate.

Invariants
  no false gap   an event that no handled type of the consumer had lost is never taken for one behind a gap;
  no blind spot  the first handled event behind lost ones of its aggregate shows the gap, as long as the outbox of its
                 daemon still has one of them (seven days).
"""

from collections.abc import Collection, Iterable, Mapping, Sequence
from functools import cache
from typing import Any

from sqlalchemy import Select, Table, bindparam, func, select
from sqlalchemy.ext.asyncio import AsyncConnection

NUMBER, PREVIOUS = "ce-number", "ce-previous"
"""Headers of an event: its number in the outbox, and `allocation.reserved=12 allocation.renewed=15`."""


async def chains(sql: AsyncConnection, outbox: Table, rows: Sequence[Mapping[str, Any]]) -> dict[int, dict[str, int]]:
    """For each outbox row, by its number: the last earlier event of its aggregate, by subject."""
    aggregates = {row["aggregate"] for row in rows}
    low, high = min(row["number"] for row in rows), max(row["number"] for row in rows)
    before, between = _statements(outbox)
    given = {"aggregates": list(aggregates), "low": low, "high": high}
    last: dict[str, dict[str, int]] = {aggregate: {} for aggregate in aggregates}
    for aggregate, subject, number in await sql.execute(before, given):
        last[aggregate][subject] = number
    if low == high:
        return {low: last[rows[0]["aggregate"]]}
    found: dict[int, dict[str, int]] = {}
    for aggregate, subject, number in await sql.execute(between, given):
        found[number] = dict(last[aggregate])
        last[aggregate][subject] = number
    return found


@cache
def _statements(outbox: Table) -> tuple[Select[Any], Select[Any]]:
    """The last numbers before `low` of some aggregates, by subject, and all theirs from `low` to `high`.

    Made once, as every event waits for it.
    """
    of_them = outbox.c.aggregate.in_(bindparam("aggregates", expanding=True))
    before = (
        select(outbox.c.aggregate, outbox.c.subject, func.max(outbox.c.number))
        .where(of_them & (outbox.c.number < bindparam("low")))
        .group_by(outbox.c.aggregate, outbox.c.subject)
    )
    between = (
        select(outbox.c.aggregate, outbox.c.subject, outbox.c.number)
        .where(of_them & outbox.c.number.between(bindparam("low"), bindparam("high")))
        .order_by(outbox.c.number)
    )
    return before, between


def written(previous: Mapping[str, int]) -> str:
    """A chain as a header; subjects without `catalyst.v1.<service>.`, which all of them share."""
    return " ".join(f"{subject.split('.', 3)[3]}={number}" for subject, number in sorted(previous.items()))


def read(header: str, subject: str) -> dict[str, int]:
    """The chain in the header of an event of `subject`; what is no chain says nothing."""
    root = ".".join(subject.split(".")[:3])
    pairs = (word.rpartition("=") for word in header.split())
    return {f"{root}.{name}": int(number) for name, _, number in pairs if name and number.isdecimal()}


def wanted(previous: Mapping[str, int], subjects: Collection[str]) -> int:
    """Number of the last earlier event that a consumer of `subjects` must have seen; 0: there is none."""
    return max(_of(previous, subjects), default=0)


def _of(previous: Mapping[str, int], subjects: Collection[str]) -> Iterable[int]:
    return (number for subject, number in previous.items() if subject in subjects)
