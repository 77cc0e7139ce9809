"""Backends and sets of name servers as resources: probed, not believed; in use, they stay."""

import pytest
from catalyst.mesh.v1.resources_pb2 import Condition
from catalyst.pooldomain.v1.resources_pb2 import Backend, Glue, NameServerEndpoint, NameServerSet
from catalyst.pooldomain.v1.service_pb2 import (
    CheckNameRequest,
    CreateBackendRequest,
    CreateNameServerSetRequest,
    DeleteBackendRequest,
    DeleteNameServerSetRequest,
    GetBackendRequest,
    GetNameServerSetRequest,
    ListBackendsRequest,
    ProbeBackendRequest,
    UpdateBackendRequest,
)
from catalyst.pooldomain.v1.service_pb2_grpc import AllocationServiceStub, BackendServiceStub, NameServerSetServiceStub
from catalyst_testkit import eventually
from catalyst_testkit.daemons import RunningDaemon, reason_of
from catalyst_testkit.powerdns import API_KEY, PowerDnsServer

from .conftest import Dns, Start
from .zone_calls import DOMAIN, made_zone, owner, servers, until_zone, zone

pytestmark = pytest.mark.either_database

one_database = pytest.mark.parametrize("database", ["sqlite"], indirect=True)


async def proved(daemon: RunningDaemon, name: str) -> Backend:
    seen = Backend()

    backends = daemon.admin(BackendServiceStub)

    async def is_so() -> bool:
        # A built-in one is there once the worker has looked for the first time.
        if name not in [found.name for found in (await backends.ListBackends(ListBackendsRequest())).backends]:
            return False
        seen.CopyFrom(await backends.GetBackend(GetBackendRequest(name=name)))
        return seen.observed_generation == seen.generation and seen.HasField("capabilities")

    await eventually(is_so, within=60, what=f"{name} was probed")
    return seen


async def test_a_backend_that_is_made_at_run_time_is_probed_and_holds_a_zone(
    start: Start, dns: Dns, powerdns: PowerDnsServer, home: object
) -> None:
    secrets = dns.folder / "other-secrets"
    secrets.mkdir()
    (secrets / "second").write_text(API_KEY)
    async with start(secrets_folder=secrets) as daemon:
        backends = daemon.admin(BackendServiceStub)
        wish = Backend(plugin="powerdns", secret_ref="second")
        bad = CreateBackendRequest(backend_id="second", backend=wish)
        assert await reason_of(backends.CreateBackend(bad)) == "PLUGIN_UNAVAILABLE", "its schema wants a url"
        wish.config.update({"url": powerdns.url})
        made = await backends.CreateBackend(CreateBackendRequest(backend_id="second", backend=wish))
        assert await reason_of(backends.CreateBackend(CreateBackendRequest(backend_id="second", backend=wish))) == (
            "BACKEND_EXISTS"
        )
        seen = await proved(daemon, "backends/second")
        assert (seen.plugin, seen.capabilities.zone_lifecycle, "TLSA" in seen.capabilities.record_types) == (
            "dns_powerdns", True, True,
        )  # fmt: skip
        names = NameServerSet(
            published=["ns1.dns.example", "ns2.dns.example"],
            polled=[NameServerEndpoint(host="ns1.dns.example", addresses=["127.0.0.1"], port=powerdns.port)],
        )
        sets = daemon.admin(NameServerSetServiceStub)
        await sets.CreateNameServerSet(CreateNameServerSetRequest(name_server_set_id="second", name_server_set=names))
        domain = "run-time.example"
        fields = {"backend": "backends/second", "name_server_set": "nameServerSets/second"}
        await owner(daemon).CreateZone(zone(dns, domain, **fields))
        await until_zone(daemon, f"zones/{domain}")
        assert await reason_of(backends.DeleteBackend(DeleteBackendRequest(name=made.name, etag=seen.etag))) == (
            "BACKEND_IN_USE"
        )
        assert await reason_of(
            sets.DeleteNameServerSet(DeleteNameServerSetRequest(name="nameServerSets/second", etag='"1"'))
        ) == "NAME_SERVER_SET_IN_USE"  # fmt: skip


