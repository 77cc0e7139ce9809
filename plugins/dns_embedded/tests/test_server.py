"""The server's answers over real DNS."""

import asyncio
import errno
from pathlib import Path
from random import Random
from typing import Any

import dns.flags
import dns.message
import dns.name
import dns.opcode
import dns.rcode
import dns.rdatatype
import pytest
from catalyst_dns_embedded.authority import Authority
from catalyst_dns_embedded.server import DnsServer
from catalyst_dns_embedded.signing import ZoneSigner
from catalyst_dns_embedded.store import ZoneStore
from catalyst_sdk.dns import Change, ZoneSpec
from catalyst_testkit import eventually
from catalyst_testkit.servers import free_port
from dns.rdatatype import RdataType

from .conftest import POOL, Server

CHILD = ZoneSpec("omantel.omani.works.", ("ns1.omani.works.",), "organizations/omantel", ttl=1, negative_ttl=1)
RECORDS = (
    Change("*.wild.omani.works.", "A", 1, ("127.0.0.9",)),
    Change("alias.omani.works.", "CNAME", 1, ("target.omani.works.",)),
    Change("alias.wild.omani.works.", "CNAME", 1, ("nobody.omani.works.",)),
    Change("away.omani.works.", "CNAME", 1, ("www.elsewhere.example.",)),
    Change("loop.omani.works.", "CNAME", 1, ("loop.omani.works.",)),
    Change("into.omani.works.", "CNAME", 1, ("console.cut.omani.works.",)),
    Change("target.omani.works.", "A", 1, ("127.0.0.8",)),
    Change("deep.below.omani.works.", "TXT", 1, ('"x"',)),
    Change("cut.omani.works.", "NS", 1, ("ns.cut.omani.works.",)),
    Change("ns.cut.omani.works.", "A", 1, ("127.0.0.7",)),
    Change("ns.cut.omani.works.", "AAAA", 1, ("::1",)),
    Change("hidden.cut.omani.works.", "A", 1, ("127.0.0.6",)),
)


@pytest.fixture
async def filled(shared: Server) -> Server:
    await shared.backend.apply(zone=POOL, changes=RECORDS)
    return shared


def kinds(section: list[dns.rrset.RRset]) -> list[str]:
    return [dns.rdatatype.to_text(rrset.rdtype) for rrset in section]


@pytest.mark.parametrize(
    ("name", "kind", "code", "answer"),
    [
        ("target.omani.works", "A", "NOERROR", ["A"]),
        ("TARGET.omani.Works", "A", "NOERROR", ["A"]),
        ("target.omani.works", "MX", "NOERROR", []),
        ("nobody.omani.works", "A", "NXDOMAIN", []),
        ("below.omani.works", "A", "NOERROR", []),
        ("any.wild.omani.works", "A", "NOERROR", ["A"]),
        ("a.b.wild.omani.works", "A", "NOERROR", ["A"]),
        ("any.wild.omani.works", "MX", "NOERROR", []),
        ("alias.wild.omani.works", "A", "NXDOMAIN", ["CNAME"]),
        ("alias.omani.works", "A", "NOERROR", ["CNAME", "A"]),
        ("alias.omani.works", "MX", "NOERROR", ["CNAME"]),
        ("alias.omani.works", "CNAME", "NOERROR", ["CNAME"]),
        ("away.omani.works", "A", "NOERROR", ["CNAME"]),
        ("omani.works", "SOA", "NOERROR", ["SOA"]),
        ("omani.works", "CDS", "NOERROR", ["CDS"]),
        ("omani.works", "CDNSKEY", "NOERROR", ["CDNSKEY"]),
    ],
)
async def test_an_answer_with_authority(
    filled: Server, name: str, kind: str, code: str, answer: list[str]
) -> None:  # fmt: skip
    for tcp in (False, True):
        found = await filled.ask(name, kind, do=False, tcp=tcp)
        assert (dns.rcode.to_text(found.rcode()), kinds(found.answer)) == (code, answer)
        assert found.flags & dns.flags.AA
        if not answer:
            assert kinds(found.authority) == ["SOA"]
            assert found.authority[0].ttl == 1, "the negative time to live"


