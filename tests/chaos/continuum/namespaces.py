"""`python -m tests.chaos.continuum.namespaces --minutes 5`, in a network namespace of its own: two regions, three cells and two
name servers, each a machine; a client writes by the public name while a fault lasts and is healed, again and again.

The last line is one JSON object, the report; the exit code is 0 only where nothing was lost and no two regions could write.
"""

import argparse
import asyncio
import json
import random
import shutil
import sys
import tempfile
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any

import httpx
from catalyst_cli.dev import recipes, shop
from catalyst_cli.dev.layout import AUTHORITIES, CELLS, DAEMON, REGIONS, SHOP, Layout, Region
from catalyst_cli.dev.recipes import boottime
from catalyst_cli.dev.supervisor import OPERATOR_ROLES, _shared_key
from catalyst_cli.drills.client import Client, writing
from catalyst_cli.drills.figures import kept
from catalyst_cli.drills.house import House
from catalyst_cli.drills.names import Unresolved
from catalyst_cli.drills.report import is_protected
from catalyst_mesh.identity import Issuer
from catalyst_mesh.keyfiles import write_private
from catalyst_sdk.traces import check, overlaps
from catalyst_testkit.continuum.netns import Machines

LASTS = 10.0
"""Seconds that a fault lasts, and for which it is healed."""
GATEWAY_PORT = 8080
EAST, WEST = REGIONS
_OF = {EAST.place: "ra", WEST.place: "rb", **dict(zip(CELLS, ("wa", "wb", "wc"), strict=True)),
       **dict(zip(AUTHORITIES, ("na", "nb"), strict=True))}  # fmt: skip
"""The machine of each part."""


@dataclass(frozen=True, slots=True)
class Spread(Layout):
    """The layout of dev, over machines."""

    def address(self, name: str, number: int = 1) -> str:
        machine = _OF.get(name) or _OF.get(name.partition("-")[0])
        place = 10 + list(_OF.values()).index(machine) if machine else 1
        return f"127.77.0.{place}:{self.port(name)}"


@dataclass(frozen=True, slots=True)
class Fault:
    """Something that goes wrong, what mends it, and the machines that it befalls."""

    name: str
    begin: Callable[[], None]
    mend: Callable[[], None]
    on: frozenset[str]


def faults(net: Machines) -> list[Fault]:
    """All that may go wrong."""
    found = []
    for name in net.all:
        mend = lambda n=name: net.mend(n)  # noqa: E731
        found.append(Fault(f"{name} cut off", lambda n=name: net.cut(n), mend, frozenset({name})))
        found.append(
            Fault(f"{name} killed", lambda n=name: net.kill(n), lambda n=name: net.start_again(n), frozenset({name}))
        )
        found.append(
            Fault(f"{name} frozen", lambda n=name: net.freeze(n), lambda n=name: net.freeze(n, go_on=True), frozenset({name}))
        )  # fmt: skip
        if net.can_shape:
            for how in ("delay 500ms 200ms", "loss 20%", "duplicate 20%"):
                found.append(Fault(f"{name}: {how}", lambda n=name, h=how: net.shape(n, h), mend, frozenset({name})))
    for one, other in (("ra", "rb"), ("rb", "ra")):
        deaf = [name for name in net.all if name != one]
        found.append(_swallows(net, f"{one} is not heard", {one: deaf}, one))
        found.append(_swallows(net, f"{one} is not heard by the cells", {one: ["wa", "wb", "wc"]}, one))
        found.append(_swallows(net, f"{one} is not heard by {other}", {one: [other]}, one))
    found.append(_swallows(net, "the regions are cut from each other", {"ra": ["rb"], "rb": ["ra"]}, "ra", "rb"))
    halves = (["ra", "wa", "na"], ["rb", "wb", "wc", "nb"])
    for mine, theirs in (halves, (["rb", "wa", "na"], ["ra", "wb", "wc", "nb"])):
        apart = {**dict.fromkeys(mine, theirs), **dict.fromkeys(theirs, mine)}
        found.append(_swallows(net, f"{', '.join(mine)} are cut from the rest", apart, *mine))
    ring = list(net.all)
    far = {
        name: [other for other in ring if (ring.index(other) - n) % len(ring) not in (0, 1, len(ring) - 1)]
        for n, name in enumerate(ring)
    }
    found.append(_swallows(net, "a ring: each hears its neighbours", far, *ring))
    return found


