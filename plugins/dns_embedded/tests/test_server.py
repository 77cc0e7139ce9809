"""The server over real DNS."""

import asyncio
import base64
import os
import subprocess
import sys
from pathlib import Path

import dns.asyncquery
import dns.dnssec
import dns.flags
import dns.message
import dns.name
import dns.rcode
import dns.rdatatype
import dns.tsig
import dns.update
import pytest
from catalyst_sdk import Permanent
from catalyst_sdk.dns import Change, RecordSet, ZoneSpec
from catalyst_testkit.servers import free_port

from .conftest import Server

CHILD = ZoneSpec(
    "omantel.omani.works.", ("ns1.omani.works.",), "organizations/omantel",
    (RecordSet("console.omantel.omani.works.", "A", 1, ("127.7.0.1",)),), ttl=1, negative_ttl=1,
)  # fmt: skip


async def ask(server: Server, name: str, kind: str, *, do: bool = True, tcp: bool = False) -> dns.message.Message:
    query = dns.message.make_query(name, kind, want_dnssec=do)
    host, _, port = server.address.rpartition(":")
    call = dns.asyncquery.tcp if tcp else dns.asyncquery.udp
    return await call(query, host, timeout=3, port=int(port))


async def delegate(server: Server) -> None:
    child = await server.backend.create_zone(spec=CHILD)
    changes = (
        Change(CHILD.name, "NS", 1, CHILD.name_servers),
        Change(CHILD.name, "DS", 1, child.keys[0].ds),
    )
    await server.backend.apply(zone="omani.works.", changes=changes)


async def test_a_delegated_child_validates_from_the_root(server: Server) -> None:
    await delegate(server)
    answer = await server.resolver.resolve("console.omantel.omani.works", "A")
    assert (answer.records, answer.secure, answer.why) == (("127.7.0.1",), True, "")
    assert answer.zone == "omantel.omani.works."


async def test_a_child_whose_key_is_not_the_one_in_the_ds_is_bogus(server: Server) -> None:
    await delegate(server)
    wrong = "1 13 2 " + "ab" * 32
    await server.backend.apply(zone="omani.works.", changes=(Change(CHILD.name, "DS", 1, (wrong,)),))
    answer = await server.resolver.resolve("console.omantel.omani.works", "A")
    assert not answer.secure
    assert "DS" in answer.why


async def test_a_name_that_is_not_there_is_denied_with_a_proof(server: Server) -> None:
    answer = await ask(server, "nobody.omani.works", "A")
    assert answer.rcode() == dns.rcode.NXDOMAIN
    assert answer.flags & dns.flags.AA
    keys = await ask(server, "omani.works", "DNSKEY")
    apex = dns.name.from_text("omani.works")
    keyring = {apex: keys.find_rrset(keys.answer, apex, dns.rdataclass.IN, dns.rdatatype.DNSKEY)}
    denials = [r for r in answer.authority if r.rdtype == dns.rdatatype.NSEC]
    assert len(denials) == 2
    for denial in denials:
        covers = dns.rdatatype.NSEC
        signature = answer.find_rrset(answer.authority, denial.name, dns.rdataclass.IN, dns.rdatatype.RRSIG, covers)
        dns.dnssec.validate(denial, signature, keyring)
    wanted = dns.name.from_text("nobody.omani.works")
    assert any(denial.name < wanted < denial[0].next or denial[0].next == apex for denial in denials)


async def test_a_type_that_is_not_there_is_no_data(server: Server) -> None:
    answer = await ask(server, "omani.works", "MX")
    assert (answer.rcode(), answer.answer) == (dns.rcode.NOERROR, [])
    assert answer.get_rrset(answer.authority, dns.name.from_text("omani.works"), 1, dns.rdatatype.SOA)


