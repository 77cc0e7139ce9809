"""Keys of zones below the names of their servers, for a parent that takes its first DS from there (RFC 9615)."""

from pathlib import Path

import pytest
from catalyst.pooldomain.v1.resources_pb2 import NameServerSet
from catalyst.pooldomain.v1.service_pb2 import CreateNameServerSetRequest
from catalyst.pooldomain.v1.service_pb2_grpc import NameServerSetServiceStub
from catalyst_pool_domain_manager.workers.servers import Fault, Servers, rrset
from catalyst_testkit import eventually
from catalyst_testkit.servers import NatsServer

from .conftest import Dns
from .flip_bench import DOMAIN, ORIGIN, World, as_key, begin, world
from .zone_calls import HOSTS, applied, made_zone, planned, servers, upsert

pytestmark = pytest.mark.either_database
PLACE = "dns.example"
"""The zone that has the hosts."""
SIGNS = [f"_dsboot.{DOMAIN}._signal.{host}." for host in HOSTS]


async def test_a_zone_that_waits_for_its_first_ds_shows_its_key_below_its_servers_until_it_is_there(
    home: Path, dns: Dns, clean_nats: NatsServer, database: str
) -> None:
    async with world(home, dns) as it, begin(it, home, clean_nats, database, drift_interval=0.5) as daemon:
        it.fake.domains[DOMAIN].ds = []
        elsewhere = servers(dns, "a.elsewhere.test", "b.elsewhere.test")
        wish = CreateNameServerSetRequest(name_server_set_id="elsewhere", name_server_set=NameServerSet())
        wish.name_server_set.CopyFrom(elsewhere)
        await daemon.admin(NameServerSetServiceStub).CreateNameServerSet(wish)
        await made_zone(daemon, dns, PLACE, name_server_set="nameServerSets/elsewhere")
        await made_zone(daemon, dns)
        theirs = upsert(f"_dsboot.other.test._signal.{HOSTS[0]}.", "CDS", f"4711 13 2 {'ab' * 32}")
        await applied(daemon, await planned(daemon, theirs, name=f"zones/{PLACE}"))
        it.fake.domains[DOMAIN].ns = list(HOSTS)
        state = await it.ours.backend.get_zone(zone=ORIGIN)
        assert state is not None
        for kind in ("CDS", "CDNSKEY"):
            (top,) = await shown(it, kind, ORIGIN)
            await eventually(lambda k=kind, t=top: _is_at(it, k, [{*t}] * 2), within=60, what=f"{kind} at both hosts")  # type: ignore[misc]
        it.fake.domains[DOMAIN].ds = [as_key(state)]
        await eventually(lambda: _is_at(it, "CDNSKEY", [set(), set()]), within=60, what="they go when the DS is there")
        assert await shown(it, "CDS", theirs.record_set.name), "what people wished at such a name stays"


async def _is_at(it: World, kind: str, wanted: list[set[str]]) -> bool:
    return await shown(it, kind, *SIGNS) == wanted


async def shown(it: World, kind: str, *names: str) -> list[set[str]]:
    """What our server answers at each name."""
    found = []
    for name in names:
        answer = await Servers(it.hints).ask(f"{HOSTS[0]}.", name, kind)
        assert not isinstance(answer, Fault), answer
        found.append({str(one) for one in rrset(answer, name, kind) or ()})
    return found
