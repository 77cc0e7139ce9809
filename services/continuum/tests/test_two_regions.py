"""Two regions and the house of a control plane, each a daemon with its own store: any is asked, the right one does it."""

import json
import os
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest
from catalyst.continuum.v1 import resources_pb2
from catalyst.continuum.v1.resources_pb2 import Continuum, PlanReport, RegisterView, Run
from catalyst.continuum.v1.service_pb2 import (
    AbortRunRequest,
    AdmitCellRequest,
    ApproveRunRequest,
    CreateContinuumRequest,
    DeleteContinuumRequest,
    ForceTakeoverRequest,
    GetContinuumRequest,
    GetRunRequest,
    ListContinuumsRequest,
    ListRunsRequest,
    PlanRunRequest,
    ResumeRequest,
    StartRunRequest,
    SuspendRequest,
    UpdateContinuumRequest,
    VerifyWitnessRequest,
    WatchRunRequest,
)
from catalyst.continuum.v1.service_pb2_grpc import ContinuumServiceStub
from catalyst_continuum.app import compose
from catalyst_continuum.rpc import specs
from catalyst_continuum.settings import ContinuumSettings
from catalyst_testkit import eventually
from catalyst_testkit.daemons import RunningDaemon, reason_of, running
from catalyst_testkit.servers import NatsServer, free_port
from google.protobuf.field_mask_pb2 import FieldMask

from services.continuum.tests.manifests import EAST, WEST, having, stateless
from services.continuum.tests.test_daemon import Cells, cells  # noqa: F401 - a fixture

LONG = os.environ.get("HYPOTHESIS_PROFILE") == "long"
SHOP = "namespaces/demo/continuums/shop"


@dataclass
class World:
    """The daemons: of the house, which has no agents, and of each region."""

    house: RunningDaemon
    regions: dict[str, RunningDaemon]
    ends: dict[str, AsyncExitStack]

    def stub(self, where: str, *, roles: tuple[str, ...] = ("sovereign-admin",), who: str = "ann") -> Any:
        daemon = self.regions.get(where, self.house)
        return daemon.stub(ContinuumServiceStub, who, roles=roles)

    async def slot(self, where: str) -> Continuum:
        found: Continuum = await self.stub(where).GetContinuum(GetContinuumRequest(name=SHOP))
        return found

    async def is_ready(self, where: str, holder: str, epoch: int) -> bool:
        """Whether a move could begin: `where` sees who holds the slot, and that nothing stands in the way."""
        if (seen := await self.slot(where)).status.lease_holder != holder or seen.status.epoch != epoch:
            return False
        return not (await self.plan(where)).blockers

    async def plan(self, where: str, kind: int = resources_pb2.RUN_KIND_SWITCHOVER) -> PlanReport:
        made: PlanReport = await self.stub(where).PlanRun(PlanRunRequest(name=SHOP, kind=kind))
        return made

    async def begun(self, where: str, epoch: int) -> tuple[StartRunRequest, str]:
        """A switchover by a plan that was asked for elsewhere, and its operation; one that drifted is planned anew."""
        while True:
            plan = await self.plan("house")
            wish = StartRunRequest(
                name=SHOP, kind=resources_pb2.RUN_KIND_SWITCHOVER, expected_epoch=epoch, reason="a test",
                plan_fingerprint=plan.plan_fingerprint, request_id=str(uuid4()),
            )  # fmt: skip
            why = await reason_of(call := self.stub(where).StartRun(wish))
            if why == "OK":
                return wish, (await call).name
            assert why in ("PLAN_DRIFTED", "PLAN_BLOCKED"), why

    async def run(self, where: str, name: str) -> Run:
        found: Run = await self.stub(where).GetRun(GetRunRequest(name=name))
        return found


def wished() -> dict[str, Any]:
    """A slot of something stateless, whose planned moves somebody approves."""
    times = {"ttlSeconds": 16, "renewSeconds": 2, "pollSeconds": 0.5, "opTimeoutSeconds": 2, "fenceBudgetSeconds": 2}
    return having(
        stateless(),
        leaseClient={"kind": "dns-quorum", "config": times},
        luaRecord=...,
        autoFailover=False,
        approval={"required": "switchover"},
        switchover={"mechanism": "stateless", "drainSeconds": 0},
    )


