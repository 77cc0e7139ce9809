"""Renewing a lease over three cells beside one compare-and-swap at one of them."""

import asyncio
import base64
import secrets
import subprocess
import sys
import time
from collections.abc import Awaitable, Callable, Coroutine, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from functools import partial
from itertools import count
from pathlib import Path
from statistics import median

from catalyst_continuum.domain.lease import Me, bootstrap, renew
from catalyst_continuum.workers.outcomes import Committed
from catalyst_continuum.workers.quorum import Quorum
from catalyst_continuum.workers.register import Register
from catalyst_sdk.witness import Swap
from catalyst_testkit import witness_zones
from catalyst_testkit.bind import bind_server
from catalyst_testkit.knot import knot_server
from catalyst_testkit.nameservers import UPDATE_KEY, UPDATE_SECRET
from catalyst_testkit.powerdns import powerdns_server
from catalyst_testkit.servers import free_port
from catalyst_testkit.waiting import eventually_sync
from catalyst_witness_dns_quorum.cells import DnsCells
from catalyst_witness_dns_quorum.configured import configured

from . import machine
from .harness import Goal, Round, compare, measured, one_by_one
from .table import Table

SLOT = "catalyst-system/omantel"


@contextmanager
def cells(home: Path) -> Iterator[DnsCells]:
    """Three real cells, each a process, on the servers' core."""
    key = home / "tsig.key"
    key.write_text(base64.b64encode(secrets.token_bytes(32)).decode())
    addresses = {name: f"127.0.0.1:{free_port()}" for name in "abc"}
    processes = []
    with machine.on_core(0):
        for name, address in addresses.items():
            command = ["-m", "catalyst_dns_embedded", "cell", "--data", str(home / name), "--listen", address]
            command += ["--zone", "witness.test", "--key-file", str(key)]
            processes.append(subprocess.Popen([sys.executable, *command], stdout=subprocess.DEVNULL))
    try:
        for address in addresses.values():
            eventually_sync(lambda a=address: _listens(a), within=20, what=f"the cell on {address} answers")
        given = [{"name": name, "address": address} for name, address in addresses.items()]
        yield DnsCells(configured({"cells": given, "tsig_key_file": str(key), "op_timeout_seconds": 5.0}))
    finally:
        for process in processes:
            process.terminate()
            process.wait()


def _listens(address: str) -> bool:
    import socket

    host, _, port = address.rpartition(":")
    with socket.socket() as probe:
        return probe.connect_ex((host, int(port))) == 0


@contextmanager
def servers(home: Path) -> Iterator[dict[str, DnsCells]]:
    """BIND, Knot and PowerDNS with a lease zone each, on the servers' core."""
    key = home / "real.key"
    key.write_text(UPDATE_SECRET)
    with ExitStack() as ended, machine.on_core(0):
        found = {}
        for name, server, plant in (
            ("bind", ended.enter_context(bind_server()), witness_zones.on_bind),
            ("knot", ended.enter_context(knot_server()), witness_zones.on_knot),
            ("powerdns", ended.enter_context(powerdns_server(**witness_zones.UPDATES)), witness_zones.on_powerdns),
        ):
            plant(server, witness_zones.new_identity())  # type: ignore[operator]
            config = {"cells": [{"name": name, "address": server.address}], "zone": witness_zones.ZONE}
            keys = {"tsig_key_file": str(key), "tsig_key_name": UPDATE_KEY, "op_timeout_seconds": 5.0}
            found[name] = DnsCells(configured({**config, **keys}))
        yield found


@measured
async def test_changing_over_real_servers(table: Table, home: Path) -> None:
    """The register over three kinds of server beside one signed update, at each of them in turns: the median counts."""
    with servers(home) as real:
        me, numbers, last = Me("sb-east-mgt-prod", 10_000, "aaaaaaaa"), count(1), dict[str, bytes]()
        register = Register(Quorum(real), "p-1")
        assert isinstance(await register.change(SLOT, lambda lease: bootstrap(lease, me)), Committed)

        async def change() -> None:
            own = Me(me.region, me.ttl_ms, secrets.token_hex(4))
            assert isinstance(await register.change(SLOT, lambda lease: renew(lease, own, 1)), Committed)

        async def update(name: str) -> None:
            new = b"0" * 120 + str(next(numbers)).encode()
            assert await real[name].swap(cell=name, slot="bare", old=last.get(name), new=new) is Swap.APPLIED
            last[name] = new

        async def bare() -> Round:
            each = [await one_by_one(partial(update, name), 40) for name in real]
            return sorted(each, key=lambda one: median(one.each))[1]

        goal = Goal("p50", 1.5, "one signed update at the median of the same servers")
        row = await compare("continuum: register change", goal, ours=lambda: one_by_one(change, 40), bare=bare)
        table.add(row)

        all_at_once = median_of(tuple(real), update, register.quorum)
        goal = Goal("p50", 1.5, "signed updates at all of the same servers at once, until the median answers")
        table.add(
            await compare(
                "continuum: register change, all three at work",
                goal,
                ours=lambda: spaced(change, 40),
                bare=lambda: spaced(all_at_once, 40),
            )
        )  # fmt: skip - one row
        await register.close()


