"""The cells of dev on our own server and on real ones: each is one register that outlives a kill -9."""

import asyncio
import base64
import os
import shutil
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from catalyst_cli.dev import cell_servers, recipes
from catalyst_cli.dev.cell_servers import CellServer, CellsUnusable
from catalyst_cli.dev.layout import CELLS, Layout
from catalyst_cli.dev.powerdns import places
from catalyst_sdk import Temporary
from catalyst_sdk.witness import Swap
from catalyst_testkit import eventually
from catalyst_testkit.servers import folder, free_port, need
from catalyst_witness_dns_quorum.cells import DnsCells
from catalyst_witness_dns_quorum.configured import configured

SLOT = "demo/shop"
PROGRAMS = {"bind": ("named", "bind9"), "knot": ("knotd", "knot"), "powerdns": ("pdns_server", "pdns-server")}


@asynccontextmanager
async def laid_out() -> AsyncIterator[Layout]:
    """A folder that other users can come to, as a server that must not be root needs it."""
    home = folder()
    layout = Layout(home, free_port() - 32)
    recipes.tsig_key(layout).parent.mkdir(parents=True)
    recipes.tsig_key(layout).write_text(base64.b64encode(os.urandom(32)).decode())
    yield layout
    shutil.rmtree(home, ignore_errors=True)


@asynccontextmanager
async def running(layout: Layout, server: CellServer) -> AsyncIterator[DnsCells]:
    """The server for the block; killed at its end."""
    config = {
        "cells": [{"name": server.name, "address": layout.address(server.name)}],
        "zone": recipes.WITNESS_ZONE,
        "tsig_key_file": str(recipes.tsig_key(layout)),
        "tsig_key_name": recipes.WITNESS_KEY,
        "op_timeout_seconds": 5,
    }  # fmt: skip - one configuration
    with (layout.folder / "log").open("ab") as log:
        process = await asyncio.create_subprocess_exec(*cell_servers.command(layout, server), stdout=log, stderr=log)
    cells = DnsCells(configured(config))

    async def identity() -> Any:
        try:
            return await cells.identity(cell=server.name)
        except Temporary:
            return None

    try:
        assert await eventually(identity, within=60, what=f"{server.kind} answers")
        yield cells
    finally:
        process.kill()
        await process.wait()


@pytest.mark.parametrize("kind", ["embedded", *PROGRAMS])
async def test_a_cell_of_each_kind_swaps_once_and_keeps_what_it_acknowledged_over_a_kill(kind: str) -> None:
    if kind in PROGRAMS:
        need(*PROGRAMS[kind][:1], package=PROGRAMS[kind][1])
    async with laid_out() as layout:
        name = CELLS[0]
        home = layout.folder / f"{name}-{kind}" if kind != "embedded" else recipes.cell_home(layout, name)
        server = CellServer(name, kind, home)
        async with running(layout, server) as cells:
            first = await cells.identity(cell=name)
            assert await cells.swap(cell=name, slot=SLOT, old=None, new=b"one") is Swap.APPLIED
            assert await cells.swap(cell=name, slot=SLOT, old=None, new=b"two") is Swap.MISMATCH
            assert await cells.swap(cell=name, slot=SLOT, old=b"one", new=b"two") is Swap.APPLIED
        async with running(layout, server) as cells:
            assert await cells.read(cell=name, slot=SLOT) == b"two"
            assert await cells.identity(cell=name) == first
        cell_servers.wipe(server)
        async with running(layout, server) as cells:
            assert await cells.read(cell=name, slot=SLOT) is None
            assert (await cells.identity(cell=name)).id != first.id


def test_real_servers_that_are_not_installed_are_named_and_auto_goes_on_without_them(tmp_path: Path) -> None:
    layout = Layout(tmp_path)
    with pytest.raises(CellsUnusable, match=r"bind, knot, powerdns .*bind9.*--cells auto"):
        cell_servers.settle(layout, "real", str(tmp_path))
    assert {one.kind for one in cell_servers.settle(layout, "auto", str(tmp_path))} == {"embedded"}
    assert {one.kind for one in cell_servers.settle(layout, "", places())} == {"embedded"}


def test_the_cells_of_a_folder_stay_the_servers_that_they_are(tmp_path: Path) -> None:
    for name in ("named", "knotd"):
        (tmp_path / name).touch(mode=0o755)
    layout = Layout(tmp_path)
    first = cell_servers.settle(layout, "auto", str(tmp_path))
    assert [one.kind for one in first] == ["bind", "knot", "embedded"]
    assert cell_servers.settle(layout, "", str(tmp_path)) == first
    with pytest.raises(CellsUnusable, match="cell-1 bind"):
        cell_servers.settle(layout, "embedded", str(tmp_path))


def test_a_folder_older_than_the_choice_has_our_own_servers(tmp_path: Path) -> None:
    layout = replace(Layout(tmp_path), base=7400)
    recipes.cell_home(layout, CELLS[0]).mkdir(parents=True)
    with pytest.raises(CellsUnusable, match="cell-1 embedded"):
        cell_servers.settle(layout, "auto", places() if shutil.which("named", path=places()) else "")
