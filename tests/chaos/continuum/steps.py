"""`python -m tests.chaos.continuum.steps`, in a network namespace of its own: planned moves whose agent is killed at each phase.

The agent of the region that has the phase in hand kills itself by SIGKILL: before the effect, after it, before and after that is
noted. It is started again; its database and its gateway go on. A client writes by the public name meanwhile.
Afterwards somebody leads, a standby has every write, nothing that was acknowledged is lost, and no two regions could write.

The last line is one JSON object; the exit code is 0 only where all of that holds.
"""

import argparse
import asyncio
import json
import shutil
import sys
import tempfile
from collections.abc import Sequence
from contextlib import suppress
from itertools import pairwise
from pathlib import Path
from typing import Any

import httpx
from catalyst_cli.dev import shop
from catalyst_cli.dev.layout import DAEMON, REGIONS, Region
from catalyst_cli.dev.recipes import boottime
from catalyst_cli.drills.client import Client, NotReady, until, writing
from catalyst_cli.drills.figures import kept
from catalyst_cli.drills.house import House
from catalyst_cli.drills.move import at
from catalyst_continuum.workers.steps import switchover
from catalyst_continuum.workers.steps.step import nothing
from catalyst_mesh.failpoints import VARIABLE
from catalyst_sdk.traces import check, overlaps
from catalyst_testkit.continuum.netns import Machines

from .namespaces import _OF, Spread, _made, settle

SOURCE = ("Precheck", "Approve", "Prepare", "Announce", "Drain", "FenceSource", "Handoff")
TARGET = ("Accept", "Promote", "VerifyWrite", "FlipTraffic", "VerifyTraffic", "Reprotect", "Complete")
POINTS = ("before-effect", "after-effect", "before-record", "after-record")
WITHIN = 180.0
ORDERED_WITHIN = 300.0
"""Seconds until the agent dies: a standby that was started anew has to be fit for the move first."""
SETTLED = 20


def deaths() -> list[tuple[str, str]]:
    """Every phase of a planned move, and every point of it; a phase that only waits has no effect to die beside."""
    waiting = {step.name for step in switchover.STEPS if step.act is nothing}
    return [
        (phase, point)
        for phase in (*SOURCE, *TARGET)
        for point in POINTS
        if phase not in waiting or point.endswith("record")
    ]  # fmt: skip - a table


async def run(net: Machines, layout: Spread, chosen: Sequence[tuple[str, str]]) -> dict[str, Any]:
    """One move a death; the report."""
    house = settle(net, layout)
    wish = shop.wish(layout, {row["name"]: shop.Shop(*row["gateway"].split(":")) for row in house.regions})
    await asyncio.gather(*(_made(row["agent"], house.token(), wish) for row in house.regions))
    met, stuck = list[dict[str, Any]](), ""
    async with writing(house) as client:
        try:
            for phase, point in chosen:
                met.append(await _die(net, house, client, phase, point))
                sys.stderr.write(f"{met[-1]}\n")
            await _whole(client, 0)
        except NotReady as why:  # what was seen until here is judged all the same
            stuck = f"after {len(met)} places: {why}"
        await client.finish()
        read = await client.writer.read()
    lines, told = client.lines(), kept(client.writer.attempts, read)
    return {
        "stuck": stuck, "deaths": len(met), "reached": sum(one["died"] for one in met), "moved": sum(one["moved"] for one in met),
        "acked": told.acked, "lost": len(told.lost), "unexpected": len(told.unexpected), "overlaps": len(overlaps(lines)),
        "breaches": [f"{one.invariant}: {one.what}" for one in check(lines)],
        "longest_without_writes_seconds": max((one["no_writes_seconds"] for one in met), default=0.0), "met": met,
    }  # fmt: skip