def _swallows(net: Machines, name: str, ways: dict[str, list[str]], *on: str) -> Fault:
    def begin() -> None:
        for machine, others in ways.items():
            net.swallow(machine, others)

    def mend() -> None:
        for machine in ways:
            net.mend(machine)

    return Fault(name, begin, mend, frozenset(on))


def settle(net: Machines, layout: Layout) -> House:
    """Start every part, and make the slot."""
    plain = recipes.base_environment()
    layout.logs.mkdir(parents=True)
    _shared_key(recipes.tsig_key(layout))
    _shared_key(recipes.traffic_key(layout))
    issuer = Issuer.open(layout.issuer)
    layout.tokens.mkdir(mode=0o700)
    write_private(layout.tokens / "continuum", issuer.token("service:continuum", service="continuum", ttl=86_400))
    write_private(layout.tokens / "operator", issuer.token("operator@localhost", roles=OPERATOR_ROLES, ttl=86_400))
    for name, machine in _OF.items():
        net.add(machine)
        if name in CELLS:
            net.start(machine, name, recipes.cell(layout, name), plain, layout.logs / f"{name}.log")
        elif name in AUTHORITIES:
            net.start(machine, name, recipes.authority(layout, name), plain, layout.logs / f"{name}.log")
    shops = {region.cluster: shop.Shop(net.all[_OF[region.place]].address, GATEWAY_PORT) for region in REGIONS}

    def address(kind: str, name: str) -> str:
        place, _, part = name.partition("-")
        if part == shop.GATEWAY:
            return next(shops[region.cluster].gateway for region in REGIONS if region.place == place)
        return layout.address(place if part == DAEMON else name)

    shop.found(layout, lambda region: address)
    for region in REGIONS:
        _region(net, layout, region, shops, address)
    return House(_status(layout, shops))


def _region(net: Machines, layout: Layout, region: Region, shops: Any, address: Any) -> None:
    machine, plain = _OF[region.place], recipes.base_environment()
    layout.region_home(region, DAEMON).mkdir(parents=True, exist_ok=True, mode=0o700)
    layout.region_home(region, SHOP).mkdir(parents=True, exist_ok=True, mode=0o700)
    logs = layout.logs
    net.start(machine, SHOP, shop.command(layout, region, shops, address), plain, logs / f"{region.part(SHOP)}.log")
    told = shop.agent(layout, region, shops, address)
    told.pop("CATALYST_CONTINUUM_OIDC_ISSUER")  # no provider of people is a machine here
    net.start(machine, DAEMON, recipes.daemon(DAEMON), told, logs / f"{region.part(DAEMON)}.log")


def _status(layout: Layout, shops: Any) -> dict[str, Any]:
    """What `catalyst dev status` would say, as far as a client needs it."""
    rows = [
        {"name": region.cluster, "place": region.place, "agent": layout.address(region.place),
         "gateway": shops[region.cluster].gateway, "trace": str(shop.trace(layout, region))}
        for region in REGIONS
    ]  # fmt: skip
    demo = {
        "slot": f"{shop.NAMESPACE}/{shop.NAME}", "host": shop.HOST, "port": GATEWAY_PORT,
        "authorities": {name: layout.address(name) for name in AUTHORITIES},
    }  # fmt: skip
    return {"regions": rows, "demo": demo, "token_file": str(layout.tokens / "operator")}


def drawn(net: Machines, minutes: float, seed: int) -> list[Fault]:
    """Faults for so long, as chance has them."""
    chance, every = random.Random(seed), faults(net)
    return [chance.choice(every) for _ in range(max(1, int(minutes * 60 / (2 * LASTS))))]


def named(net: Machines, names: str) -> list[Fault]:
    """These, one after the other: a piece of a run that is looked at again."""
    every = {fault.name: fault for fault in faults(net)}
    return [every[name.strip()] for name in names.split(";")]


