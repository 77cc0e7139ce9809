"""Rows of Applications that Organizations run on clusters."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import datetime
from typing import Any

from catalyst_mesh import Transaction
from sqlalchemy import ColumnElement, delete, insert, select, update

from ..domain.component_states import Condition, Release
from ..domain.workloads import Hosted
from .tables import workload_lists, workloads


@dataclass(frozen=True, slots=True)
class WorkloadList:
    """What was wished last of a cluster."""

    fence: int
    command: int
    """Number of the command that carries it."""
    told: int
    """Highest number of such a command that the agent has told of."""
    wished: Sequence[Mapping[str, Any]]


@dataclass(frozen=True, slots=True)
class WorkloadRow:
    """What the agent told last of one."""

    application: str
    seen: Hosted
    was_ready: bool
    observed_at: datetime


class WorkloadRows(Transaction):
    """Lists, and what stands."""

    async def workload_list(self, sovereign: str, cluster: str) -> WorkloadList | None:
        """The list of a cluster; None: nobody has ever wished anything there."""
        t = workload_lists
        query = select(t.c.fence, t.c.command, t.c.told, t.c.wished).where(_list(sovereign, cluster))
        row = (await self.sql.execute(query)).mappings().one_or_none()
        return WorkloadList(**row) if row else None

    async def keep_workload_list(self, sovereign: str, cluster: str, kept: WorkloadList) -> None:
        """Write a list in place of the one before."""
        values = asdict(kept)
        if await self.workload_list(sovereign, cluster) is None:
            await self.write(insert(workload_lists).values({"sovereign": sovereign, "cluster": cluster, **values}))
        else:
            await self.write(update(workload_lists).where(_list(sovereign, cluster)).values(values))

    async def workloads(self, sovereign: str, cluster: str) -> list[WorkloadRow]:
        """What the agent told last, by name."""
        t = workloads
        query = select(t.c.application, t.c.seen, t.c.was_ready, t.c.observed_at).where(_of(sovereign, cluster))
        rows = (await self.sql.execute(query.order_by(t.c.application))).mappings()
        return [WorkloadRow(**{**row, "seen": _hosted(row["seen"])}) for row in rows]

    async def keep_workloads(self, sovereign: str, cluster: str, rows: Sequence[WorkloadRow], *, told: int) -> None:
        """Put what an agent told in place of what it told before; it tells all that stands.

        told   number of the command that it has taken over by now
        """
        await self.sql.execute(delete(workloads).where(_of(sovereign, cluster)))
        for row in rows:
            key = {"sovereign": sovereign, "cluster": cluster}
            await self.write(insert(workloads).values({**key, **asdict(row)}))
        mine = _list(sovereign, cluster) & (workload_lists.c.told < told)
        await self.sql.execute(update(workload_lists).where(mine).values(told=told))


def _list(sovereign: str, cluster: str) -> ColumnElement[bool]:
    return (workload_lists.c.sovereign == sovereign) & (workload_lists.c.cluster == cluster)


def _of(sovereign: str, cluster: str) -> ColumnElement[bool]:
    return (workloads.c.sovereign == sovereign) & (workloads.c.cluster == cluster)


def _hosted(raw: Mapping[str, Any]) -> Hosted:
    release = raw["release"]
    if release is not None:
        release = Release(**{**release, "conditions": tuple(Condition(**one) for one in release["conditions"])})
    return Hosted(**{**raw, "release": release})
