"""What a verification finds of cells that are none."""

import asyncio

from catalyst_continuum.workers.verify import CellReport, verify
from catalyst_sdk import Permanent
from catalyst_sdk.witness import CellIdentity, Swap

from .witnesses import MemoryWitness


class EventualStore(MemoryWitness):
    """Get, compare and put with time between them, as a plain key-value store behind a script does it."""

    async def swap(self, *, cell: str, slot: str, old: bytes | None, new: bytes) -> Swap:
        seen = await self.read(cell=cell, slot=slot)
        await asyncio.sleep(0)
        if seen != old:
            return Swap.MISMATCH
        self.values[cell, slot] = new
        return Swap.APPLIED


class BlindStore(MemoryWitness):
    """Takes whatever it is given."""

    async def swap(self, *, cell: str, slot: str, old: bytes | None, new: bytes) -> Swap:
        self.values[cell, slot] = new
        return Swap.APPLIED


class OneBehindAll(MemoryWitness):
    """Three addresses of one server."""

    async def identity(self, *, cell: str) -> CellIdentity:
        return CellIdentity("the-same", 1)


async def failures(witness: MemoryWitness) -> list[str]:
    report: CellReport = (await verify(witness, ["a"])).cells[0]
    return report.failures


async def test_sound_cells_are_safe() -> None:
    report = await verify(MemoryWitness(), "abc")
    assert report.is_safe, report
    assert {one.cases for one in report.cells} == {11}


async def test_a_store_that_compares_and_puts_in_two_steps_is_no_cell() -> None:
    found = await failures(EventualStore())
    assert any("of many first comers one wins: 4 instead of 1" in one for one in found), found
    assert any("lose no increment" in one for one in found), found


async def test_a_store_that_does_not_compare_is_no_cell() -> None:
    assert any("never was there" in one for one in await failures(BlindStore()))


class KeyValueStore(MemoryWitness):
    """Says of itself what it is."""

    async def identity(self, *, cell: str) -> CellIdentity:
        raise Permanent("UNSAFE_WITNESS", "its writes show late elsewhere")


async def test_a_store_that_is_not_linearizable_is_refused_with_the_reason() -> None:
    assert await failures(KeyValueStore()) == ["it must not be a cell: its writes show late elsewhere"]


async def test_one_server_under_three_addresses_is_one_cell() -> None:
    report = await verify(OneBehindAll(), "abc")
    assert not report.is_safe
    assert report.findings == ["a and b and c are one cell: all show the-same"]


async def test_an_even_number_of_cells_is_said() -> None:
    assert "even number" in (await verify(MemoryWitness(names=("a", "b")), "ab")).findings[0]


async def test_a_cell_that_is_down_is_said_and_the_others_are_asked_all_the_same() -> None:
    report = await verify(MemoryWitness(down={"b"}), "abc")
    assert [bool(one.failures) for one in report.cells] == [False, True, False]
    assert "does not answer" in report.cells[1].failures[0]
