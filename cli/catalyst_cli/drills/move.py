"""Drills of a move that is made on purpose: `dry-run` only asks what would happen, `isolated` tries the promotion on a copy of
the standby, `game-day` moves the slot to its standby and back; the last two while a client writes by the public name."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from typing import Any

from catalyst.continuum.v1 import resources_pb2, service_pb2, service_pb2_grpc
from catalyst_mesh import CallFailed, connect
from catalyst_sdk.traces import check, overlaps
from google.protobuf.json_format import MessageToDict

from catalyst_cli.dev.recipes import boottime

from .client import AFTER, Client, NotReady, Tell, until, writing
from .figures import gap, kept
from .house import House
from .report import Report, phases

FREE_WITHIN = 60.0
OVER_WITHIN = 180.0
MOST = 5.0
"""Seconds without writes that a planned move may take."""
_SWITCHOVER = resources_pb2.RUN_KIND_SWITCHOVER
_OVER = (resources_pb2.Run.STATE_SUCCEEDED, resources_pb2.Run.STATE_FAILED, resources_pb2.Run.STATE_ABORTED)


@dataclass(frozen=True, slots=True)
class Daemon:
    """The continuum of one region, asked as the operator about one slot."""

    stub: Any
    name: str

    async def plan(self, target: str) -> resources_pb2.PlanReport:
        """What a switchover would do, and what stands in its way."""
        request = service_pb2.PlanRunRequest(name=self.name, kind=_SWITCHOVER, to_region=target)
        report: resources_pb2.PlanReport = await self.stub.PlanRun(request)
        return report

    async def _unblocked(self, target: str) -> resources_pb2.PlanReport:
        """A plan that nothing stands in the way of: what a peer told a moment ago may be old. Raises NotReady."""
        deadline = boottime() + FREE_WITHIN
        while (plan := await self.plan(target)).blockers:
            if boottime() > deadline:
                raise NotReady(f"the move to {target} is blocked: {'; '.join(plan.blockers)}")
            await asyncio.sleep(0.5)
        return plan

    async def move(self, target: str, why: str) -> None:
        """Switch over, and wait for the end of the run. Raises NotReady."""
        plan = await self._unblocked(target)
        asked = service_pb2.StartRunRequest(
            name=self.name,
            kind=_SWITCHOVER,
            to_region=target,
            reason=why,
            expected_epoch=plan.epoch,
            plan_fingerprint=plan.plan_fingerprint,
        )  # fmt: skip - one message
        await self._ended(asked)

    async def rehearse(self, target: str, why: str, *, epoch: int) -> resources_pb2.Run:
        """Have the promotion of `target` be tried on a copy; the run, once it is over. Raises NotReady."""
        asked = service_pb2.StartRunRequest(
            name=self.name,
            kind=resources_pb2.RUN_KIND_DRILL_ISOLATED,
            to_region=target,
            reason=why,
            expected_epoch=epoch,
        )  # fmt: skip - one message
        return await self._ended(asked)

    async def _ended(self, asked: service_pb2.StartRunRequest) -> resources_pb2.Run:
        operation = await self.stub.StartRun(asked)
        run, deadline = f"{self.name}/runs/{operation.name.rpartition('-')[2]}", boottime() + OVER_WITHIN
        while True:
            found: resources_pb2.Run = await self.stub.GetRun(service_pb2.GetRunRequest(name=run))
            if found.state in _OVER:
                break
            if boottime() > deadline:
                raise NotReady(f"{run} is not over after {OVER_WITHIN:.0f} s: {found.message}")
            await asyncio.sleep(0.2)
        if found.state != resources_pb2.Run.STATE_SUCCEEDED:
            raise NotReady(f"{run} did not succeed: {found.message}")
        return found


async def dry_run(house: House) -> dict[str, Any]:
    """The plan of a switchover from the holder to its standby, with nothing done. Raises NotReady."""
    async with writing(house) as client:
        holder = (await client.holder())["region"]
    async with at(house, holder) as daemon:
        return dict(MessageToDict(await daemon.plan(_other(house, holder))))


async def isolated(house: House) -> dict[str, Any]:
    """The run of a promotion that is tried on a copy of the standby, and what became of writes meanwhile. Raises NotReady."""
    async with writing(house) as client:
        before, began = await client.holder(), boottime()
        target = _other(house, before["region"])
        async with at(house, target) as daemon:
            run = await daemon.rehearse(target, "isolated drill", epoch=before["epoch"])
        ended, acked = boottime(), client.acked(0)
        await until(lambda: client.acked(0) >= acked + AFTER, OVER_WITHIN, "writes go on")
        await client.finish()
        told = kept(client.writer.attempts, await client.writer.read())
        during = [one for one in client.writer.attempts if one.is_acked and began <= one.ended <= ended]
        moved = {one.epoch for one in client.writer.attempts if one.is_acked} != {before["epoch"]}
    took = {
        step.phase: _seconds(step) for step in run.steps if step.HasField("start_time") and step.HasField("end_time")
    }
    return {
        "kind": "isolated",
        "slot": house.demo["slot"],
        "region": target,
        "epoch": before["epoch"],
        "phases": took,
        "acked_meanwhile": len(during),
        "acked": told.acked,
        "lost": len(told.lost),
        "moved": moved,
    }  # fmt: skip - one row


def _seconds(step: resources_pb2.RunStep) -> float:
    return round((step.end_time.ToNanoseconds() - step.start_time.ToNanoseconds()) / 1e9, 2)


async def game_day(house: House, *, tell: Tell) -> list[Report]:
    """Move the slot to its standby and back; a report each. Raises NotReady."""
    reports = []
    for which in ("there", "back"):
        async with writing(house) as client:
            reports.append(await _moved(client, tell, which))
    return reports


async def _moved(client: Client, tell: Tell, which: str) -> Report:
    house, slot, before = client.house, client.house.demo["slot"], await client.holder()
    target, began = _other(house, before["region"]), boottime()
    async with at(house, before["region"]) as daemon:
        await daemon.move(target, f"game day, {which}")
    await until(lambda: client.acked(before["epoch"]) >= AFTER, OVER_WITHIN, f"{target} acknowledges writes")
    await client.finish()
    found = gap(client.writer.attempts, began, epoch=before["epoch"])
    assert found is not None, "writes were acknowledged on both sides"
    # What counts of a planned move is the time without writes, and not what was made ready before.
    found = replace(found, fault=found.last_before)
    tell(f"{which}: {found.region} leads in epoch {found.epoch}; {found.disruption:.2f} s without writes")
    judged, answers, lines = (
        kept(client.writer.attempts, await client.writer.read()),
        await house.answers(),
        client.lines(),
    )
    took = phases(lines, epoch=found.epoch, fault=began, gap=found)
    return Report("game-day", slot, MOST, found, judged, took, len(overlaps(lines)), check(lines), answers)


@asynccontextmanager
async def at(house: House, region: str) -> AsyncIterator[Daemon]:
    """The continuum of a region. Raises NotReady where it refuses, or goes away."""
    namespace, _, name = house.demo["slot"].partition("/")
    row = next(row for row in house.regions if row["name"] == region)
    channel = connect(row["agent"], token=house.token)
    try:
        yield Daemon(
            service_pb2_grpc.ContinuumServiceStub(channel), f"namespaces/{namespace}/continuums/{name}"
        )  # fmt: skip - one value
    except CallFailed as failure:
        raise NotReady(f"the daemon of {region} refuses: {failure}") from failure
    finally:
        await channel.close(None)


def _other(house: House, region: str) -> str:
    return str(next(row["name"] for row in house.regions if row["name"] != region))
