"""The propagation check over real gRPC and real DNS servers: every server, every verdict, and what it means as a whole."""

import asyncio
from collections.abc import Sequence

import dns.asyncquery
import dns.message
import pytest
from catalyst.pooldomain.v1.resources_pb2 import (
    NameServerEndpoint,
    PropagationObservation,
    PropagationSummary,
    RecordKey,
)
from catalyst.pooldomain.v1.service_pb2 import (
    CheckPropagationRequest,
    GetNameServerSetRequest,
    GetZoneRequest,
    UpdateNameServerSetRequest,
)
from catalyst.pooldomain.v1.service_pb2_grpc import NameServerSetServiceStub, ZoneServiceStub
from catalyst_sdk.dns import Change
from catalyst_testkit import eventually
from catalyst_testkit.daemons import RunningDaemon, reason_of
from catalyst_testkit.servers import free_port
from dns.rdatatype import RdataType
from google.protobuf.duration_pb2 import Duration

from .calls import FQDN, ZONE, made_active, outbox
from .conftest import Dns, Start, on_both_servers
from .zone_calls import SET, admin, made_zone
from .zone_calls import ZONE as KEPT

pytestmark = pytest.mark.either_database

NAME = f"zones/{FQDN}"
OK = PropagationObservation.VERDICT_OK
PARENT, CHILD = PropagationObservation.ZONE_ROLE_PARENT, PropagationObservation.ZONE_ROLE_CHILD
Seen = tuple[Sequence[PropagationObservation], PropagationSummary]


async def checked(daemon: RunningDaemon, name: str = NAME, **rest: object) -> Seen:
    call = admin(daemon).CheckPropagation(CheckPropagationRequest(name=name, **rest), timeout=60)
    seen = [answer async for answer in call]
    assert [answer.WhichOneof("message") for answer in seen] == ["observation"] * (len(seen) - 1) + ["summary"]
    return [answer.observation for answer in seen[:-1]], seen[-1].summary


async def told(daemon: RunningDaemon, name: str) -> int:
    """How often an outcome of a zone was told."""
    return [event for one, event, _ in await outbox(daemon) if one == name].count("propagation.progressed")


class Flipped(asyncio.DatagramProtocol):
    """A server that passes on what another one answers, with one bit of each signature changed."""

    def __init__(self, behind: tuple[str, int]) -> None:
        self._behind = behind
        self._tasks: set[asyncio.Task[None]] = set()

    async def __aenter__(self) -> "Flipped":
        loop = asyncio.get_running_loop()
        self._transport, _ = await loop.create_datagram_endpoint(lambda: self, local_addr=("127.0.0.1", 0))
        return self

    async def __aexit__(self, *_: object) -> None:
        self._transport.close()

    @property
    def port(self) -> int:
        return int(self._transport.get_extra_info("sockname")[1])

    def datagram_received(self, data: bytes, addr: tuple[str, int]) -> None:
        task = asyncio.create_task(self._answer(data, addr))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _answer(self, data: bytes, addr: tuple[str, int]) -> None:
        host, port = self._behind
        answer = await dns.asyncquery.udp(dns.message.from_wire(data), host, timeout=30, port=port)
        for rrset in answer.answer:
            if rrset.rdtype == RdataType.RRSIG:
                signature = rrset[0]
                rrset.clear()
                octets = signature.signature
                rrset.add(signature.replace(signature=bytes([octets[0] ^ 1]) + octets[1:]))
        self._transport.sendto(answer.to_wire(), addr)


def verdicts(seen: Sequence[PropagationObservation], role: "PropagationObservation.ZoneRole.ValueType") -> list[str]:
    return [
        PropagationObservation.Verdict.Name(one.verdict).removeprefix("VERDICT_")
        for one in seen
        if one.zone_role == role
    ]


@on_both_servers
async def test_a_name_that_is_there_is_delegated_and_consistent_at_every_server(start: Start, dns: Dns) -> None:
    async with start(dns_trust_anchor=dns.anchor) as daemon:
        await made_active(daemon)
        seen, summary = await checked(daemon, record_sets=[RecordKey(name="console", type="A")])
        assert (verdicts(seen, PARENT), verdicts(seen, CHILD)) == (["OK"], ["OK"])
        assert (summary.delegated, summary.consistent, summary.asked, summary.ok) == (True, True, 2, 2)
        child = next(one for one in seen if one.zone_role == CHILD)
        assert (child.rcode, child.aa, child.serial, child.server) == (
            "NOERROR", True, summary.consensus_serial, "ns1.omani.works",
        )  # fmt: skip
        assert len(child.rrset_hash) == 64
        assert child.remaining_ttl.seconds > 0
        assert child.address == ":".join(map(str, dns.served_at))
        assert await told(daemon, NAME) == 1
        later = (await checked(daemon, wanted_serial=child.serial + 1))[1]
        assert (later.delegated, later.consistent, later.ok) == (True, False, 1)
        await checked(daemon)
        assert await told(daemon, NAME) == 1, "neither what was asked of another serial nor the same again"


