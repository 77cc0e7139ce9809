"""What the world is told of a name, all the while that it is made, changed and taken away."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

from catalyst.pooldomain.v1.resources_pb2 import Allocation
from catalyst.pooldomain.v1.service_pb2 import UpdateAllocationRequest
from catalyst_sdk.resolver import Resolver, Security

from .calls import ELSEWHERE, FQDN, HOME, NAME, made_active, provisioner, release, until
from .conftest import Dns, Start, on_both_and_in_long_runs_on_all

HOST = f"console.{FQDN}"
PAUSE = 0.02
HOMES, ELSEWHERES = (HOME.address,), (ELSEWHERE.address,)
OURS = (HOMES, ELSEWHERES, ())


@dataclass
class Samples:
    """What somebody without a cache got who went down from the root.

    taken   how many
    seen    addresses that were answered
    wrong   lame and bogus answers, unsigned ones, and those with addresses that were never wished
    odd     such that came of a change between two questions of one walk
    """

    taken: int = 0
    seen: set[tuple[str, ...]] = field(default_factory=set)
    wrong: list[str] = field(default_factory=list)
    odd: list[str] = field(default_factory=list)

    async def take(self, resolver: Resolver) -> None:
        why = await self._fault(resolver)
        # A walk is many questions, and the world may change between two of them; one that begins after that is whole.
        if why:
            again = await self._fault(resolver)
            (self.wrong if again else self.odd).append(again or why)

    async def _fault(self, resolver: Resolver) -> str:
        """What is wrong with the answer. That nobody answered in time says nothing: a machine may be busy."""
        self.taken += 1
        answer = await resolver.resolve(HOST)
        self.seen.add(answer.records)
        if answer.security is Security.INDETERMINATE:
            return answer.why if "without authority" in answer.why else ""
        if answer.security is not Security.SECURE or answer.records not in OURS:
            return f"{answer.security} {answer.records} {answer.why}"
        return ""


@asynccontextmanager
async def sampled(resolver: Resolver) -> AsyncIterator[Samples]:
    """The name is asked for all through the block."""
    samples, stop = Samples(), asyncio.Event()

    async def sample() -> None:
        while not stop.is_set():
            await samples.take(resolver)
            await asyncio.sleep(PAUSE)

    task = asyncio.create_task(sample())
    try:
        yield samples
    finally:
        stop.set()
        await task


@on_both_and_in_long_runs_on_all
async def test_scenario_6_a_name_that_is_made_moved_and_released_is_lame_or_bogus_at_no_moment(
    start: Start, dns: Dns
) -> None:
    async with start() as daemon, sampled(dns.resolver) as samples:
        await made_active(daemon)
        moved = UpdateAllocationRequest(allocation=Allocation(name=NAME, targets=[ELSEWHERE]))
        await provisioner(daemon).UpdateAllocation(moved)
        await until(daemon, Allocation.STATE_ACTIVE, generation=2)
        await release(daemon)
        await until(daemon, Allocation.STATE_QUARANTINED)
        assert (await dns.resolver.resolve(FQDN, "SOA")).rcode == "NXDOMAIN"
    assert samples.wrong == []
    assert samples.taken > 10
    assert {HOMES, ELSEWHERES, ()} <= samples.seen, "made, moved, gone"
