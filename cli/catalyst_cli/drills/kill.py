"""The drill `kill`: the holder's region dies while a client writes by the public name, and comes back as a standby."""

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import suppress
from typing import Any

import httpx
from catalyst_sdk.traces import Line, check, overlaps

from catalyst_cli.dev.recipes import boottime

from .figures import gap, kept
from .house import House
from .names import Names, Unresolved
from .report import Report, is_protected, phases
from .writer import Writer

WARM = 40
"""Acknowledged writes before the region dies."""
PROTECTED_WITHIN = 120.0
MOVED_WITHIN = 180.0
BACK_WITHIN = 180.0
AFTER = 20
"""Acknowledged writes after the first one in the new epoch, so that what follows it is seen too."""
Tell = Callable[[str], None]


class NotReady(Exception):
    """The drill cannot begin, or what it waited for did not come; the text says what."""


async def kill(house: House, *, promised: float, tell: Tell) -> Report:
    """Kill the region that holds the slot; what was seen. Raises NotReady."""
    demo = house.demo
    writer = Writer(
        Names(demo["host"], list(house.authorities.values()), boottime), host=demo["host"], port=demo["port"],
        clock=boottime,
    )  # fmt: skip
    stop = asyncio.Event()
    writing = asyncio.create_task(writer.run(stop))
    try:
        await _until(lambda: _acked(writer, 0) >= WARM, 120, f"{WARM} writes by {demo['host']} are acknowledged")
        before = await writer.whoami()
        # Until a standby has every write there is nobody who may take over, and nobody does.
        await _until(
            lambda: is_protected(_of(house), before["epoch"]), PROTECTED_WITHIN, "a standby has every write"
        )  # fmt: skip - one wait
        tell(f"{before['region']} holds {demo['slot']} in epoch {before['epoch']}; {_acked(writer, 0)} rows written")
        killed = await house.call("region.kill", name=before["region"])
        tell(f"killed every process of {before['region']}")
        with suppress(NotReady):
            await _until(
                lambda: _acked(writer, before["epoch"]) >= AFTER, MOVED_WITHIN, "writes are acknowledged elsewhere"
            )  # fmt: skip - one wait
        stop.set()
        await writing
        found = gap(writer.attempts, killed["killed_at"], epoch=before["epoch"])
        if found:
            tell(f"{found.region} took over in epoch {found.epoch}; first row after {found.rto:.1f} s")
        read = await writer.read() if found else None
        moved = await house.answers()
        back = await _return(house, before["region"], tell) if found else None
    finally:
        stop.set()
        await asyncio.gather(writing, return_exceptions=True)
        await writer.close()
    lines = _of(house)
    took = phases(lines, epoch=found.epoch, fault=killed["killed_at"], gap=found) if found else {}
    judged = kept(writer.attempts, read) if read is not None else None
    return Report(
        "kill", demo["slot"], promised, found, judged, took, len(overlaps(lines)), check(lines), moved, back
    )  # fmt: skip - one report


def _of(house: House) -> list[Line]:
    """The trace of the demonstration's slot."""
    return [line for line in house.trace() if line.slot == house.demo["slot"]]


async def _return(house: House, region: str, tell: Tell) -> float:
    """Bring the region back and wait until it follows. Raises NotReady."""
    began = boottime()
    await house.call("region.start", name=region)
    row = next(row for row in house.regions if row["name"] == region)
    await _until(lambda: _follows(row), BACK_WITHIN, f"{region} is back as a standby")
    tell(f"{region} is back and follows, after {boottime() - began:.1f} s")
    return boottime() - began


async def _follows(row: dict[str, Any]) -> bool:
    async with httpx.AsyncClient(timeout=2, trust_env=False) as http:
        try:
            told = (await http.get(f"http://{row['gateway']}/whoami")).json()
        except (httpx.HTTPError, ValueError):
            return False
    return bool(told["role"] == "replica" and not told["writable"])


def _acked(writer: Writer, above: int) -> int:
    """Acknowledged writes in epochs above this one."""
    return sum(1 for one in writer.attempts if one.is_acked and one.epoch > above)


async def _until(check: Callable[[], bool | Awaitable[bool]], within: float, what: str) -> None:
    deadline = boottime() + within
    while True:
        with suppress(Unresolved):
            told = check()
            if told if isinstance(told, bool) else await told:
                return
        if boottime() > deadline:
            raise NotReady(f"not within {within:.0f} s: {what}")
        await asyncio.sleep(0.05)
