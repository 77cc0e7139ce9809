"""The resolver on zones that BIND, Knot and PowerDNS sign: NSEC3 and NSEC, wildcards, aliases, delegations without DS."""

import shutil
from collections.abc import AsyncIterator
from pathlib import Path
from uuid import uuid4

import dns.dnssec
import dns.name
import pytest
from catalyst_dns_embedded.authority import Authority
from catalyst_dns_embedded.server import DnsServer
from catalyst_dns_embedded.signing import ZoneSigner
from catalyst_dns_embedded.store import ZoneStore
from catalyst_dns_embedded.tree import plant
from catalyst_sdk.dns import Change
from catalyst_sdk.resolver import Resolver, Security, pick, read_anchor, read_hints
from catalyst_testkit import eventually
from catalyst_testkit.bind import BindServer
from catalyst_testkit.knot import KnotServer
from catalyst_testkit.nameservers import NameServer
from catalyst_testkit.powerdns import PowerDnsServer
from catalyst_testkit.servers import folder
from dns.rdatatype import RdataType

from .conftest import POOL

KINDS = ("bind", "knot", "powerdns")
RECORDS = (
    ("@", "SOA", "ns1 hostmaster 1 10800 3600 604800 60"),
    ("@", "NS", "ns1"),
    ("ns1", "A", "127.0.0.1"),
    ("www", "A", "127.7.0.1"),
    ("*.apps", "A", "127.7.0.2"),
    ("deep.below", "TXT", '"x"'),
    ("alias", "CNAME", "www"),
    ("dangling", "CNAME", "nobody"),
    ("cut", "NS", "ns1.cut"),
    ("ns1.cut", "A", "127.0.0.1"),
)


class Signed:
    """A zone on a real server, below a root in this process that has its DS."""

    def __init__(self, zone: str, address: str) -> None:
        self.zone, self.address = zone, address
        self.home = folder()
        self._store = ZoneStore(self.home / "store")
        self.authority = Authority(self._store, ZoneSigner())
        self._server = DnsServer(self.authority)

    async def begin(self, ds: tuple[str, ...]) -> None:
        port = await self._server.start("127.0.0.1", 0)
        plant(self.authority, [POOL], f"127.0.0.1:{port}", self.home)
        glue = Change(f"ns1.{self.zone}", "A", 60, ("127.0.0.1",))
        cut = (Change(self.zone, "NS", 60, (f"ns1.{self.zone}",)), glue, Change(self.zone, "DS", 60, ds))
        self.authority.apply(POOL, cut)

    @property
    def resolver(self) -> Resolver:
        hints = read_hints(self.home / "hints.json") | {f"ns1.{self.zone}": self.address}
        return Resolver(hints, read_anchor(self.home / "root.key"))

    async def end(self) -> None:
        await self._server.stop()
        self._store.close()
        shutil.rmtree(self.home, ignore_errors=True)


def zone_file(zone: str, path: Path) -> None:
    lines = [f"$ORIGIN {zone}", "$TTL 60", *(f"{name} IN {kind} {data}" for name, kind, data in RECORDS)]
    path.write_text("\n".join(lines) + "\n")
    path.chmod(0o666)


def on_bind(server: BindServer, zone: str) -> None:
    place = server.own_folder(f"zones/{zone}")
    zone_file(zone, place / "zone")
    options = (
        f'{{ type primary; file "{place}/zone"; key-directory "{place}"; dnssec-policy "csk"; inline-signing yes; }};'
    )
    assert server.rndc("addzone", zone, options).returncode == 0


def on_knot(server: KnotServer, zone: str) -> None:
    place = server.own_folder(f"zones/{zone}")
    zone_file(zone, place / "zone")
    for words in (
        ("conf-begin",),
        ("conf-set", f"zone[{zone}]"),
        ("conf-set", f"zone[{zone}].file", f"{place}/zone"),
        ("conf-set", f"zone[{zone}].dnssec-signing", "on"),
        ("conf-set", f"zone[{zone}].dnssec-policy", "csk"),
        ("conf-commit",),
    ):
        assert server.knotc(*words).returncode == 0, words


def on_powerdns(server: PowerDnsServer, zone: str) -> None:
    def full(text: str) -> str:
        return zone if text == "@" else f"{text}.{zone}"

    data = {"SOA": f"ns1.{zone} hostmaster.{zone} 1 10800 3600 604800 60"}
    sets = [
        {
            "name": full(name), "type": kind, "ttl": 60, "changetype": "REPLACE",
            "records": [{"content": data.get(kind) or (full(text) if kind in ("NS", "CNAME") else text)}],
        }
        for name, kind, text in RECORDS
    ]  # fmt: skip
    wish = {"name": zone, "kind": "Native", "dnssec": True, "api_rectify": True, "rrsets": sets}
    assert server.api("POST", "/zones", wish).status_code == 201


