"""The same code as a lease cell: one linearizable compare-and-swap by RFC 2136."""

import asyncio
import base64
import subprocess
import sys
import time
from pathlib import Path

import dns.flags
import dns.message
import dns.name
import dns.rcode
import dns.tsig
import dns.update
import pytest
from dns.rcode import Rcode

from .conftest import Cell

ZONE = "witness.test."


async def swap(cell: Cell, old: str | None, new: str, name: str = "ctr", key: dns.tsig.Key | None = None) -> Rcode:
    update = dns.update.UpdateMessage(ZONE, keyring=key or cell.key)
    if old is None:
        update.absent(name, "TXT")
    else:
        update.present(name, "TXT", f'"{old}"')
    update.replace(name, 0, "TXT", f'"{new}"')
    return (await cell.exchange(update)).rcode()


async def value(cell: Cell, name: str = "ctr") -> str | None:
    answer = await cell.ask(f"{name}.{ZONE}", "TXT", do=False)
    assert answer.flags & dns.flags.AA
    return answer.answer[0][0].strings[0].decode() if answer.answer else None


async def test_of_many_first_swaps_one_wins(cell: Cell) -> None:
    codes = await asyncio.gather(*(swap(cell, None, f"first {n}") for n in range(8)))
    assert sorted(codes) == [dns.rcode.NOERROR, *[dns.rcode.YXRRSET] * 7]


async def test_eight_clients_who_read_and_swap_lose_no_increment(cell: Cell) -> None:
    await swap(cell, None, "0")
    wins = 0

    async def count(times: int) -> None:
        nonlocal wins
        while times:
            seen = await value(cell)
            code = await swap(cell, seen, str(int(seen or 0) + 1))
            assert code in (dns.rcode.NOERROR, dns.rcode.NXRRSET)
            won = code == dns.rcode.NOERROR
            wins += won
            times -= won

    await asyncio.gather(*(count(20) for _ in range(8)))
    assert (wins, await value(cell)) == (160, "160")


async def test_acknowledged_swaps_survive_kill_9_and_so_does_the_identity(cell: Cell) -> None:
    identity, previous = await value(cell, "_cell"), None
    assert identity
    assert identity.startswith("id=")
    assert " inc=1" in identity
    for n in range(30):
        assert await swap(cell, previous, str(n)) == dns.rcode.NOERROR
        previous = str(n)
        if n % 10 == 9:
            cell.kill()
            cell.start()
            assert await value(cell) == str(n)
    assert await value(cell, "_cell") == identity


async def test_a_cell_that_lost_its_disk_is_another_one(cell: Cell) -> None:
    identity = await value(cell, "_cell")
    cell.kill()
    for file in cell.folder.iterdir():
        file.unlink()
    cell.start()
    assert await value(cell, "_cell") != identity


PREREQUISITES = [
    (lambda u: u.present("there"), "NOERROR"),
    (lambda u: u.present("nobody"), "NXDOMAIN"),
    (lambda u: u.absent("nobody"), "NOERROR"),
    (lambda u: u.absent("there"), "YXDOMAIN"),
    (lambda u: u.present("there", "TXT"), "NOERROR"),
    (lambda u: u.present("there", "A"), "NXRRSET"),
    (lambda u: u.absent("there", "A"), "NOERROR"),
    (lambda u: u.absent("there", "TXT"), "YXRRSET"),
    (lambda u: (u.present("there", "TXT", '"b"'), u.present("there", "TXT", '"a"')), "NOERROR"),
    (lambda u: u.present("there", "TXT", '"a"'), "NXRRSET"),
    (lambda u: [u.present("there", "TXT", f'"{t}"') for t in "abc"], "NXRRSET"),
    (lambda u: (u.present("there", "TXT", '"B"'), u.present("there", "TXT", '"a"')), "NXRRSET"),
]


async def test_prerequisites_compare_whole_sets_exactly(cell: Cell) -> None:
    first = dns.update.UpdateMessage(ZONE, keyring=cell.key)
    first.add("there", 0, "TXT", '"a"', '"b"')
    await cell.exchange(first)
    for number, (prepare, code) in enumerate(PREREQUISITES):
        update = dns.update.UpdateMessage(ZONE, keyring=cell.key)
        prepare(update)
        update.replace(f"new{number}", 0, "TXT", '"x"')
        assert dns.rcode.to_text((await cell.exchange(update)).rcode()) == code, number
        assert await value(cell, f"new{number}") == ("x" if code == "NOERROR" else None)


async def test_an_update_is_done_whole_or_not_at_all(cell: Cell) -> None:
    update = dns.update.UpdateMessage(ZONE, keyring=cell.key)
    update.replace("a", 0, "TXT", '"x"')
    update.replace("b", 0, "CNAME", "a")
    update.replace("b", 0, "TXT", '"beside a CNAME"')
    assert (await cell.exchange(update)).rcode() == dns.rcode.REFUSED
    assert await value(cell, "a") is None


