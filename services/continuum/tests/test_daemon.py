"""The daemon over real gRPC, NATS and three real cells."""

import base64
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from uuid import uuid4

import nats as nats_client
import pytest
from catalyst.continuum.v1.resources_pb2 import WitnessReport
from catalyst.continuum.v1.service_pb2 import (
    AdmitCellRequest,
    GetContinuumRequest,
    ListContinuumsRequest,
    VerifyWitnessRequest,
)
from catalyst.continuum.v1.service_pb2_grpc import ContinuumServiceStub
from catalyst.provisioner.v1 import events_pb2
from catalyst_continuum.app import compose
from catalyst_continuum.settings import ContinuumSettings
from catalyst_mesh import Bus
from catalyst_testkit import eventually
from catalyst_testkit.daemons import RunningDaemon, reason_of, running
from catalyst_testkit.servers import NatsServer, free_port
from google.longrunning.operations_pb2 import GetOperationRequest
from google.longrunning.operations_pb2_grpc import OperationsStub
from google.protobuf.message import Message

SLOT = "namespaces/catalyst-system/continuums/omantel"
REGION = "sb-east-mgt-prod"


class Cells:
    """Three lease cells, each a process that can be killed and started again."""

    def __init__(self, home: Path) -> None:
        self.key = home / "tsig.key"
        self.key.write_text(base64.b64encode(b"w" * 32).decode())
        self._home = home
        self._addresses = {f"cell-{n}": f"127.0.0.1:{free_port()}" for n in (1, 2, 3)}
        self._running: dict[str, subprocess.Popen[bytes]] = {}

    @property
    def setting(self) -> str:
        return ",".join(f"{name}={address}" for name, address in self._addresses.items())

    def address(self, name: str) -> str:
        """Where a cell answers; one that was not there yet gets a place."""
        return self._addresses.setdefault(name, f"127.0.0.1:{free_port()}")

    def start(self, name: str) -> None:
        self.address(name)
        process = subprocess.Popen(
            [sys.executable, "-m", "catalyst_dns_embedded", "cell", "--data", str(self._home / name), "--listen",
             self._addresses[name], "--key-file", str(self.key)],
            stdout=subprocess.PIPE,
        )  # fmt: skip
        assert process.stdout is not None
        assert b"cell" in process.stdout.readline()
        self._running[name] = process

    def kill(self, name: str) -> None:
        process = self._running.pop(name)
        process.kill()
        process.wait()
        assert process.stdout is not None
        process.stdout.close()

    def wipe(self, name: str) -> None:
        """kill -9, and start again without a disk's worth of memory."""
        self.kill(name)
        shutil.rmtree(self._home / name)
        self.start(name)

    def start_all(self) -> None:
        for name in self._addresses:
            self.start(name)

    def kill_all(self) -> None:
        for name in list(self._running):
            self.kill(name)


@pytest.fixture
def cells(home: Path) -> Iterator[Cells]:
    three = Cells(home)
    three.start_all()
    yield three
    three.kill_all()


@pytest.fixture
def settings(clean_nats: NatsServer, cells: Cells, database: str) -> dict[str, object]:
    """What the daemon is told; the same again after a restart."""
    return {
        "nats_url": clean_nats.url, "database_url": database, "cells": cells.setting, "tsig_key_file": cells.key,
    }  # fmt: skip


async def tell(nats: NatsServer, subject: str, body: Message, number: int = 0, previous: str = "") -> None:
    """Say an event as the provisioner's relay would; with its number and chain, or as one that does not say them."""
    bus = Bus(nats.url, "test")
    await bus.ensure_stream("provisioner")
    await bus.close()
    client = await nats_client.connect(nats.url)
    headers = {"ce-id": str(uuid4()), "ce-dataschema": body.DESCRIPTOR.full_name}
    headers |= {"ce-number": str(number), "ce-previous": previous} if number else {}
    await client.jetstream().publish(subject, body.SerializeToString(), headers=headers)
    await client.close()


