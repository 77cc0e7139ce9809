"""What agents tell of themselves, in a world where regions die."""

import json
from dataclasses import replace
from datetime import UTC, datetime
from types import SimpleNamespace
from typing import Any, cast

from catalyst_continuum.domain import status
from catalyst_continuum.domain.facts import FailbackAwaited
from catalyst_continuum.domain.parsing import parse
from catalyst_continuum.domain.slots import Phase, Slot
from catalyst_continuum.domain.spec import Failback, Spec
from catalyst_continuum.domain.spec_rules import House
from catalyst_continuum.domain.status import Facts, Shown
from catalyst_continuum.metrics import ContinuumMetrics
from catalyst_continuum.workers.reporting import AtWork, Reporter, facts_of
from prometheus_client import CollectorRegistry

from services.continuum.tests import manifests

from .region_world import REGIONS, SLOT, World

EAST, WEST = REGIONS[:2]
NOON = datetime(2026, 1, 1, 12, tzinfo=UTC)


def wish() -> Spec:
    text = json.dumps(manifests.stateful()).replace(manifests.EAST, EAST).replace(manifests.WEST, WEST)
    return parse(json.loads(text), House("demo"))


def told(world: World, region: str) -> Facts:
    agent: Any = world.agents[region]
    return facts_of(agent, wish(), agent.sight.register, world.processes[region].clock())


def said(facts: Facts) -> dict[str, str]:
    return {one.type: one.reason for one in status.conditions(facts, wish())}


def shown(facts: Facts) -> Shown:
    return status.phase(facts, wish(), status.conditions(facts, wish()))


def test_what_agents_tell_is_what_is_so_and_what_they_cannot_see_is_unknown() -> None:
    world = World(1, fails_after=4.0)
    try:
        for region in world.regions:
            world.start(region)
        world.until(lambda: bool(world.leader) and world.committed[-1][1].sync != "0", 30, "a leader with a standby")
        world.run_for(5)
        holder, standby = told(world, EAST), told(world, WEST)
        assert (holder.holder, holder.epoch, standby.holder) == (EAST, 1, EAST)
        assert holder.authority
        assert not standby.authority
        seen = {
            name: said(holder)[name] for name in ("LeaseHeld", "StandbyAvailable", "DataLossGuard", "SinglePrimary")
        }
        assert seen == {
            "LeaseHeld": "HeldBySelf",
            "StandbyAvailable": "StandbyReachable",
            "DataLossGuard": "SyncStandbyCurrent",
            "SinglePrimary": "Ok",
        }  # fmt: skip - a table
        assert said(standby)["LeaseHeld"] == "HeldByOther"
        assert said(standby)["StandbyAvailable"] == "StandbyReachable", "it knows of itself"
        assert shown(holder) is Shown.DEGRADED, "no drill was held, and no clock compared: not everything is known"
        world.processes[EAST].kill()
        world.sites[EAST].is_up, world.sites[EAST].deadline = False, 0.0
        world.until(lambda: world.leader == WEST, 30, "the standby leads")
        world.run_for(40)
        after = told(world, WEST)
        assert (after.holder, after.epoch, after.standbys) == (WEST, 2, {WEST: True, EAST: False})
        assert (after.missed, holder.missed) == (0, None), (
            "it had all that the holder had told of, who took from nobody"
        )
        assert said(after)["StandbyAvailable"] == "StandbyUnreachable"
        assert said(after)["ReplicationWithinRPO"] == "Unknown", "the lag of who is gone is not zero"
        assert said(after)["SinglePrimary"] == "Unknown"
        assert shown(after) in (Shown.FAILED_OVER, Shown.SWITCHING_OVER)
    finally:
        world.end()


def test_what_is_not_known_has_no_sample() -> None:
    registry = CollectorRegistry()
    metrics = ContinuumMetrics(registry)

    def sample(name: str, **labels: str) -> float | None:
        return registry.get_sample_value(f"catalyst_continuum_{name}", {"slot": SLOT, "region": EAST, **labels})

    known = Facts(
        EAST, "held", EAST, 3, 9, cells=3, cells_up=2, cells_needed=2, lags={WEST: 0.5}, writable={EAST: True}
    )
    for facts in (known, Facts(EAST)):
        found = status.conditions(facts, wish())
        metrics.slot(SLOT, facts, wish(), found)
        if facts is known:
            assert (sample("lease_held"), sample("lease_epoch"), sample("writable_primaries")) == (1, 3, 1)
            assert sample("condition", condition="WitnessReady") == 1
    assert [
        sample(name) for name in ("lease_held", "lease_epoch", "writable_primaries", "replication_lag_seconds")
    ] == [None] * 4
    assert sample("condition", condition="WitnessReady") == -1


class Kept:
    """A store in memory, with one slot."""

    def __init__(self) -> None:
        self.slot, self.emitted, self.now = Slot("demo", "shop", EAST, Phase.HEALTHY, NOON, NOON), list[Any](), NOON

    async def again(self, step: Any) -> Any:
        return await step(self)

    async def lock(self, namespace: str, name: str) -> Slot:
        return self.slot

    async def observed(self, namespace: str, name: str) -> dict[str, Any]:
        return {}

    async def save(self, slot: Slot) -> None:
        self.slot = slot

    async def observe(self, slot: Slot, region: str, body: str) -> None:
        """Of no concern."""

    def emit(self, *events: Any) -> None:
        self.emitted += [one for one in events if isinstance(one, FailbackAwaited)]


def test_a_way_back_is_told_as_awaited_once_in_an_epoch() -> None:
    world, store, told = World(1, fails_after=4.0), Kept(), list[int]()
    away = replace(wish(), primary=WEST, standbys=(EAST,), failback=Failback(stable_for=8.0))
    clocks: Any = SimpleNamespace(offset=None, drift=None)
    reporter = Reporter(
        work=cast(Any, store), metrics=ContinuumMetrics(CollectorRegistry()), at_work=list,
        clock=lambda: world.processes[EAST].clock(), clocks=clocks,
    )  # fmt: skip
    try:
        for region in world.regions:
            world.start(region)
        world.until(lambda: bool(world.leader) and world.committed[-1][1].sync != "0", 30, "a leader with a standby")
        for _ in range(4):
            work = reporter.report(AtWork(world.agents[EAST], replace(away, names=None)))
            world.loop.run_until_complete(work)
            told.append(len(store.emitted))
            world.run_for(6)
    finally:
        world.end()
    assert told == [0, 0, 1, 1], "as soon as it was so for long enough, and not again"