@pytest.mark.parametrize("name", ["cut.omani.works", "hidden.cut.omani.works", "nobody.cut.omani.works"])
async def test_a_delegation_is_referred_with_glue_and_never_answered_from_what_it_hides(
    filled: Server, name: str
) -> None:
    found = await filled.ask(name, "A", do=False)
    assert (found.answer, kinds(found.authority), kinds(found.additional)) == ([], ["NS"], ["A", "AAAA"])
    assert not found.flags & dns.flags.AA
    signed = await filled.ask(name, "A")
    assert kinds(signed.authority) == ["NS", "NSEC", "RRSIG"], "the proof that the cut has no DS"


async def test_an_alias_into_a_delegation_is_answered_and_referred(filled: Server) -> None:
    found = await filled.ask("into.omani.works", "A", do=False)
    assert (kinds(found.answer), kinds(found.authority)) == (["CNAME"], ["NS"])
    assert found.flags & dns.flags.AA


async def test_an_alias_to_itself_ends(filled: Server) -> None:
    found = await filled.ask("loop.omani.works", "A", do=False)
    assert set(kinds(found.answer)) == {"CNAME"}


async def test_the_ds_is_answered_by_the_parent_though_the_child_is_here_too(shared: Server) -> None:
    child = await shared.backend.create_zone(spec=CHILD)
    delegation = (Change(CHILD.name, "NS", 1, CHILD.name_servers), Change(CHILD.name, "DS", 1, child.keys[0].ds))
    await shared.backend.apply(zone=POOL, changes=delegation)
    found = await shared.ask(CHILD.name, "DS")
    signature = found.find_rrset(found.answer, dns.name.from_text(CHILD.name), 1, RdataType.RRSIG, RdataType.DS)
    assert str(signature[0].signer) == POOL
    assert (await shared.ask(CHILD.name, "NS")).flags & dns.flags.AA


async def test_a_ds_whose_parent_is_not_here_is_no_data(shared: Server) -> None:
    await shared.backend.create_zone(spec=ZoneSpec("alone.example.", ("ns.hosts.example.",), "organizations/one"))
    assert (await shared.ask("alone.example", "DS")).rcode() == dns.rcode.NXDOMAIN, (
        "the root is here, and is its parent"
    )
    assert kinds((await shared.ask(".", "DS", do=False)).authority) == ["SOA"]


async def test_an_answer_that_does_not_fit_is_cut_and_comes_whole_over_tcp(shared: Server) -> None:
    data = tuple(f'"{n:03}{"x" * 200}"' for n in range(20))
    await shared.backend.apply(zone=POOL, changes=(Change("big.omani.works.", "TXT", 1, data),))
    for edns in (False, True):
        query = dns.message.make_query("big.omani.works", "TXT", use_edns=0 if edns else False, payload=4096)
        cut = await shared.exchange(query)
        assert cut.flags & dns.flags.TC
        assert cut.answer == []
        assert (cut.edns >= 0) is edns
    whole = await shared.ask("big.omani.works", "TXT", tcp=True)
    assert len(whole.answer[0]) == 20


async def test_several_questions_on_one_connection_are_answered(shared: Server) -> None:
    host, _, port = shared.address.rpartition(":")
    reader, writer = await asyncio.open_connection(host, int(port))
    queries = [dns.message.make_query(POOL, "SOA") for _ in range(3)]
    wires = [query.to_wire() for query in queries]
    writer.write(b"".join(len(wire).to_bytes(2, "big") + wire for wire in wires))
    for query in queries:
        answer = await reader.readexactly(int.from_bytes(await reader.readexactly(2), "big"))
        assert query.is_response(dns.message.from_wire(answer))
    writer.close()
    await writer.wait_closed()


