"""Zones, changes and answers: our backends and our server beside the bare protocols, and a name's way into the DNS."""

import asyncio
from collections.abc import Awaitable, Callable, Iterator
from functools import partial
from itertools import count, cycle
from pathlib import Path
from typing import Any

import dns.asyncquery
import dns.message
import dns.update
import httpx
import pytest
from catalyst_dns_powerdns import plugin as powerdns_plugin
from catalyst_dns_powerdns import zones as powerdns_zones
from catalyst_dns_rfc2136 import plugin as update_plugin
from catalyst_mesh.clocks import SystemClock
from catalyst_mesh.logs import get_logger
from catalyst_sdk import SecretRef
from catalyst_sdk.context import PluginContext
from catalyst_sdk.dns import Change, RecordSet, ZoneSpec
from catalyst_sdk.dns_rules import Faults, new_records
from catalyst_testkit.bind import POLICY, BindServer, bind_server
from catalyst_testkit.nameservers import UPDATE_KEY, UPDATE_SECRET, update_key
from catalyst_testkit.powerdns import API_KEY, PowerDnsServer
from catalyst_testkit.registrar_benches import Safe
from google.protobuf.duration_pb2 import Duration

from services.pool_domain_manager.tests.dns_servers import Dns

from . import machine
from .harness import Goal, Round, compare, crowd, measured, one_by_one
from .table import Table

HOSTS = ("ns1.hosts.example.", "ns2.hosts.example.")
AT_ONCE = 8
SECOND = Duration(seconds=1)
WINDOW = 0.1
"""Of the gathering of changes of a parent, which the goal of a commit leaves out."""
Operation = Callable[[], Awaitable[object]]


def context(secret: str, **config: Any) -> PluginContext:
    """What a host gives to a plugin."""
    safe = Safe({"secret": secret.encode()})
    return PluginContext(SystemClock(), get_logger("perf"), safe, Path("unused"), config)


def spec_of(zone: str) -> ZoneSpec:
    """A Sovereign's zone: its four names."""
    records = tuple(RecordSet(f"{h}.{zone}", "A", 60, ("192.0.2.1",)) for h in ("console", "api", "gitea", "harbor"))
    return ZoneSpec(zone, HOSTS, "organizations/perf", records, ttl=60)


@pytest.fixture
def own_bind_on_core() -> Iterator[BindServer]:
    with machine.on_core(0), bind_server() as server:
        yield server


@measured
async def test_new_zones_on_powerdns(table: Table, publishing_powerdns: PowerDnsServer) -> None:
    server, numbers = publishing_powerdns, count()
    backend = powerdns_plugin.catalyst_plugin(
        context(API_KEY, url=server.url, api_key=SecretRef("secret"), try_seconds=10)
    )
    async with httpx.AsyncClient(headers={"X-API-Key": API_KEY}, trust_env=False, timeout=30) as plain:

        async def ours() -> None:
            await backend.create_zone(spec=spec_of(f"z{next(numbers)}.ours.example."))

        async def bare() -> None:
            spec = spec_of(f"z{next(numbers)}.bare.example.")
            body = powerdns_zones.to_body(spec, new_records(spec, Faults("perf")))
            (await plain.post(f"{server.url}/zones", json=body)).raise_for_status()

        goal = Goal("throughput", 0.9, "the same POSTs by a plain client, 8 in flight")
        await in_flight(table, "PDM: new zone on PowerDNS", goal, ours, bare, 80)


