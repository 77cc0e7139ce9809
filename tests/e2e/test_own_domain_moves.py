"""A run moves an own domain: the provisioner asks the pool domain manager, and that the registrar's account of its owner.

Real name servers from the root down; the registrar is a fake of OVH's API whose registry publishes what it was told.
"""

import asyncio
import shutil
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import catalyst_cloud_sandbox
from catalyst.pooldomain.v1.resources_pb2 import Delegation
from catalyst.provisioner.v1 import resources_pb2 as pb
from catalyst_provisioner.app import compose
from catalyst_provisioner.settings import ProvisionerSettings
from catalyst_testkit.daemons import RunningDaemon, running
from catalyst_testkit.servers import NatsServer, free_port

from services.pool_domain_manager.tests.dns_servers import Dns
from services.pool_domain_manager.tests.flip_bench import ACCOUNT, DOMAIN, World, begin, prepared, stands, world
from services.pool_domain_manager.tests.zone_calls import HOSTS
from services.provisioner.tests import peers
from services.provisioner.tests.conftest import Bench

NAME = "sovereigns/acme"
OWN = {"mode": "byo-api", "fqdn": DOMAIN, "registrar_account": ACCOUNT}
ACME = {"organization": {"slug": "acme", "admin_email": "ops@acme.example"}, "domain": OWN}


@asynccontextmanager
async def provisioner(home: Path, nats: NatsServer, pdm: RunningDaemon, it: World) -> AsyncIterator[Bench]:
    """The daemon, over a real pool domain manager and stand-ins of the others."""
    own = home / "provisioner"
    # People are known by one issuer to both.
    shutil.copytree(home / "pdm" / "issuer", own / "issuer")
    async with peers.world() as around:
        values: dict[str, Any] = {
            "nats_url": nats.url, "listen": f"127.0.0.1:{free_port()}", "git_listen": f"127.0.0.1:{free_port()}",
            "sandbox_dir": own / "sandbox", "time_scale": 0.02, "destroy_verify_seconds": 0.2,
            "catalog_target": around.target, "billing_target": around.target, "pdm_target": pdm.target,
            "dns_hints": it.hints, "dns_trust_anchor": it.top.folder / "root.key", "service": "provisioner",
        }  # fmt: skip
        try:
            async with running(compose, ProvisionerSettings, own, **values) as daemon:
                yield Bench(daemon, around, own)
        finally:
            await asyncio.to_thread(catalyst_cloud_sandbox.power_off, own / "sandbox")


async def test_an_own_domain_is_moved_by_its_owners_account_in_a_run(home: Path, clean_nats: NatsServer) -> None:
    folder = home / "dns"
    folder.mkdir()
    ours = Dns(folder)
    ours.start()
    try:
        async with (
            world(home, ours) as it, begin(it, home, clean_nats) as pdm,
            provisioner(home, clean_nats, pdm, it) as bench,
        ):  # fmt: skip
            await prepared(pdm, it)
            await bench.create(NAME, **ACME)
            plan = await bench.plan(name=NAME)
            assert [(f.code, f.severity) for f in plan.findings] == [("dns.not_delegated", pb.Finding.SEVERITY_INFO)]
            ended = await bench.ended(await bench.apply(plan), within=120)
            assert ended.state == pb.Run.STATE_SUCCEEDED, (ended.error, await bench.steps(ended.name))
            assert it.fake.domains[DOMAIN].ns == list(HOSTS)
            assert (await stands(pdm)).state == Delegation.STATE_DELEGATED
            seen = await it.resolver.resolve(f"console.{DOMAIN}.", "A")
            assert seen.records, seen
            assert {c.type: c.status for c in (await bench.get(NAME)).conditions}["Ready"] == 1
            assert (await bench.plan(name=NAME)).empty
    finally:
        await asyncio.to_thread(ours.end)
