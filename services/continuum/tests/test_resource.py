"""Slots over gRPC: made, read, listed, changed, suspended, watched, deleted."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest
from catalyst.continuum.v1.resources_pb2 import Check, Continuum, ContinuumSpec, ContinuumStatus, RegisterView
from catalyst.continuum.v1.service_pb2 import (
    AcknowledgeFailoverRequest,
    CreateContinuumRequest,
    DeleteContinuumRequest,
    GetContinuumRequest,
    ListContinuumsRequest,
    PostHealthRequest,
    ResumeRequest,
    SuspendRequest,
    UpdateContinuumRequest,
    WatchContinuumRequest,
)
from catalyst.continuum.v1.service_pb2_grpc import ContinuumServiceStub
from catalyst_continuum.app import compose
from catalyst_continuum.domain import audit, status
from catalyst_continuum.domain.status import Facts
from catalyst_continuum.messages import record_of
from catalyst_continuum.rpc import specs
from catalyst_continuum.settings import ContinuumSettings
from catalyst_mesh import Database
from catalyst_mesh.errors import explain
from catalyst_testkit import eventually
from catalyst_testkit.daemons import RunningDaemon, reason_of, running
from catalyst_testkit.servers import NatsServer
from google.protobuf.field_mask_pb2 import FieldMask
from sqlalchemy import text

from services.continuum.tests.manifests import EAST, having, lone, on_own_cells, stateful
from services.continuum.tests.test_daemon import Cells, cells  # noqa: F401 - a fixture

pytestmark = pytest.mark.either_database

SHOP = "namespaces/demo/continuums/shop"


@pytest.fixture
async def daemon(home: Path, clean_nats: NatsServer, database: str, cells: Cells) -> AsyncIterator[RunningDaemon]:  # noqa: F811
    settings = {
        "nats_url": clean_nats.url, "database_url": database, "cells": cells.setting, "tsig_key_file": cells.key,
    }  # fmt: skip
    async with running(compose, ContinuumSettings, home, **settings) as running_daemon:
        yield running_daemon


def wish(document: dict[str, Any], id: str = "shop", **more: Any) -> CreateContinuumRequest:
    return CreateContinuumRequest(
        parent="namespaces/demo", continuum_id=id, continuum=Continuum(spec=specs.message(document)), **more
    )


async def test_a_wish_is_made_read_changed_and_deleted_only_as_it_was_read(daemon: RunningDaemon) -> None:
    stub = daemon.member(ContinuumServiceStub, "demo")
    rehearsed = await stub.CreateContinuum(wish(on_own_cells(stateful()), validate_only=True))
    assert rehearsed.spec.auto_failover
    assert await reason_of(stub.GetContinuum(GetContinuumRequest(name=SHOP))) == "CONTINUUM_NOT_FOUND"
    once = str(uuid4())
    made = await stub.CreateContinuum(wish(on_own_cells(stateful()), request_id=once))
    assert await stub.CreateContinuum(wish(on_own_cells(stateful()), request_id=once)) == made
    assert await reason_of(stub.CreateContinuum(wish(on_own_cells(stateful())))) == "CONTINUUM_EXISTS"
    assert (made.name, made.generation, made.spec.mode) == (SHOP, 1, ContinuumSpec.MODE_UNSPECIFIED), "as it was wished"
    assert made.status.rto_worst_case.seconds == 51
    assert {c.type: c.reason for c in made.conditions}["ReplicationWithinRPO"] == "Unknown"

    change = UpdateContinuumRequest(
        continuum=Continuum(name=SHOP), update_mask=FieldMask(paths=["spec.rto"]), etag=made.etag
    )
    change.continuum.spec.rto.seconds = 120
    after = await stub.UpdateContinuum(change)
    assert (after.generation, after.spec.rto.seconds, after.spec.application_ref.name) == (2, 120, "shop")
    assert after.status.rto_worst_case.seconds == 65, "the calmest profile that keeps the goal"
    assert await reason_of(stub.UpdateContinuum(change)) == "ETAG_MISMATCH"
    change.etag, change.update_mask.paths[:] = after.etag, ["spec.colour"]
    assert await reason_of(stub.UpdateContinuum(change)) == "REQUEST_INVALID"
    moved = UpdateContinuumRequest(continuum=after, update_mask=FieldMask(paths=["spec.regions"]), etag=after.etag)
    moved.continuum.spec.regions[0].lb_ips[:] = ["198.51.100.77"]
    assert await reason_of(stub.UpdateContinuum(moved)) == "NOT_SUSPENDED"
    assert await reason_of(stub.DeleteContinuum(DeleteContinuumRequest(name=SHOP, etag=after.etag))) == "NOT_SUSPENDED"
    seen = await stub.AcknowledgeFailover(AcknowledgeFailoverRequest(name=SHOP, etag=after.etag, comment="seen"))
    assert seen.version == after.version + 1

    listed = await stub.ListContinuums(ListContinuumsRequest(parent="namespaces/-", filter="mode = AUTOMATIC"))
    assert [one.name for one in listed.continuums] == [SHOP]
    none = await stub.ListContinuums(ListContinuumsRequest(parent="namespaces/-", filter="phase = HEALTHY"))
    assert not none.continuums
    odd = ListContinuumsRequest(parent="namespaces/-", filter="colour = red")
    assert await reason_of(stub.ListContinuums(odd)) == "FILTER_INVALID"
    stranger = daemon.member(ContinuumServiceStub, "other")
    assert await reason_of(stranger.GetContinuum(GetContinuumRequest(name=SHOP))) == "CONTINUUM_NOT_FOUND"
    assert not (await stranger.ListContinuums(ListContinuumsRequest(parent="namespaces/-"))).continuums
    assert await reason_of(stranger.CreateContinuum(wish(on_own_cells(stateful()), "blog"))) == "ROLE_DENIED"


async def test_what_is_wrong_with_a_wish_is_said_at_once_with_the_paths_of_the_contract(daemon: RunningDaemon) -> None:
    stub = daemon.admin(ContinuumServiceStub)
    bad = having(on_own_cells(stateful()), mode="manual", leaseClient__config__pollSeconds=9, database=...)
    with pytest.raises(Exception) as refused:
        await stub.CreateContinuum(wish(bad))
    why = explain(refused.value)  # type: ignore[arg-type]
    assert why.reason == "SPEC_INVALID"
    assert {v.field for v in why.violations} == {
        "continuum.spec.mode", "continuum.spec.lease_client.config.poll_interval", "continuum.spec.database.clusters",
    }  # fmt: skip


async def test_a_slot_is_frozen_and_thawed_in_the_register_and_all_of_it_is_one_chain_of_events(
    daemon: RunningDaemon, database: str
) -> None:
    stub = daemon.admin(ContinuumServiceStub)
    first = await stub.CreateContinuum(wish(lone()))

    async def seen(state: int) -> Continuum | None:
        answer = await stub.GetContinuum(GetContinuumRequest(name=SHOP))
        return answer if answer.register.state == state and answer.register.holder == EAST else None

    await eventually(lambda: seen(RegisterView.STATE_HELD), within=60)
    work: Any = daemon.daemon.work
    async with work.transaction() as tx:
        slot = await tx.lock("demo", "shop")
        await tx.observe(slot, EAST, status.write(Facts(EAST, run_kind="planned"), ()))
    assert await reason_of(stub.Suspend(SuspendRequest(name=SHOP))) == "RUN_UNDER_WAY"
    assert (
        await stub.GetContinuum(GetContinuumRequest(name=SHOP))
    ).status.phase == ContinuumStatus.PHASE_SWITCHING_OVER
    async with work.transaction() as tx:
        await tx.sql.execute(text("DELETE FROM observation"))
    watched: list[Any] = []

    async def watch(cursor: str) -> None:
        async for answer in stub.WatchContinuum(WatchContinuumRequest(name=SHOP, cursor=cursor)):
            watched.append(answer)

    watching = asyncio.create_task(watch("another.1.life"))
    await stub.Suspend(SuspendRequest(name=SHOP, reason="maintenance"))
    held = await eventually(lambda: seen(RegisterView.STATE_FROZEN), within=60)
    assert held is not None
    assert held.spec.suspend
    report = await stub.PostHealth(PostHealthRequest(name=SHOP))
    assert (report.replicas_healthy.result, report.latency_normal.result) == (Check.RESULT_PASS, Check.RESULT_UNKNOWN)
    assert not report.healthy, "what nobody looked at is not healthy"
    await eventually(
        lambda: any(one.continuum.register.state == RegisterView.STATE_FROZEN for one in watched), within=60
    )
    watching.cancel()
    assert watched[0].reset, "a cursor of another life"
    await stub.Resume(ResumeRequest(name=SHOP))
    await eventually(lambda: seen(RegisterView.STATE_HELD), within=60)
    await stub.Suspend(SuspendRequest(name=SHOP))
    await eventually(lambda: seen(RegisterView.STATE_FROZEN), within=60)
    last = await stub.GetContinuum(GetContinuumRequest(name=SHOP))
    await stub.DeleteContinuum(DeleteContinuumRequest(name=SHOP, etag=last.etag))
    assert await reason_of(stub.GetContinuum(GetContinuumRequest(name=SHOP))) == "CONTINUUM_NOT_FOUND"
    again = await stub.CreateContinuum(wish(lone()))
    assert again.uid != first.uid
    await eventually(
        lambda: seen(RegisterView.STATE_HELD), within=60, what="a second life thaws what the first one froze"
    )

    db = await Database.open(database)
    async with db.read() as sql:
        rows = (await sql.execute(text("SELECT schema, body FROM audit ORDER BY version"))).all()
    await db.close()
    records = [record_of(row.schema, row.body) for row in rows]
    assert list(audit.breaks(records)) == []
    kinds = [record.type for record in records]
    assert [kinds.count(kind) for kind in ("cr-created", "suspended", "resumed", "cr-deleted")] == [2, 2, 2, 1]