@on_both_servers
async def test_what_is_wrong_at_the_parent_has_its_verdict(start: Start, dns: Dns) -> None:
    async with start(dns_trust_anchor=dns.anchor) as daemon:
        await made_active(daemon)
        state = await dns.backend.get_zone(zone=ZONE)
        assert state is not None
        right = (Change(ZONE, "NS", 1, ("ns1.omani.works.",)), Change(ZONE, "DS", 1, state.keys[0].ds))
        wrong_ds, no_ds = Change(ZONE, "DS", 1, ("1 13 2 " + "ab" * 32,)), Change(ZONE, "DS")
        nothing = (no_ds, Change(ZONE, "NS"))
        for changes, verdict in (((wrong_ds,), "BOGUS"), ((no_ds,), "STALE"), (nothing, "NO_SUCH_ZONE")):
            await dns.backend.apply(zone="omani.works.", changes=(*right,))
            await dns.backend.apply(zone="omani.works.", changes=changes)
            seen, summary = await checked(daemon)
            assert (verdicts(seen, PARENT), summary.delegated) == ([verdict], False)


async def test_each_server_of_a_zone_is_judged_by_itself(start: Start, dns: Dns) -> None:
    async with start(dns_trust_anchor=dns.anchor) as daemon:
        await made_zone(daemon, dns)
        address, port = dns.served_at
        sets = daemon.admin(NameServerSetServiceStub)
        known = await sets.GetNameServerSet(GetNameServerSetRequest(name=SET))
        silent = NameServerEndpoint(host="ns2.dns.example", addresses=["127.0.0.1"], port=free_port())
        there = NameServerEndpoint(host="ns1.dns.example", addresses=[address], port=port)
        del known.polled[:]
        known.polled.extend([there, silent])
        await sets.UpdateNameServerSet(UpdateNameServerSetRequest(name_server_set=known, etag=known.etag))

        async def judged() -> bool:
            seen, summary = await checked(daemon, KEPT, timeout=Duration(seconds=2))
            by_server = {one.server: one.verdict for one in seen if one.zone_role == CHILD}
            assert by_server == {"ns1.dns.example": OK, "ns2.dns.example": PropagationObservation.VERDICT_TIMEOUT}
            return (summary.delegated, summary.consistent, summary.consensus_serial) == (False, False, 0)

        # The one that is there stays behind for as long as it takes to write what the set says now.
        assert await eventually(judged, within=60)


async def test_a_zone_that_the_parent_does_not_know_is_no_error_and_not_delegated(start: Start, dns: Dns) -> None:
    async with start(dns_trust_anchor=dns.anchor) as daemon:
        await made_zone(daemon, dns)
        seen, summary = await checked(daemon, KEPT)
        assert (verdicts(seen, PARENT), verdicts(seen, CHILD)) == (["NO_SUCH_ZONE"], ["OK", "OK"])
        assert (summary.delegated, summary.consistent) == (False, True)
        found = [(event, version) for name, event, version in await outbox(daemon) if name == KEPT]
        zone = await admin(daemon).GetZone(GetZoneRequest(name=KEPT))
        assert found[-1] == ("propagation.progressed", zone.version)


async def test_a_flipped_byte_in_a_signature_is_bogus_at_that_server_and_at_no_other(start: Start, dns: Dns) -> None:
    async with start(dns_trust_anchor=dns.anchor) as daemon:
        await made_zone(daemon, dns)
        async with Flipped(dns.served_at) as spoiled:
            sets = daemon.admin(NameServerSetServiceStub)
            known = await sets.GetNameServerSet(GetNameServerSetRequest(name=SET))
            known.polled[1].port = spoiled.port
            await sets.UpdateNameServerSet(UpdateNameServerSetRequest(name_server_set=known, etag=known.etag))

            async def settled() -> bool:
                # The zone may be written once more after it came up; whoever is asked first is behind then.
                seen, summary = await checked(daemon, KEPT)
                by_server = {one.server: one.verdict for one in seen if one.zone_role == CHILD}
                wished = {"ns1.dns.example": OK, "ns2.dns.example": PropagationObservation.VERDICT_BOGUS}
                return by_server == wished and summary.ok == 1

            assert await eventually(settled, within=60)


async def test_a_stranger_cannot_have_a_zone_checked(start: Start) -> None:
    async with start() as daemon:
        await made_active(daemon)
        stranger = daemon.member(ZoneServiceStub, "rival")

        async def ask() -> None:
            async for _ in stranger.CheckPropagation(CheckPropagationRequest(name=NAME)):
                pass

        assert await reason_of(ask()) == "ZONE_NOT_FOUND"