async def test_what_is_not_ours_to_answer_is_told_so(shared: Server) -> None:
    async def code(query: dns.message.Message) -> str:
        return dns.rcode.to_text((await shared.exchange(query)).rcode())

    strange = dns.message.make_query(POOL, "SOA")
    strange.set_opcode(dns.opcode.STATUS)
    newer = dns.message.make_query(POOL, "SOA", use_edns=0)
    newer.ednsflags = newer.ednsflags | 0x00010000
    double = dns.message.make_query(POOL, "SOA")
    double.find_rrset(double.question, dns.name.from_text(POOL), 1, RdataType.NS, create=True, force_unique=True)
    assert await code(dns.message.make_query("version.bind", "TXT", rdclass="CH")) == "NOTIMP"
    assert await code(dns.message.make_query(POOL, "AXFR")) == "REFUSED"
    assert await code(strange) == "NOTIMP"
    assert await code(newer) == "BADVERS"
    assert await code(double) == "FORMERR"


async def test_any_gets_one_record_set(shared: Server) -> None:
    assert kinds((await shared.ask("ns1.omani.works", "ANY", do=False)).answer) == ["A"]


@pytest.mark.parametrize("length", [1, 3, 12, 20, 60, 400])
async def test_rubbish_is_survived(shared: Server, length: int) -> None:
    host, _, port = shared.address.rpartition(":")
    rubbish = Random(length).randbytes(length)
    transport, _ = await asyncio.get_running_loop().create_datagram_endpoint(
        asyncio.DatagramProtocol, remote_addr=(host, int(port))
    )
    transport.sendto(rubbish)
    transport.close()
    _, writer = await asyncio.open_connection(host, int(port))
    writer.write(length.to_bytes(2, "big") + rubbish)
    writer.close()
    await writer.wait_closed()
    assert (await shared.ask(POOL, "SOA")).rcode() == dns.rcode.NOERROR


async def test_a_change_is_answered_the_moment_it_is_acknowledged(shared: Server) -> None:
    for n in range(5):
        await shared.backend.apply(zone=POOL, changes=(Change("now.omani.works.", "A", 1, (f"127.0.1.{n}",)),))
        assert str((await shared.ask("now.omani.works", "A")).answer[0][0]) == f"127.0.1.{n}"


async def test_the_tree_is_the_same_after_a_restart(server: Server) -> None:
    files = [(server.folder / name).read_text() for name in ("root.key", "hints.json")]
    zones = [await server.backend.get_zone(zone=name) for name in (".", "works.", POOL)]
    server.kill()
    server.start()
    assert [(server.folder / name).read_text() for name in ("root.key", "hints.json")] == files
    assert [await server.backend.get_zone(zone=name) for name in (".", "works.", POOL)] == zones

    async def validates() -> bool:
        return (await server.validated(POOL, "SOA")).secure

    await eventually(validates, within=60)


async def test_a_port_that_somebody_has_for_udp_is_passed_over_where_any_will_do(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    loop, asked = asyncio.get_running_loop(), list[int]()
    bind = loop.create_datagram_endpoint

    async def taken_at_first(*args: Any, local_addr: tuple[str, int], **options: Any) -> Any:
        asked.append(local_addr[1])
        if len(asked) == 1:
            raise OSError(errno.EADDRINUSE, "Address already in use")
        return await bind(*args, local_addr=local_addr, **options)

    monkeypatch.setattr(loop, "create_datagram_endpoint", taken_at_first)
    store = ZoneStore(tmp_path)
    server = DnsServer(Authority(store, ZoneSigner()))
    assert await server.start("127.0.0.1", 0) == asked[1]
    await server.stop()
    asked.clear()
    with pytest.raises(OSError, match="already in use"):
        await server.start("127.0.0.1", free_port())
    store.close()


async def test_a_connection_that_is_kept_open_ends_with_the_server_and_nobody_is_left(tmp_path: Path) -> None:
    store = ZoneStore(tmp_path)
    server = DnsServer(Authority(store, ZoneSigner()))
    before = asyncio.all_tasks()
    reader, writer = await asyncio.open_connection("127.0.0.1", await server.start("127.0.0.1", 0))
    await eventually(lambda: asyncio.all_tasks() - before, within=60, what="somebody serves it")
    await server.stop()
    assert asyncio.all_tasks() == before
    assert await asyncio.wait_for(reader.read(), 60) == b""
    writer.close()
    store.close()
