"""Imports: a zone file, a signed transfer from BIND, a walk along NSEC and a probe of usual names, each on a real server."""

import os
from pathlib import Path

import pytest
from catalyst.pooldomain.v1.resources_pb2 import NameServerEndpoint, RegistrarAccount, ZoneImport
from catalyst.pooldomain.v1.service_pb2 import (
    AxfrSource,
    CreateRegistrarAccountRequest,
    GetZoneImportRequest,
    ImportZoneRequest,
    ListZoneImportsRequest,
    PlanZoneRequest,
)
from catalyst.pooldomain.v1.service_pb2_grpc import RegistrarServiceStub
from catalyst_pool_domain_manager.workers import collecting
from catalyst_sdk import Permanent, Secret
from catalyst_sdk.dns import Change
from catalyst_testkit.bind import BindServer
from catalyst_testkit.daemons import RunningDaemon, reason_of
from catalyst_testkit.fake_registrar import FakeDomain, serving
from catalyst_testkit.nameservers import UPDATE_KEY, UPDATE_SECRET

from plugins.registrar_ovh.tests.fake_ovh import FakeOvh

from .conftest import Dns, Start
from .flip_bench import CREDENTIAL
from .zone_calls import DOMAIN, ZONE, applied, ended, listed, made_zone, owner

pytestmark = pytest.mark.either_database

ORIGIN = f"{DOMAIN}."
FILE = f"""$TTL 300
@ IN SOA ns1.else.example. root.else.example. 7 3600 600 86400 300
@ IN NS ns1.else.example.
@ IN NS ns2.else.example.
@ IN MX 10 mail.{ORIGIN}
@ IN TXT "v=spf1 mx -all"
mail IN A 192.0.2.25
www IN CNAME mail
google._domainkey IN TXT "v=DKIM1; p=abc"
"""
KEY = Secret(f"hmac-sha256:{UPDATE_KEY}:{UPDATE_SECRET}".encode())


async def imported(daemon: RunningDaemon, request: ImportZoneRequest) -> ZoneImport:
    seen = await ended(daemon, (await owner(daemon).ImportZone(request)).name)
    assert seen.HasField("response"), seen.error
    found = ZoneImport()
    seen.response.Unpack(found)
    return found


def of(found: ZoneImport) -> dict[tuple[str, str], list[str]]:
    return {(r.name, r.type): list(r.values) for r in found.record_sets}


def planted(bind: BindServer, domain: str, text: str) -> None:
    """A zone on BIND that only the key may take away."""
    path: Path = bind.zones / domain
    path.write_text(text)
    if os.geteuid() == 0:
        os.chown(path, 65534, 65534)
    wish = f'{{ type primary; file "{path}"; allow-transfer {{ key {UPDATE_KEY.rstrip(".")}; }}; }};'
    done = bind.rndc("addzone", domain, wish)
    assert done.returncode == 0, done.stderr


async def test_a_zone_file_becomes_an_import_a_plan_and_a_zone_whose_mail_is_as_before(start: Start, dns: Dns) -> None:
    async with start() as daemon:
        await made_zone(daemon, dns)
        found = await imported(daemon, ImportZoneRequest(parent=ZONE, zone_file=FILE))
        assert (found.source, found.completeness, found.wildcard_found) == (
            "zone_file", ZoneImport.COMPLETENESS_FULL, False,
        )  # fmt: skip
        assert found == await owner(daemon).GetZoneImport(GetZoneImportRequest(name=found.name))
        (short,) = (await owner(daemon).ListZoneImports(ListZoneImportsRequest(parent=ZONE))).imports
        assert (short.name, len(short.record_sets)) == (found.name, 0)
        plan = await owner(daemon).PlanZone(PlanZoneRequest(parent=ZONE, **{"import": found.name}))
        assert {(c.after.name, c.after.type) for c in plan.changes} == set(of(found)) - {
            (ORIGIN, "SOA"),
            (ORIGIN, "NS"),
        }
        await applied(daemon, plan)
        served = await listed(daemon, 3)
        assert served[ORIGIN, "MX"] == [f"10 mail.{ORIGIN}"]
        assert served[f"google._domainkey.{ORIGIN}", "TXT"] == ['"v=DKIM1; p=abc"']


async def test_a_file_that_cannot_be_read_is_refused_at_once_with_its_line(start: Start, dns: Dns) -> None:
    async with start() as daemon:
        await made_zone(daemon, dns)
        for bad in ("$INCLUDE /etc/passwd\n", "www IN A 1.2.3\n", "$GENERATE 1-2000 h$ A 192.0.2.1\n"):
            assert await reason_of(owner(daemon).ImportZone(ImportZoneRequest(parent=ZONE, zone_file=FILE + bad))) == (
                "RECORD_INVALID"
            )
        account = ImportZoneRequest(parent=ZONE, registrar_account="registrarAccounts/one")
        assert await reason_of(owner(daemon).ImportZone(account)) == "REGISTRAR_ACCOUNT_NOT_FOUND"


