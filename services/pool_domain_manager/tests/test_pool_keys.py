"""The key of a pool's own zone, whose DS its registrar enters."""

import asyncio
from pathlib import Path

from catalyst.pooldomain.v1.resources_pb2 import Pool, RegistrarAccount, Soa, Zone
from catalyst.pooldomain.v1.service_pb2 import CreatePoolRequest, CreateRegistrarAccountRequest, RollKeyRequest
from catalyst.pooldomain.v1.service_pb2_grpc import PoolServiceStub, RegistrarServiceStub
from catalyst_sdk.resolver import Security
from catalyst_testkit import eventually
from catalyst_testkit.servers import NatsServer
from google.protobuf.duration_pb2 import Duration

from .conftest import Dns
from .flip_bench import ACCOUNT, CREDENTIAL, DOMAIN, HOSTS, ORIGIN, World, as_key, begin, world
from .test_scenario_8 import let_an_hour_pass, short_lived
from .zone_calls import ZONE, admin, ended, made_zone


async def test_the_key_of_a_pools_own_zone_is_exchanged_by_the_pools_account_without_one_bogus_answer(
    home: Path, dns: Dns, clean_nats: NatsServer
) -> None:
    async with world(home, dns) as it, begin(it, home, clean_nats) as daemon:
        wish = RegistrarAccount(registrar="registrars/ovh", credential=CREDENTIAL)
        asked = CreateRegistrarAccountRequest(registrar_account_id="acme-ovh", registrar_account=wish)
        await daemon.member(RegistrarServiceStub, "acme").CreateRegistrarAccount(asked)
        await made_zone(daemon, dns, kind=Zone.KIND_POOL, soa=Soa(minimum=Duration(seconds=1)))
        await short_lived(daemon)
        state = await dns.backend.get_zone(zone=ORIGIN)
        assert state is not None
        before = as_key(state)
        it.fake.domains[DOMAIN].ns, it.fake.domains[DOMAIN].ds = list(HOSTS), [before]
        await eventually(lambda: _is_ours(it), within=60, what="the top level points here")
        pool = Pool(kinds=[Pool.KIND_SOVEREIGN], registrar_account=ACCOUNT)
        await daemon.admin(PoolServiceStub).CreatePool(CreatePoolRequest(pool_id=DOMAIN, pool=pool))
        stop = asyncio.Event()
        sampling = asyncio.create_task(_sampled(it, stop))
        begun = await admin(daemon).RollKey(RollKeyRequest(name=f"{ZONE}/dnssec"))
        await let_an_hour_pass(daemon, "activated")
        done = await ended(daemon, begun.name)
        stop.set()
        assert done.HasField("response"), done.error
        seen = await sampling
        assert len(seen) > 2
        assert [text for text in seen if text] == []
        (after,) = it.fake.domains[DOMAIN].ds
        assert after != before
        assert it.fake.writes == 2, "both DS, then the new one alone"
        assert await _is_ours(it)


async def _is_ours(it: World) -> bool:
    seen = await it.resolver.resolve(ORIGIN, "NS")
    return seen.secure and set(seen.records) == {f"{host}." for host in HOSTS}


async def _sampled(it: World, stop: asyncio.Event) -> list[str]:
    """What was wrong with each answer from the root, all the time."""
    found: list[str] = []
    while not stop.is_set():
        seen = await it.resolver.resolve(ORIGIN, "NS")
        found.append(seen.why if seen.security is Security.BOGUS else "")
        await asyncio.sleep(0.1)
    return found
