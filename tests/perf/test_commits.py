"""Names on their way into the DNS: one commit, and many of one pool at once, beside the bare calls of PowerDNS."""

import asyncio
import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from functools import partial
from itertools import count
from pathlib import Path

import httpx
from catalyst.pooldomain.v1.resources_pb2 import Allocation, Pool, PoolPolicy, PoolTtls
from catalyst.pooldomain.v1.service_pb2 import CreatePoolRequest, ListAllocationsRequest
from catalyst.pooldomain.v1.service_pb2_grpc import PoolServiceStub
from catalyst_dns_powerdns import zones as powerdns_zones
from catalyst_pool_domain_manager.app import compose
from catalyst_pool_domain_manager.settings import PdmSettings
from catalyst_sdk.dns_rules import Faults, new_records
from catalyst_testkit import eventually
from catalyst_testkit.daemons import RunningDaemon, running
from catalyst_testkit.powerdns import API_KEY
from catalyst_testkit.servers import NatsServer
from google.protobuf.duration_pb2 import Duration

from services.pool_domain_manager.tests.calls import POOL, commitment, provisioner, reserve, until
from services.pool_domain_manager.tests.on_powerdns import POOL as PARENT
from services.pool_domain_manager.tests.on_powerdns import SERVER, OnPowerDns

from .harness import Goal, Round, batch, compare, measured, one_by_one
from .table import Table
from .test_dns import spec_of

MANY = int(os.environ.get("CATALYST_PERF_COMMITS", "200"))
"""Commits at once; the specification also asks how many changes of the parent 300 are."""
SECOND = Duration(seconds=1)
WINDOW = 0.1
"""Of the gathering of changes of a parent, which the goal of one commit leaves out."""
NO_LIMIT = 1_000_000


@dataclass
class Bench:
    """A daemon with a pool on PowerDNS, and a plain client of the same server."""

    daemon: RunningDaemon
    dns: OnPowerDns
    plain: httpx.AsyncClient
    numbers: "count[int]" = field(default_factory=count)

    async def commit(self, label: str, token: str) -> None:
        """Wish the name, and wait until the world sees it."""
        await provisioner(self.daemon).CommitAllocation(commitment(token, label=label))
        await until(self.daemon, Allocation.STATE_ACTIVE, name=f"{POOL}/allocations/{label}", within=60)

    async def reserved(self, many: int) -> dict[str, str]:
        """So many names with their tokens, of an owner each."""
        labels = [f"name-{next(self.numbers)}" for _ in range(many)]
        return {x: (await reserve(self.daemon, x, owner=f"organizations/{x}")).reservation_token for x in labels}

    async def settled(self) -> bool:
        """No name is on its way any more."""
        request = ListAllocationsRequest(parent=POOL, filter="state = PROVISIONING", page_size=1)
        return not (await provisioner(self.daemon).ListAllocations(request)).allocations

    async def delegate(self) -> None:
        """What a name is at least: a zone, its cut in the parent, and one look at it."""
        zone = f"bare-{next(self.numbers)}.omani.works."
        spec = spec_of(zone)
        body = powerdns_zones.to_body(spec, new_records(spec, Faults("perf")))
        (await self.plain.post(f"{self.dns.powerdns.url}/zones", json=body)).raise_for_status()
        cut = {"name": zone, "type": "NS", "ttl": 1, "changetype": "REPLACE", "records": [{"content": SERVER}]}
        url = f"{self.dns.powerdns.url}/zones/{PARENT}"
        (await self.plain.patch(url, json={"rrsets": [cut]})).raise_for_status()
        await self.dns.powerdns.ask(zone, "SOA")

    async def serial(self) -> int:
        """Of the parent: one more with each change."""
        state = await self.dns.backend.get_zone(zone=PARENT)
        assert state is not None
        return state.serial


@asynccontextmanager
async def bench(home: Path, nats: NatsServer, dns: OnPowerDns) -> AsyncIterator[Bench]:
    fields = {"nats_url": nats.url, "batch_window": WINDOW, "sweep_interval": 60.0, "least_ttl": 1, **dns.settings()}
    policy = PoolPolicy(reservations_per_minute=NO_LIMIT)
    pool = Pool(
        kinds=[Pool.KIND_SOVEREIGN], zone="zones/omani.works", backend=dns.pool_backend, allow_private_targets=True,
        ttls=PoolTtls(ns=SECOND, ds=SECOND, record=SECOND, negative=SECOND), policy=policy,
    )  # fmt: skip
    plain = httpx.AsyncClient(headers={"X-API-Key": API_KEY}, trust_env=False, timeout=60)
    async with running(compose, PdmSettings, home, **fields) as daemon, plain:
        await daemon.admin(PoolServiceStub).CreatePool(CreatePoolRequest(pool_id="omani.works", pool=pool))
        yield Bench(daemon, dns, plain)


@measured
async def test_a_commit_until_it_is_delegated(
    table: Table, home: Path, nats: NatsServer, pool_on_powerdns: OnPowerDns
) -> None:
    async with bench(home, nats, pool_on_powerdns) as at:

        async def ours() -> Round:
            held = iter((await at.reserved(4)).items())
            made = await one_by_one(lambda: at.commit(*next(held)), 4)
            # Without the gathering, and without the second for which the pool's denials may be believed.
            left = [seconds - WINDOW - 1.0 for seconds in made.each]
            return Round(left, sum(left), made.count)

        goal = Goal("p50", 3, "POST, PATCH and a question; the gathering and the denial's TTL left out")
        table.add(
            await compare("PDM: commit to ACTIVE, idle", goal, ours=ours, bare=partial(one_by_one, at.delegate, 4))
        )


@measured
async def test_many_commits_of_one_pool(
    table: Table, home: Path, nats: NatsServer, pool_on_powerdns: OnPowerDns
) -> None:
    async with bench(home, nats, pool_on_powerdns) as at:
        changes: list[int] = []

        async def ours() -> Round:
            held, before = await at.reserved(MANY), await at.serial()

            async def all_at_once() -> None:
                wishes = [commitment(token, label=label) for label, token in held.items()]
                await asyncio.gather(*(provisioner(at.daemon).CommitAllocation(wish, timeout=60) for wish in wishes))
                await eventually(at.settled, within=600, every=0.2, what="no name is on its way")

            made = await batch(all_at_once, MANY)
            changes.append(await at.serial() - before)
            return made

        goal = Goal("throughput", 1.0, "POST, PATCH and a question each, in sequence")
        row = await compare("", goal, ours=ours, bare=partial(one_by_one, at.delegate, MANY), rounds=3)
        words = f"PDM: {MANY} commits of one pool to ACTIVE, {max(changes)} changes of the parent at most"
        table.add(replace(row, capability=words))
