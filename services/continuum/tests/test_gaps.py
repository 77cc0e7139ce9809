"""Where events about a Sovereign are missing, the provisioner is asked what it is now."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from catalyst.continuum.v1.service_pb2 import GetContinuumRequest
from catalyst.continuum.v1.service_pb2_grpc import ContinuumServiceStub
from catalyst.provisioner.v1 import events_pb2
from catalyst.provisioner.v1.resources_pb2 import ClusterStatus, Sovereign
from catalyst_continuum.app import compose
from catalyst_continuum.settings import ContinuumSettings
from catalyst_testkit import eventually
from catalyst_testkit.daemons import RunningDaemon, reason_of, running
from catalyst_testkit.servers import NatsServer

from .fake_provisioner import FakeProvisioner, fake_provisioner
from .test_daemon import REGION, SLOT, tell

pytestmark = pytest.mark.either_database

OMANTEL = "sovereigns/omantel"
CLUSTER = f"{OMANTEL}/clusters/{REGION}"
ROOT = "catalyst.v1.provisioner.sovereign"


@pytest.fixture
async def provisioner() -> AsyncIterator[FakeProvisioner]:
    async with fake_provisioner() as fake:
        yield fake


@pytest.fixture
async def continuum(
    home: Path, clean_nats: NatsServer, database: str, provisioner: FakeProvisioner
) -> AsyncIterator[RunningDaemon]:
    (home / "tsig.key").write_text("d2l0bmVzcw==")
    settings = {
        "nats_url": clean_nats.url,
        "database_url": database,
        "provisioner_target": provisioner.target,
        "cells": "a=127.0.0.1:1,b=127.0.0.1:2,c=127.0.0.1:3",
        "tsig_key_file": home / "tsig.key",
    }  # fmt: skip - no cell is there: a slot that is wanted is seen all the same
    async with running(compose, ContinuumSettings, home, **settings) as daemon:
        yield daemon


async def activated(nats: NatsServer, number: int, previous: str = "") -> None:
    body = events_pb2.SovereignActivated(
        sovereign=OMANTEL, version=number, clusters=[events_pb2.SovereignCluster(name=CLUSTER)]
    )
    await tell(nats, f"{ROOT}.activated", body, number, previous)


async def destroyed(nats: NatsServer, number: int, previous: str = "") -> None:
    await tell(
        nats, f"{ROOT}.destroyed", events_pb2.SovereignDestroyed(sovereign=OMANTEL, version=number), number, previous
    )


async def region(daemon: RunningDaemon) -> str:
    """Region of the slot; empty where there is none."""
    call = daemon.admin(ContinuumServiceStub).GetContinuum
    if await reason_of(call(GetContinuumRequest(name=SLOT))) != "OK":
        return ""
    return (await call(GetContinuumRequest(name=SLOT))).spec.primary_region


async def test_an_event_that_comes_after_its_successors_makes_no_slot_for_what_is_gone(
    continuum: RunningDaemon, clean_nats: NatsServer, provisioner: FakeProvisioner
) -> None:
    await destroyed(clean_nats, 9)
    await activated(clean_nats, 5)
    await eventually(lambda: bool(provisioner.asked), within=60, what="the provisioner is asked")
    other = events_pb2.SovereignCluster(name=f"sovereigns/other/clusters/{REGION}")
    body = events_pb2.SovereignActivated(sovereign="sovereigns/other", version=1, clusters=[other])
    await tell(clean_nats, f"{ROOT}.activated", body, 10)
    call, wish = (
        continuum.admin(ContinuumServiceStub).GetContinuum,
        GetContinuumRequest(name=SLOT.replace("omantel", "other")),
    )

    async def is_there() -> bool:
        return await reason_of(call(wish)) == "OK"

    await eventually(is_there, within=60, what="what came behind them has its slot")
    assert await region(continuum) == ""


async def test_a_gap_is_closed_by_what_the_provisioner_says_as_soon_as_it_answers(
    continuum: RunningDaemon, clean_nats: NatsServer, provisioner: FakeProvisioner
) -> None:
    provisioner.away = 2
    provisioner.known[OMANTEL] = Sovereign(
        name=OMANTEL, state=Sovereign.STATE_UPDATING, clusters=[ClusterStatus(name=CLUSTER)]
    )
    await activated(clean_nats, 7, "sovereign.activated=3 sovereign.destroyed=4")

    async def is_made() -> bool:
        return await region(continuum) == REGION

    await eventually(is_made, within=60, what="the slot is there")
    assert provisioner.asked == [OMANTEL] * 3