async def _die(net: Machines, house: House, client: Client, phase: str, point: str) -> dict[str, Any]:
    """A move in which the agent that has `phase` in hand is killed at `point`."""
    source, target = _sides(await _whole(client, 0))
    # What a standby takes up after a death has phases of the same names as the second part of a planned move: a holder that is
    # started anew must not meet the place where it is to die before the move.
    for region in (target, source) if phase in SOURCE else (target,):
        _restart(net, region, {VARIABLE: f"continuum.{phase}.{point}=kill"})
    before = await _whole(client, boottime())
    source, target = _sides(before)
    since, began = len(client.writer.attempts), boottime()
    moving, died = asyncio.create_task(_ordered(house, source.cluster, target.cluster)), False
    with suppress(NotReady):
        await until(lambda: bool(_dead(net)), ORDERED_WITHIN, f"an agent dies at {phase} {point}")
        died = True
    moving.cancel()
    await asyncio.gather(moving, return_exceptions=True)
    for region in _dead(net):
        _restart(net, region, {})
    after = await _whole(client, boottime())
    acked = sorted(one.ended for one in client.writer.attempts[since:] if one.is_acked)
    gaps = [b - a for a, b in pairwise([began, *acked])]
    return {
        "phase": phase, "point": point, "died": died, "epoch": after["epoch"], "moved": after["region"] != before["region"],
        "no_writes_seconds": round(max(gaps), 2),
    }  # fmt: skip


async def _ordered(house: House, source: str, target: str) -> None:
    """Order the move, as soon as nothing stands in its way, and look at it; whoever is asked may die meanwhile."""
    while True:
        with suppress(NotReady, httpx.HTTPError):
            async with at(house, source) as daemon:
                await daemon.move(target, "an agent dies in this move")
                return


def _sides(holder: dict[str, Any]) -> tuple[Region, Region]:
    """Who gives, and who gains."""
    one, other = REGIONS
    return (one, other) if holder["region"] == one.cluster else (other, one)


def _dead(net: Machines) -> list[Region]:
    """Regions whose agent is dead."""
    return [region for region in REGIONS if net.all[_OF[region.place]].processes[DAEMON].poll() is not None]


async def _whole(client: Client, since: float) -> dict[str, Any]:
    """Who holds the slot, once it takes writes, is in no run and has a standby with every write, all of it after `since`."""
    found: dict[str, Any] = {}

    async def is_whole() -> bool:
        nonlocal found
        acked = [one for one in client.writer.attempts if one.is_acked and one.ended > since]
        if len(acked) < SETTLED:
            return False
        found = await client.writer.whoami()
        recent = [line for line in client.lines() if line.epoch == found["epoch"] and line.event == "step"]
        done = any(line.effect.startswith("Complete after-record") for line in recent)
        return bool(done and found["writable"] and max(one.epoch for one in acked) == found["epoch"])

    await until(is_whole, WITHIN, "somebody leads with a standby that has every write")
    return found


def _restart(net: Machines, region: Region, more: dict[str, str]) -> None:
    """kill -9 to the agent of a region, and its next life."""
    machine = net.all[_OF[region.place]]
    process = machine.processes[DAEMON]
    process.kill()
    process.wait()
    argv, env, log = machine.started[DAEMON]
    plain = {name: value for name, value in env.items() if name != VARIABLE}
    net.start(machine.name, DAEMON, argv, {**plain, **more}, log)


def main(argv: Sequence[str] | None = None) -> None:
    """Run, and print the report."""
    parser = argparse.ArgumentParser(prog="python -m tests.chaos.continuum.steps")
    parser.add_argument("--every", type=int, default=1, help="only every so-many-th place to die at")
    parser.add_argument("--first", type=int, default=0, help="beginning with this one")
    parser.add_argument("--keep", type=Path, help="a folder that is left with what all parts wrote down")
    args = parser.parse_args(argv)
    folder, net = args.keep or Path(tempfile.mkdtemp(prefix="catalyst-steps-")), Machines()
    try:
        report = asyncio.run(run(net, Spread(folder / "dev", has_regions=True), deaths()[args.first :: args.every]))
    finally:
        net.end()
        if args.keep is None:
            shutil.rmtree(folder, ignore_errors=True)
    sys.stdout.write(json.dumps(report) + "\n")
    sys.exit(
        1
        if report["stuck"] or report["lost"] or report["unexpected"] or report["overlaps"] or report["breaches"]
        else 0
    )


if __name__ == "__main__":
    main()