async def test_wildcards_aliases_and_empty_non_terminals_answer_as_they_should(server: Server) -> None:
    changes = (
        Change("*.wild.omani.works.", "A", 1, ("127.0.0.9",)),
        Change("alias.omani.works.", "CNAME", 1, ("target.omani.works.",)),
        Change("target.omani.works.", "A", 1, ("127.0.0.8",)),
        Change("deep.below.omani.works.", "TXT", 1, ('"x"',)),
    )
    await server.backend.apply(zone="omani.works.", changes=changes)
    wild = await ask(server, "any.wild.omani.works", "A")
    assert "127.0.0.9" in str(wild.answer[0])
    alias = await ask(server, "alias.omani.works", "A", do=False)
    assert [r.rdtype for r in alias.answer] == [dns.rdatatype.CNAME, dns.rdatatype.A]
    empty = await ask(server, "below.omani.works", "A")
    assert (empty.rcode(), empty.answer) == (dns.rcode.NOERROR, [])


async def test_an_answer_that_does_not_fit_is_cut_and_comes_whole_over_tcp(server: Server) -> None:
    data = tuple(f'"{n:03}{"x" * 200}"' for n in range(20))
    await server.backend.apply(zone="omani.works.", changes=(Change("big.omani.works.", "TXT", 1, data),))
    cut = await ask(server, "big.omani.works", "TXT")
    assert cut.flags & dns.flags.TC
    whole = await ask(server, "big.omani.works", "TXT", tcp=True)
    assert len(whole.answer[0]) == 20


async def test_what_is_not_ours_is_refused(server: Server) -> None:
    await server.backend.apply(zone="omani.works.", changes=())
    zone = await server.backend.get_zone(zone="omani.works.")
    assert zone is not None
    chaos = dns.message.make_query("version.bind", "TXT", rdclass="CH")
    host, _, port = server.address.rpartition(":")
    assert (await dns.asyncquery.udp(chaos, host, timeout=3, port=int(port))).rcode() == dns.rcode.NOTIMP


async def test_what_was_acknowledged_survives_kill_9(server: Server) -> None:
    await delegate(server)
    before = await server.backend.get_zone(zone=CHILD.name)
    server.kill()
    server.start()
    after = await server.backend.get_zone(zone=CHILD.name)
    assert after == before
    assert (await server.resolver.resolve("console.omantel.omani.works")).secure


@pytest.mark.parametrize("rubbish", [b"", b"\x00" * 3, b"\xff" * 40, os.urandom(60)])
async def test_rubbish_is_survived(server: Server, rubbish: bytes) -> None:
    host, _, port = server.address.rpartition(":")
    loop = asyncio.get_running_loop()
    transport, _ = await loop.create_datagram_endpoint(asyncio.DatagramProtocol, remote_addr=(host, int(port)))
    transport.sendto(rubbish or b"\x00")
    transport.close()
    assert (await ask(server, "omani.works", "SOA")).rcode() == dns.rcode.NOERROR


