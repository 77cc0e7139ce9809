"""A propagation check: servers of which one is slow on purpose, beside one question to that one."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from catalyst.pooldomain.v1.resources_pb2 import PropagationObservation
from catalyst.pooldomain.v1.service_pb2 import (
    CheckPropagationRequest,
    GetNameServerSetRequest,
    UpdateNameServerSetRequest,
)
from catalyst.pooldomain.v1.service_pb2_grpc import NameServerSetServiceStub
from catalyst_pool_domain_manager.app import compose
from catalyst_pool_domain_manager.settings import PdmSettings
from catalyst_sdk.resolver import ask
from catalyst_testkit.daemons import running
from catalyst_testkit.servers import NatsServer
from dns import name
from dns.rdatatype import RdataType
from google.protobuf.duration_pb2 import Duration

from services.pool_domain_manager.tests.dns_servers import Dns
from services.pool_domain_manager.tests.zone_calls import DOMAIN, HOSTS, SET, ZONE, admin, made_zone

from . import machine
from .harness import Goal, compare, measured, one_by_one
from .table import Table

SLOW = 0.25
"""Seconds for which each answer of the slow server is held back."""
COUNT = 12


class Late(asyncio.DatagramProtocol):
    """Passes questions on to a server, and its answers back a while after they came."""

    def __init__(self, behind: tuple[str, int]) -> None:
        self._behind = behind
        self._transport: Any = None
        self._lines: set[asyncio.DatagramTransport] = set()

    @classmethod
    @asynccontextmanager
    async def standing_before(cls, behind: tuple[str, int]) -> "AsyncIterator[int]":
        """One for the block; its port."""
        loop = asyncio.get_running_loop()
        transport, one = await loop.create_datagram_endpoint(lambda: cls(behind), local_addr=("127.0.0.1", 0))
        try:
            yield transport.get_extra_info("sockname")[1]
        finally:
            for line in (transport, *one._lines):
                line.close()

    def connection_made(self, transport: Any) -> None:
        self._transport = transport

    def datagram_received(self, data: bytes, addr: Any) -> None:
        asyncio.ensure_future(self._pass_on(data, addr))  # noqa: RUF006 - it ends by itself, or with its line

    async def _pass_on(self, data: bytes, addr: Any) -> None:
        loop = asyncio.get_running_loop()
        line, _ = await loop.create_datagram_endpoint(lambda: _Back(self, addr), remote_addr=self._behind)
        self._lines.add(line)
        line.sendto(data)

    def back(self, line: Any, data: bytes, addr: Any) -> None:
        """An answer came for whoever asked from `addr`."""
        line.close()
        self._lines.discard(line)
        asyncio.get_running_loop().call_later(SLOW, self._give, data, addr)

    def _give(self, data: bytes, addr: Any) -> None:
        if not self._transport.is_closing():
            self._transport.sendto(data, addr)


class _Back(asyncio.DatagramProtocol):
    """The line on which the answer to one question comes."""

    def __init__(self, late: Late, addr: Any) -> None:
        self._late = late
        self._addr = addr
        self._transport: Any = None

    def connection_made(self, transport: Any) -> None:
        self._transport = transport

    def datagram_received(self, data: bytes, addr: Any) -> None:
        self._late.back(self._transport, data, self._addr)


@measured
async def test_a_check_beside_its_slowest_server(table: Table, home: Path, nats: NatsServer) -> None:
    (home / "dns").mkdir()
    with machine.on_core(0):
        dns = Dns(home / "dns")
        dns.start()
    fields = {"nats_url": nats.url, "sweep_interval": 1.0, **dns.settings()}
    try:
        async with Late.standing_before(dns.served_at) as port, running(compose, PdmSettings, home, **fields) as daemon:
            await made_zone(daemon, dns)
            sets = daemon.admin(NameServerSetServiceStub)
            known = await sets.GetNameServerSet(GetNameServerSetRequest(name=SET))
            known.polled[1].port = port
            await sets.UpdateNameServerSet(UpdateNameServerSetRequest(name_server_set=known, etag=known.etag))
            request = CheckPropagationRequest(name=ZONE, timeout=Duration(seconds=9))

            async def ours() -> None:
                seen = [one async for one in admin(daemon).CheckPropagation(request, timeout=20)]
                verdicts = {one.observation.server: one.observation.verdict for one in seen[:-1]}
                assert {verdicts[host] for host in HOSTS} == {PropagationObservation.VERDICT_OK}, seen

            async def bare() -> None:
                answer, _ = await ask(f"127.0.0.1:{port}", name.from_text(DOMAIN), RdataType.SOA, 9)
                assert answer.answer

            goal = Goal("p50", 1.3, f"one question to the slowest server, which takes {SLOW * 1000:.0f} ms")
            row = await compare(
                "PDM: propagation check", goal,
                ours=lambda: one_by_one(ours, COUNT), bare=lambda: one_by_one(bare, COUNT),
            )  # fmt: skip
            table.add(row)
    finally:
        dns.end()
