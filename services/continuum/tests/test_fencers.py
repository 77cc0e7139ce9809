"""The daemon's own fencers over the suite of all, and the ladder that runs them at once."""

import asyncio
import errno
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx
import pytest
from catalyst_continuum.domain.authority import Authority, Moment
from catalyst_continuum.workers.fencers.deadman import DeadMan
from catalyst_continuum.workers.fencers.gateway import Admission, Drain, GatewayFencer
from catalyst_continuum.workers.fencers.http_gates import HttpGates
from catalyst_continuum.workers.fencers.ladder import Ladder
from catalyst_promoter_demo import admission
from catalyst_promoter_demo.behind import Entry, Whoami
from catalyst_promoter_demo.gateway import Gateway
from catalyst_promoter_demo.web import Server
from catalyst_sdk import Permanent, Secret, Temporary, deadman
from catalyst_sdk.continuum import DrainResult, Effect, FenceProof, FenceView
from catalyst_sdk.deadman import boot_id, boottime
from catalyst_testkit.continuum.fencer_suite import DistantFencerSuite, FencerBench, FencerSuite
from catalyst_testkit.servers import free_port
from catalyst_testkit.waiting import eventually

EAST = "sb-east-rtz-dev"


def now() -> Moment:
    return Moment(boottime(), 0.0)


@dataclass
class Memory:
    """Stands behind a gateway and takes every write, when it is let go on."""

    go: asyncio.Event = field(default_factory=asyncio.Event)
    inside: int = 0

    async def write(self, kind: str, n: int) -> Entry:
        self.inside += 1
        await self.go.wait()
        return Entry(1, 1, kind, n, EAST, 0)

    async def find(self, kind: str, n: int) -> Entry | None:
        return None

    async def read(self, kind: str, after: int, most: int) -> list[Entry]:
        return []

    async def whoami(self) -> Whoami:
        return Whoami(EAST, "primary", 1, True, "")


class Served:
    """The demo application's gateway, served from this process; started again, it reads its order from the disk."""

    def __init__(self, home: Path) -> None:
        self._home = home
        self._port = free_port()
        self._server: Server | None = None
        self._serving: asyncio.Task[None] | None = None
        self.memory = Memory()

    def gates(self, secret: str = "right") -> HttpGates:
        """What a fencer asks."""
        return HttpGates({EAST: f"127.0.0.1:{self._port}"}, Secret(secret))

    async def start(self) -> None:
        self.memory.go.set()
        app = Gateway(self.memory, admission.Admission(self._home / "admission.json")).application("right")
        self._server = Server(app, "127.0.0.1", self._port)
        self._serving = await self._server.listen()

    async def stop(self) -> None:
        assert self._server is not None
        assert self._serving is not None
        self._server.should_exit = self._server.force_exit = True
        await self._serving

    async def restart(self) -> None:
        if self._serving is not None and not self._serving.done():
            await self.stop()
        await self.start()

    async def write(self) -> bool | None:
        async with httpx.AsyncClient(trust_env=False) as http:
            answer = await http.post(f"http://127.0.0.1:{self._port}/rows", json={"n": 1}, timeout=60)
        return {201: True, 503: False}.get(answer.status_code)


@pytest.fixture
async def served(tmp_path: Path) -> AsyncIterator[Served]:
    gateway = Served(tmp_path)
    await gateway.start()
    yield gateway
    await gateway.stop()


class TestGateway(DistantFencerSuite):
    @pytest.fixture
    async def bench(self, served: Served) -> FencerBench:
        async def lead(epoch: int) -> None:
            """Writes need nothing but an open gateway."""

        return FencerBench(
            lambda: GatewayFencer(served.gates()), EAST, lead, served.write, served.restart, served.stop
        )  # fmt: skip - one call


class TestDeadMan(FencerSuite):
    @pytest.fixture
    def bench(self, tmp_path: Path) -> FencerBench:
        path = tmp_path / "folder" / "dead-man.json"
        leads: list[Authority] = []

        def made() -> DeadMan:
            man = DeadMan(path, region=EAST, clock=now)
            if leads:  # an agent that goes on tells it at its start
                man.vouch(leads[-1])
            return man

        async def lead(epoch: int) -> None:
            leads.append(Authority(epoch, now().boot + 600))

        async def write() -> bool:
            sign = deadman.read(path)
            return sign is not None and not sign.refuses(now=boottime())

        async def restart() -> None:
            """There is nothing in memory."""

        return FencerBench(made, EAST, lead, write, restart)


def test_a_sign_of_life_ends_with_the_authority_and_not_after_it(tmp_path: Path) -> None:
    path = tmp_path / "dead-man.json"
    man = DeadMan(path, region=EAST, clock=lambda: Moment(1000.0, 0.0))
    before = boottime()
    man.vouch(Authority(3, 1007.0))
    sign = deadman.read(path)
    assert sign is not None
    assert (sign.epoch, sign.boot_id) == (3, boot_id())
    assert before + 7 <= sign.boottime_deadline <= boottime() + 7


