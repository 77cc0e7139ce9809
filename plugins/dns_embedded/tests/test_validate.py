"""The chain of trust from the root: what validates, what is proven to be unsigned, and what is bogus."""

import asyncio
from collections.abc import AsyncIterator, Callable

import dns.flags
import dns.message
import dns.name
import dns.rcode
import pytest
from catalyst_dns_embedded.authority import Authority
from catalyst_dns_embedded.server import DnsServer
from catalyst_dns_embedded.signing import ZoneSigner
from catalyst_dns_embedded.store import ZoneStore
from catalyst_dns_embedded.tree import plant
from catalyst_sdk.dns import Change, KeyOp, RecordSet, ZoneSpec, ZoneState
from catalyst_sdk.resolver import Answer, Resolver, Security, read_anchor, read_hints
from catalyst_testkit import eventually
from catalyst_testkit.servers import folder, free_port
from dns.rdatatype import RdataType

from .conftest import POOL, Server

CHILD = "omantel.omani.works."
CONSOLE = f"console.{CHILD}"
SPEC = ZoneSpec(
    CHILD, ("ns1.omani.works.",), "organizations/omantel",
    (
        RecordSet(CONSOLE, "A", 1, ("127.7.0.1",)),
        RecordSet(f"*.apps.{CHILD}", "A", 1, ("127.7.0.2",)),
        RecordSet(f"deep.below.{CHILD}", "TXT", 1, ('"x"',)),
        RecordSet(f"alias.{CHILD}", "CNAME", 1, (CONSOLE,)),
        RecordSet(f"up.{CHILD}", "CNAME", 1, ("ns1.omani.works.",)),
        RecordSet(f"dangling.{CHILD}", "CNAME", 1, (f"nobody.{CHILD}",)),
    ), ttl=1, negative_ttl=1,
)  # fmt: skip


async def delegate(server: Server, spec: ZoneSpec = SPEC, *, secure: bool = True) -> ZoneState:
    child = await server.backend.create_zone(spec=spec)
    ds = (Change(spec.name, "DS", 1, child.keys[0].ds),) if secure else (Change(spec.name, "DS"),)
    await server.backend.apply(zone=POOL, changes=(Change(spec.name, "NS", 1, spec.name_servers), *ds))
    return child


@pytest.fixture(scope="module")
def shared_child(shared: Server) -> Server:
    """The tree with a delegated child; tests that use it only read."""
    asyncio.run(delegate(shared))
    return shared


@pytest.mark.parametrize(
    ("name", "kind", "rcode", "records"),
    [
        (CONSOLE, "A", "NOERROR", ("127.7.0.1",)),
        (CONSOLE, "AAAA", "NOERROR", ()),
        (f"nobody.{CHILD}", "A", "NXDOMAIN", ()),
        (f"a.b.c.{CHILD}", "A", "NXDOMAIN", ()),
        (f"zzz.{CHILD}", "A", "NXDOMAIN", ()),
        (f"below.{CHILD}", "A", "NOERROR", ()),
        (f"one.apps.{CHILD}", "A", "NOERROR", ("127.7.0.2",)),
        (f"one.two.apps.{CHILD}", "A", "NOERROR", ("127.7.0.2",)),
        (f"one.apps.{CHILD}", "MX", "NOERROR", ()),
        (f"*.apps.{CHILD}", "A", "NOERROR", ("127.7.0.2",)),
        (f"alias.{CHILD}", "A", "NOERROR", ("127.7.0.1",)),
        (f"up.{CHILD}", "A", "NOERROR", ("127.0.0.1",)),
        (f"dangling.{CHILD}", "A", "NXDOMAIN", ()),
        ("nobody.omani.works.", "A", "NXDOMAIN", ()),
        ("nosuchtop.", "A", "NXDOMAIN", ()),
        ("a.b.nosuchtop.", "A", "NXDOMAIN", ()),
        ("nobody.omani.works.", "DS", "NXDOMAIN", ()),
        (CONSOLE, "DS", "NOERROR", ()),
    ],
)
async def test_answers_and_denials_validate_from_the_root(
    shared_child: Server, name: str, kind: str, rcode: str, records: tuple[str, ...]
) -> None:
    answer = await shared_child.validated(name, kind)
    assert (answer.security, answer.why) == (Security.SECURE, "")
    assert (answer.rcode, answer.records) == (rcode, records)


@pytest.mark.parametrize("kind", ["SOA", "NS", "DNSKEY", "DS", "CDS", "TXT"])
async def test_each_zone_of_the_tree_validates(shared_child: Server, kind: str) -> None:
    for zone in (".", "works.", POOL, CHILD):
        assert (await shared_child.validated(zone, kind)).why == ""


async def test_the_answer_tells_where_it_was_found_and_who_was_asked(shared_child: Server) -> None:
    answer = await shared_child.validated(f"up.{CHILD}")
    assert (answer.zone, answer.aliases) == (POOL, ("ns1.omani.works.",))
    names = {server.split()[0] for server in answer.asked}
    assert [server.split()[0] for server in answer.servers] == ["ns1.omani.works."]
    assert {"a.root-servers.test.", "ns1.works.", "ns1.omani.works."} <= names


