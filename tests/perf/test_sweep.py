"""A drift sweep: every zone's backend and servers against the wish, beside the bare reads of the same zones."""

import asyncio
import faulthandler
from collections.abc import Awaitable, Callable
from contextlib import suppress
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from uuid import uuid4

import httpx
import pytest
from catalyst.pooldomain.v1.resources_pb2 import Pool, PoolTtls
from catalyst.pooldomain.v1.service_pb2 import CreatePoolRequest
from catalyst.pooldomain.v1.service_pb2_grpc import PoolServiceStub
from catalyst_dns_powerdns.zones import zone_id
from catalyst_mesh import Daemon
from catalyst_pool_domain_manager.app import compose
from catalyst_pool_domain_manager.domain import allocations, zones
from catalyst_pool_domain_manager.domain.allocations import Allocation, State
from catalyst_pool_domain_manager.settings import PdmSettings
from catalyst_pool_domain_manager.workers.drift import AT_ONCE, LEASE, DriftSweep
from catalyst_sdk import Temporary
from catalyst_sdk.dns import ZoneState
from catalyst_testkit import eventually
from catalyst_testkit.daemons import RunningDaemon, running
from catalyst_testkit.powerdns import API_KEY
from catalyst_testkit.servers import NatsServer
from google.protobuf.duration_pb2 import Duration

from services.pool_domain_manager.tests.on_powerdns import OnPowerDns

from .harness import Goal, Round, batch, compare, measured
from .table import Table

FLEETS = (1_000, 10_000)
"""The specification's goal is for the first. To make the second takes minutes, so one round looks at it, and not in whole."""
DOMAIN = "omani.works"
SECOND = Duration(seconds=1)
MAKING, TRIES = 4, 20
"""Zones that are made at once, and how often one is tried."""
AT_A_TIME = 200
"""Cuts in one change of the parent."""


@measured
@pytest.mark.parametrize("count", FLEETS)
async def test_a_sweep_over_all_zones(
    table: Table, home: Path, nats: NatsServer, pool_on_powerdns: OnPowerDns, count: int
) -> None:
    faulthandler.cancel_dump_traceback_later()  # to make 10,000 zones takes longer than any test may
    dns = pool_on_powerdns
    fields = {"nats_url": nats.url, "sweep_interval": 60.0, "least_ttl": 1, **dns.settings()}
    swept: list[DriftSweep] = []

    async def composed(settings: PdmSettings) -> Daemon:
        """The daemon, whose sweep is ours to begin."""
        daemon = await compose(settings)
        swept.extend(one for one in daemon.workers if isinstance(one, DriftSweep))
        daemon.workers = [one for one in daemon.workers if not isinstance(one, DriftSweep)]
        return daemon

    async with running(composed, PdmSettings, home, **fields) as daemon:
        names, sweep = await peopled(daemon, dns, count), swept[0]
        sweep.leases.ttl = timedelta(hours=1)  # there is no other replica, and a busy machine is to lose no round

        async def ours() -> Round:
            made = await batch(lambda: sweep.leases.attempt(LEASE, sweep.sweep), len(names))
            assert sweep.passes, "the only replica has the lease"
            async with daemon.daemon.work.reading() as tx:
                assert await tx.drifts_by_kind() == {}, "all is as wished"
            return made

        limits = httpx.Limits(max_connections=AT_ONCE, max_keepalive_connections=0)
        patience = httpx.Timeout(60, pool=None)  # the last of 10,000 waits its turn for longer than any answer may take
        async with httpx.AsyncClient(
            headers={"X-API-Key": API_KEY}, trust_env=False, timeout=patience, limits=limits
        ) as plain:

            async def read(name: str) -> None:
                (await plain.get(f"{dns.powerdns.url}/zones/{zone_id(name)}")).raise_for_status()

            async def all_of_them() -> None:
                await asyncio.gather(*(read(name) for name in names))

            looks = ((sweep.readings, "zones"), (1, "zones, each read in whole"))
            for readings, which in looks if count == FLEETS[0] else looks[:1]:
                sweep.readings = readings
                row = await compare(
                    f"PDM: drift sweep over {count:,} {which}", Goal("p50", 1.3, "as many zone reads by a plain client"),
                    ours=ours, bare=lambda: batch(all_of_them, len(names)), rounds=5 if count == FLEETS[0] else 1,
                )  # fmt: skip
                table.add(row)


async def peopled(daemon: RunningDaemon, dns: OnPowerDns, count: int) -> list[str]:
    """A pool whose names are all as they were wished, put there without their reconciler; their zones."""
    wish = Pool(
        kinds=[Pool.KIND_SOVEREIGN], zone=f"zones/{DOMAIN}", backend=dns.pool_backend, allow_private_targets=True,
        ttls=PoolTtls(ns=SECOND, ds=SECOND, record=SECOND, negative=SECOND),
    )  # fmt: skip
    await daemon.admin(PoolServiceStub).CreatePool(CreatePoolRequest(pool_id=DOMAIN, pool=wish))
    work, backend, turns = daemon.daemon.work, dns.backend, asyncio.Semaphore(MAKING)
    async with work.reading() as tx:
        pool, now = await tx.pool(DOMAIN), tx.now
    parent = await backend.get_zone(zone=pool.zone)
    assert parent is not None
    ns = parent.find(pool.zone, "NS")
    assert ns is not None
    reserve = allocations.Reserve(DOMAIN, "", "", "organizations/perf", "perf", "perf", pool.reservation_ttl, "")
    one = allocations.reserve(None, reserve, now).state
    held = [_active(one, f"n{n:05}") for n in range(count)]

    async def made(a: Allocation) -> tuple[object, ...]:
        async with turns:
            state = await _patiently(lambda: backend.create_zone(spec=zones.spec(a, pool, ns.records)))
        return zones.delegation(a, pool, state, ns.records)

    for start in range(0, count, AT_A_TIME):
        some = held[start : start + AT_A_TIME]
        changes = [change for found in await asyncio.gather(*map(made, some)) for change in found]
        await _patiently(lambda c=tuple(changes): backend.apply(zone=pool.zone, changes=c))  # type: ignore[misc]
        async with work.transaction() as tx:
            for a in some:
                await tx.save(a)
    await eventually(lambda: _serves(dns, held[-1].zone), within=60, what="the last zone is served")
    return [a.zone for a in held]


async def _patiently(make: Callable[[], Awaitable[ZoneState]]) -> ZoneState:
    """On a machine that others use a call may be given up before its answer comes; made again, it ends the same."""
    for _ in range(TRIES):
        with suppress(Temporary):
            return await make()
    return await make()


def _active(one: Allocation, label: str) -> Allocation:
    return replace(
        one, label=label, uid=str(uuid4()), state=State.ACTIVE, targets=(("default", "127.7.0.1"),), generation=1,
        observed_generation=1, step="c6", zone_told="signed", zone_version=2, committed_at=one.reserved_at,
        not_before=one.reserved_at.replace(year=one.reserved_at.year + 1),
    )  # fmt: skip


async def _serves(dns: OnPowerDns, zone: str) -> bool:
    return bool((await dns.powerdns.ask(zone, "SOA")).answer)