def test_nobody_is_vouched_for_without_authority_nor_in_an_older_epoch(tmp_path: Path) -> None:
    path = tmp_path / "dead-man.json"
    man = DeadMan(path, region=EAST, clock=now)
    man.vouch(Authority(3, now().boot + 60))
    man.vouch(Authority(2, now().boot + 600))
    sign = deadman.read(path)
    assert sign is not None
    assert (sign.epoch, sign.boottime_deadline <= boottime() + 60) == (3, True)
    man.vouch(None)
    ended = deadman.read(path)
    assert ended is not None
    assert "ended" in ended.refuses(now=boottime())


def test_a_file_that_cannot_be_written_vouches_for_nobody(tmp_path: Path) -> None:
    (tmp_path / "taken").write_text("no folder")
    man = DeadMan(tmp_path / "taken" / "dead-man.json", region=EAST, clock=now)
    man.vouch(Authority(3, now().boot + 60))
    assert deadman.read(tmp_path / "taken" / "dead-man.json") is None


async def test_a_promise_that_cannot_be_taken_back_in_writing_is_taken_back_with_its_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "dead-man.json"
    man = DeadMan(path, region=EAST, clock=now)
    man.vouch(Authority(3, now().boot + 600))

    def full(path: Path, sign: deadman.Sign) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(deadman, "write", full)
    assert await man.fence(region=EAST, epoch=3, run="r", budget=30) is not None
    assert deadman.read(path) is None


async def test_nothing_is_proved_while_a_write_is_inside(served: Served) -> None:
    served.memory.go.clear()
    writing = asyncio.create_task(served.write())
    await eventually(lambda: served.memory.inside == 1, within=60, what="a write is inside")
    fencer = GatewayFencer(served.gates())
    assert await fencer.fence(region=EAST, epoch=1, run="r", budget=0.2) is None
    assert await served.write() is False
    fencing = asyncio.create_task(fencer.fence(region=EAST, epoch=1, run="r", budget=30))
    served.memory.go.set()
    assert await writing is True
    assert await fencing is not None


async def test_a_drain_says_how_many_are_left_inside(served: Served) -> None:
    drain = Drain(served.gates())
    served.memory.go.clear()
    writing = asyncio.create_task(served.write())
    await eventually(lambda: served.memory.inside == 1, within=60, what="a write is inside")
    counts: list[int] = []

    async def counted() -> bool:
        # A gateway that answers later than the budget is a count that nobody knows, and an agent asks again.
        drained = await drain.drain(region=EAST, epoch=1, budget=0.2)
        counts.extend([] if drained.in_flight is None else [drained.in_flight])
        return bool(counts)

    await eventually(counted, within=60, what="the gateway tells its count")
    assert counts == [1]
    served.memory.go.set()
    assert await writing is True
    assert (await drain.drain(region=EAST, epoch=1, budget=30)).in_flight == 0
    assert await drain.undrain(region=EAST, epoch=1) is Effect.DONE
    assert await served.write() is True
    assert await drain.drain(region=EAST, epoch=0, budget=1) == DrainResult(None, 0.0)


async def test_a_gateway_that_does_not_know_the_token_proves_nothing(served: Served) -> None:
    with pytest.raises(Permanent):
        await served.gates("wrong").order(EAST, epoch=1, open=False, run="r", patience=5)
    assert await GatewayFencer(served.gates("wrong")).fence(region=EAST, epoch=1, run="r", budget=5) is None
    assert await served.write() is True


class Answers:
    """Gateways that answer every order alike, whatever it was."""

    def __init__(self, told: Admission) -> None:
        self._told = told

    async def admission(self, region: str, *, patience: float) -> Admission:
        return self._told

    async def order(self, region: str, *, epoch: int, open: bool, run: str, patience: float) -> Admission:
        return self._told


@pytest.mark.parametrize("told", [Admission(1, False, None), Admission(1, True, 0), Admission(1, True, None)])
async def test_a_gateway_that_is_open_or_cannot_say_who_is_inside_is_no_fence(told: Admission) -> None:
    assert await GatewayFencer(Answers(told)).fence(region=EAST, epoch=1, run="r", budget=30) is None
    assert (await Drain(Answers(told)).drain(region=EAST, epoch=1, budget=30)).in_flight is None


async def test_a_gateway_that_stays_closed_is_not_lifted() -> None:
    closed = GatewayFencer(Answers(Admission(1, False, 0)))
    assert await closed.unfence(region=EAST, epoch=1, run="r") is Effect.UNKNOWN