async def test_records_are_added_and_taken_away_one_by_one_and_by_name(cell: Cell) -> None:
    async def send(*steps: tuple[str, ...]) -> list[str]:
        update = dns.update.UpdateMessage(ZONE, keyring=cell.key)
        for verb, *rest in steps:
            update.add(rest[0], 0, *rest[1:]) if verb == "add" else update.delete(*rest)
        assert (await cell.exchange(update)).rcode() == dns.rcode.NOERROR
        answer = await cell.ask(f"a.{ZONE}", "TXT", do=False)
        return sorted(str(rdata) for rrset in answer.answer for rdata in rrset)

    assert await send(("add", "a", "TXT", '"1"'), ("add", "a", "TXT", '"2"')) == ['"1"', '"2"']
    assert await send(("delete", "a", "TXT", '"1"'), ("delete", "a", "TXT", '"absent"')) == ['"2"']
    assert await send(("add", "a", "TXT", '"3"'), ("delete", "a", "TXT")) == []
    assert await send(("add", "a", "TXT", '"4"'), ("add", "a", "A", "192.0.2.1"), ("delete", "a")) == []


async def test_a_denial_follows_each_change_at_once(cell: Cell) -> None:
    async def denied() -> tuple[str, int]:
        answer = await cell.ask(f"above.{ZONE}", "TXT", do=False)
        return dns.rcode.to_text(answer.rcode()), answer.authority[0][0].serial

    first = await denied()
    await swap(cell, None, "x", name="below.above")
    second = await denied()
    update = dns.update.UpdateMessage(ZONE, keyring=cell.key)
    update.delete("below.above")
    await cell.exchange(update)
    third = await denied()
    assert [code for code, _ in (first, second, third)] == ["NXDOMAIN", "NOERROR", "NXDOMAIN"]
    assert third[1] > second[1] > first[1]


async def test_the_zone_keeps_its_soa_and_name_servers(cell: Cell) -> None:
    update = dns.update.UpdateMessage(ZONE, keyring=cell.key)
    update.delete("@")
    update.delete("@", "NS")
    assert (await cell.exchange(update)).rcode() == dns.rcode.NOERROR
    for kind in ("SOA", "NS"):
        assert (await cell.ask(ZONE, kind)).answer


@pytest.mark.parametrize(
    ("zone", "name", "code"), [("other.test.", "a", "NOTAUTH"), (ZONE, "a.other.test.", "NOTZONE")]
)
async def test_an_update_for_elsewhere_is_refused(cell: Cell, zone: str, name: str, code: str) -> None:
    update = dns.update.UpdateMessage(zone, keyring=cell.key)
    update.replace(name, 0, "TXT", '"x"')
    assert dns.rcode.to_text((await cell.exchange(update)).rcode()) == code


async def test_an_unsigned_update_changes_nothing(cell: Cell) -> None:
    update = dns.update.UpdateMessage(ZONE)
    update.replace("ctr", 0, "TXT", '"x"')
    assert (await cell.exchange(update)).rcode() == dns.rcode.REFUSED
    assert await value(cell) is None


@pytest.mark.parametrize(
    ("name", "secret", "error"),
    [("catalyst-witness", b"other", dns.tsig.PeerBadSignature), ("nobody", b"other", dns.tsig.PeerBadKey)],
)
async def test_a_wrong_signature_changes_nothing_and_says_what_is_wrong(
    cell: Cell, name: str, secret: bytes, error: type[Exception]
) -> None:
    key = dns.tsig.Key(dns.name.from_text(name), base64.b64encode(secret), dns.tsig.HMAC_SHA256)
    with pytest.raises(error):
        await swap(cell, None, "x", key=key)
    assert await value(cell) is None


async def test_a_clock_that_is_far_off_is_told_so(cell: Cell, monkeypatch: pytest.MonkeyPatch) -> None:
    update = dns.update.UpdateMessage(ZONE, keyring=cell.key)
    update.replace("ctr", 0, "TXT", '"x"')
    with monkeypatch.context() as patched:
        ours = time.time()
        patched.setattr(time, "time", lambda: ours - 4000)
        wire = update.to_wire()
    host, _, port = cell.address.rpartition(":")
    reader, writer = await asyncio.open_connection(host, int(port))
    writer.write(len(wire).to_bytes(2, "big") + wire)
    answer = await reader.readexactly(int.from_bytes(await reader.readexactly(2), "big"))
    writer.close()
    await writer.wait_closed()
    assert dns.message.from_wire(answer, keyring=False).tsig_error == dns.rcode.BADTIME
    assert await value(cell) is None


def test_a_key_file_without_a_key_is_one_sentence(tmp_path: Path) -> None:
    (tmp_path / "key").write_text("?")
    command = [sys.executable, "-m", "catalyst_dns_embedded", "cell", "--data", str(tmp_path / "cell"),
               "--listen", "127.0.0.1:0", "--key-file", str(tmp_path / "key")]  # fmt: skip
    ended = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    assert ended.returncode != 0
    assert "no base64 secret" in ended.stderr
    assert "Traceback" not in ended.stderr