async def run(net: Machines, layout: Layout, args: argparse.Namespace) -> dict[str, Any]:
    """One fault after the other; the report."""
    house = settle(net, layout)
    wish = shop.wish(layout, {row["name"]: shop.Shop(*row["gateway"].split(":")) for row in house.regions})
    await asyncio.gather(*(_made(row["agent"], house.token(), wish) for row in house.regions))
    met = list[dict[str, Any]]()
    async with writing(house) as client:
        await client.holder()
        for fault in named(net, args.faults) if args.faults else drawn(net, args.minutes, args.seed):
            met.append(await _befall(client, fault))
        await _whole(client)
        await client.finish()
        read = await client.writer.read()
    lines = client.lines()
    told, gaps = kept(client.writer.attempts, read), [one["no_writes_seconds"] for one in met]
    return {
        "seed": args.seed, "faults": len(met), "acked": told.acked, "lost": len(told.lost), "unexpected": len(told.unexpected),
        "recovered": len(told.recovered), "overlaps": len(overlaps(lines)),
        "breaches": [f"{one.invariant}: {one.what}" for one in check(lines)],
        "longest_without_writes_seconds": max(gaps), "false_failovers": sum(one["false_failover"] for one in met),
        "epochs": max(one.epoch for one in client.writer.attempts), "shaped": net.can_shape, "met": met,
    }  # fmt: skip


async def _made(agent: str, token: str, wish: dict[str, Any]) -> None:
    """Make the slot in a region, however long its daemon takes to start."""
    for left in range(5, -1, -1):
        try:
            await shop.make_slot(agent, token, wish)
            break
        except shop.SlotRefused:
            if not left:
                raise


async def _befall(client: Client, fault: Fault) -> dict[str, Any]:
    acked = [one for one in client.writer.attempts if one.is_acked]
    before = max(acked, key=lambda one: one.ended)
    since, began = len(client.writer.attempts), boottime()
    fault.begin()
    await _passes(LASTS)
    fault.mend()
    await _passes(LASTS)
    ended = sorted(one.ended for one in client.writer.attempts[since:] if one.is_acked)
    times = [before.ended, *ended]
    longest = max((b - a for a, b in pairwise(times)), default=2 * LASTS)
    epoch = max((one.epoch for one in client.writer.attempts[since:]), default=before.epoch)
    holder = {EAST.cluster: "ra", WEST.cluster: "rb"}[before.region]
    untouched = holder not in fault.on and len(fault.on) == 1
    return {
        "fault": fault.name, "began": round(began, 2), "no_writes_seconds": round(longest, 2), "epoch": max(epoch, before.epoch),
        "false_failover": untouched and epoch > before.epoch,
    }  # fmt: skip


async def _whole(client: Client) -> None:
    for _ in range(600):
        with suppress(Unresolved, httpx.HTTPError):
            if is_protected(client.lines(), (await client.writer.whoami())["epoch"]):
                return
        await _passes(0.5)
    raise SystemExit("no standby has every write after 300 s")


async def _passes(seconds: float) -> None:
    never = asyncio.Event()
    with suppress(TimeoutError):
        await asyncio.wait_for(never.wait(), seconds)


def main(argv: Sequence[str] | None = None) -> None:
    """Run, and print the report."""
    parser = argparse.ArgumentParser(prog="python -m tests.chaos.continuum.namespaces")
    parser.add_argument("--minutes", type=float, default=5.0, help="for how long faults are made")
    parser.add_argument("--seed", type=int, default=1, help="brings the same faults again")
    parser.add_argument(
        "--faults", default="", help="these instead, by their names in the report, separated by semicolons"
    )
    parser.add_argument("--keep", type=Path, help="a folder that is left with what all parts wrote down")
    args = parser.parse_args(argv)
    folder, net = args.keep or Path(tempfile.mkdtemp(prefix="catalyst-netns-")), Machines()
    try:
        report = asyncio.run(run(net, Spread(folder / "dev", has_regions=True), args))
    finally:
        net.end()
        if args.keep is None:
            shutil.rmtree(folder, ignore_errors=True)
    sys.stdout.write(json.dumps(report) + "\n")
    sys.exit(1 if report["lost"] or report["unexpected"] or report["overlaps"] or report["breaches"] else 0)


if __name__ == "__main__":
    main()
