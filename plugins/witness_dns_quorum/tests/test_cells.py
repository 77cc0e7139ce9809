"""One suite for the cells, over four name servers: BIND, Knot, PowerDNS, and the one that `catalyst dev` brings along."""

import base64
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import dns.asyncquery
import dns.exception
import dns.name
import dns.rcode
import dns.tsig
import dns.update
import pytest
from catalyst_sdk import Temporary
from catalyst_sdk.witness import Swap
from catalyst_testkit import witness_zones
from catalyst_testkit.bind import bind_server
from catalyst_testkit.cell_suite import CellBench, CellSuite
from catalyst_testkit.knot import knot_server
from catalyst_testkit.nameservers import UPDATE_KEY, UPDATE_SECRET, update_key
from catalyst_testkit.powerdns import powerdns_server
from catalyst_testkit.servers import folder, free_port
from catalyst_witness_dns_quorum.cells import DnsCells, owner
from catalyst_witness_dns_quorum.configured import configured

ZONE = dns.name.from_text(witness_zones.ZONE)


def witness(address: str, secret: str = UPDATE_SECRET, **config: Any) -> DnsCells:
    """The plugin with one cell at `ip:port`."""
    home = folder()
    key_file = home / "tsig.key"
    key_file.write_text(secret)
    values = {
        "cells": [{"name": "one", "address": address}], "zone": witness_zones.ZONE, "tsig_key_file": str(key_file),
        "tsig_key_name": UPDATE_KEY, "op_timeout_seconds": 5.0, **config,
    }  # fmt: skip
    try:
        return DnsCells(configured(values))
    finally:
        shutil.rmtree(home)


def benched(server: Any) -> CellBench:
    return CellBench(witness(server.address), "one", server.kill, server.start)