async def activate(nats: NatsServer) -> None:
    cluster = events_pb2.SovereignCluster(name=f"sovereigns/omantel/clusters/{REGION}")
    body = events_pb2.SovereignActivated(sovereign="sovereigns/omantel", version=3, clusters=[cluster])
    await tell(nats, "catalyst.v1.provisioner.sovereign.activated", body)


async def holder(daemon: RunningDaemon) -> tuple[str, int]:
    stub = daemon.admin(ContinuumServiceStub)
    answer = await stub.GetContinuum(GetContinuumRequest(name=SLOT))
    assert answer.status.authority_remaining.ToTimedelta().total_seconds() > 0
    return answer.status.lease_holder, answer.status.epoch


async def test_an_active_sovereign_holds_its_slot_until_it_is_destroyed(
    home: Path, clean_nats: NatsServer, settings: dict[str, object]
) -> None:
    async with running(compose, ContinuumSettings, home, **settings) as daemon:
        stub = daemon.admin(ContinuumServiceStub)
        assert await reason_of(stub.GetContinuum(GetContinuumRequest(name=SLOT))) == "CONTINUUM_NOT_FOUND"
        await activate(clean_nats)
        await activate(clean_nats)  # told twice: one slot
        await eventually(lambda: _is(daemon, (REGION, 1)), within=60)
        listed = await stub.ListContinuums(ListContinuumsRequest(parent="namespaces/-"))
        assert [c.name for c in listed.continuums] == [SLOT]
        gone = events_pb2.SovereignDestroyed(sovereign="sovereigns/omantel", version=9)
        await tell(clean_nats, "catalyst.v1.provisioner.sovereign.destroyed", gone)

        async def is_gone() -> bool:
            return await reason_of(stub.GetContinuum(GetContinuumRequest(name=SLOT))) == "CONTINUUM_NOT_FOUND"

        await eventually(is_gone, within=60)
        await activate(clean_nats)
        await eventually(lambda: _is(daemon, (REGION, 2)), within=60, what="a second life has a new epoch")


@pytest.mark.either_database
async def test_the_cells_of_a_slot_are_verified_and_the_report_can_be_read_again(
    home: Path, clean_nats: NatsServer, cells: Cells, settings: dict[str, object]
) -> None:
    async with running(compose, ContinuumSettings, home, **settings) as daemon:
        stub = daemon.admin(ContinuumServiceStub)
        await activate(clean_nats)
        await eventually(lambda: _is(daemon, (REGION, 1)), within=60)
        told = await stub.VerifyWitness(VerifyWitnessRequest(name=SLOT))
        report = WitnessReport()
        assert told.done
        assert told.response.Unpack(report)
        assert report.safe, report
        assert [cell.name for cell in report.cells] == ["cell-1", "cell-2", "cell-3"]
        again = await daemon.admin(OperationsStub).GetOperation(GetOperationRequest(name=told.name))
        assert again.response == told.response
        stranger = VerifyWitnessRequest(name=SLOT, cells=["cell-9"])
        assert await reason_of(stub.VerifyWitness(stranger)) == "CELL_NOT_FOUND"
        cells.kill("cell-2")
        one = await stub.VerifyWitness(VerifyWitnessRequest(name=SLOT, cells=["cell-2"]))
        assert one.response.Unpack(report)
        assert not report.safe
        assert "does not answer" in report.cells[0].failures[0]