@pytest.fixture(scope="module", params=KINDS)
def served(request: pytest.FixtureRequest) -> tuple[NameServer | PowerDnsServer, str]:
    server, zone = request.getfixturevalue(request.param), f"z{uuid4().hex[:8]}.{POOL}"
    {"bind": on_bind, "knot": on_knot, "powerdns": on_powerdns}[request.param](server, zone)
    return server, zone


@pytest.fixture
async def signed(served: tuple[NameServer | PowerDnsServer, str]) -> AsyncIterator[Signed]:
    server, zone = served
    origin, found = dns.name.from_text(zone), []

    async def is_signed() -> bool:
        answer = (await server.ask(zone, "DNSKEY")).answer
        keys, soa = pick(answer, origin, RdataType.DNSKEY), (await server.ask(zone, "SOA")).answer
        if keys is None or pick(soa, origin, RdataType.RRSIG, covers=RdataType.SOA) is None:
            return False
        found[:] = [str(dns.dnssec.make_ds(origin, key, "SHA256")) for key in keys]
        return True

    await eventually(is_signed, within=60, what=f"{zone} is signed")
    one = Signed(zone, server.address)
    await one.begin(tuple(found))
    yield one
    await one.end()


async def test_what_a_real_server_answers_and_denies_validates_from_the_root(signed: Signed) -> None:
    zone = signed.zone
    wanted = [
        ("www", "A", "NOERROR", ("127.7.0.1",)),
        ("www", "AAAA", "NOERROR", ()),
        ("nobody", "A", "NXDOMAIN", ()),
        ("a.b.c", "A", "NXDOMAIN", ()),
        ("below", "A", "NOERROR", ()),
        ("one.apps", "A", "NOERROR", ("127.7.0.2",)),
        ("one.two.apps", "A", "NOERROR", ("127.7.0.2",)),
        ("one.apps", "MX", "NOERROR", ()),
        ("*.apps", "A", "NOERROR", ("127.7.0.2",)),
        ("alias", "A", "NOERROR", ("127.7.0.1",)),
        ("dangling", "A", "NXDOMAIN", ()),
        ("nobody", "DS", "NXDOMAIN", ()),
        ("www", "DS", "NOERROR", ()),
        ("cut", "DS", "NOERROR", ()),
    ]
    for name, kind, rcode, records in wanted:
        answer = await signed.resolver.resolve(f"{name}.{zone}", kind)
        assert (name, kind, answer.why) == (name, kind, "")
        assert (name, answer.security, answer.rcode, answer.records) == (name, Security.SECURE, rcode, records)
    assert (await signed.resolver.resolve(zone, "DNSKEY")).secure
    assert (await signed.resolver.resolve(zone, "SOA")).secure


async def test_below_a_delegation_without_ds_a_real_servers_names_are_proven_to_be_unsigned(signed: Signed) -> None:
    cut = await signed.resolver.cut(f"cut.{signed.zone}")
    assert (cut.hosts, cut.ds) == ((f"ns1.cut.{signed.zone}",), None)
    assert (str(cut.parent.name), cut.parent.keys is not None) == (signed.zone, True)
    below = await signed.resolver.resolve(f"deep.cut.{signed.zone}")
    assert (below.security, below.zone) == (Security.INDETERMINATE, f"cut.{signed.zone}"), "nobody serves it"


async def test_a_real_zone_whose_parent_names_another_key_is_bogus(signed: Signed) -> None:
    signed.authority.apply(POOL, (Change(signed.zone, "DS", 60, ("1 13 2 " + "ab" * 32,)),))
    answer = await signed.resolver.resolve(f"www.{signed.zone}")
    assert (answer.security, answer.records) == (Security.BOGUS, ())


async def test_a_ds_of_an_algorithm_that_nobody_knows_leaves_a_zone_unsigned(signed: Signed) -> None:
    signed.authority.apply(POOL, (Change(signed.zone, "DS", 60, ("1 200 2 " + "ab" * 32,)),))
    answer = await signed.resolver.resolve(f"www.{signed.zone}")
    assert (answer.security, answer.records) == (Security.INSECURE, ("127.7.0.1",))