@measured
async def test_changes_by_update(table: Table, own_bind_on_core: BindServer) -> None:
    server = own_bind_on_core
    backend = update_plugin.catalyst_plugin(
        context(
            UPDATE_SECRET, server=server.address, key_name=UPDATE_KEY, key=SecretRef("secret"), control="bind",
            control_at=str(server.rndc_config), zone_folder=str(server.zones), signing_policy=POLICY, try_seconds=10,
        )
    )  # fmt: skip
    zones = [f"z{n}.perf.example." for n in range(2 * AT_ONCE)]
    for zone in zones:
        await backend.create_zone(spec=spec_of(zone))
    numbers = count()

    async def ours(zone: str) -> None:
        await backend.apply(zone=zone, changes=(Change(f"console.{zone}", "A", 60, (address(next(numbers)),)),))

    async def bare(zone: str) -> None:
        message = dns.update.UpdateMessage(zone, keyring=update_key())
        message.replace(f"console.{zone}", 60, "A", address(next(numbers)))
        answer = await dns.asyncquery.udp(message, "127.0.0.1", port=server.port, timeout=10)
        assert answer.rcode() == 0

    async def side(change: Callable[[str], Awaitable[None]], own: list[str]) -> Round:
        return await crowd([partial(change, zone) for zone in own], 160)

    goal = Goal("throughput", 0.8, "a bare signed UPDATE, a zone for each of 8 writers")
    mine, theirs = zones[:AT_ONCE], zones[AT_ONCE:]
    row = await compare(
        "PDM: change by UPDATE on BIND", goal, ours=lambda: side(ours, mine), bare=lambda: side(bare, theirs)
    )
    table.add(row)


@measured
async def test_answers_of_the_embedded_server(table: Table, home: Path) -> None:
    with machine.on_core(0):
        server = Dns(home)
        server.start()
    try:
        wire = dns.message.make_query("omani.works.", "SOA", want_dnssec=True).to_wire()
        host, _, port = server.address.rpartition(":")
        lines = [await _Asker.open(host, int(port), wire) for _ in range(AT_ONCE)]
        response = dns.message.make_response(dns.message.from_wire(wire)).to_wire()

        async def ours() -> Round:
            return await crowd([line.ask for line in lines], 2000)

        async def parse_and_answer() -> None:
            assert dns.message.make_response(dns.message.from_wire(wire)).to_wire() == response

        async def bare() -> Round:
            return await one_by_one(parse_and_answer, 2000)

        async def anew() -> Round:
            """Each question is another one: how large an answer may be is drawn."""
            for line in lines:
                line.vary()
            return await crowd([line.ask for line in lines], 2000)

        goal = Goal("throughput", 0.5, "dnspython: parse and make an empty response, no network")
        table.add(await compare("embedded DNS: SOA with its signature", goal, ours=ours, bare=bare))
        table.add(await compare("embedded DNS: the same, never asked before", goal, ours=anew, bare=bare))
        for line in lines:
            line.close()
    finally:
        server.end()


_SIZES = cycle(range(1232, 65536))
_SIZE_AT = -8
"""Where an OPT record without options, the last of a question, has the size (RFC 6891, section 6.1.2)."""


class _Asker(asyncio.DatagramProtocol):
    """Asks one question again and again, each time when the answer has come."""

    def __init__(self, wire: bytes) -> None:
        self._wire = wire
        self._varied = False
        self._heard: asyncio.Future[None] | None = None
        self._transport: Any = None

    @classmethod
    async def open(cls, host: str, port: int, wire: bytes) -> "_Asker":
        loop = asyncio.get_running_loop()
        _, one = await loop.create_datagram_endpoint(lambda: cls(wire), remote_addr=(host, port))
        return one

    def connection_made(self, transport: Any) -> None:
        self._transport = transport

    def datagram_received(self, data: bytes, addr: Any) -> None:
        if self._heard is not None and not self._heard.done():
            self._heard.set_result(None)

    def vary(self) -> None:
        """Ask another question each time from now on: another size, where EDNS says how much the asker takes."""
        self._varied = True

    def _question(self) -> bytes:
        if not self._varied:
            return self._wire
        size = next(_SIZES).to_bytes(2)
        return self._wire[:_SIZE_AT] + size + self._wire[_SIZE_AT + 2 :]

    async def ask(self) -> None:
        self._heard = asyncio.get_running_loop().create_future()
        self._transport.sendto(self._question())
        await asyncio.wait_for(self._heard, 10)

    def close(self) -> None:
        self._transport.close()


def address(n: int) -> str:
    """An address that differs from the one before."""
    return f"192.0.2.{n % 250}"


async def in_flight(table: Table, what: str, goal: Goal, ours: Operation, bare: Operation, each: int) -> None:
    """A row of two operations, eight of each in flight."""
    sides = [partial(crowd, [operation] * AT_ONCE, each) for operation in (ours, bare)]
    table.add(await compare(what, goal, ours=sides[0], bare=sides[1]))
