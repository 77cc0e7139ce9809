"""Whether cells may serve: each is asked for one compare-and-swap in all its cases, on a scratch record of its own.

What needs the server's process, such as its death, is asked by the suite of `catalyst_testkit`; here it runs somewhere else.
"""

import asyncio
import secrets
from collections.abc import Awaitable, Sequence
from dataclasses import dataclass, field

from catalyst_sdk import Permanent, PluginFailure
from catalyst_sdk.witness import LeaseWitness, Swap

CLIENTS, WINS = 4, 5
"""Of the contention: clients at once, and increments of each."""
LONGEST = ("p=999999999999.abcdef-abcdefgh a=- c1 e=1 q=1 s=held h=- k=a:b,c/d " + "x" * 255)[:255].encode()


@dataclass
class CellReport:
    """What one cell showed."""

    cell: str
    cases: int = 0
    failures: list[str] = field(default_factory=list)
    identity: str = ""
    """Id and incarnation; empty where it shows none."""
    software: str = ""


@dataclass(frozen=True, slots=True)
class WitnessReport:
    """What all showed, and what is wrong between them."""

    cells: Sequence[CellReport]
    findings: Sequence[str]

    @property
    def is_safe(self) -> bool:
        """Whether they may serve together."""
        return not self.findings and not any(report.failures for report in self.cells)


async def verify(witness: LeaseWitness, cells: Sequence[str]) -> WitnessReport:
    """Ask `cells`, all at once."""
    reports = await asyncio.gather(*(_Case(witness, cell).run() for cell in cells))
    return WitnessReport(reports, _between(reports, len(witness.cells())))


def _between(reports: Sequence[CellReport], size: int) -> Sequence[str]:
    """Servers that share an identity are one cell, whatever their addresses say."""
    found = [] if size % 2 else [f"there are {size} cells: an even number survives no more failures than one less"]
    by_id: dict[str, list[str]] = {}
    for report in reports:
        if report.identity:
            by_id.setdefault(report.identity.split()[0], []).append(report.cell)
    return found + [f"{' and '.join(same)} are one cell: all show {id}" for id, same in by_id.items() if len(same) > 1]


class _Case:
    """One cell, asked in order; each answer that is none of those it may give is a failure."""

    def __init__(self, witness: LeaseWitness, cell: str) -> None:
        self._witness = witness
        self._report = CellReport(cell)
        self._slot = f"catalyst-verify/{secrets.token_hex(8)}"

    async def run(self) -> CellReport:
        try:
            await self._identity()
            await self._is("a slot that nobody wrote has no value", self._read(), None)
            await self._is("an old value that never was there is no match", self._swap(b"never", b"v0"), Swap.MISMATCH)
            last = await self._first_comers()
            await self._is("a slot is first written once", self._swap(None, b"v0"), Swap.MISMATCH)
            await self._is("a value that begins alike is no match", self._swap(last + b" ", b"v0"), Swap.MISMATCH)
            await self._is("what stands there is replaced", self._swap(last, LONGEST), Swap.APPLIED)
            await self._is("255 octets are kept whole", self._read(), LONGEST)
            await self._is("the same swap again is no match", self._swap(last, LONGEST), Swap.MISMATCH)
            await self._is("the value that is there is replaced again", self._swap(LONGEST, b"0"), Swap.APPLIED)
            await self._contention()
        except Permanent as failure:
            self._report.failures.append(f"it must not be a cell: {failure}")
        except PluginFailure as failure:
            self._report.failures.append(f"it does not answer: {failure}")
        return self._report

    async def _identity(self) -> None:
        one = await self._witness.identity(cell=self._report.cell)
        self._report.identity, self._report.software = f"{one.id} {one.incarnation}", one.software
        await self._is("the identity stays", self._witness.identity(cell=self._report.cell), one)

    async def _first_comers(self) -> bytes:
        told = await asyncio.gather(*(self._swap(None, f"n{n}".encode()) for n in range(CLIENTS)))
        self._judge("of many first comers one wins", told.count(Swap.APPLIED), 1)
        return f"n{told.index(Swap.APPLIED)}".encode() if Swap.APPLIED in told else b"n0"

    async def _contention(self) -> None:
        async def count(wins: int) -> None:
            while wins:
                seen = await self._read() or b""
                if not seen.isdigit():
                    return
                told = await self._swap(seen, str(int(seen) + 1).encode())
                if told is Swap.UNKNOWN:
                    return
                wins -= told is Swap.APPLIED

        await asyncio.gather(*(count(WINS) for _ in range(CLIENTS)))
        await self._is("clients who read and swap lose no increment", self._read(), str(CLIENTS * WINS).encode())

    def _read(self) -> Awaitable[bytes | None]:
        return self._witness.read(cell=self._report.cell, slot=self._slot)

    def _swap(self, old: bytes | None, new: bytes) -> Awaitable[Swap]:
        return self._witness.swap(cell=self._report.cell, slot=self._slot, old=old, new=new)

    async def _is(self, case: str, asked: Awaitable[object], wanted: object) -> None:
        self._judge(case, await asked, wanted)

    def _judge(self, case: str, seen: object, wanted: object) -> None:
        self._report.cases += 1
        if seen != wanted:
            self._report.failures.append(f"{case}: {_said(seen)} instead of {_said(wanted)}")


def _said(value: object) -> str:
    if isinstance(value, Swap):
        return value.value
    return repr(value) if len(repr(value)) < 60 else f"{repr(value)[:50]}…"