async def test_a_delegation_without_ds_is_proven_to_be_unsigned(server: Server) -> None:
    await delegate(server, secure=False)
    answer = await server.validated(CONSOLE)
    assert (answer.security, answer.records) == (Security.INSECURE, ("127.7.0.1",))
    assert CHILD in answer.why
    absent = await server.validated(f"a.b.{CHILD}")
    assert (absent.security, absent.rcode) == (Security.INSECURE, "NXDOMAIN")


async def test_a_ds_for_another_key_is_bogus_and_shows_nothing(server: Server) -> None:
    await delegate(server)
    wrong = Change(CHILD, "DS", 1, ("1 13 2 " + "ab" * 32,))
    await server.backend.apply(zone=POOL, changes=(wrong,))
    answer = await server.validated(CONSOLE)
    assert (answer.security, answer.rrset) == (Security.BOGUS, None)
    assert "DS" in answer.why


async def test_a_zone_that_lost_its_signatures_is_bogus(server: Server) -> None:
    child = await delegate(server)
    await server.backend.delete_zone(zone=CHILD, owner=SPEC.owner)
    await server.backend.create_zone(
        spec=ZoneSpec(CHILD, SPEC.name_servers, SPEC.owner, SPEC.record_sets, signed=False)
    )
    answer = await server.validated(CONSOLE)
    assert child.signed
    assert (answer.security, "shows no DNSKEY" in answer.why) == (Security.BOGUS, True)


async def test_another_root_key_is_bogus(server: Server, shared_child: Server) -> None:
    resolver = Resolver.from_files(server.folder / "hints.json", shared_child.folder / "root.key")
    assert (await resolver.resolve(POOL, "SOA")).security is Security.BOGUS


async def test_a_dead_server_is_passed_over_and_with_all_dead_nothing_is_known(shared_child: Server) -> None:
    anchor, hints = read_anchor(shared_child.folder / "root.key"), read_hints(shared_child.folder / "hints.json")
    nobody = f"127.0.0.1:{free_port()}"
    resolver = Resolver({"a-dead.root.": nobody, **hints}, anchor, patience=0.3)

    async def is_secure() -> Answer | None:  # a living server that is slower than that is passed over as well
        answer = await resolver.resolve(CONSOLE)
        return answer if answer.secure else None

    answer = await eventually(is_secure, within=60, what="the servers that live are asked")
    assert f"a-dead.root. {nobody}" in answer.asked
    dead = await Resolver(dict.fromkeys(hints, nobody), anchor, patience=0.3).resolve(CONSOLE)
    assert (dead.security, dead.rcode, dead.rrset) == (Security.INDETERMINATE, "", None)


async def test_a_server_that_no_hint_names_is_found_by_its_glue(server: Server) -> None:
    inside = (RecordSet(f"ns.{CHILD}", "A", 1, ("127.0.0.1",)),)
    spec = ZoneSpec(CHILD, (f"ns.{CHILD}",), SPEC.owner, inside, ttl=1, negative_ttl=1)
    await server.backend.apply(zone=POOL, changes=(Change(f"ns.{CHILD}", "A", 1, ("127.0.0.1",)),))
    await delegate(server, spec)
    assert (await server.validated(f"ns.{CHILD}")).secure


async def test_a_key_is_rolled_without_a_bogus_moment(server: Server) -> None:
    (old,) = (await delegate(server)).keys
    seen: list[Answer] = []
    done = asyncio.Event()

    async def watch() -> None:
        while not done.is_set():
            seen.append(await server.validated(CONSOLE))

    async def caches_over() -> None:
        """What was asked before this step has been answered: the host's wait for a time to live."""
        before = len(seen)
        await eventually(lambda: len(seen) > before + 1, within=60, what="two more walks")

    watching = asyncio.create_task(watch())
    backend = server.backend
    published = await backend.dnssec(zone=CHILD, op=KeyOp.PUBLISH)
    (new,) = (key for key in published.keys if key.tag != old.tag)
    await caches_over()
    await backend.apply(zone=POOL, changes=(Change(CHILD, "DS", 1, (*old.ds, *new.ds)),))
    await caches_over()
    await backend.dnssec(zone=CHILD, op=KeyOp.ACTIVATE, tag=new.tag)
    await caches_over()
    await backend.apply(zone=POOL, changes=(Change(CHILD, "DS", 1, new.ds),))
    await caches_over()
    await backend.dnssec(zone=CHILD, op=KeyOp.RETIRE)
    await caches_over()
    done.set()
    await watching
    assert [answer.why for answer in seen if not answer.secure] == []


# Servers that misbehave, in this process.

Spoil = Callable[[dns.message.Message], dns.message.Message | None]