@pytest.mark.either_database
async def test_a_cell_that_was_wiped_is_quarantined_over_a_restart_and_admitted_by_call(
    home: Path, clean_nats: NatsServer, cells: Cells, settings: dict[str, object]
) -> None:
    async with running(compose, ContinuumSettings, home, **settings) as daemon:
        await activate(clean_nats)
        await eventually(lambda: _is(daemon, (REGION, 1)), within=60)
    cells.wipe("cell-2")
    async with running(compose, ContinuumSettings, home, **settings) as daemon:
        stub = daemon.admin(ContinuumServiceStub)
        await eventually(lambda: _quarantined(daemon, ["cell-2"]), within=60)
        wish = AdmitCellRequest(name=SLOT, cell="cell-2", new_incarnation="1", request_id=str(uuid4()))
        wrong = AdmitCellRequest(name=SLOT, cell="cell-2", new_incarnation="7")
        sound = AdmitCellRequest(name=SLOT, cell="cell-1", new_incarnation="1")
        stranger = AdmitCellRequest(name=SLOT, cell="cell-9", new_incarnation="1")
        assert await reason_of(stub.AdmitCell(wrong)) == "INCARNATION_MISMATCH"
        assert await reason_of(stub.AdmitCell(sound)) == "CELL_NOT_QUARANTINED"
        assert await reason_of(stub.AdmitCell(stranger)) == "CELL_NOT_FOUND"
        cells.kill("cell-3")
        assert await reason_of(stub.AdmitCell(wish)) == "NO_QUORUM"
        cells.start("cell-3")
        first = await stub.AdmitCell(wish)
        assert await stub.AdmitCell(wish) == first, "a retry gets the first answer"
        assert [cell.quarantined for cell in first.status.witness.cells] == [False] * 3
        await eventually(lambda: _quarantined(daemon, []), within=60)
        cells.kill("cell-1")
        await eventually(lambda: _renews(daemon), within=60, what="the admitted cell makes a majority")


async def test_a_restart_keeps_the_epoch_and_one_dead_cell_changes_nothing(
    home: Path, clean_nats: NatsServer, cells: Cells, settings: dict[str, object]
) -> None:
    async with running(compose, ContinuumSettings, home, **settings) as daemon:
        await activate(clean_nats)
        await eventually(lambda: _is(daemon, (REGION, 1)), within=60)
    cells.kill("cell-2")
    async with running(compose, ContinuumSettings, home, **settings) as daemon:
        await eventually(lambda: _is(daemon, (REGION, 1)), within=60)
        answer = await daemon.admin(ContinuumServiceStub).GetContinuum(GetContinuumRequest(name=SLOT))
        assert {c.name: c.reachable for c in answer.status.witness.cells}["cell-2"] is False


async def test_every_replica_tells_the_same_whichever_keeps_the_slots(
    home: Path, clean_nats: NatsServer, settings: dict[str, object]
) -> None:
    async with running(compose, ContinuumSettings, home, **settings) as one:
        async with running(compose, ContinuumSettings, home, **settings) as other:
            await activate(clean_nats)
            await eventually(lambda: _is(one, (REGION, 1)), within=60)
            for daemon in (one, other):
                answer = await daemon.admin(ContinuumServiceStub).GetContinuum(GetContinuumRequest(name=SLOT))
                assert await holder(daemon) == (REGION, 1)
                assert (answer.register.holder, answer.register.epoch, answer.register.seq > 0) == (REGION, 1, True)
                assert [cell.reachable for cell in answer.status.witness.cells] == [True] * 3
        await eventually(lambda: _is(one, (REGION, 1)), within=60, what="the one that is left keeps the slot")


async def _is(daemon: RunningDaemon, wanted: tuple[str, int]) -> bool:
    if await reason_of(daemon.admin(ContinuumServiceStub).GetContinuum(GetContinuumRequest(name=SLOT))) != "OK":
        return False
    return await holder(daemon) == wanted


async def _quarantined(daemon: RunningDaemon, cells: list[str]) -> bool:
    answer = await daemon.admin(ContinuumServiceStub).GetContinuum(GetContinuumRequest(name=SLOT))
    return [cell.name for cell in answer.status.witness.cells if cell.quarantined] == cells


async def _renews(daemon: RunningDaemon) -> bool:
    stub = daemon.admin(ContinuumServiceStub)
    before = (await stub.GetContinuum(GetContinuumRequest(name=SLOT))).register.seq
    await eventually(lambda: _is_past(daemon, before), within=60)
    return True


async def _is_past(daemon: RunningDaemon, seq: int) -> bool:
    answer = await daemon.admin(ContinuumServiceStub).GetContinuum(GetContinuumRequest(name=SLOT))
    return bool(answer.register.seq > seq + 1)
