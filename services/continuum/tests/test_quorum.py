"""Cells of several kinds in one witness: who they are, who counts, and what is refused before anything is asked."""

import json
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest
from catalyst_continuum.domain.cells import Cell, Kind, clashing, faults
from catalyst_continuum.settings import ContinuumSettings
from catalyst_continuum.witnesses import configuration, read, witness
from catalyst_continuum.workers.census import Census
from catalyst_continuum.workers.outcomes import Committed, Unknown
from catalyst_continuum.workers.quorum import Quorum
from catalyst_continuum.workers.register import Register
from catalyst_mesh import ChassisMetrics, PluginHost
from catalyst_mesh.plugins import SecretFiles, plugin_context
from catalyst_sdk import NotSupported, Permanent
from catalyst_sdk.witness import CellIdentity, LeaseWitness
from catalyst_testkit import witness_zones
from catalyst_testkit.nameservers import UPDATE_KEY, UPDATE_SECRET
from prometheus_client import CollectorRegistry

from plugins.witness_cloudflare.tests.servers import TOKEN, SqliteCell
from plugins.witness_dns_quorum.tests.test_cells import Embedded

from .test_register import SLOT, count
from .witnesses import MemoryWitness

DNS = Cell("a", Kind.DNS, "192.0.2.1:53", domain="one")
HTTP = Cell("b", Kind.HTTP_CAS, "https://b.example", domain="two", token="b")
OBJECT = Cell("c", Kind.DURABLE_OBJECT, "https://c.example", domain="three", token="c")


@pytest.mark.parametrize(
    ("cells", "fault"),
    [
        ([DNS, HTTP], "2 cells"),
        ([DNS, HTTP, Cell("a", Kind.DNS, "192.0.2.9:53")], "a is the name of 2"),
        ([DNS, HTTP, Cell("c", Kind.DNS, "192.0.2.1:53")], "2 cells are at 192.0.2.1:53"),
        ([DNS, HTTP, Cell("c", Kind.HTTP_CAS, "https://b.example/", token="c")], "2 cells are at https://b.example"),
        ([DNS, HTTP, Cell("c", Kind.DNS, "192.0.2.9:53", domain="two")], "failure domain two"),
        ([DNS, HTTP, Cell("c", Kind.HTTP_CAS, "https://c.example")], "wants a token"),
    ],
)  # fmt: skip
def test_cells_that_are_not_apart_are_no_witness(cells: list[Cell], fault: str) -> None:
    assert fault in "\n".join(faults(cells))


def test_cells_that_are_apart_are_a_witness() -> None:
    assert faults([DNS, HTTP, OBJECT]) == []


def test_of_cells_with_one_identity_the_first_counts() -> None:
    assert clashing({"a": "x", "b": "y", "c": "x", "d": "x"}) == {"c": "a", "d": "a"}


class OneBehindTwo(MemoryWitness):
    """b and c are one server at two addresses."""

    async def identity(self, *, cell: str) -> CellIdentity:
        return CellIdentity("same" if cell in "bc" else cell, 1)

    async def read(self, *, cell: str, slot: str) -> bytes | None:
        return await super().read(cell="b" if cell == "c" else cell, slot=slot)


async def test_one_cell_behind_two_names_makes_no_majority_with_itself() -> None:
    cells = OneBehindTwo()
    census = Census(cells)
    await census.take()
    register = Register(cells, "p-1", census=census)
    assert isinstance(await register.change(SLOT, count), Committed)
    cells.down = {"a"}
    assert isinstance(await register.change(SLOT, count), Unknown)
    views = {view.name: view for view in register.cells_of(SLOT)}
    assert "IdentityClash" in views["c"].message
    assert views["b"].identity == "same 1"


class KeyValueStore(MemoryWitness):
    async def identity(self, *, cell: str) -> CellIdentity:
        if cell == "b":
            raise Permanent("UNSAFE_WITNESS", "b says that it is eventual")
        return CellIdentity(cell, 1)


async def test_a_cell_that_is_not_linearizable_does_not_count_and_the_condition_says_so() -> None:
    cells = KeyValueStore()
    census = Census(cells)
    await census.take()
    register = Register(cells, "p-1", census=census)
    assert isinstance(await register.change(SLOT, count), Committed)
    assert ("b", SLOT) not in cells.values
    assert "UnsafeWitness" in {view.name: view for view in register.cells_of(SLOT)}["b"].message