@pytest.fixture
async def world(home: Path, clean_nats: NatsServer, cells: Cells) -> AsyncIterator[World]:  # noqa: F811
    addresses = {region: f"127.0.0.1:{free_port()}" for region in (EAST, WEST)}
    issuer = home / "issuer"
    common: dict[str, Any] = {
        "nats_url": clean_nats.url, "cells": cells.setting, "tsig_key_file": cells.key, "jwks_file": issuer / "jwks.json",
        "service": "continuum", "secrets_folder": home / "secrets",
    }  # fmt: skip
    async with AsyncExitStack() as all_of_them:
        ends: dict[str, AsyncExitStack] = {}

        async def start(name: str, **more: Any) -> RunningDaemon:
            folder = home / name
            folder.mkdir()
            (folder / "issuer").symlink_to(issuer)
            peers = ",".join(f"{region}={address}" for region, address in addresses.items() if region != name)
            ends[name] = await all_of_them.enter_async_context(AsyncExitStack())
            return await ends[name].enter_async_context(
                running(compose, ContinuumSettings, folder, peers=peers, **common, **more)
            )

        issuer.mkdir()
        (home / "secrets").mkdir()
        (home / "secrets" / "witness.tsig").write_text(f"catalyst-witness:{cells.key.read_text()}")
        config = {"here": "", "regions": {region: {} for region in addresses}}
        regions = {
            region: await start(
                region,
                region=region,
                listen=address,
                plugins={"database_promoter:stateless": {**config, "here": region}},
            )
            for region, address in addresses.items()
        }
        world = World(await start("house"), regions, ends)
        for region in regions:
            await world.stub(region).CreateContinuum(
                CreateContinuumRequest(
                    parent="namespaces/demo",
                    continuum_id="shop",
                    continuum=Continuum(spec=specs.message(wished())),
                )
            )
        yield world


async def test_a_move_is_asked_for_anywhere_approved_anywhere_and_made_by_the_region_that_executes_it(
    world: World,
) -> None:
    await eventually(lambda: world.is_ready(EAST, EAST, 1), within=60)
    shown = {one.type: (one.status, one.reason) for one in (await world.slot(EAST)).conditions}
    listed = await world.stub("house").ListContinuums(ListContinuumsRequest(parent="namespaces/-"))
    assert [one.name for one in listed.continuums] == [SHOP]
    asked, begun = await world.begun(WEST, epoch=1)
    stale = StartRunRequest(name=SHOP, kind=asked.kind, expected_epoch=7)
    assert await reason_of(world.stub("house").StartRun(stale)) == "EPOCH_MOVED", "as the region says it"
    blind = ForceTakeoverRequest(name=SHOP, to_region=WEST, reason="east burns", unwitnessed=True)
    assert await reason_of(world.stub(EAST).ForceTakeover(blind)) == "WITNESS_ANSWERS", "whoever can ask the cells asks"
    stranger = world.regions[WEST].member(ContinuumServiceStub, "demo", "org-viewer")
    assert await reason_of(stranger.StartRun(asked)) == "CALL_DENIED"
    assert (await world.stub("house").StartRun(asked)).name == begun, "the same wish, another way"
    other = StartRunRequest(name=SHOP, kind=asked.kind, expected_epoch=1)
    assert await reason_of(world.stub("house").StartRun(other)) in ("RUN_IN_PROGRESS", "PLAN_BLOCKED")
    name = f"{SHOP}/runs/{begun.rpartition('-')[2]}"
    waiting = await world.run("house", name)
    assert (waiting.state, waiting.initiated_by, waiting.from_region) == (Run.STATE_AWAITING_APPROVAL, "ann", EAST)
    yes = ApproveRunRequest(name=name, plan_fingerprint=asked.plan_fingerprint)
    assert await reason_of(world.stub("house").ApproveRun(yes)) == "APPROVER_IS_REQUESTER"
    await world.stub(WEST, who="bob").ApproveRun(yes)

    async def is_over() -> bool:
        return (await world.run(EAST, name)).state == Run.STATE_SUCCEEDED

    await eventually(is_over, within=90, what="the run has ended")
    assert await reason_of(world.stub(WEST).AbortRun(AbortRunRequest(name=name))) in (
        "PAST_NO_RETURN",
        "RUN_NOT_WAITING",
    )
    watched = [answer.run async for answer in world.stub("house").WatchRun(WatchRunRequest(name=name))]
    assert [run.state for run in watched] == [Run.STATE_SUCCEEDED]
    listed = await world.stub("house").ListRuns(ListRunsRequest(parent=SHOP))
    told = [next(run for run in listed.runs if run.name == name), *watched]
    told += [await world.run(where, name) for where in ("house", EAST, WEST)]
    for run in told:  # the region that gave the slot away knows the second half from the one that gained it
        assert (run.progress.phase, run.progress.step, run.initiated_by) == ("Complete", "14/14", "ann")
        assert {(step.executor, step.state) for step in run.steps} == {
            (EAST, resources_pb2.RunStep.STATE_DONE),
            (WEST, resources_pb2.RunStep.STATE_DONE),
        }
        assert all(step.HasField("start_time") for step in run.steps if step.phase in ("Drain", "Promote", "Complete"))
    await eventually(lambda: world.is_ready("house", WEST, 2), within=60)
    seen = await world.slot(WEST)
    assert (seen.status.last_switchover.to_region, seen.status.history[0].run) == (WEST, name)
    assert shown["ClockOk"][1] in ("Ok", "Unknown"), json.dumps(shown)

    # Taken back before it began.
    _, begun = await world.begun("house", epoch=2)
    name = f"{SHOP}/runs/{begun.rpartition('-')[2]}"
    taken = await world.stub(EAST).AbortRun(AbortRunRequest(name=name, reason="not today"))
    assert (taken.state, taken.message) == (Run.STATE_ABORTED, "not today")
    runs = await world.stub("house").ListRuns(ListRunsRequest(parent=SHOP))
    assert name in [run.name for run in runs.runs]
    await eventually(lambda: world.is_ready(WEST, WEST, 2), within=60)


