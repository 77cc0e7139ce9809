"""Conformance of cloud plugins. An author subclasses `CloudSuite` and provides one fixture, `bench`.

class TestMine(CloudSuite):
    @pytest.fixture
    async def bench(self) -> AsyncIterator[CloudBench]: ...
"""

import asyncio
import logging
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import replace

import pytest
from catalyst_sdk import Permanent, PluginFailure, RateLimited, Temporary
from catalyst_sdk.cloud import (
    CAPABILITIES,
    REASONS,
    Action,
    ClusterRequest,
    Discovered,
    InfraPlan,
    NodePool,
    OfferQuery,
    owned,
)

from .cloud_bench import ENROLMENT_CANARY, CloudBench, Crash, DyingLedger, cluster_request, plain

CLASSES: dict[str, tuple[type[PluginFailure], str]] = {
    "capacity": (Permanent, "CAPACITY"),
    "quota": (Permanent, "QUOTA"),
    "rate_limit": (RateLimited, ""),
    "server_error": (Temporary, ""),
}
"""Fault of the cloud, and how it must leave the plugin."""
BLOCKED = 0.15
"""Seconds for which a plugin may hold the loop."""


async def applied(bench: CloudBench, ledger: DyingLedger, request: ClusterRequest) -> InfraPlan:
    """Plan and apply with a fresh plugin; the plan."""
    plugin = bench.plugin()
    plan = await plugin.plan(request=request, work=ledger)
    assert plan.is_applicable, plan.findings
    await plugin.apply(plan=plan, work=ledger)
    return plan


async def moments(bench: CloudBench, request: ClusterRequest) -> Sequence[int]:
    """Numbers of the creates at which to die: each, or the last where others go on meanwhile anyway."""
    count = len((await bench.plugin().plan(request=request, work=DyingLedger(bench))).changes)
    return (count,) if bench.goes_on else range(1, count + 1)


def keys(found: Sequence[Discovered]) -> list[tuple[str, str, str]]:
    """Kind, name and id, sorted."""
    return sorted((one.kind, one.name, one.id) for one in found)


