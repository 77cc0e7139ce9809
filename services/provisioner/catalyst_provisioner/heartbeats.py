"""Signs of life: heard often, written rarely, and asked for as often as this daemon can listen.

Invariants
  news at once  a heartbeat that says anything new goes the way of all reports; only one that says what is written is
                remembered here, and its moment is written together with those of others;
  never stale   the moment that is written is at most `OLDEST` behind the last one that was heard, and it is that one as
                soon as nothing is heard any more: silence is counted from the last word;
  never deaf    agents are told how often to speak, so that a hundred of them do not take what the runs need.
"""

import asyncio
import time
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta

from catalyst.provisioner.v1 import resources_pb2
from catalyst_mesh import Work
from catalyst_mesh.waits import rest

from . import observing
from .domain.conditions import SILENCE
from .store import EnrolmentRow, Store

Report = resources_pb2.AgentReport
Key = tuple[str, str]
MOST_A_SECOND = 10
"""Heartbeats of all agents of this replica together."""
BUSY = 20
"""Times as long as a report had to wait for its commit that agents rest at least."""
SLOWEST = timedelta(seconds=30)
"""Longest time between two heartbeats: three of them are lost before an agent counts as silent."""
OLDEST = timedelta(seconds=75)
"""How far what is written may be behind what was heard, less than after what an agent counts as silent."""
LATELY = 0.2
"""Share of the newest wait in the one that counts."""


@dataclass(slots=True)
class _Heard:
    """Of one cluster, in seconds of this process."""

    said: bytes
    at: float
    written: float


class Heartbeats:
    """What this replica hears; a worker writes what is owed.

    base   time between heartbeats while there are few agents
    """

    def __init__(self, work: Work[Store], base: timedelta, clock: Callable[[], float] = time.monotonic) -> None:
        self._work = work
        self._base = base.total_seconds()
        self._clock = clock
        self._streams: Counter[Key] = Counter()
        self._heard: dict[Key, _Heard] = {}
        self._waited = 0.0

    @property
    def interval(self) -> timedelta:
        """How often an agent is to speak now."""
        wished = max(self._base, self._streams.total() / MOST_A_SECOND, self._waited * BUSY)
        return timedelta(seconds=min(wished, max(SLOWEST.total_seconds(), self._base)))

    def begun(self, row: EnrolmentRow) -> None:
        """An agent has come: what it says first is news."""
        self._streams[_key(row)] += 1
        self._heard.pop(_key(row), None)

    def over(self, row: EnrolmentRow) -> None:
        """An agent's stream has ended."""
        self._streams[_key(row)] -= 1
        self._streams += Counter()  # none is kept that is at zero

    def heard(self, row: EnrolmentRow, reports: Sequence[Report]) -> bool:
        """Whether all of them are heartbeats of this agent that say what is written already; then they are remembered.

        The first one after a silence is news, whatever it says: since then it is heard again.
        """
        known = self._heard.get(_key(row))
        if (
            known is None
            or self._clock() - known.at > SILENCE.total_seconds()
            or any(_said(report) != known.said for report in reports)
        ):
            return False
        for report in reports:
            observing.demand_own(row, report)
        known.at = self._clock()
        return True

    def written(self, row: EnrolmentRow, reports: Sequence[Report], took: float) -> None:
        """They were committed after so many seconds."""
        self._waited += LATELY * (took - self._waited)
        now = self._clock()
        said = [word for report in reports if (word := _said(report)) is not None]
        if said:
            self._heard[_key(row)] = _Heard(said[-1], now, now)
        elif known := self._heard.get(_key(row)):
            known.at = known.written = now  # any report is a sign of life

    async def run(self, stop: asyncio.Event) -> None:
        """Write what is owed until `stop`, and at the end all of it."""
        while not stop.is_set():
            await rest(stop, min(1.0, self._base))
            await self.settle(everything=stop.is_set())

    async def settle(self, *, everything: bool = False) -> None:
        """Write moments that are due in one transaction."""
        due = {key: known.at for key, known in self._heard.items() if known.at > known.written}
        if not everything:
            due = {key: at for key, at in due.items() if self._is_due(key, self._heard[key])}
        if due:
            now = self._clock()
            ages = {key: timedelta(seconds=now - at) for key, at in due.items()}
            await self._work.again(lambda tx: _aged(tx, ages))
            for key, at in due.items():
                if known := self._heard.get(key):
                    known.written = max(known.written, at)
        for key in [k for k, known in self._heard.items() if not self._streams[k] and known.at <= known.written]:
            del self._heard[key]

    def _is_due(self, key: Key, known: _Heard) -> bool:
        now, interval = self._clock(), self.interval.total_seconds()
        oldest = min(OLDEST.total_seconds(), 5 * interval)
        is_silent = not self._streams[key] or now - known.at > 2 * interval
        return is_silent or now - known.written + interval > oldest


async def _aged(tx: Store, ages: Mapping[Key, timedelta]) -> None:
    for (sovereign, cluster), age in sorted(ages.items()):
        await tx.heard_of(sovereign, cluster, tx.now - age)


def _said(report: Report) -> bytes | None:
    """What a heartbeat says; None where it is none."""
    if report.WhichOneof("report") != "heartbeat":
        return None
    return report.heartbeat.SerializeToString(deterministic=True)


def _key(row: EnrolmentRow) -> Key:
    return row.sovereign, row.cluster