class Scripted:
    """A fencer that does what it is told to do."""

    local = True
    worst_case = 1.5

    def __init__(self, level: int, does: Callable[[], Any]) -> None:
        self.level = level
        self._does = does

    async def fence(self, *, region: str, epoch: int, run: str, budget: float) -> FenceProof | None:
        found = self._does()
        if isinstance(found, asyncio.Event):
            await found.wait()
        return FenceProof(self.level, boottime(), f"rung {self.level}") if found else None

    async def unfence(self, *, region: str, epoch: int, run: str) -> Effect:
        found = self._does()
        return found if isinstance(found, Effect) else Effect.DONE

    async def observe(self, *, region: str) -> FenceView:
        return FenceView(None)


def raising(error: Exception) -> Callable[[], Any]:
    def does() -> Any:
        raise error

    return does


async def climbed(*rungs: Scripted, budget: float = 30.0) -> tuple[frozenset[int], bool]:
    ladder = Ladder(rungs)
    fence = await ladder.fence(region=EAST, epoch=1, run="r", budget=budget)
    return fence.rungs, fence.stops_writers


async def test_a_proof_that_is_enough_is_not_kept_waiting_for_a_rung_that_hangs() -> None:
    hangs = Scripted(3, asyncio.Event)
    async with asyncio.timeout(60):  # of a budget of an hour: who waits for the rung that hangs is found out
        assert await climbed(hangs, Scripted(1, lambda: True), budget=3600) == (frozenset({1}), True)


async def test_a_rung_that_is_not_needed_any_more_does_not_go_on_by_itself() -> None:
    ended = asyncio.Event()

    class Slow(Scripted):
        async def fence(self, *, region: str, epoch: int, run: str, budget: float) -> FenceProof | None:
            try:
                return await super().fence(region=region, epoch=epoch, run=run, budget=budget)
            finally:
                ended.set()

    await climbed(Slow(3, asyncio.Event), Scripted(1, lambda: True))
    assert ended.is_set()


async def test_rungs_that_fail_or_break_keep_none_of_the_others_from_fencing() -> None:
    rungs = [
        Scripted(1, raising(Temporary("away"))),
        Scripted(2, raising(ZeroDivisionError())),
        Scripted(0, lambda: True),
    ]
    assert await climbed(*rungs, Scripted(3, lambda: True)) == (frozenset({0, 3}), True)


async def test_what_is_not_proved_within_the_budget_is_not_proved() -> None:
    rungs = [Scripted(1, asyncio.Event), Scripted(2, lambda: True), Scripted(3, lambda: None)]
    assert await climbed(*rungs, budget=0.05) == (frozenset({2}), False)


async def test_a_ladder_without_rungs_proves_nothing() -> None:
    assert await climbed() == (frozenset(), False)


@pytest.mark.parametrize(
    ("told", "whole"),
    [
        ([lambda: Effect.DONE, lambda: Effect.DONE], Effect.DONE),
        ([lambda: Effect.DONE, raising(Temporary("away"))], Effect.UNKNOWN),
        ([raising(ZeroDivisionError()), lambda: Effect.DONE], Effect.UNKNOWN),
        ([lambda: Effect.UNKNOWN, lambda: Effect.STALE_EPOCH], Effect.STALE_EPOCH),
    ],
)
async def test_a_region_writes_again_only_when_every_rung_says_so(told: list[Callable[[], Any]], whole: Effect) -> None:
    ladder = Ladder([Scripted(level, does) for level, does in enumerate(told, start=1)])
    assert await ladder.unfence(region=EAST, epoch=1, run="r") is whole


async def test_the_seconds_of_each_proof_are_told_by_its_rung() -> None:
    told: list[str] = []
    ladder = Ladder([Scripted(1, lambda: True), Scripted(3, lambda: None)], lambda rung, seconds: told.append(rung))
    await ladder.fence(region=EAST, epoch=1, run="r", budget=30)
    assert told == ["database"]
    assert ladder.worst_case == 1.5


@pytest.mark.parametrize(
    ("status", "text"), [(200, "<html>"), (200, "{}"), (200, '{"epoch": 1, "open": "no", "in_flight": 0}'), (500, "{}")]
)
async def test_an_answer_that_is_no_state_of_a_gateway_is_unknown(status: int, text: str) -> None:
    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(f"HTTP/1.1 {status} X\r\nContent-Length: {len(text)}\r\nConnection: close\r\n\r\n{text}".encode())
        await writer.drain()
        writer.close()

    async with await asyncio.start_server(answer, "127.0.0.1", 0) as server:
        gates = HttpGates({EAST: f"127.0.0.1:{server.sockets[0].getsockname()[1]}"}, Secret("t"))
        with pytest.raises(Temporary):
            await gates.admission(EAST, patience=5)
        await gates.close()


def test_no_two_slots_share_a_file_in_which_an_agent_vouches(tmp_path: Path) -> None:
    slots = ("demo/shop", "demo/shop2", "demo-shop/x", "demo/shop%2Fx")
    places = {deadman.place(tmp_path, slot) for slot in slots}
    assert len(places) == len(slots)
    assert {one.parent for one in places} == {tmp_path / "dead-man"}