async def test_a_slot_is_made_verified_changed_and_deleted_in_every_region_by_way_of_the_house(world: World) -> None:
    house, name = world.stub("house"), "namespaces/demo/continuums/till"
    wish = Continuum(spec=specs.message(wished() | {"suspend": True}))
    made = CreateContinuumRequest(parent="namespaces/demo", continuum_id="till", continuum=wish)
    assert (await house.CreateContinuum(made)).name == name
    assert await reason_of(house.CreateContinuum(made)) == "CONTINUUM_EXISTS"

    async def told() -> list[str]:
        stubs = [
            world.regions[region].stub(ContinuumServiceStub, "ann", roles=("sovereign-admin",))
            for region in (EAST, WEST)
        ]
        seen = [await stub.GetContinuum(GetContinuumRequest(name=name)) for stub in stubs]
        return [str(slot.spec.rto.seconds) for slot in seen]

    async def changed(seconds: int, etag: str = "") -> str:
        read = await house.GetContinuum(GetContinuumRequest(name=name))
        wish = Continuum(name=name)
        wish.spec.rto.FromSeconds(seconds)
        mask = FieldMask(paths=["spec.rto"])
        return await reason_of(
            house.UpdateContinuum(UpdateContinuumRequest(continuum=wish, update_mask=mask, etag=etag or read.etag))
        )

    async def taken() -> bool:
        """Whoever was overtaken by an agent reads again."""
        return await changed(77) == "OK"

    before = await told()
    assert await changed(66, etag='"of before"') == "ETAG_MISMATCH"
    assert await told() == before
    assert await eventually(taken, within=60)
    assert await told() == ["77", "77"]

    verified = VerifyWitnessRequest(name=name)
    report = resources_pb2.WitnessReport()
    assert (await house.VerifyWitness(verified)).response.Unpack(report)
    assert (report.safe, len(report.cells)) == (True, 3)
    assert (
        await reason_of(house.AdmitCell(AdmitCellRequest(name=name, cell="cell-9", new_incarnation="1")))
        == "CELL_NOT_FOUND"
    )

    async def gone() -> bool:
        read = await house.GetContinuum(GetContinuumRequest(name=name))
        return await reason_of(house.DeleteContinuum(DeleteContinuumRequest(name=name, etag=read.etag))) == "OK"

    assert await eventually(gone, within=60)
    for where in (EAST, WEST, "house"):
        assert await reason_of(world.stub(where).GetContinuum(GetContinuumRequest(name=name))) == "CONTINUUM_NOT_FOUND"

    await world.ends[WEST].aclose()
    assert await reason_of(house.CreateContinuum(made)) == "AGENT_UNREACHABLE"
    assert await reason_of(world.stub(EAST).GetContinuum(GetContinuumRequest(name=name))) == "CONTINUUM_NOT_FOUND"


