"""The drill `kill`: the holder's region dies while a client writes by the public name, and comes back as a standby."""

from contextlib import suppress
from typing import Any

import httpx
from catalyst_sdk.traces import check, overlaps

from catalyst_cli.dev.recipes import boottime

from .client import AFTER, Client, NotReady, Tell, until, writing
from .figures import gap, kept
from .house import House
from .report import Report, phases

MOVED_WITHIN = 180.0
BACK_WITHIN = 180.0


async def kill(house: House, *, promised: float, tell: Tell) -> Report:
    """Kill the region that holds the slot; what was seen. Raises NotReady."""
    async with writing(house) as client:
        return await _killed(client, promised, tell)


async def _killed(client: Client, promised: float, tell: Tell) -> Report:
    house, slot, before = client.house, client.house.demo["slot"], await client.holder()
    tell(f"{before['region']} holds {slot} in epoch {before['epoch']}; {client.acked(0)} rows written")
    killed = await house.call("region.kill", name=before["region"])
    tell(f"killed every process of {before['region']}")
    with suppress(NotReady):
        await until(lambda: client.acked(before["epoch"]) >= AFTER, MOVED_WITHIN, "writes are acknowledged elsewhere")
    await client.finish()
    attempts = client.writer.attempts
    found = gap(attempts, killed["killed_at"], epoch=before["epoch"])
    if found is None:
        lines = client.lines()
        return Report("kill", slot, promised, None, None, {}, len(overlaps(lines)), check(lines))
    tell(f"{found.region} took over in epoch {found.epoch}; first row after {found.rto:.1f} s")
    judged, moved = kept(attempts, await client.writer.read()), await house.answers()
    back = await _return(house, before["region"], tell)
    lines = client.lines()
    took = phases(lines, epoch=found.epoch, fault=killed["killed_at"], gap=found)
    return Report(
        "kill", slot, promised, found, judged, took, len(overlaps(lines)), check(lines), moved, back
    )  # fmt: skip - one report


async def _return(house: House, region: str, tell: Tell) -> float:
    """Bring the region back and wait until it follows. Raises NotReady."""
    began = boottime()
    await house.call("region.start", name=region)
    row = next(row for row in house.regions if row["name"] == region)
    await until(lambda: _follows(row), BACK_WITHIN, f"{region} is back as a standby")
    tell(f"{region} is back and follows, after {boottime() - began:.1f} s")
    return boottime() - began


async def _follows(row: dict[str, Any]) -> bool:
    async with httpx.AsyncClient(timeout=2, trust_env=False) as http:
        try:
            told = (await http.get(f"http://{row['gateway']}/whoami")).json()
        except ValueError:
            return False
    return bool(told["role"] == "replica" and not told["writable"])