def median_of(
    cells: Sequence[str], swap: Callable[[str], Coroutine[None, None, None]], quorum: int
) -> Callable[[], Awaitable[None]]:
    """Swaps at all cells at once, until so many have answered; as ours, it leaves the stragglers of the time before a moment."""
    late: set[asyncio.Task[None]] = set()

    async def ask() -> None:
        nonlocal late
        await asyncio.gather(*late)
        late = {asyncio.create_task(swap(cell)) for cell in cells}
        while len(late) > len(cells) - quorum:
            done, late = await asyncio.wait(late, return_when=asyncio.FIRST_COMPLETED)
            await asyncio.gather(*done)

    return ask


async def spaced(operation: Callable[[], Awaitable[object]], count: int) -> Round:
    """As renewals come: long after the one before, whose third answer is here by then."""
    each: list[float] = []
    for _ in range(count):
        began = time.perf_counter()
        await operation()
        each.append(time.perf_counter() - began)
        await asyncio.sleep(0.05)
    return Round(each, sum(each), count)


@measured
async def test_renewing_beside_the_median_cell(table: Table, home: Path) -> None:
    """All three cells share one core, so the bare side asks all of them as well, and waits for the second answer."""
    with cells(home) as witness:
        me, last = Me("sb-east-mgt-prod", 10_000, "aaaaaaaa"), dict[str, bytes]()
        register, numbers = Register(witness, "p-1"), count(1)
        assert isinstance(await register.change(SLOT, lambda lease: bootstrap(lease, me)), Committed)

        async def renewal() -> None:
            own = Me(me.region, me.ttl_ms, secrets.token_hex(4))
            assert isinstance(await register.change(SLOT, lambda lease: renew(lease, own, 1)), Committed)

        async def swap(cell: str) -> None:
            new = b"0" * 120 + str(next(numbers)).encode()
            assert await witness.swap(cell=cell, slot="bare", old=last.get(cell), new=new) is Swap.APPLIED
            last[cell] = new

        median_cell = median_of(witness.cells(), swap, register.quorum)
        goal = Goal("p50", 1.5, "one compare-and-swap at the median of the same three cells")
        table.add(
            await compare(
                "continuum: renew", goal, ours=lambda: spaced(renewal, 60), bare=lambda: spaced(median_cell, 60)
            )
        )
        await register.close()


@measured
async def test_renewing(table: Table, home: Path) -> None:
    with cells(home) as witness:
        me, numbers = Me("sb-east-mgt-prod", 10_000, "aaaaaaaa"), count(1)
        register = Register(witness, "p-1")
        assert isinstance(await register.change(SLOT, lambda lease: bootstrap(lease, me)), Committed)
        await witness.swap(cell="b", slot="bare", old=None, new=b"0" * 120 + b"0")
        last = b"0" * 120 + b"0"

        async def renewal() -> None:
            own = Me(me.region, me.ttl_ms, secrets.token_hex(4))
            assert isinstance(await register.change(SLOT, lambda lease: renew(lease, own, 1)), Committed)

        async def swap() -> None:
            nonlocal last
            new = b"0" * 120 + str(next(numbers)).encode()
            assert await witness.swap(cell="b", slot="bare", old=last, new=new) is Swap.APPLIED
            last = new

        async def one(operation: object) -> Round:
            return await one_by_one(operation, 60)  # type: ignore[arg-type]

        goal = Goal("p50", 1.5, "one compare-and-swap at one cell, the other two idle")
        table.add(
            await compare(
                "continuum: renewals without a pause", goal, ours=lambda: one(renewal), bare=lambda: one(swap)
            )
        )