@pytest.mark.skipif(not LONG, reason="twenty seconds: HYPOTHESIS_PROFILE=long")
async def test_the_glass_is_broken_by_two_others_one_of_them_an_officer_and_the_region_that_gains_takes_over(
    world: World,
) -> None:
    await eventually(lambda: world.is_ready(WEST, EAST, 1), within=60)
    wish = ForceTakeoverRequest(name=SHOP, to_region=WEST, reason="east burns", expected_epoch=1)
    begun = await world.stub(EAST).ForceTakeover(wish)
    name = f"{SHOP}/runs/{begun.name.rpartition('-')[2]}"
    plan = (await world.run(EAST, name)).plan_fingerprint
    yes = ApproveRunRequest(name=name, plan_fingerprint=plan)
    for who in ("bob", "cyd"):
        await world.stub("house", who=who).ApproveRun(yes)
    assert (await world.run(WEST, name)).state == Run.STATE_AWAITING_APPROVAL, "nobody of them is an officer"
    await world.stub("house", who="dan", roles=("security-officer",)).ApproveRun(yes)

    async def is_taken() -> bool:
        return (await world.run("house", name)).progress.phase == "Reprotect"

    await eventually(is_taken, within=90, what="the holder lives, and is taken from all the same")
    done = await world.run("house", name)
    assert (done.kind, done.epoch, len(done.approvals)) == (resources_pb2.RUN_KIND_TAKEOVER, 2, 3)
    await world.ends[EAST].aclose()

    async def is_noted() -> bool:
        return (await world.slot(WEST)).status.lease_holder == WEST

    await eventually(is_noted, within=60)
    gone = StartRunRequest(name=SHOP, kind=resources_pb2.RUN_KIND_FAILOVER, to_region=EAST, expected_epoch=2)
    assert await reason_of(world.stub(WEST).StartRun(gone)) == "AGENT_UNREACHABLE"


@pytest.mark.skipif(not LONG, reason="half a minute: HYPOTHESIS_PROFILE=long")
async def test_a_region_and_a_majority_of_the_cells_are_gone_and_people_give_the_slot_to_the_other_one(
    world: World,
    cells: Cells,  # noqa: F811
) -> None:
    await eventually(lambda: world.is_ready(WEST, EAST, 1), within=60)
    blind = ForceTakeoverRequest(name=SHOP, to_region=WEST, reason="east burns", unwitnessed=True)
    for cell in ("cell-1", "cell-2"):
        cells.kill(cell)
    assert await reason_of(world.stub(WEST).ForceTakeover(blind)) == "HOLDER_WRITES", "it goes on by its peer's promise"
    await world.ends[EAST].aclose()

    async def is_begun() -> bool:
        return await reason_of(world.stub(WEST).ForceTakeover(blind)) in ("OK", "RUN_IN_PROGRESS")

    await eventually(is_begun, within=60, what="the holder's agent is silent")
    (begun,) = (await world.stub(WEST).ListRuns(ListRunsRequest(parent=SHOP))).runs
    yes = ApproveRunRequest(name=begun.name, plan_fingerprint=begun.plan_fingerprint)
    await world.stub(WEST, who="bob").ApproveRun(yes)
    await world.stub(WEST, who="dan", roles=("security-officer",)).ApproveRun(yes)

    async def single() -> str:
        told = {one.type: one.reason for one in (await world.slot(WEST)).conditions}
        return told.get("SinglePrimary", "")

    async def is_suspected() -> bool:
        return await single() == "SplitBrainSuspected"

    await eventually(is_suspected, within=90, what="it is taken")
    assert (await world.slot(WEST)).status.epoch == 1, "which the record does not say"
    cells.start("cell-1")

    async def is_confirmed() -> bool:
        told = await world.slot(WEST)
        return (told.status.lease_holder, told.status.epoch) == (WEST, 2) and await single() != "SplitBrainSuspected"

    await eventually(is_confirmed, within=90, what="the cells confirm it")


def in_cells(there: Cells, *names: str) -> dict[str, Any]:
    """A slot like that, in these cells."""
    rows = [
        {"name": name, "address": there.address(name), "zone": "witness.test", "tsigSecretRef": {"name": "witness"}}
        for name in names
    ]
    return having(wished(), leaseClient__config__nameservers=rows)


