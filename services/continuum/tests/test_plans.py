"""Dry runs over gRPC: an answer with all checks and steps, and no effect anywhere."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from catalyst.continuum.v1 import resources_pb2
from catalyst.continuum.v1.resources_pb2 import Check, PlanReport
from catalyst.continuum.v1.service_pb2 import GetContinuumRequest, PlanRunRequest
from catalyst.continuum.v1.service_pb2_grpc import ContinuumServiceStub
from catalyst_continuum.app import compose
from catalyst_continuum.domain.parsing import parse
from catalyst_continuum.domain.plan import Purpose, Times, destination, steps_of
from catalyst_continuum.domain.runs import PLANNED, SOURCE_PHASES, UNPLANNED, RegionInvalid
from catalyst_continuum.domain.spec import Selector
from catalyst_continuum.domain.spec_rules import House
from catalyst_continuum.domain.steering import Place, Probe, wished
from catalyst_continuum.domain.timing import FAST
from catalyst_continuum.rpc.plans import PURPOSES
from catalyst_continuum.settings import ContinuumSettings
from catalyst_testkit import eventually
from catalyst_testkit.daemons import RunningDaemon, reason_of, running
from catalyst_testkit.servers import NatsServer

from .manifests import EAST, WEST, having, lone, on_own_cells, stateful, stateless
from .test_daemon import Cells, cells  # noqa: F401 - a fixture
from .test_resource import SHOP, wish

pytestmark = pytest.mark.either_database

NORTH = "hz-osl-rtz-prod"
SWITCHOVER = resources_pb2.RUN_KIND_SWITCHOVER


@pytest.fixture
async def daemon(home: Path, clean_nats: NatsServer, database: str, cells: Cells) -> AsyncIterator[RunningDaemon]:  # noqa: F811
    settings = {
        "nats_url": clean_nats.url, "database_url": database, "cells": cells.setting, "tsig_key_file": cells.key,
    }  # fmt: skip
    async with running(compose, ContinuumSettings, home, **settings) as running_daemon:
        yield running_daemon


async def test_a_plan_says_all_that_stands_in_the_way_and_is_the_same_each_time_and_nothing_changes(
    daemon: RunningDaemon,
) -> None:
    stub = daemon.member(ContinuumServiceStub, "demo")
    await stub.CreateContinuum(wish(on_own_cells(stateful())))
    request = PlanRunRequest(name=SHOP, kind=SWITCHOVER)
    before = await stub.GetContinuum(GetContinuumRequest(name=SHOP))
    first, second = [await stub.PlanRun(request) for _ in range(2)]
    assert first.plan_fingerprint == second.plan_fingerprint
    assert (first.from_region, first.to_region, len(first.steps)) == (EAST, WEST, 14)
    found = {check.name: check for check in first.checks}
    assert found["witness-quorum"].result == Check.RESULT_PASS
    assert found["target-ready"].result == Check.RESULT_UNKNOWN
    assert found["target-ready"].critical
    assert any(line.startswith("target-ready: ") for line in first.blockers)
    assert not next(step for step in first.steps if step.phase == "Promote").preconditions_met
    failover = await stub.PlanRun(PlanRunRequest(name=SHOP, kind=resources_pb2.RUN_KIND_FAILOVER))
    assert len(failover.steps) == 11
    assert failover.plan_fingerprint != first.plan_fingerprint
    assert not failover.HasField("estimated_loss")
    after = await stub.GetContinuum(GetContinuumRequest(name=SHOP))
    assert (after.version, after.status.epoch) == (before.version, before.status.epoch)


async def test_a_run_leads_to_another_region_of_the_slot_or_is_refused(daemon: RunningDaemon) -> None:
    stub = daemon.member(ContinuumServiceStub, "demo")
    await stub.CreateContinuum(wish(on_own_cells(stateful())))
    await stub.CreateContinuum(wish(lone(), "alone"))
    for request in (
        PlanRunRequest(name=SHOP, kind=SWITCHOVER, to_region=EAST),
        PlanRunRequest(name=SHOP, kind=SWITCHOVER, to_region=NORTH),
        PlanRunRequest(name=SHOP, kind=resources_pb2.RUN_KIND_FAILBACK),
        PlanRunRequest(name=SHOP.replace("shop", "alone"), kind=SWITCHOVER),
    ):
        assert await reason_of(stub.PlanRun(request)) == "REGION_INVALID"
    assert await reason_of(stub.PlanRun(PlanRunRequest(name=SHOP, kind=resources_pb2.RUN_KIND_TAKEOVER))) != "OK"
    foreign = daemon.member(ContinuumServiceStub, "rival")
    assert await reason_of(foreign.PlanRun(PlanRunRequest(name=SHOP, kind=SWITCHOVER))) == "CONTINUUM_NOT_FOUND"


async def test_cells_that_are_down_are_in_the_plan_of_a_slot_where_nothing_else_would_stop_it(
    daemon: RunningDaemon, cells: Cells  # noqa: F811
) -> None:  # fmt: skip
    stub = daemon.member(ContinuumServiceStub, "demo")
    await stub.CreateContinuum(wish(on_own_cells(having(stateless(), luaRecord=...))))
    request = PlanRunRequest(name=SHOP, kind=SWITCHOVER)

    async def planned() -> PlanReport:
        report: PlanReport = await stub.PlanRun(request)
        return report

    lines = {line.split(":")[0] for line in (await planned()).blockers}
    assert lines == {"lease-holder", "epoch-readable", "target-agent", "not-suspended"}
    cells.kill("cell-2")
    cells.kill("cell-3")

    async def is_seen() -> bool:
        return any(line.startswith("witness-quorum: 1 of 3") for line in (await planned()).blockers)

    await eventually(is_seen, within=60, what="the plan knows that the cells are down")


def test_without_a_wish_for_a_region_the_first_fit_one_is_taken_and_a_failback_goes_home() -> None:
    members = (EAST, WEST, NORTH)
    assert destination(Purpose.SWITCHOVER, members, members, EAST) == WEST
    assert destination(Purpose.FAILOVER, members, (EAST, NORTH), EAST) == NORTH
    assert destination(Purpose.SWITCHOVER, members, members, WEST) == EAST
    assert destination(Purpose.FAILBACK, members, members, WEST) == EAST
    assert destination(Purpose.SWITCHOVER, members, (), EAST, WEST) == WEST, "the checks say that it is not promotable"
    with pytest.raises(RegionInvalid, match="may become primary"):
        destination(Purpose.SWITCHOVER, members, (EAST,), EAST)


def test_every_kind_but_a_takeover_can_be_planned() -> None:
    kinds = set(resources_pb2.RunKind.values()) - {0, resources_pb2.RUN_KIND_TAKEOVER}
    assert set(PURPOSES) == kinds
    assert set(PURPOSES.values()) == set(Purpose)


def test_a_plan_has_the_phases_that_a_run_goes_through() -> None:
    planned, unplanned = (steps_of(purpose, Times(FAST)) for purpose in (Purpose.SWITCHOVER, Purpose.FAILOVER))
    assert tuple(step.phase for step in planned) == PLANNED
    assert tuple(step.phase for step in unplanned) == UNPLANNED
    assert {step.executor for step in planned[:SOURCE_PHASES]} == {"source"}
    assert {step.executor for step in planned[SOURCE_PHASES:]} == {"target"}


def test_names_are_answered_as_the_wish_says() -> None:
    document = having(
        stateless(), luaRecord__selector="ifurlup", luaRecord__healthCheck={"url": "https://shop.example.com/up"}
    )
    steering = wished(parse(document, House("demo")))
    assert steering is not None
    assert (steering.zone, steering.names, steering.selector) == (
        "example.com",
        ("shop.example.com",),
        Selector.IFURLUP,
    )
    assert steering.places[WEST] == Place(("198.51.100.2",), 100)
    assert steering.probe == Probe("https://shop.example.com/up", 5, 2, 3)
    assert wished(parse(lone(), House("demo"))) is None