class Spoiled(DnsServer):
    """Answers, and spoils what it answers."""

    def __init__(self, authority: Authority, spoil: Spoil) -> None:
        super().__init__(authority)
        self._spoil = spoil

    def respond(self, wire: bytes, *, datagram: bool) -> bytes | None:
        right = super().respond(wire, datagram=datagram)
        spoiled = self._spoil(dns.message.from_wire(right)) if right else None
        return spoiled.to_wire() if spoiled else None


def flipped(*covers: RdataType) -> Spoil:
    def spoil(message: dns.message.Message) -> dns.message.Message:
        for section in (message.answer, message.authority):
            for rrset in section:
                if rrset.rdtype == RdataType.RRSIG and rrset.covers in covers:
                    rdata = rrset[0]
                    rrset.clear()
                    rrset.add(rdata.replace(signature=bytes([rdata.signature[0] ^ 1]) + rdata.signature[1:]))
        return message

    return spoil


def without(*kinds: RdataType) -> Spoil:
    def spoil(message: dns.message.Message) -> dns.message.Message:
        for section in (message.answer, message.authority):
            section[:] = [r for r in section if r.rdtype not in kinds]
        return message

    return spoil


def asked_for(kind: RdataType, spoil: Spoil) -> Spoil:
    return lambda message: spoil(message) if message.question[0].rdtype == kind else message


def lame(message: dns.message.Message) -> dns.message.Message:
    message.flags &= ~dns.flags.AA
    message.answer, message.authority = [], []
    return message


class World:
    """A tree in this process, with servers of any behaviour."""

    def __init__(self) -> None:
        self.folder = folder()
        self._stores: list[ZoneStore] = []
        self._servers: list[DnsServer] = []
        self.authority = self.another()
        plant(self.authority, [POOL], "127.0.0.1:53", self.folder)

    def another(self) -> Authority:
        store = ZoneStore(self.folder / str(len(self._stores)))
        self._stores.append(store)
        return Authority(store, ZoneSigner())

    async def serve(self, server: DnsServer) -> str:
        self._servers.append(server)
        return f"127.0.0.1:{await server.start('127.0.0.1', 0)}"

    async def validated(self, spoil: Spoil, name: str, kind: str = "A") -> Answer:
        address = await self.serve(Spoiled(self.authority, spoil))
        hints = dict.fromkeys(read_hints(self.folder / "hints.json"), address)
        return await Resolver(hints, read_anchor(self.folder / "root.key"), patience=1).resolve(name, kind)

    async def close(self) -> None:
        for server in self._servers:
            await server.stop()
        for store in self._stores:
            store.close()


@pytest.fixture
async def world() -> AsyncIterator[World]:
    made = World()
    yield made
    await made.close()


@pytest.mark.parametrize(
    ("spoil", "name", "kind"),
    [
        (flipped(RdataType.A), "ns1.omani.works.", "A"),
        (flipped(RdataType.DS), "ns1.omani.works.", "A"),
        (flipped(RdataType.DNSKEY), "ns1.omani.works.", "A"),
        (flipped(RdataType.NSEC), "nobody.omani.works.", "A"),
        (without(RdataType.RRSIG), "ns1.omani.works.", "A"),
        (without(RdataType.NSEC), "nobody.omani.works.", "A"),
        (without(RdataType.NSEC), "ns1.omani.works.", "MX"),
        (without(RdataType.A), "ns1.omani.works.", "A"),
        (without(RdataType.DS), "ns1.omani.works.", "A"),
        (without(RdataType.DNSKEY), "ns1.omani.works.", "A"),
        (asked_for(RdataType.A, without(RdataType.NSEC)), "any.wild.omani.works.", "A"),
    ],
    ids=range(11),
)
async def test_whatever_is_changed_on_the_way_is_bogus(world: World, spoil: Spoil, name: str, kind: str) -> None:
    world.authority.apply(POOL, (Change("*.wild.omani.works.", "A", 1, ("127.0.0.9",)),))
    assert (await world.validated(lambda message: message, name, kind)).secure
    answer = await world.validated(spoil, name, kind)
    assert (answer.security, answer.rrset) == (Security.BOGUS, None)
    assert answer.why


async def test_a_wildcards_own_proof_under_another_name_is_bogus(world: World) -> None:
    world.authority.apply(POOL, (Change("*.wild.omani.works.", "A", 1, ("127.0.0.9",)),))
    victim, wildcard = dns.name.from_text("x.wild.omani.works."), dns.name.from_text("*.wild.omani.works.")

    def spoil(message: dns.message.Message) -> dns.message.Message:
        for rrset in message.authority:
            if rrset.name == wildcard:
                rrset.name = victim
        return message

    assert (await world.validated(lambda message: message, str(victim), "MX")).secure
    answer = await world.validated(asked_for(RdataType.MX, spoil), str(victim), "MX")
    assert (answer.security, "made for a wildcard" in answer.why) == (Security.BOGUS, True)


async def test_servers_without_authority_leave_nothing_known(world: World) -> None:
    assert (await world.validated(lame, POOL, "SOA")).security is Security.INDETERMINATE
