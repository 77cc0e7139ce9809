"""Conformance of lease cells. An author subclasses `CellSuite` and provides one fixture, `bench`.

class TestMine(CellSuite):
    @pytest.fixture
    def bench(self) -> Iterator[CellBench]: ...

Each test works on slots of its own. `witness verify` asks the same of a cell before it may serve; what needs the server's
process, such as its death, stands only here.
"""

import asyncio
import os
from collections.abc import Callable
from dataclasses import dataclass
from uuid import uuid4

import pytest
from catalyst_sdk import PluginFailure, Temporary
from catalyst_sdk.witness import LeaseWitness, Swap

LONG = os.environ.get("HYPOTHESIS_PROFILE") == "long"
CLIENTS, WINS, DEATHS = (12, 40, 10) if LONG else (5, 6, 1)
"""Of the contention, and of the acknowledged swaps that a death must not lose."""
WORST = "p=999999999999.abcdef-abcdefgh a=999999999998.abcdef-abcdefgh c1 e=1 q=1 s=held h=sb-east-rtz-dev n=- "
LONGEST = (WORST + "x" * 255)[:255].encode()


@dataclass
class CellBench:
    """One cell of a witness, and its server.

    kill, start   kill -9 of the server; its start on the same store and address
    """

    witness: LeaseWitness
    cell: str
    kill: Callable[[], None]
    start: Callable[[], None]

    async def read(self, slot: str) -> bytes | None:
        return await self.witness.read(cell=self.cell, slot=slot)

    async def swap(self, slot: str, old: bytes | None, new: bytes) -> Swap:
        return await self.witness.swap(cell=self.cell, slot=slot, old=old, new=new)


class CellSuite:
    """The tests that every kind of cell passes, ours or a stranger's."""

    @pytest.fixture
    def slot(self) -> str:
        """A slot of this test's own."""
        return f"suite/s{uuid4().hex[:12]}"

    async def test_a_slot_that_nobody_wrote_is_none(self, bench: CellBench, slot: str) -> None:
        assert await bench.read(slot) is None

    async def test_only_what_stands_there_is_replaced(self, bench: CellBench, slot: str) -> None:
        assert await bench.swap(slot, b"never written", b"v0") is Swap.MISMATCH
        assert await bench.read(slot) is None
        assert await bench.swap(slot, None, b"v1") is Swap.APPLIED
        assert await bench.swap(slot, None, b"v2") is Swap.MISMATCH
        assert await bench.swap(slot, b"v0", b"v2") is Swap.MISMATCH
        assert await bench.swap(slot, b"v1 ", b"v2") is Swap.MISMATCH
        assert await bench.read(slot) == b"v1"
        assert await bench.swap(slot, b"v1", b"v2") is Swap.APPLIED
        assert await bench.read(slot) == b"v2"

    async def test_a_swap_that_comes_twice_acts_once(self, bench: CellBench, slot: str) -> None:
        assert await bench.swap(slot, None, b"first") is Swap.APPLIED
        assert await bench.swap(slot, b"first", b"second") is Swap.APPLIED
        assert await bench.swap(slot, b"first", b"second") is Swap.MISMATCH
        assert await bench.read(slot) == b"second"

    async def test_a_value_of_255_octets_with_spaces_is_kept_whole(self, bench: CellBench, slot: str) -> None:
        assert await bench.swap(slot, None, LONGEST) is Swap.APPLIED
        assert await bench.read(slot) == LONGEST
        assert await bench.swap(slot, LONGEST, b"a=- z:9,/.") is Swap.APPLIED
        assert await bench.read(slot) == b"a=- z:9,/."

    @pytest.mark.parametrize("value", [b"V5", b"x" * 256, b'say "no"', b"back\\slash", b"two\nlines", b"\xc3\xa4", b""])
    async def test_a_value_that_some_cell_does_not_keep_is_never_sent(
        self, bench: CellBench, slot: str, value: bytes
    ) -> None:
        with pytest.raises(PluginFailure):
            await bench.swap(slot, None, value)
        assert await bench.read(slot) is None

    async def test_slots_do_not_touch_each_other_however_long_their_names(self, bench: CellBench, slot: str) -> None:
        names = [slot, f"{slot}x", f"{slot}/{'n' * 200}", f"{slot}/{'n' * 199}m"]
        for n, name in enumerate(names):
            assert await bench.swap(name, None, f"v{n}".encode()) is Swap.APPLIED
        assert [await bench.read(name) for name in names] == [b"v0", b"v1", b"v2", b"v3"]

    async def test_of_many_first_comers_one_wins(self, bench: CellBench, slot: str) -> None:
        told = await asyncio.gather(*(bench.swap(slot, None, f"n{n}".encode()) for n in range(8)))
        assert sorted(one.value for one in told) == ["applied", *["mismatch"] * 7]
        assert await bench.read(slot) == f"n{told.index(Swap.APPLIED)}".encode()

    async def test_clients_who_read_and_swap_lose_no_increment(self, bench: CellBench, slot: str) -> None:
        assert await bench.swap(slot, None, b"0") is Swap.APPLIED

        async def count(wins: int) -> None:
            while wins:
                seen = await bench.read(slot)
                assert seen is not None
                told = await bench.swap(slot, seen, str(int(seen) + 1).encode())
                assert told is not Swap.UNKNOWN
                wins -= told is Swap.APPLIED

        await asyncio.gather(*(count(WINS) for _ in range(CLIENTS)))
        assert await bench.read(slot) == str(CLIENTS * WINS).encode()

    async def test_acknowledged_swaps_and_the_identity_outlive_kill_9(self, bench: CellBench, slot: str) -> None:
        identity = await bench.witness.identity(cell=bench.cell)
        assert identity.id
        last: bytes | None = None
        for n in range(30 * DEATHS):
            new = f"n{n}".encode()
            assert await bench.swap(slot, last, new) is Swap.APPLIED
            last = new
            if n % 30 == 29:
                bench.kill()
                bench.start()
                assert await bench.read(slot) == new
        assert await bench.witness.identity(cell=bench.cell) == identity

    async def test_a_cell_that_is_down_says_nothing_and_never_no(self, bench: CellBench, slot: str) -> None:
        assert await bench.swap(slot, None, b"before") is Swap.APPLIED
        bench.kill()
        try:
            with pytest.raises(Temporary):
                await bench.read(slot)
            with pytest.raises(Temporary):
                await bench.witness.identity(cell=bench.cell)
            assert await bench.swap(slot, b"before", b"after") is Swap.UNKNOWN
        finally:
            bench.start()
        assert await bench.read(slot) == b"before"
