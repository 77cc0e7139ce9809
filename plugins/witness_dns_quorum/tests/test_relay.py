"""A swap that goes through somebody else's hands: it counts where the cell itself answers, and is never anybody's to change."""

import base64
import shutil
from collections.abc import Iterator
from typing import Any

import dns.message
import dns.name
import dns.update
import pytest
from catalyst_sdk import Permanent, Temporary
from catalyst_sdk.witness import Swap
from catalyst_testkit import witness_zones
from catalyst_testkit.bind import bind_server
from catalyst_testkit.knot import knot_server
from catalyst_testkit.nameservers import UPDATE_KEY, update_key
from catalyst_testkit.powerdns import powerdns_server
from catalyst_testkit.servers import folder
from catalyst_witness_dns_quorum.cells import DnsCells

from .test_cells import Embedded, witness

SLOT = "demo/shop"


@pytest.fixture(params=["embedded", "bind", "knot", "powerdns"], scope="module")
def address(request: pytest.FixtureRequest) -> Iterator[str]:
    """Of one cell."""
    if request.param == "embedded":
        home = folder()
        embedded = Embedded(home)
        embedded.start()
        yield embedded.address
        embedded.kill()
        shutil.rmtree(home, ignore_errors=True)
        return
    options: dict[str, Any] = witness_zones.UPDATES if request.param == "powerdns" else {}
    make: Any = {"bind": bind_server, "knot": knot_server, "powerdns": powerdns_server}[request.param]
    with make(**options) as server:
        getattr(witness_zones, f"on_{request.param}")(server, witness_zones.new_identity())
        yield server.address


async def test_a_swap_through_a_peer_is_a_swap(address: str) -> None:
    peer = witness(address)
    ours = witness(address).through(lambda cell, message: peer.hand_on(cell=cell, message=message))
    assert await ours.read(cell="one", slot=SLOT) is None
    assert await ours.swap(cell="one", slot=SLOT, old=None, new=b"v1") is Swap.APPLIED
    assert await ours.swap(cell="one", slot=SLOT, old=None, new=b"v2") is Swap.MISMATCH
    assert await ours.read(cell="one", slot=SLOT) == b"v1" == await peer.read(cell="one", slot=SLOT)
    assert await ours.identity(cell="one") == await peer.identity(cell="one")
    assert await ours.swap(cell="one", slot=f"{SLOT}@c2", old=None, new=b"v1") is Swap.APPLIED


class Liar:
    """A peer that hands on, and brings back something else."""

    def __init__(self, peer: DnsCells) -> None:
        self._peer = peer
        self.kept: list[bytes] = []

    async def replays(self, cell: str, message: bytes) -> bytes:
        """The answer to an earlier question."""
        self.kept.append(await self._peer.hand_on(cell=cell, message=message))
        return self.kept[0]

    async def says_yes(self, cell: str, message: bytes) -> bytes:
        """Without asking anybody."""
        return dns.message.make_response(dns.message.from_wire(message, keyring=False)).to_wire()

    async def says_rubbish(self, cell: str, message: bytes) -> bytes:
        return b"\x00" * 30


@pytest.fixture(scope="module")
def embedded() -> Iterator[str]:
    home = folder()
    server = Embedded(home)
    server.start()
    yield server.address
    server.kill()
    shutil.rmtree(home, ignore_errors=True)


async def test_what_a_peer_makes_up_is_no_answer(embedded: str) -> None:
    liar = Liar(witness(embedded))
    for lie in (liar.says_yes, liar.says_rubbish):
        ours = witness(embedded).through(lie)
        assert await ours.swap(cell="one", slot="demo/lied", old=None, new=b"v1") is Swap.UNKNOWN
        with pytest.raises(Temporary):
            await ours.read(cell="one", slot="demo/lied")
    ours = witness(embedded).through(liar.replays)
    assert await ours.swap(cell="one", slot="demo/lied", old=None, new=b"v1") is Swap.APPLIED
    assert await ours.swap(cell="one", slot="demo/lied", old=b"v1", new=b"v2") is Swap.UNKNOWN
    assert await witness(embedded).read(cell="one", slot="demo/lied") == b"v2", "unknown: it did happen"


async def test_nothing_but_signed_messages_for_our_own_zone_is_handed_on_and_only_to_our_cells(embedded: str) -> None:
    peer = witness(embedded)
    ours = dns.update.UpdateMessage(witness_zones.ZONE, keyring=update_key())
    ours.replace("x", 0, "TXT", "y")
    with pytest.raises(Permanent) as refused:
        await peer.hand_on(cell="two", message=ours.to_wire())
    assert refused.value.reason == "CELL_UNKNOWN"
    unsigned = dns.update.UpdateMessage(witness_zones.ZONE)
    elsewhere = dns.update.UpdateMessage("elsewhere.test", keyring=update_key())
    question = dns.message.make_query("www.elsewhere.test", "A")
    question.use_tsig(update_key())
    answer = dns.message.make_response(dns.message.make_query("_cell.witness.test", "TXT"))
    for message in (unsigned.to_wire(), elsewhere.to_wire(), question.to_wire(), answer.to_wire(), b"", b"x" * 40):
        with pytest.raises(Permanent) as refused:
            await peer.hand_on(cell="one", message=message)
        assert refused.value.reason == "MESSAGE_INVALID"


async def test_a_message_that_was_signed_by_nobody_whom_the_cell_knows_changes_nothing(embedded: str) -> None:
    peer, stranger = witness(embedded), base64.b64encode(b"o" * 32).decode()
    ours = witness(embedded, stranger, tsig_key_name=UPDATE_KEY).through(
        lambda cell, message: peer.hand_on(cell=cell, message=message)
    )
    assert await ours.swap(cell="one", slot="demo/stranger", old=None, new=b"v1") is Swap.UNKNOWN
    assert await peer.read(cell="one", slot="demo/stranger") is None
