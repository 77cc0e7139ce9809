"""Scenario 15: many commits at once are few changes of the parent, and a bad child fails alone."""

import asyncio
import os

import pytest
from catalyst.pooldomain.v1.resources_pb2 import Allocation
from catalyst.pooldomain.v1.service_pb2 import ListAllocationsRequest
from catalyst_sdk.dns import Change, ZoneState
from catalyst_testkit import eventually
from catalyst_testkit.daemons import RunningDaemon

from .calls import POOL, commitment, get, provisioner, reserve
from .conftest import Dns, Start

PARENT, BAD = "omani.works.", "bad.omani.works."
MANY = 300 if os.environ.get("HYPOTHESIS_PROFILE") == "long" else 40


class Spoiler:
    """Puts a CNAME where the cut of one name is to be, after the look at the parent and before its change."""

    def __init__(self, dns: Dns) -> None:
        self._dns = dns
        self._turn = asyncio.Lock()
        self._done = False

    async def __call__(self, point: str) -> None:
        if point == "pdm.commit.c4.before":
            async with self._turn:  # nobody goes on before it is there
                if not self._done:
                    await eventually(self._is_made, within=60, what="the look at the parent is over")
                    cname = Change(BAD, "CNAME", 1, ("elsewhere.example.",))
                    await self._dns.backend.apply(zone=PARENT, changes=(cname,))
                    self._done = True

    async def _is_made(self) -> bool:
        return await self._dns.backend.get_zone(zone=BAD) is not None


async def parent(dns: Dns) -> ZoneState:
    state = await dns.backend.get_zone(zone=PARENT)
    assert state is not None
    return state


async def settled(daemon: RunningDaemon) -> bool:
    request = ListAllocationsRequest(parent=POOL, filter="state = PROVISIONING", page_size=1)
    return not (await provisioner(daemon).ListAllocations(request)).allocations


@pytest.mark.parametrize(("dns", "database"), [("embedded", "sqlite")], indirect=True)
async def test_scenario_15_commits_at_once_are_at_most_10_changes_and_the_bad_child_alone_fails(
    start: Start, dns: Dns
) -> None:
    labels = ["bad", *(f"name-{n}" for n in range(MANY))]
    async with start(failpoint=Spoiler(dns)) as daemon:
        stub = provisioner(daemon)
        held = [await reserve(daemon, label, owner=f"organizations/org-{n}") for n, label in enumerate(labels)]
        before = await parent(dns)
        wishes = [commitment(one.reservation_token, label=label) for one, label in zip(held, labels, strict=True)]
        await asyncio.gather(*(stub.CommitAllocation(wish) for wish in wishes))
        await eventually(lambda: settled(daemon), within=300, every=0.5, what="no name is on its way")
        failed = await get(daemon, f"{POOL}/allocations/bad")
        listed = await stub.ListAllocations(ListAllocationsRequest(parent=POOL, page_size=500))
    states = {a.name: a.state for a in listed.allocations}
    assert states.pop(failed.name) == Allocation.STATE_FAILED
    assert list(states.values()) == [Allocation.STATE_ACTIVE] * MANY
    planted = 1
    assert (await parent(dns)).serial - before.serial - planted <= 10
    assert [c.reason for c in failed.conditions if c.status == c.STATUS_FALSE] == ["RECORD_INVALID"]
    assert [r.type for r in (await parent(dns)).record_sets if r.name == BAD] == ["CNAME"]