class TestCell:
    """The same code as a lease cell."""

    @pytest.fixture
    def cell(self, home: Path):  # type: ignore[no-untyped-def]
        key = home / "tsig.key"
        key.write_text(base64.b64encode(b"k" * 32).decode())
        address = f"127.0.0.1:{free_port()}"
        command = [sys.executable, "-m", "catalyst_dns_embedded", "cell", "--data", str(home / "cell"),
                   "--listen", address, "--key-file", str(key)]  # fmt: skip
        started = []

        def start() -> None:
            started.append(subprocess.Popen(command, stdout=subprocess.PIPE))
            assert b"cell" in started[-1].stdout.readline()

        def kill() -> None:
            started[-1].kill()
            started[-1].wait()
            started[-1].stdout.close()

        start()
        yield address, key.read_text(), start, kill
        kill()

    async def swap(self, address: str, secret: str, old: str | None, new: str, name: str = "ctr") -> dns.rcode.Rcode:
        key = dns.tsig.Key(dns.name.from_text("catalyst-witness"), secret, dns.tsig.HMAC_SHA256)
        update = dns.update.UpdateMessage("witness.test.", keyring=key)
        if old is None:
            update.absent(name, "TXT")
        else:
            update.present(name, "TXT", f'"{old}"')
        update.replace(name, 0, "TXT", f'"{new}"')
        host, _, port = address.rpartition(":")
        return (await dns.asyncquery.tcp(update, host, timeout=5, port=int(port))).rcode()

    async def value(self, address: str, name: str = "ctr") -> str | None:
        host, _, port = address.rpartition(":")
        query = dns.message.make_query(f"{name}.witness.test.", "TXT")
        answer = await dns.asyncquery.tcp(query, host, timeout=5, port=int(port))
        assert answer.flags & dns.flags.AA
        return answer.answer[0][0].strings[0].decode() if answer.answer else None

    async def test_of_many_swaps_from_one_value_one_wins(self, cell) -> None:  # type: ignore[no-untyped-def]
        address, secret, *_ = cell
        codes = await asyncio.gather(*(self.swap(address, secret, None, f"first {n}") for n in range(8)))
        assert sorted(codes) == [dns.rcode.NOERROR] + [dns.rcode.YXRRSET] * 7

    async def test_clients_that_read_and_swap_lose_no_increment(self, cell) -> None:  # type: ignore[no-untyped-def]
        address, secret, *_ = cell
        await self.swap(address, secret, None, "0")
        wins = 0

        async def count(times: int) -> None:
            nonlocal wins
            while times:
                seen = await self.value(address)
                code = await self.swap(address, secret, seen, str(int(seen or 0) + 1))
                assert code in (dns.rcode.NOERROR, dns.rcode.NXRRSET)
                won = code == dns.rcode.NOERROR
                wins += won
                times -= won

        await asyncio.gather(*(count(10) for _ in range(6)))
        assert (wins, await self.value(address)) == (60, "60")

    async def test_an_acknowledged_swap_survives_kill_9(self, cell) -> None:  # type: ignore[no-untyped-def]
        address, secret, start, kill = cell
        previous = None
        for n in range(20):
            assert await self.swap(address, secret, previous, str(n)) == dns.rcode.NOERROR
            previous = str(n)
        identity = await self.value(address, "_cell")
        kill()
        start()
        assert await self.value(address) == "19"
        assert await self.value(address, "_cell") == identity

    async def test_an_unsigned_or_wrongly_signed_update_changes_nothing(self, cell) -> None:  # type: ignore[no-untyped-def]
        address, _, *_ = cell
        host, _, port = address.rpartition(":")
        plain = dns.update.UpdateMessage("witness.test.")
        plain.replace("ctr", 0, "TXT", '"x"')
        assert (await dns.asyncquery.tcp(plain, host, timeout=5, port=int(port))).rcode() == dns.rcode.REFUSED
        other = base64.b64encode(b"q" * 32).decode()
        with pytest.raises(dns.exception.DNSException):
            await self.swap(address, other, None, "x")
        assert await self.value(address) is None


async def test_the_backend_refuses_what_no_zone_may_hold(server: Server) -> None:
    bad = {
        "outside": Change("elsewhere.test.", "A", 1, ("127.0.0.1",)),
        "ttl": Change("a.omani.works.", "A", -1, ("127.0.0.1",)),
        "data": Change("a.omani.works.", "A", 1, ("1.2.3",)),
        "cname at the apex": Change("omani.works.", "CNAME", 1, ("x.omani.works.",)),
        "no name servers": Change("omani.works.", "NS"),
        "generated": Change("omani.works.", "RRSIG", 1, ("x",)),
    }
    before = await server.backend.get_zone(zone="omani.works.")
    for why, change in bad.items():
        good = Change("good.omani.works.", "A", 1, ("127.0.0.1",))
        with pytest.raises(Permanent) as refused:
            await server.backend.apply(zone="omani.works.", changes=(good, change))
        assert refused.value.reason == "RECORD_INVALID", why
    assert await server.backend.get_zone(zone="omani.works.") == before