class CloudSuite:
    """The tests that every cloud plugin passes, ours or a stranger's."""

    async def test_the_manifest_names_known_capabilities_and_unambiguous_codes(self, bench: CloudBench) -> None:
        manifest = bench.plugin().manifest
        letters = [region.letter for region in manifest.regions]
        assert manifest.capabilities <= CAPABILITIES
        assert len(set(letters)) == len(letters)
        assert manifest.letter not in letters
        assert all(region.code.isalpha() and 2 <= len(region.code) <= 5 for region in manifest.regions)
        assert manifest.region(bench.region)

    async def test_offers_are_priced_in_whole_numbers_and_filtered(self, bench: CloudBench) -> None:
        plugin, query = bench.plugin(), OfferQuery(region=bench.region, size=bench.size)
        offers = await plugin.offers(query=query, credential=bench.credential)
        assert [(offer.region, offer.size) for offer in offers] == [(bench.region, bench.size)]
        assert all(isinstance(offer.price.hour_micros, int) for offer in offers if offer.price)
        others = await plugin.offers(query=OfferQuery(), credential=bench.credential)
        assert len(others) > len(offers)

    async def test_a_rejected_credential_is_reported_and_creates_nothing(self, bench: CloudBench) -> None:
        plugin, ledger = bench.plugin(), DyingLedger(bench)
        report = await plugin.check_credential(needed=["read", "write"], credential=bench.rejected)
        assert not report.valid
        ledger.credential = bench.rejected
        with pytest.raises(Permanent) as failure:
            await applied(bench, ledger, cluster_request(bench))
        assert failure.value.reason == "AUTH"
        assert await bench.world() == []

    async def test_a_credential_that_may_only_read_cannot_write(self, bench: CloudBench) -> None:
        if bench.read_only is None:
            pytest.skip("this cloud has no credentials that may only read")
        plugin, ledger = bench.plugin(), DyingLedger(bench)
        ledger.credential = bench.read_only
        report = await plugin.check_credential(needed=["read", "write"], credential=bench.read_only)
        assert (report.valid, report.granted, report.missing) == (False, ("read",), ("write",))
        plan = await plugin.plan(request=cluster_request(bench), work=ledger)
        with pytest.raises(Permanent, match=r".+"):
            await plugin.apply(plan=plan, work=ledger)
        assert await bench.world() == []

    async def test_a_good_credential_has_the_rights_that_are_needed(self, bench: CloudBench) -> None:
        report = await bench.plugin().check_credential(needed=["read", "write"], credential=bench.credential)
        assert (report.valid, report.missing) == (True, ())

    async def test_a_plan_writes_nothing_and_is_the_same_twice(self, bench: CloudBench) -> None:
        ledger, request = DyingLedger(bench), cluster_request(bench)
        first = await bench.plugin().plan(request=request, work=ledger)
        assert await bench.plugin().plan(request=request, work=ledger) == first
        assert (ledger.writes, ledger.events, await bench.world()) == (0, [], [])
        assert {change.action for change in first.changes} == {Action.CREATE}

    async def test_an_apply_makes_what_the_plan_lists_with_our_labels(self, bench: CloudBench) -> None:
        ledger, request = DyingLedger(bench), cluster_request(bench)
        plan = await applied(bench, ledger, request)
        world = await bench.world()
        assert sorted((c.kind, c.name) for c in plan.changes) == sorted((one.kind, one.name) for one in world)
        assert all(owned(request.labels, one.labels) for one in world)
        assert keys(world) == sorted((row.kind, row.name, row.id) for row in await ledger.rows())
        assert {line.address for line in plan.cost} == {change.address for change in plan.changes}

    async def test_an_apply_answers_facts_read_back_from_the_cloud(self, bench: CloudBench) -> None:
        ledger, request = DyingLedger(bench), cluster_request(bench, workers=2)
        plugin = bench.plugin()
        facts = await plugin.apply(plan=await plugin.plan(request=request, work=ledger), work=ledger)
        world = {one.id for one in await bench.world()}
        assert sorted(server.role for server in facts.servers) == ["control_plane", "worker", "worker"]
        assert {server.id for server in facts.servers} <= world
        assert all(balancer.ipv4 and balancer.ports for balancer in facts.load_balancers)
        assert len({server.private_ip for server in facts.servers}) == 3

    async def test_a_second_apply_changes_nothing(self, bench: CloudBench) -> None:
        ledger, request = DyingLedger(bench), cluster_request(bench)
        await applied(bench, ledger, request)
        before, writes = keys(await bench.world()), ledger.writes
        plan = await applied(bench, ledger, request)
        assert plan.is_empty
        assert (keys(await bench.world()), ledger.writes) == (before, writes)

    async def test_more_workers_are_creates_and_fewer_are_deletes(self, bench: CloudBench) -> None:
        ledger = DyingLedger(bench)
        await applied(bench, ledger, cluster_request(bench, workers=1))
        before = keys(await bench.world())
        plan = await applied(bench, ledger, cluster_request(bench, workers=2))
        assert [c.action for c in plan.changes if c.action is not Action.NO_OP] == [Action.CREATE]
        plan = await applied(bench, ledger, cluster_request(bench, workers=1))
        assert [c.action for c in plan.changes if c.action is not Action.NO_OP] == [Action.DELETE]
        assert keys(await bench.world()) == before

    async def test_a_server_is_made_anew_once_where_somebody_asks_for_it(self, bench: CloudBench) -> None:
        if "replace" not in bench.plugin().manifest.capabilities:
            pytest.skip("this cloud makes no single server anew")
        ledger, request = DyingLedger(bench), cluster_request(bench)
        await applied(bench, ledger, request)
        before = {one.name: one.id for one in await bench.world()}
        worker = next(row.name for row in reversed(await ledger.rows()) if row.kind == "server")
        asked = replace(request, anew={worker: before[worker]})
        plan = await applied(bench, ledger, asked)
        assert [(c.action, c.name) for c in plan.changes if c.action is not Action.NO_OP] == [(Action.REPLACE, worker)]
        after = {one.name: one.id for one in await bench.world()}
        assert {name for name in before if before[name] != after.get(name)} == {worker}
        assert keys(await bench.world()) == sorted((row.kind, row.name, row.id) for row in await ledger.rows())
        assert (await bench.plugin().plan(request=asked, work=ledger)).is_empty

    @pytest.mark.parametrize("moment", ["crash_before", "crash_after"])
    async def test_a_death_at_any_create_leads_to_the_same_end_without_twins(
        self, bench: CloudBench, moment: str
    ) -> None:
        request = cluster_request(bench)
        for number in await moments(bench, request):
            ledger = DyingLedger(bench)
            setattr(ledger, moment, number)
            with pytest.raises(Crash):
                await applied(bench, ledger, request)
            ledger.live_again()
            plan = await applied(bench, ledger, request)
            world = await bench.world()
            assert sorted((one.kind, one.name) for one in world) == sorted((c.kind, c.name) for c in plan.changes)
            assert keys(world) == sorted((row.kind, row.name, row.id) for row in await ledger.rows())
            await bench.plugin().destroy(work=ledger)
            assert await bench.world() == []

    async def test_a_destroy_after_a_death_at_any_create_leaves_nothing(self, bench: CloudBench) -> None:
        request = cluster_request(bench)
        for number in await moments(bench, request):
            ledger = DyingLedger(bench, crash_before=number)
            with pytest.raises(Crash):
                await applied(bench, ledger, request)
            assert bench.goes_on or len(await bench.world()) == number
            ledger.live_again()
            await bench.plugin().destroy(work=ledger)
            assert (await bench.world(), await ledger.rows()) == ([], [])

    async def test_a_lost_reply_is_temporary_and_the_next_try_finds_what_was_made(self, bench: CloudBench) -> None:
        if not await bench.arm("lost_reply"):
            pytest.skip("this bench cannot lose a reply")
        ledger, request = DyingLedger(bench), cluster_request(bench)
        with pytest.raises(Temporary):
            await applied(bench, ledger, request)
        await applied(bench, ledger, request)
        assert keys(await bench.world()) == sorted((row.kind, row.name, row.id) for row in await ledger.rows())

    @pytest.mark.parametrize("fault", sorted(CLASSES))
    async def test_faults_of_the_cloud_leave_as_their_class(self, bench: CloudBench, fault: str) -> None:
        if not await bench.arm(fault):
            pytest.skip(f"this bench cannot make {fault}")
        kind, reason = CLASSES[fault]
        with pytest.raises(kind) as failure:
            await applied(bench, DyingLedger(bench), cluster_request(bench))
        assert type(failure.value) is kind
        assert getattr(failure.value, "reason", "") == reason
        assert reason in {*REASONS, ""}
        assert failure.value.provider
        assert failure.value.provider_code

    async def test_a_strangers_resource_of_the_same_name_is_reported_and_never_touched(self, bench: CloudBench) -> None:
        request = cluster_request(bench)
        plugin, ledger = bench.plugin(), DyingLedger(bench)
        wished = (await plugin.plan(request=request, work=ledger)).changes
        for change in (wished[0], wished[-1]):
            await bench.plant(kind=change.kind, name=change.name, region=request.region, labels={"owner": "somebody"})
        planted = await bench.world()
        plan = await plugin.plan(request=request, work=ledger)
        assert [finding.code for finding in plan.findings] == ["name.foreign_resource"] * 2
        assert not plan.is_applicable
        with pytest.raises(Permanent) as failure:
            await plugin.apply(plan=plan, work=ledger)
        assert failure.value.reason == "CONFLICT"
        await plugin.destroy(work=ledger)
        assert keys(await bench.world()) == keys(planted)

    async def test_discover_finds_all_of_ours_and_nothing_else(self, bench: CloudBench) -> None:
        one, two = cluster_request(bench), cluster_request(bench, "suite-two")
        await applied(bench, DyingLedger(bench), one)
        await applied(bench, DyingLedger(bench), replace(two, node_cidr="10.1.0.0/16", subnet_cidr="10.1.1.0/24"))
        mine = await bench.plant(kind="volume", name="pvc-of-one", region=bench.region, labels=one.labels)
        await bench.plant(kind="volume", name="a-strangers", region=bench.region, labels={"owner": "somebody"})
        found = await bench.plugin().discover(labels=one.labels, credential=bench.credential)
        assert keys(found) == keys([w for w in await bench.world() if owned(one.labels, w.labels)])
        assert mine in {resource.id for resource in found}
        assert await bench.plugin().discover(labels={}, credential=bench.credential) == []

    async def test_destroy_leaves_nothing_of_ours_and_all_of_others(self, bench: CloudBench) -> None:
        ledger, request = DyingLedger(bench), cluster_request(bench)
        await bench.plant(kind="volume", name="a-strangers", region=bench.region, labels={"owner": "somebody"})
        before = keys(await bench.world())
        await applied(bench, ledger, request)
        await bench.plugin().destroy(work=ledger)
        assert (keys(await bench.world()), await ledger.rows()) == (before, [])
        await bench.plugin().destroy(work=ledger)
        assert keys(await bench.world()) == before

    async def test_destroy_keeps_what_is_to_be_kept(self, bench: CloudBench) -> None:
        ledger, request = DyingLedger(bench), cluster_request(bench)
        await applied(bench, ledger, request)
        kept = (await ledger.rows())[0]
        await bench.plugin().destroy(work=ledger, keep=[kept.id])
        assert [(one.kind, one.id) for one in await bench.world()] == [(kept.kind, kept.id)]
        assert [row.id for row in await ledger.rows()] == [kept.id]

    async def test_asked_to_stop_it_ends_between_two_resources(self, bench: CloudBench) -> None:
        ledger, request = DyingLedger(bench, stop_after=2), cluster_request(bench)
        with pytest.raises(Temporary):
            await applied(bench, ledger, request)
        made = [(row.kind, row.name, row.id) for row in await ledger.rows() if row.id]
        assert set(keys(await bench.world())) <= set(made)
        assert bench.goes_on or len(await bench.world()) == len(made) == 2
        ledger.live_again()
        await applied(bench, ledger, request)
        assert (await bench.plugin().plan(request=request, work=ledger)).is_empty

    async def test_a_cancelled_apply_leaves_no_twin(self, bench: CloudBench) -> None:
        ledger, request = DyingLedger(bench), cluster_request(bench)
        for _ in range(3):
            running = asyncio.create_task(applied(bench, ledger, request))
            await asyncio.wait([running], timeout=0.02)
            running.cancel()
            await asyncio.gather(running, return_exceptions=True)
        await applied(bench, ledger, request)
        assert keys(await bench.world()) == sorted((row.kind, row.name, row.id) for row in await ledger.rows())

    async def test_preflight_has_no_error_for_a_small_cluster_and_one_for_a_wrong_size(self, bench: CloudBench) -> None:
        plugin, request = bench.plugin(), cluster_request(bench)
        assert await plugin.preflight(request=request, credential=bench.credential) == []
        wrong = replace(request, control_plane=NodePool("cp", "no-such-size", 1), pod_cidr=request.node_cidr)
        found = await plugin.preflight(request=wrong, credential=bench.credential)
        assert {finding.path for finding in found} >= {"control_plane.size", "pod_cidr"}

    async def test_no_secret_is_told(self, bench: CloudBench, caplog: pytest.LogCaptureFixture) -> None:
        caplog.set_level(logging.DEBUG)
        ledger, request = DyingLedger(bench), cluster_request(bench)
        plan = await applied(bench, ledger, request)
        told = [repr(plan), repr(ledger.events), repr(await bench.world()), caplog.text, repr(bench.plugin().__dict__)]
        await bench.arm("capacity")
        with pytest.raises(PluginFailure) as failure:
            await applied(bench, ledger, cluster_request(bench, "suite-two"))
        told += [repr(failure.value), repr(vars(failure.value)), caplog.text]
        assert not [text for text in told if bench.canary in text or ENROLMENT_CANARY in text]

    async def test_all_that_crosses_is_plain(self, bench: CloudBench) -> None:
        ledger, request = DyingLedger(bench), cluster_request(bench)
        plugin = bench.plugin()
        plan = await plugin.plan(request=request, work=ledger)
        facts = await plugin.apply(plan=plan, work=ledger)
        assert len(plain(plan)["changes"]) == len(plan.changes)
        assert plain(facts)["servers"]
        for offer in await plugin.offers(query=OfferQuery(), credential=bench.credential):
            assert plain(offer)

    async def test_the_loop_is_not_held(self, bench: CloudBench) -> None:
        lags = []
        for _ in range(5):  # a busy machine may hold it once; a plugin that blocks holds it each time
            ledger = DyingLedger(bench)
            async with longest_lag() as lag:
                await applied(bench, ledger, cluster_request(bench))
                await bench.plugin().destroy(work=ledger)
            lags.append(lag[0])
            if lag[0] < BLOCKED:
                break
        assert min(lags) < BLOCKED, f"the loop was held for {lags} s"


@asynccontextmanager
async def longest_lag() -> AsyncIterator[list[float]]:
    """The longest time in seconds for which the loop did not run during the block."""
    longest, loop = [0.0], asyncio.get_running_loop()

    async def watch() -> None:
        while True:
            before = loop.time()
            await asyncio.sleep(0.005)
            longest[0] = max(longest[0], loop.time() - before - 0.005)

    watching = asyncio.create_task(watch())
    try:
        yield longest
    finally:
        watching.cancel()
