"""The regions of `catalyst dev --regions`: groups of processes that die, freeze and are cut off together.

Each region has an application with its database and a continuum daemon, its agent; both are children of dev like all others.
What leaves a region goes over lines of its own (`relay`), so that it can be cut from the cells, from its peers, or from all
that stands outside. Clients reach a region directly: whoever is cut off is still there for whoever knows its address.

`REGION` in a command is the host cluster or its place in the simulated cloud; what the simulated cloud runs there goes the
same way.
"""

import asyncio
import signal
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import catalyst_cloud_sandbox

from . import pair, recipes, shop
from .control import Calls, NotThere
from .layout import AUTHORITIES, CELLS, DAEMON, POSTGRES, REGIONS, SHOP, Layout, Region
from .processes import Children
from .relay import Relay

CELL_LINES, PEER_LINES, OTHER_LINES = "cells", "peers", "others"
FROM: Mapping[str, Sequence[str]] = {
    CELL_LINES: (CELL_LINES,),
    PEER_LINES: (PEER_LINES,),
    "all": (CELL_LINES, PEER_LINES, OTHER_LINES),
}
"""What `--from` cuts."""


@dataclass
class Lines:
    """All lines that leave one region, by what they are and where they lead."""

    relays: dict[tuple[str, str], Relay] = field(default_factory=dict)

    def address(self, kind: str, name: str) -> str:
        """Where the region finds what the line leads to."""
        return f"127.0.0.1:{self.relays[kind, name].port}"

    def of(self, kinds: Sequence[str], to: str = "") -> Iterator[Relay]:
        """Those of these kinds; with `to`, those that lead to parts of that place."""
        for (kind, name), relay in self.relays.items():
            if kind in kinds and name.startswith(to):
                yield relay

    async def lay(self, kind: str, name: str, address: str) -> None:
        """Lay a line."""
        host, _, port = address.rpartition(":")
        relay = Relay((host, int(port)))
        await relay.start()
        self.relays[kind, name] = relay


