"""Continuum objects over the daemon's own service."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from catalyst.continuum.v1.service_pb2 import GetContinuumRequest
from catalyst.continuum.v1.service_pb2_grpc import ContinuumServiceStub
from catalyst_continuum.app import compose
from catalyst_continuum.controllers import owned
from catalyst_continuum.settings import ContinuumSettings
from catalyst_testkit import eventually
from catalyst_testkit.daemons import RunningDaemon, reason_of, running
from catalyst_testkit.servers import NatsServer

from lib.kube.tests.memory import MOST_WRITES, ClusterInMemory, reconciling
from services.continuum.tests.manifests import EAST, WEST, on_own_cells, stateful
from services.continuum.tests.test_daemon import Cells, cells  # noqa: F401 - a fixture

SHOP = "namespaces/acme/continuums/shop"


@asynccontextmanager
async def controlling(home: Path, cluster: ClusterInMemory, **settings: Any) -> AsyncIterator[RunningDaemon]:
    async with running(compose, ContinuumSettings, home, **settings) as daemon:
        service = next(each.servicer for each in daemon.daemon.services if each.name.endswith(".ContinuumService"))
        async with reconciling(cluster, *owned(service)) as wrong:
            yield daemon
            assert wrong == []


async def test_a_slot_is_made_changed_and_suspended_by_its_object_and_kept_while_somebody_writes(
    home: Path,
    clean_nats: NatsServer,
    cells: Cells,  # noqa: F811
) -> None:
    settings = {"nats_url": clean_nats.url, "cells": cells.setting, "tsig_key_file": cells.key}
    cluster = ClusterInMemory("Continuum")
    sample: dict[str, Any] = on_own_cells(stateful())
    cluster.put("shop", **{**dict.fromkeys(("approval", "rto", "rpo")), **sample})
    async with controlling(home, cluster, **settings) as daemon:
        stub = daemon.admin(ContinuumServiceStub)
        await eventually(lambda: cluster.condition("shop", "InSync") == "True AsWished", within=60)
        assert cluster.written("shop") <= MOST_WRITES
        made = await stub.GetContinuum(GetContinuumRequest(name=SHOP))
        assert (made.spec.primary_region, list(made.spec.hot_standby_regions)) == (EAST, [WEST])
        cluster.put("shop", rto="120s")
        await eventually(lambda: cluster.status("shop").get("observedGeneration") == 2, within=60)
        assert (await stub.GetContinuum(GetContinuumRequest(name=SHOP))).spec.rto.seconds == 120
        settled = len(cluster.writes)
        cluster.annotate("shop", looked="at")
        cluster.put("shop", primaryRegion="nowhere")
        await eventually(lambda: cluster.condition("shop", "Accepted") == "False Invalid", within=60)
        assert len(cluster.writes) == settled + 1
        cluster.put("shop", primaryRegion=EAST, suspend=True)
        await eventually(lambda: cluster.condition("shop", "Suspended") == "True ByObject", within=60)
        cluster.put("shop", suspend=None)
        await eventually(lambda: cluster.condition("shop", "Suspended") == "False NotSuspended", within=60)
        trigger = {"mechanism": "postgres", "requested": True, "targetRegion": WEST, "requestId": "once"}
        cluster.put("shop", switchover=trigger)
        await eventually(lambda: cluster.condition("shop", "SwitchoverTaken") == "False NotYet", within=60)
        assert not cluster.status("shop").get("observedRequestId"), "no agent of a region is here that could begin it"
        cluster.delete("shop")
        await eventually(lambda: not cluster.has("shop"), within=60)
        assert "NotSuspended" in {note["reason"] for note in cluster.notes.values()}, "who still writes is not let go"
        assert await reason_of(stub.GetContinuum(GetContinuumRequest(name=SHOP))) == "OK"
