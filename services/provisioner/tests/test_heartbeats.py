"""Signs of life: heard often, written rarely, asked for as often as can be listened to."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from catalyst.provisioner.v1 import resources_pb2 as pb
from catalyst_provisioner.heartbeats import Heartbeats
from catalyst_provisioner.observing import OtherCluster
from catalyst_provisioner.store import EnrolmentRow

NOON = datetime(2026, 1, 1, 12, tzinfo=UTC)
BASE = timedelta(seconds=15)


class Tables:
    """What is written, and when."""

    def __init__(self) -> None:
        self.at = 0.0
        self.moments: list[tuple[str, float]] = []

    @property
    def now(self) -> datetime:
        return NOON + timedelta(seconds=self.at)

    async def again(self, step: Any) -> None:
        await step(self)

    async def heard_of(self, sovereign: str, _cluster: str, at: datetime) -> None:
        self.moments.append((sovereign, (at - NOON).total_seconds()))


def agent(number: int = 1) -> EnrolmentRow:
    return EnrolmentRow(f"{number:064}", f"bank{number}", "c", "cp1", None, NOON, f"srv-{number}", "key", None, 0)


def beat(number: int = 1, seq: int = 1, **changes: Any) -> Any:
    said = pb.AgentHeartbeat(api_healthy=True, **changes)
    return pb.AgentReport(
        seq=seq, cluster=f"sovereigns/bank{number}/clusters/c", server_id=f"srv-{number}", heartbeat=said
    )


@pytest.fixture
def tables() -> Tables:
    return Tables()


@pytest.fixture
def ears(tables: Tables) -> Heartbeats:
    work: Any = tables
    return Heartbeats(work, BASE, clock=lambda: tables.at)


def test_only_what_says_the_same_as_what_was_written_is_remembered(ears: Heartbeats) -> None:
    row = agent()
    ears.begun(row)
    assert not ears.heard(row, [beat()]), "the first one is news"
    ears.written(row, [beat()], 0.01)
    assert ears.heard(row, [beat(seq=2), beat(seq=3)])
    assert not ears.heard(row, [beat(seq=4, voting_members=2)])
    assert not ears.heard(row, [beat(seq=4), pb.AgentReport(seq=5, log_lines=pb.AgentLogLines())])
    with pytest.raises(OtherCluster):
        ears.heard(row, [pb.AgentReport(seq=4, cluster="sovereigns/other/clusters/c", heartbeat=beat().heartbeat)])
    ears.begun(row)
    assert not ears.heard(row, [beat(seq=4)]), "so is the first one of another stream"


async def test_an_idle_cluster_is_written_once_a_minute_and_never_looks_silent(
    ears: Heartbeats, tables: Tables
) -> None:
    row, behind = agent(), 0.0
    ears.begun(row)
    ears.written(row, [beat()], 0.01)
    for second in range(1, 3601):
        tables.at = float(second)
        if second % 15 == 0:
            assert ears.heard(row, [beat(seq=second)])
        await ears.settle()
        behind = max(behind, second - (tables.moments[-1][1] if tables.moments else 0.0))
    assert len(tables.moments) <= 60
    assert behind < 90


async def test_silence_is_counted_from_the_last_word(ears: Heartbeats, tables: Tables) -> None:
    quiet, left = agent(1), agent(2)
    for number, row in ((1, quiet), (2, left)):
        ears.begun(row)
        ears.written(row, [beat(number)], 0.01)
        tables.at = 15.0 * number
        assert ears.heard(row, [beat(number, seq=2)])
    ears.over(left)
    tables.at = 46.0
    await ears.settle()
    assert tables.moments == [("bank1", 15.0), ("bank2", 30.0)]
    tables.at = 300.0
    await ears.settle()
    assert len(tables.moments) == 2, "nothing was heard since"


async def test_what_is_owed_is_written_when_the_daemon_ends(ears: Heartbeats, tables: Tables) -> None:
    row = agent()
    ears.begun(row)
    ears.written(row, [beat()], 0.01)
    tables.at = 5.0
    assert ears.heard(row, [beat(seq=2)])
    await ears.settle()
    assert tables.moments == []
    await ears.settle(everything=True)
    assert tables.moments == [("bank1", 5.0)]


def test_agents_speak_the_less_often_the_more_there_are_and_the_longer_reports_wait(tables: Tables) -> None:
    work: Any = tables
    ears = Heartbeats(work, timedelta(seconds=1), clock=lambda: tables.at)
    assert ears.interval == timedelta(seconds=1)
    for number in range(100):
        ears.begun(agent(number))
    assert ears.interval == timedelta(seconds=10)
    for number in range(100, 1000):
        ears.begun(agent(number))
    assert ears.interval == timedelta(seconds=30), "three of them are lost before an agent counts as silent"
    for number in range(1000):
        ears.over(agent(number))
    assert ears.interval == timedelta(seconds=1)
    for _ in range(50):
        ears.written(agent(), [beat()], 0.5)
    assert timedelta(seconds=9) < ears.interval <= timedelta(seconds=10)