class Regions:
    """All regions of one dev, and what stands outside of them."""

    def __init__(self, layout: Layout, children: Children) -> None:
        self._layout = layout
        self._children = children
        self._lines = {region.place: Lines() for region in REGIONS}
        self._frozen: set[str] = set()
        self._cut: dict[str, str] = {}
        self.shops: Mapping[str, shop.Shop] = {}

    async def start_all(self) -> None:
        """Start the names' authorities, then every region."""
        layout, plain = self._layout, recipes.base_environment()
        self.shops = shop.places(layout)
        for name in AUTHORITIES:
            await self._children.start(
                name, recipes.authority(layout, name), plain, layout.logs / f"{name}.log"
            )  # fmt: skip - one child
        for region in REGIONS:
            await self._lay(region)
        await asyncio.to_thread(shop.found, layout, lambda region: self._lines[region.place].address)
        for region in REGIONS:
            lines = self._lines[region.place]
            part = region.part(SHOP)
            await self._with_server(region, pair.start)
            await self._children.start(
                part, shop.command(layout, region, self.shops, lines.address), plain, layout.logs / f"{part}.log"
            )
        for region in REGIONS:
            part = region.part(DAEMON)
            environment = shop.agent(layout, region, self.shops, self._lines[region.place].address)
            layout.region_home(region, DAEMON).mkdir(parents=True, exist_ok=True, mode=0o700)
            await self._children.start(part, recipes.daemon(DAEMON), environment, layout.logs / f"{part}.log")

    async def make_slot(self, token: str) -> None:
        """Wish for the slot in every region. Raises SlotRefused."""
        wish = shop.wish(self._layout, self.shops)
        await asyncio.gather(
            *(shop.make_slot(self._layout.address(region.place), token, wish) for region in REGIONS)
        )  # fmt: skip - one call

    async def stop(self) -> None:
        """Stop every region, then what stands outside, and take up the lines."""
        await self._children.stop([region.part(part) for region in REGIONS for part in (DAEMON, SHOP)])
        await asyncio.gather(*(self._with_server(region, pair.stop) for region in REGIONS))
        await self._children.stop(AUTHORITIES)
        for lines in self._lines.values():
            await asyncio.gather(*(relay.close() for relay in lines.relays.values()))

    def calls(self) -> Calls:
        """What the control port offers."""
        return {
            "region.kill": self._kill, "region.pause": self._pause, "region.resume": self._resume,
            "region.start": self._start, "region.cut": self._sever, "region.heal": self._heal,
        }  # fmt: skip

    def rows(self) -> list[dict[str, Any]]:
        """Every region with its processes and how it is."""
        return [self._row(region) for region in REGIONS]

    def demo(self) -> dict[str, Any]:
        """The application: its slot, its public name and port, and the authorities of that name."""
        layout = self._layout
        return {
            "slot": f"{shop.NAMESPACE}/{shop.NAME}", "host": shop.HOST, "port": next(iter(self.shops.values())).port,
            "rto_promised": float(shop.RTO[layout.rows_in].removesuffix("s")),
            "zone": recipes.DEMO_ZONE, "authorities": {name: layout.address(name) for name in AUTHORITIES},
            "key_name": recipes.DEMO_KEY, "key_file": str(recipes.traffic_key(layout)),
        }  # fmt: skip

    async def _lay(self, region: Region) -> None:
        layout, lines = self._layout, self._lines[region.place]
        for cell in CELLS:
            await lines.lay(CELL_LINES, cell, layout.address(cell))
        for name in AUTHORITIES:
            await lines.lay(OTHER_LINES, name, layout.address(name))
        await lines.lay(OTHER_LINES, "nats", layout.address("nats"))
        for other in REGIONS:
            if other != region:
                await lines.lay(PEER_LINES, other.part(DAEMON), layout.address(other.place))
                await lines.lay(PEER_LINES, other.part(SHOP), layout.address(other.part(SHOP)))
                await lines.lay(PEER_LINES, other.part(shop.GATEWAY), self.shops[other.cluster].gateway)

    async def _kill(self, name: str) -> dict[str, Any]:
        """kill -9 to every process of the region at once; they stay dead."""
        region = _region(name)
        killed = recipes.boottime()
        await asyncio.gather(
            self._children.kill(_parts(region)), self._with_server(region, pair.send, signal.SIGKILL)
        )  # fmt: skip
        self._frozen.discard(region.place)
        await asyncio.to_thread(catalyst_cloud_sandbox.power_region, self._layout.sandbox, region.place, False)
        return {**self._row(region), "killed_at": killed}

    async def _start(self, name: str) -> dict[str, Any]:
        region = _region(name)
        await self._with_server(region, pair.start)
        await self._children.start_again(_parts(region))
        await asyncio.to_thread(catalyst_cloud_sandbox.power_region, self._layout.sandbox, region.place, True)
        return self._row(region)

    async def _pause(self, name: str) -> dict[str, Any]:
        """Freeze every process of the region."""
        return await self._signalled(_region(name), signal.SIGSTOP)

    async def _resume(self, name: str) -> dict[str, Any]:
        return await self._signalled(_region(name), signal.SIGCONT)

    async def _signalled(self, region: Region, number: int) -> dict[str, Any]:
        if not set(_parts(region)) & set(self._children.pids()):
            raise NotThere(
                f"{region.cluster} is dead", f"catalyst dev region start {region.place}", "FAILED_PRECONDITION"
            )
        self._children.signal(_parts(region), number)
        await self._with_server(region, pair.send, number)
        await asyncio.to_thread(catalyst_cloud_sandbox.signal_region, self._layout.sandbox, region.place, number)
        if number == signal.SIGSTOP:
            self._frozen.add(region.place)
        else:
            self._frozen.discard(region.place)
        return self._row(region)

    async def _sever(self, name: str, source: str, *, one_way: bool = False) -> dict[str, Any]:
        """Cut the region from cells, from its peers, or from all; with `one_way` only what comes to it is lost."""
        region = _region(name)
        if source not in FROM:
            raise NotThere(f"nothing is called {source!r}", f"--from one of {', '.join(FROM)}")
        for relay in self._lines[region.place].of(FROM[source]):
            relay.cut(there=not one_way)
        if PEER_LINES in FROM[source]:
            for relay in self._towards(region):
                relay.cut(back=not one_way)
        self._cut[region.place] = f"{source}, one way" if one_way else source
        return self._row(region)

    async def _heal(self, name: str) -> dict[str, Any]:
        """Make all lines of the region whole, those towards it too."""
        region = _region(name)
        for relay in [*self._lines[region.place].of(FROM["all"]), *self._towards(region)]:
            relay.heal()
        self._cut.pop(region.place, None)
        return self._row(region)

    async def _with_server(self, region: Region, doing: Callable[..., None], *more: int) -> None:
        """Do something with the PostgreSQL server of a region, where it has one."""
        if self._layout.rows_in == POSTGRES:
            await asyncio.to_thread(doing, self._layout, region, *more)

    def _towards(self, region: Region) -> Iterator[Relay]:
        for other in REGIONS:
            if other != region:
                yield from self._lines[other.place].of((PEER_LINES,), to=region.place)

    def _row(self, region: Region) -> dict[str, Any]:
        layout, pids = self._layout, self._children.pids()
        alive = {part: pids[part] for part in _parts(region) if part in pids}
        state = "dead" if not alive else "frozen" if region.place in self._frozen else "up"
        return {
            "name": region.cluster,
            "place": region.place,
            "state": state,
            "cut_from": self._cut.get(region.place, ""),
            "pids": alive,
            "agent": layout.address(region.place),
            "metrics": layout.address(f"{region.place}-side"),
            "gateway": self.shops[region.cluster].gateway,
            "database": layout.address(region.part(SHOP)),
            "rows_in": layout.rows_in,
            "trace": str(shop.trace(layout, region)),
            "folder": str(layout.folder / "regions" / region.cluster),
        }  # fmt: skip - one region


def _parts(region: Region) -> list[str]:
    return [region.part(DAEMON), region.part(SHOP)]


def _region(name: str) -> Region:
    for region in REGIONS:
        if name in (region.cluster, region.place):
            return region
    raise NotThere(f"there is no region {name}", f"name one of {', '.join(region.place for region in REGIONS)}")