@one_database
async def test_a_probe_tells_what_fails_and_keeps_what_was_proved(start: Start, dns: Dns) -> None:
    async with start() as daemon:
        backends = daemon.admin(BackendServiceStub)
        seen = await proved(daemon, "backends/embedded")
        assert "backends/embedded" in [b.name for b in (await backends.ListBackends(ListBackendsRequest())).backends]
        dns.kill()
        await backends.ProbeBackend(ProbeBackendRequest(name=seen.name, etag=seen.etag))

        async def told() -> bool:
            now = await backends.GetBackend(GetBackendRequest(name=seen.name))
            (ready,) = now.conditions
            return bool(ready.status == Condition.STATUS_UNKNOWN and ready.message and now.capabilities.dnssec)

        await eventually(told, within=60, what="the condition says that it does not answer")
        dns.start()
        await proved(daemon, "backends/embedded")
        stale = UpdateBackendRequest(backend=Backend(name=seen.name, secret_ref="x"), etag=seen.etag)
        assert await reason_of(backends.UpdateBackend(stale)) == "ETAG_MISMATCH"
        unknown = CreateBackendRequest(backend_id="nobody", backend=Backend(plugin="nobody"))
        assert await reason_of(backends.CreateBackend(unknown)) == "PLUGIN_UNAVAILABLE"


@one_database
async def test_what_can_be_no_set_is_refused_with_every_fault(start: Start, dns: Dns) -> None:
    async with start() as daemon:
        sets = daemon.admin(NameServerSetServiceStub)

        async def refused(wish: NameServerSet) -> str:
            return await reason_of(
                sets.CreateNameServerSet(CreateNameServerSetRequest(name_server_set_id="bad", name_server_set=wish))
            )

        good = servers(dns)
        for published in (
            [],
            ["ns1.dns.example"],
            ["ns1.dns.example"] * 2,
            ["192.0.2.1", "ns1.dns.example"],
            ["a_b.x.y", "n.x.y"],
        ):
            wish = NameServerSet(published=published, polled=good.polled)
            assert await refused(wish) == "NAMESERVERS_INVALID", published
        assert await refused(NameServerSet(published=good.published)) == "NAMESERVERS_INVALID"
        stray = NameServerSet(
            published=good.published, polled=good.polled, glue=[Glue(host="x.y.z", addresses=["192.0.2.1"])]
        )
        assert await refused(stray) == "NAMESERVERS_INVALID"
        missing = GetNameServerSetRequest(name="nameServerSets/none")
        assert await reason_of(sets.GetNameServerSet(missing)) == "NAME_SERVER_SET_NOT_FOUND"


@one_database
async def test_a_zone_whose_servers_lie_inside_has_their_addresses_as_glue(start: Start, dns: Dns) -> None:
    async with start() as daemon:
        sets = daemon.admin(NameServerSetServiceStub)
        wish = servers(dns, f"ns1.{DOMAIN}", f"ns2.{DOMAIN}")
        wish.glue.extend(Glue(host=h, addresses=["192.0.2.53", "2001:db8::53"]) for h in wish.published)
        await sets.CreateNameServerSet(CreateNameServerSetRequest(name_server_set_id="inside", name_server_set=wish))
        await owner(daemon).CreateZone(zone(dns, name_server_set="nameServerSets/inside"))
        await until_zone(daemon)
        held = await dns.backend.get_zone(zone=f"{DOMAIN}.")
        assert held is not None
        assert held.find(f"ns1.{DOMAIN}.", "AAAA").records == ("2001:db8::53",)  # type: ignore[union-attr]


@one_database
async def test_hosts_of_a_set_can_never_be_allocated(start: Start, dns: Dns) -> None:
    async with start() as daemon:
        await made_zone(daemon, dns)
        sets = daemon.admin(NameServerSetServiceStub)
        wish = servers(dns, "dns-one.omani.works", "ns2.dns.example")
        await sets.CreateNameServerSet(CreateNameServerSetRequest(name_server_set_id="pooled", name_server_set=wish))
        names = daemon.stub(AllocationServiceStub, "somebody")

        async def reserved() -> bool:
            asked = CheckNameRequest(parent="pools/omani.works", label="dns-one")
            return (await names.CheckName(asked)).reason == "LABEL_RESERVED"

        await eventually(reserved, within=60, what="the host's label is reserved")