class DnsCellSuite(CellSuite):
    """What only DNS can get wrong.

    tells_who_is_late   whether a server that refuses our time says which it has
    """

    tells_who_is_late = True

    def address(self, bench: CellBench) -> tuple[str, int]:
        assert isinstance(bench.witness, DnsCells)
        return bench.witness.address("one")

    async def send(self, bench: CellBench, update: dns.update.UpdateMessage) -> dns.rcode.Rcode:
        host, port = self.address(bench)
        return (await dns.asyncquery.tcp(update, host, timeout=60, port=port)).rcode()

    async def plant(self, bench: CellBench, slot: str, *texts: str, ttl: int = 0) -> None:
        update = dns.update.UpdateMessage(ZONE, keyring=update_key())
        update.add(owner(slot, ZONE), ttl, "TXT", *texts)
        assert await self.send(bench, update) == dns.rcode.NOERROR

    async def test_the_ttl_of_a_record_is_no_part_of_its_value(self, bench: CellBench, slot: str) -> None:
        await self.plant(bench, slot, '"v1"', ttl=300)
        assert await bench.swap(slot, b"v1", b"v2") is Swap.APPLIED

    async def test_it_tells_its_time_and_one_that_finds_ours_wrong_tells_its_own(
        self, bench: CellBench, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        told = (await bench.witness.identity(cell="one")).offset
        assert told is not None
        assert abs(told) < 60
        for wrong in (400, -4000):
            true = time.time
            with monkeypatch.context() as patched:
                patched.setattr(time, "time", lambda true=true, wrong=wrong: true() + wrong)
                seen = (await bench.witness.identity(cell="one")).offset
            assert (seen is not None) is self.tells_who_is_late
            assert abs((seen or -wrong) + wrong) < 60

    async def test_two_values_are_no_value(self, bench: CellBench, slot: str) -> None:
        await self.plant(bench, slot, '"v1"', '"v2"')
        with pytest.raises(Temporary, match="corrupt"):
            await bench.read(slot)
        assert [await bench.swap(slot, old, b"v3") for old in (b"v1", b"v2", None)] == [Swap.MISMATCH] * 3

    async def test_a_value_in_several_strings_is_not_taken_for_the_one_string_that_they_join_to(
        self, bench: CellBench, slot: str
    ) -> None:
        await self.plant(bench, slot, '"v1" "v2"')
        with pytest.raises(Temporary, match="corrupt"):
            await bench.read(slot)
        assert await bench.swap(slot, b"v1v2", b"v3") is Swap.MISMATCH
        assert await bench.swap(slot, b"v1 v2", b"v3") is Swap.MISMATCH

    @pytest.mark.parametrize("name", [UPDATE_KEY, "nobody."])
    async def test_a_wrong_key_changes_nothing(self, bench: CellBench, slot: str, name: str) -> None:
        host, port = self.address(bench)
        other = base64.b64encode(b"o" * 32).decode()
        stranger = witness(f"{host}:{port}", other, tsig_key_name=name)
        assert await stranger.swap(cell="one", slot=slot, old=None, new=b"x") is Swap.UNKNOWN
        assert await bench.read(slot) is None

    async def test_an_unsigned_update_changes_nothing(self, bench: CellBench, slot: str) -> None:
        update = dns.update.UpdateMessage(ZONE)
        update.replace(owner(slot, ZONE), 0, "TXT", '"x"')
        # PowerDNS' refusal is cut so short that dnspython does not read it.
        with suppress(dns.exception.FormError):
            assert await self.send(bench, update) in (dns.rcode.REFUSED, dns.rcode.NOTAUTH)
        assert await bench.read(slot) is None

    @pytest.mark.parametrize(("skew", "told"), [(-200, Swap.APPLIED), (200, Swap.APPLIED), (-400, Swap.UNKNOWN),
                                                (400, Swap.UNKNOWN)])  # fmt: skip
    async def test_a_clock_may_be_off_by_the_fudge_and_not_by_more(
        self, bench: CellBench, slot: str, skew: int, told: Swap, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        host, port = self.address(bench)
        ours = witness(f"{host}:{port}")
        real = time.time
        with monkeypatch.context() as patched:
            # The clock of the whole process, as where a machine's is wrong: what checks the answer is off as well.
            patched.setattr(time, "time", lambda: real() + skew)
            assert await ours.swap(cell="one", slot=slot, old=None, new=b"x") is told
        assert await bench.read(slot) == (b"x" if told is Swap.APPLIED else None)

    @pytest.mark.parametrize("transport", ["udp", "tcp"])
    async def test_a_swap_by_either_transport_counts_once(self, bench: CellBench, slot: str, transport: str) -> None:
        host, port = self.address(bench)
        ours = witness(f"{host}:{port}", transport=transport)
        assert await ours.swap(cell="one", slot=slot, old=None, new=b"1") is Swap.APPLIED
        assert await ours.swap(cell="one", slot=slot, old=b"1", new=b"2") is Swap.APPLIED
        assert await ours.read(cell="one", slot=slot) == b"2"

    async def test_what_the_server_has_no_authority_for_is_no_answer(self, bench: CellBench, slot: str) -> None:
        host, port = self.address(bench)
        elsewhere = witness(f"{host}:{port}", zone="elsewhere.test")
        with pytest.raises(Temporary):
            await elsewhere.read(cell="one", slot=slot)
        assert await elsewhere.swap(cell="one", slot=slot, old=None, new=b"x") is Swap.UNKNOWN


class TestBind(DnsCellSuite):
    @pytest.fixture(scope="class")
    @classmethod
    def bench(cls) -> Iterator[CellBench]:
        with bind_server() as server:
            witness_zones.on_bind(server, witness_zones.new_identity())
            yield benched(server)


class TestKnot(DnsCellSuite):
    @pytest.fixture(scope="class")
    @classmethod
    def bench(cls) -> Iterator[CellBench]:
        with knot_server() as server:
            witness_zones.on_knot(server, witness_zones.new_identity())
            yield benched(server)


class TestPowerDns(DnsCellSuite):
    tells_who_is_late = False

    @pytest.fixture(scope="class")
    @classmethod
    def bench(cls) -> Iterator[CellBench]:
        with powerdns_server(**witness_zones.UPDATES) as server:
            witness_zones.on_powerdns(server, witness_zones.new_identity())
            yield benched(server)

    async def test_letter_case_is_no_difference_to_this_server_which_is_why_no_value_has_any(
        self, bench: CellBench, slot: str
    ) -> None:
        await self.plant(bench, slot, '"V5"')
        assert await bench.swap(slot, b"v5", b"v6") is Swap.APPLIED


class Embedded:
    """A process of `catalyst_dns_embedded`."""

    def __init__(self, home: Path) -> None:
        self.address = f"127.0.0.1:{free_port()}"
        key_file = home / "tsig.key"
        key_file.write_text(UPDATE_SECRET)
        self._command = [
            sys.executable, "-m", "catalyst_dns_embedded", "cell", "--data", str(home / "cell"), "--listen",
            self.address, "--zone", witness_zones.ZONE, "--key-file", str(key_file), "--key-name", UPDATE_KEY,
        ]  # fmt: skip
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        self._process = subprocess.Popen(self._command, stdout=subprocess.PIPE)
        assert self._process.stdout is not None
        assert self._process.stdout.readline(), "the cell ended at its start"

    def kill(self) -> None:
        process, self._process = self._process, None
        if process is not None and process.stdout is not None:
            process.kill()
            process.wait()
            process.stdout.close()


class TestEmbedded(DnsCellSuite):
    @pytest.fixture(scope="class")
    @classmethod
    def bench(cls) -> Iterator[CellBench]:
        home = folder()
        server = Embedded(home)
        server.start()
        yield benched(server)
        server.kill()
        shutil.rmtree(home, ignore_errors=True)