@pytest.mark.skipif(not LONG, reason="many cells: HYPOTHESIS_PROFILE=long")
async def test_a_slot_moves_to_other_cells_and_its_holder_goes_on_there(world: World, cells: Cells) -> None:  # noqa: F811
    await eventually(lambda: world.is_ready(EAST, EAST, 1), within=60)
    cells.start("cell-4")

    async def moved(where: str, *names: str) -> str:
        """What came of it; who was overtaken reads again."""
        why = "ETAG_MISMATCH"
        while why == "ETAG_MISMATCH":
            told = await world.slot(where)
            wish = Continuum(name=SHOP, spec=specs.message(in_cells(cells, *names) | {"suspend": told.spec.suspend}))
            change = UpdateContinuumRequest(
                continuum=wish, update_mask=FieldMask(paths=["spec.lease_client"]), etag=told.etag
            )
            why = await reason_of(world.stub(where).UpdateContinuum(change))
        return why

    async def is_seen(where: str, *names: str, state: int) -> bool:
        told = await world.slot(where)
        seen = [cell.name for cell in told.status.witness.cells if cell.reachable]
        return (seen, told.register.state, told.status.lease_holder) == (list(names), state, EAST)

    assert await moved(EAST, "cell-1", "cell-2", "cell-4") == "NOT_SUSPENDED"

    async def is_suspended(where: str) -> bool:
        """A move that was told of lately is in the way for a while."""
        return await reason_of(world.stub(where).Suspend(SuspendRequest(name=SHOP))) == "OK"

    await eventually(lambda: is_suspended("house"), within=60)
    three = ("cell-1", "cell-2", "cell-3")
    for where in (EAST, WEST):
        await eventually(lambda where=where: is_suspended(where), within=60)
        await eventually(lambda where=where: is_seen(where, *three, state=RegisterView.STATE_FROZEN), within=60)
    assert await moved(EAST, "cell-1", "cell-4", "cell-5") == "SPEC_INVALID", "a majority of the old ones stays"
    for where in (WEST, EAST):  # the holder is told last: nobody else begins
        assert await moved(where, "cell-1", "cell-2", "cell-4") == "OK"
    later = ("cell-1", "cell-2", "cell-4")
    for where in (EAST, WEST):
        await eventually(lambda where=where: is_seen(where, *later, state=RegisterView.STATE_FROZEN), within=60)
    cells.kill("cell-3")
    for where in (EAST, WEST):
        await world.stub(where).Resume(ResumeRequest(name=SHOP))
    await eventually(lambda: is_seen(EAST, *later, state=RegisterView.STATE_HELD), within=60)
    cells.kill("cell-1")  # two of the new ones are a majority; of the old ones only one is left
    before = (await world.slot(EAST)).status.seq

    async def is_renewed() -> bool:
        told = await world.slot(EAST)
        return told.status.seq > before + 2 and told.status.epoch == 1

    await eventually(is_renewed, within=60, what="the holder renews in the new cells, in the epoch that it had")


async def test_a_slot_lies_in_the_cells_of_its_wish_from_the_beginning(world: World, cells: Cells) -> None:  # noqa: F811
    name = "namespaces/demo/continuums/own"

    def made(document: dict[str, Any]) -> CreateContinuumRequest:
        return CreateContinuumRequest(
            parent="namespaces/demo", continuum_id="own", continuum=Continuum(spec=specs.message(document))
        )

    one = in_cells(cells, "cell-3", "cell-2", "cell-1")
    without = having(
        in_cells(cells, "cell-1", "cell-2", "cell-3"),
        leaseClient__config__nameservers__0__tsigSecretRef__name="nothing",
    )
    assert await reason_of(world.stub(EAST).CreateContinuum(made(without))) == "WITNESS_UNSAFE"
    for where in (EAST, WEST):
        await world.stub(where).CreateContinuum(made(one))

    async def is_held() -> bool:
        told = await world.stub(WEST).GetContinuum(GetContinuumRequest(name=name))
        return told.status.lease_holder == EAST and [cell.name for cell in told.status.witness.cells] == [
            "cell-3", "cell-2", "cell-1",
        ]  # fmt: skip

    await eventually(is_held, within=60)
