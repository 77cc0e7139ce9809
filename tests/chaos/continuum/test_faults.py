"""Faults on two real regions while a client writes: no acknowledged row is lost, and never could two regions write.

A fault lasts ten seconds and is healed for as long (`CATALYST_CHAOS_MINUTES` minutes in all, 5 by default; a seed brings the same
faults again). All processes share one machine and one clock, so that overlaps of authority are measured. Lines are cut in user
space, by relays before cells, peers and name servers; clients reach each region directly. In the long run only.
"""

import asyncio
import os
import random
import shutil
import sys
import tempfile
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

import httpx
import pytest
from catalyst_cli.dev.control import ask
from catalyst_cli.drills.client import Client, writing
from catalyst_cli.drills.figures import kept
from catalyst_cli.drills.house import House
from catalyst_cli.drills.names import Unresolved
from catalyst_cli.drills.report import is_protected
from catalyst_sdk.traces import check, overlaps, reigns
from catalyst_testkit import eventually

from tests.e2e.devs import Dev

MINUTES = float(os.environ.get("CATALYST_CHAOS_MINUTES", "5"))
LASTS = 10.0
LONG = os.environ.get("CATALYST_CHAOS") == "long" or os.environ.get("HYPOTHESIS_PROFILE") == "long"
Fault = tuple[str, Callable[[House], Awaitable[Any]], Callable[[House], Awaitable[Any]]]


def faults(
    places: tuple[str, ...] = ("east", "west"), cells: tuple[str, ...] = ("cell-1", "cell-2", "cell-3")
) -> list[Fault]:
    """What may go wrong, each with what mends it."""
    found: list[Fault] = []
    for place in places:
        for source in ("cells", "peers", "all"):
            for one_way in (False, True):
                found.append(
                    (
                        f"{place} cut from {source}{', one way' if one_way else ''}",
                        lambda h, p=place, s=source, o=one_way: h.call("region.cut", name=p, source=s, one_way=o),
                        lambda h, p=place: h.call("region.heal", name=p),
                    )
                )  # fmt: skip - one fault
        for word, mend in (("pause", "resume"), ("kill", "start")):
            found.append(
                (
                    f"{word} {place}",
                    lambda h, p=place, w=word: h.call(f"region.{w}", name=p),
                    lambda h, p=place, m=mend: h.call(f"region.{m}", name=p),
                )
            )  # fmt: skip - one fault
    for cell in cells:
        for word, mend in (("pause", "resume"), ("kill", "start")):
            found.append(
                (
                    f"{word} {cell}",
                    lambda h, c=cell, w=word: h.call(f"cell.{w}", name=c),
                    lambda h, c=cell, m=mend: h.call(f"cell.{m}", name=c),
                )
            )  # fmt: skip - one fault
    return found


@pytest.fixture
async def house() -> AsyncIterator[House]:
    path = Path(tempfile.mkdtemp(prefix="catalyst-chaos-"))
    dev = Dev(path, options=("--regions",))
    await asyncio.to_thread(dev.start)
    token = Path(dev.state["control_token_file"])
    yield House(await asyncio.to_thread(ask, dev.state["control"], token, "status"))
    await asyncio.to_thread(dev.stop)
    shutil.rmtree(path, ignore_errors=True)


@pytest.mark.chaos
@pytest.mark.skipif(not LONG, reason="five minutes: CATALYST_CHAOS=long")
async def test_whatever_fails_no_acknowledged_row_is_lost_and_no_two_regions_could_write(house: House) -> None:
    seed = int(os.environ.get("CATALYST_CHAOS_SEED", random.randrange(10**6)))
    drawn, met = random.Random(seed), list[str]()
    async with writing(house) as client:
        await client.holder()
        for _ in range(int(MINUTES * 60 / (2 * LASTS))):
            name, begin, mend = drawn.choice(faults())
            met.append(name)
            await begin(house)
            await _passes(LASTS)
            await mend(house)
            await _passes(LASTS)
        await eventually(
            lambda: _is_whole(client), within=300, every=0.5, what=f"a standby has every write; seed {seed}: {met}"
        )
        await client.finish()
        read = await client.writer.read()
    lines = client.lines()
    told = kept(client.writer.attempts, read)
    epochs = len({reign.epoch for reign in reigns(lines)})
    sys.stdout.write(
        f"seed {seed}: {len(met)} faults, {told.acked} acked, {len(told.lost)} lost, {len(told.unexpected)} unexpected, "
        f"{len(told.recovered)} recovered, {len(overlaps(lines))} overlaps, {epochs} epochs; {met}\n"
    )
    assert (told.lost, told.unexpected) == (frozenset(), frozenset())
    assert overlaps(lines) == []
    assert check(lines) == []


async def _passes(seconds: float) -> None:
    never = asyncio.Event()
    with suppress(TimeoutError):
        await asyncio.wait_for(never.wait(), seconds)


async def _is_whole(client: Client) -> bool:
    with suppress(Unresolved, httpx.HTTPError):
        return is_protected(client.lines(), (await client.writer.whoami())["epoch"])
    return False
