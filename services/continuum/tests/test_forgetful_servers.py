"""Name servers that lose their disk, or are set back to a backup of it: noticed, left alone, and admitted by a person."""

import shutil
import subprocess
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from catalyst_continuum.domain import ballot
from catalyst_continuum.workers.outcomes import Committed, Unknown
from catalyst_continuum.workers.quorum import Quorum
from catalyst_continuum.workers.register import Register
from catalyst_sdk.witness import LeaseWitness
from catalyst_testkit import eventually, witness_zones
from catalyst_testkit.bind import bind_server
from catalyst_testkit.knot import knot_server
from catalyst_testkit.powerdns import powerdns_server
from catalyst_testkit.servers import folder

from plugins.witness_cloudflare.tests.servers import SqliteCell
from plugins.witness_cloudflare.tests.servers import witness as http_witness
from plugins.witness_dns_quorum.tests.test_cells import Embedded
from plugins.witness_dns_quorum.tests.test_cells import witness as dns_witness

from .test_register import SLOT, count
from .witnesses import MemoryWitness


@dataclass
class Forgetful:
    """A cell named `one`, and its disk."""

    witness: LeaseWitness
    disk: Path
    kill: Callable[[], None]
    start: Callable[[], None]

    @contextmanager
    def down(self) -> Iterator[None]:
        self.kill()
        yield
        self.start()

    def backup(self, to: Path) -> None:
        """Taken while the server is down, so that it is one that the server itself wrote."""
        with self.down():
            subprocess.run(["cp", "-a", str(self.disk), str(to)], check=True)

    def set_back(self, to: Path) -> None:
        with self.down():
            shutil.rmtree(self.disk)
            subprocess.run(["cp", "-a", str(to), str(self.disk)], check=True)


@pytest.fixture(params=["bind", "knot", "powerdns", "embedded", "http-cas"])
def cell(request: pytest.FixtureRequest) -> Iterator[Forgetful]:
    if request.param in ("embedded", "http-cas"):
        home = folder()
        server: Any = Embedded(home) if request.param == "embedded" else SqliteCell(home)
        server.start()
        ours = dns_witness(server.address) if request.param == "embedded" else http_witness(server.url)
        yield Forgetful(ours, home / "cell", server.kill, server.start)
        server.kill()
        shutil.rmtree(home, ignore_errors=True)
        return
    options: dict[str, Any] = witness_zones.UPDATES if request.param == "powerdns" else {}
    make: Any = {"bind": bind_server, "knot": knot_server, "powerdns": powerdns_server}[request.param]
    with make(**options) as server:
        getattr(witness_zones, f"on_{request.param}")(server, witness_zones.new_identity())
        yield Forgetful(dns_witness(server.address), server.home, server.kill, server.start)


async def test_a_server_that_is_set_back_to_a_backup_counts_as_down_until_it_is_admitted(
    cell: Forgetful, tmp_path: Path
) -> None:
    others = MemoryWitness(names=("two", "three"))
    register = Register(Quorum({"one": cell.witness, "two": others, "three": others}), "p-1")

    async def change() -> object:
        outcome = await register.change(SLOT, count)
        await register.look(SLOT)
        return outcome

    assert isinstance(await change(), Committed)
    cell.backup(tmp_path / "backup")
    for _ in range(2):
        assert isinstance(await change(), Committed)
    cell.set_back(tmp_path / "backup")
    others.down = {"two"}

    async def is_found_out() -> bool:
        """The server may take its time to answer after its start, and then counts as down for that."""
        assert isinstance(await change(), Unknown), "what is left is no majority"
        return [view.name for view in register.cells_of(SLOT) if view.quarantined] == ["one"]

    await eventually(is_found_out, within=60)
    assert isinstance(await register.admit(SLOT, "one"), Unknown), "nobody is left to admit it"
    others.down = set()
    admitted = await register.admit(SLOT, "one")
    assert isinstance(admitted, Committed)
    assert admitted.lease is not None
    assert admitted.lease.seq >= 3
    others.down = {"three"}
    assert isinstance(await change(), Committed)
    raw = await cell.witness.read(cell="one", slot=SLOT)
    assert raw is not None
    assert ballot.read(raw).has_value
    await register.close()