@pytest.mark.parametrize("database", ["sqlite"], indirect=True)
async def test_a_registrars_account_tells_what_its_own_name_servers_have(start: Start, dns: Dns) -> None:
    fake = FakeOvh()
    fake.domains[DOMAIN] = FakeDomain([])
    async with serving(fake), start(plugins={"registrar:ovh": {"url": f"{fake.url}/1.0", "try_seconds": 5}}) as daemon:
        await made_zone(daemon, dns)
        wish = RegistrarAccount(registrar="registrars/ovh", credential=CREDENTIAL)
        create = CreateRegistrarAccountRequest(registrar_account_id="acme-ovh", registrar_account=wish)
        await daemon.member(RegistrarServiceStub, "acme").CreateRegistrarAccount(create)
        request = ImportZoneRequest(parent=ZONE, registrar_account="registrarAccounts/acme-ovh")
        seen = await ended(daemon, (await owner(daemon).ImportZone(request)).name)
        assert "OVH has no zone" in seen.error.message
        fake.zones[DOMAIN] = FILE
        found = await imported(daemon, request)
        assert (found.source, found.completeness) == ("registrar_account", ZoneImport.COMPLETENESS_FULL)
        sets = of(found)
        assert (sets[ORIGIN, "MX"], sets[f"mail.{ORIGIN}", "A"]) == ([f"10 mail.{ORIGIN}"], ["192.0.2.25"])
        rival = daemon.member(RegistrarServiceStub, "rival")
        create = CreateRegistrarAccountRequest(registrar_account_id="rivals", registrar_account=wish)
        await rival.CreateRegistrarAccount(create)
        theirs = ImportZoneRequest(parent=ZONE, registrar_account="registrarAccounts/rivals")
        assert await reason_of(owner(daemon).ImportZone(theirs)) == "REGISTRAR_ACCOUNT_NOT_FOUND"


@pytest.mark.parametrize("database", ["sqlite"], indirect=True)
async def test_a_transfer_needs_its_key_and_brings_everything(
    start: Start, dns: Dns, bind: BindServer, home: Path
) -> None:
    secrets = home / "pdm-secrets"
    secrets.mkdir()
    (secrets / "transfer").write_text(KEY.reveal())
    planted(bind, DOMAIN, FILE)
    async with start(secrets_folder=secrets) as daemon:
        await made_zone(daemon, dns)
        server = NameServerEndpoint(host="ns1.else.example", addresses=["127.0.0.1"], port=bind.port)
        bare = ImportZoneRequest(parent=ZONE, axfr=AxfrSource(server=server))
        seen = await ended(daemon, (await owner(daemon).ImportZone(bare)).name)
        assert "gives the zone not away: REFUSED" in seen.error.message
        signed = ImportZoneRequest(parent=ZONE, axfr=AxfrSource(server=server, tsig_secret_ref="transfer"))
        found = await imported(daemon, signed)
        assert of(found)[f"www.{ORIGIN}", "CNAME"] == [f"mail.{ORIGIN}"]
        assert (found.completeness, len(found.record_sets)) == (ZoneImport.COMPLETENESS_FULL, 7)


async def test_a_walk_along_nsec_meets_every_name(dns: Dns) -> None:
    zone = "omani.works."
    extra = (Change(f"a.{zone}", "TXT", 60, ('"one"',)), Change(f"*.w.{zone}", "A", 60, ("192.0.2.1",)))
    state = await dns.backend.apply(zone=zone, changes=extra)
    found = await collecting.walk([dns.served_at], zone)
    wanted = {(r.name, r.type) for r in state.record_sets if "_pdm-" not in r.name}
    assert {(r.name, r.type) for r in found.record_sets} == wanted
    assert found.wildcard_found


async def test_a_probe_finds_usual_names_and_no_name_that_a_wildcard_makes_up(dns: Dns) -> None:
    zone = "omani.works."
    there = (
        Change(f"www.{zone}", "A", 60, ("192.0.2.1",)), Change(f"*.{zone}", "A", 60, ("192.0.2.9",)),
        Change(zone, "MX", 60, (f"10 odd.{zone}",)), Change(f"odd.{zone}", "A", 60, ("192.0.2.25",)),
        Change(f"k1._domainkey.{zone}", "TXT", 60, ('"v=DKIM1"',)), Change(f"mine.{zone}", "TXT", 60, ('"x"',)),
        Change(f"_25._tcp.odd.{zone}", "TLSA", 60, ("3 1 1 " + "ab" * 32,)),
    )  # fmt: skip
    await dns.backend.apply(zone=zone, changes=there)
    found = await collecting.probe([dns.served_at], zone, ["mine"])
    keys = {(r.name, r.type) for r in found.record_sets}
    assert found.wildcard_found
    assert {(c.name, c.type) for c in there} <= keys
    assert (f"smtp.{zone}", "A") not in keys


async def test_names_that_are_hashed_cannot_be_walked_along(bind: BindServer) -> None:
    planted(bind, "hashed.example", FILE.replace(DOMAIN, "hashed.example"))
    with pytest.raises(Permanent, match="no NSEC"):
        await collecting.walk([("127.0.0.1", bind.port)], "hashed.example.")
    with pytest.raises(Permanent, match="gives the zone not away"):
        await collecting.transfer(("127.0.0.1", bind.port), "hashed.example.", None)
    with pytest.raises(Permanent, match="hmac-sha256:name:base64"):
        await collecting.transfer(("127.0.0.1", bind.port), "hashed.example.", Secret(b"nonsense"))
    assert (await collecting.transfer(("127.0.0.1", bind.port), "hashed.example.", KEY)).record_sets
