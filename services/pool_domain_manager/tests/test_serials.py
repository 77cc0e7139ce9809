"""The cheap question of a sweep, beside what dnspython says of the same server."""

import asyncio
import struct
from contextlib import suppress

from catalyst_pool_domain_manager.workers.serials import Light, Serials, read
from catalyst_testkit.servers import free_port
from hypothesis import given, settings
from hypothesis import strategies as st

from .conftest import Dns


async def test_it_reads_the_serial_that_the_server_has_and_whether_it_is_signed(dns: Dns) -> None:
    state = await dns.backend.get_zone(zone="omani.works.")
    assert state is not None
    async with Serials(dns.served_at) as asker:
        answers = await asyncio.gather(*(asker.ask(z) for z in ("omani.works.", "OMANI.works", "nobody.example.")))
    assert answers == [Light(state.serial, True), Light(state.serial, True), Light(None)]


async def test_a_server_that_is_not_there_gives_no_answer() -> None:
    async with Serials(("127.0.0.1", free_port())) as asker:
        assert await asker.ask("omani.works.") is None


@settings(max_examples=300)
@given(st.binary(max_size=80))
def test_rubbish_raises_only_what_its_reader_expects(rubbish: bytes) -> None:
    with suppress(struct.error, IndexError):
        read(rubbish)