@pytest.fixture
def mixed(tmp_path: Path) -> Iterator[tuple[LeaseWitness, SqliteCell]]:
    """Two name servers and an HTTP store, by a file; and the store's process."""
    with ExitStack() as ended:
        servers = []
        for name in ("one", "two"):
            (tmp_path / name).mkdir()
            server = Embedded(tmp_path / name)
            server.start()
            ended.callback(server.kill)
            servers.append(server)
        (tmp_path / "http").mkdir()
        store = SqliteCell(tmp_path / "http")
        store.start()
        ended.callback(store.kill)
        (tmp_path / "secrets").mkdir()
        (tmp_path / "secrets" / "the-store").write_text(TOKEN)
        (tmp_path / "tsig").write_text(UPDATE_SECRET)
        names = {"zone": witness_zones.ZONE, "key_name": UPDATE_KEY, "key_file": "tsig"}
        rows = [
            {"name": "cell-1", "address": servers[0].address, **names},
            {"name": "cell-2", "address": servers[1].address, **names},
            {"name": "cell-3", "kind": "http-cas", "address": store.url, "token": "the-store", "domain": "elsewhere"},
        ]
        (tmp_path / "cells.json").write_text(json.dumps(rows))
        settings = ContinuumSettings(cells_file=tmp_path / "cells.json", op_timeout=5.0)
        host = PluginHost(kinds=["lease_witness"], metrics=ChassisMetrics(CollectorRegistry()))
        host.load(plugin_context(tmp_path, SecretFiles(tmp_path / "secrets")), {})
        yield witness(host, settings), store


async def test_a_register_over_cells_of_two_kinds_outlives_either(
    mixed: tuple[LeaseWitness, SqliteCell],
) -> None:
    cells, store = mixed
    assert cells.cells() == ("cell-1", "cell-2", "cell-3")
    census = Census(cells)
    await census.take()
    assert {one.software for one in census.identities.values()} == {"dns_embedded", "http_cell"}
    register = Register(cells, "p-1", census=census)
    assert isinstance(await register.change(SLOT, count), Committed)
    store.kill()
    assert isinstance(await register.change(SLOT, count), Committed)
    store.start()
    seen = await Register(cells, "p-2").read(SLOT)
    assert isinstance(seen, Committed)
    assert seen.lease is not None
    assert seen.lease.seq == 2
    await register.close()


async def test_by_way_of_a_peer_only_the_cells_whose_messages_are_signed_are_reached(
    mixed: tuple[LeaseWitness, SqliteCell],
) -> None:
    cells, _ = mixed
    assert isinstance(cells, Quorum)
    ours = cells.through(lambda cell, message: cells.hand_on(cell=cell, message=message))
    register = Register(ours, "p-1")
    assert isinstance(await register.change(SLOT, count), Committed), "two of three"
    assert {view.name: view.reachable for view in register.cells_of(SLOT)} == {
        "cell-1": True, "cell-2": True, "cell-3": False,
    }  # fmt: skip
    with pytest.raises(NotSupported):
        await cells.hand_on(cell="cell-3", message=b"x" * 20)
    with pytest.raises(Permanent):
        await cells.hand_on(cell="cell-9", message=b"x" * 20)
    await register.close()


@pytest.mark.parametrize(
    ("text", "why"),
    [("", "Expecting value"), ('[{"name": "a"}]', "address"), ('[{"name": "a", "address": "x", "kind": "etcd"}]', "etcd"),
     ('[{"name": "a", "address": "x", "host": "y"}]', "host"), ("7", "not iterable")],
)  # fmt: skip
def test_a_file_of_cells_that_cannot_be_read_says_why(tmp_path: Path, text: str, why: str) -> None:
    (tmp_path / "cells.json").write_text(text)
    with pytest.raises(SystemExit, match=why):
        read(tmp_path / "cells.json")


def test_the_list_of_the_settings_is_the_plugin_s_configuration() -> None:
    settings = ContinuumSettings(cells="a=192.0.2.1:53,b=192.0.2.2:53", op_timeout=2.0)
    assert configuration(settings) == {
        "cells": [{"name": "a", "address": "192.0.2.1:53"}, {"name": "b", "address": "192.0.2.2:53"}],
        "op_timeout_seconds": 2.0, "zone": "witness.test", "tsig_key_file": "tsig.key",
    }  # fmt: skip
