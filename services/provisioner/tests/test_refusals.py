"""What is refused, precisely, and without any effect."""

import asyncio
from typing import Any

import grpc
import pytest
from catalyst.catalog.v1 import resources_pb2 as catalog
from catalyst.provisioner.v1 import resources_pb2 as pb
from catalyst.provisioner.v1 import service_pb2 as rpc
from catalyst.provisioner.v1 import service_pb2_grpc as stubs
from catalyst_cloud_sandbox.account import Account
from catalyst_mesh import explain
from catalyst_provisioner.clouds import CloudPlugins
from catalyst_provisioner.store import metadata
from catalyst_sdk.cloud import LedgerRow
from catalyst_testkit.daemons import reason_of
from sqlalchemy import update

from .conftest import NAME, Bench, Start, spec, wish
from .peers import MANDATORY

pytestmark = pytest.mark.either_database

ORDER = "billingAccounts/omantel/orders/o-1"


async def wrong_fields(call: Any) -> set[str]:
    """Paths of everything that was wrong."""
    with pytest.raises(grpc.aio.AioRpcError) as refused:
        await call
    return {violation.field for violation in explain(refused.value).violations}


async def test_everything_wrong_in_a_spec_is_told_at_once(bench: Bench) -> None:
    cluster = {**spec()["clusters"][0], "region": "nowhere"}
    organization = {"slug": "admin", "admin_email": "ops@omantel.example"}
    found = await wrong_fields(bench.create(clusters=[cluster], organization=organization, placement="active-active"))
    assert found == {"spec.organization.slug", "spec.clusters[0].region", "spec.placement"}
    assert await reason_of(bench.get()) == "SOVEREIGN_NOT_FOUND"


async def test_a_label_with_a_capital_is_refused_by_the_contract(bench: Bench) -> None:
    found = await wrong_fields(bench.create(domain={"mode": "pool", "pool": "omani.works", "label": "Omantel"}))
    assert found == {"sovereign.spec.domain.label"}


async def test_a_name_of_one_s_own_lies_in_no_pool(bench: Bench) -> None:
    domain = {"mode": "byo-manual", "fqdn": "bank.omani.works"}
    assert await wrong_fields(bench.create(domain=domain)) == {"spec.domain.fqdn"}
    domain = {"mode": "pool", "pool": "elsewhere.example", "label": "omantel"}
    assert await wrong_fields(bench.create(domain=domain)) == {"spec.domain.pool"}


async def test_every_unknown_component_is_named(bench: Bench) -> None:
    components = {"include": ["bp-nothing", "bp-grafana", "bp-nowhere"]}
    found = await wrong_fields(bench.create(components=components))
    assert found == {"spec.components.include[0]", "spec.components.include[2]"}


async def test_a_mandatory_component_cannot_be_left_out(bench: Bench) -> None:
    assert await wrong_fields(bench.create(components={"exclude": ["bp-cilium"]})) == {"spec.components.exclude[0]"}


async def test_a_dry_run_writes_nothing(bench: Bench) -> None:
    request = wish()
    request.validate_only = True
    assert (await bench.sovereigns.CreateSovereign(request)).name == NAME
    assert await reason_of(bench.get()) == "SOVEREIGN_NOT_FOUND"


async def test_what_a_topology_means_can_be_wished_cluster_by_cluster(bench: Bench) -> None:
    """The console's wizard does so where one cluster has other servers than the rest."""
    same = {key: value for key, value in spec()["clusters"][0].items() if key in ("control_plane", "worker_pools")}
    defaults = {**same, "provider": "sandbox", "env_type": "dev"}
    short = wish(clusters=[], topology="solo", regions=["east"], cluster_defaults=defaults)
    short.validate_only = True
    meant = (await bench.sovereigns.CreateSovereign(short)).spec
    meant.clusters[0].control_plane.size = "sb16"
    made = await bench.sovereigns.CreateSovereign(
        rpc.CreateSovereignRequest(sovereign=pb.Sovereign(name=NAME, spec=meant))
    )
    (cluster,) = made.spec.clusters
    assert (cluster.control_plane.size, cluster.worker_pools[0].size) == ("sb16", "sb4")


async def test_a_name_and_a_full_name_are_taken_once(bench: Bench) -> None:
    await bench.create()
    assert await reason_of(bench.create()) == "NAME_TAKEN"
    assert await reason_of(bench.sovereigns.CreateSovereign(wish("sovereigns/other"))) == "FQDN_TAKEN"


async def test_only_administrators_create_and_strangers_see_nothing(bench: Bench) -> None:
    await bench.create()
    member: Any = bench.daemon.member(stubs.SovereignServiceStub, "omantel", "org-viewer")
    stranger: Any = bench.daemon.member(stubs.SovereignServiceStub, "other", "org-admin")
    assert await reason_of(member.CreateSovereign(wish("sovereigns/mine"))) == "CALL_DENIED"
    assert (await member.GetSovereign(rpc.GetSovereignRequest(name=NAME))).name == NAME
    assert await reason_of(stranger.GetSovereign(rpc.GetSovereignRequest(name=NAME))) == "SOVEREIGN_NOT_FOUND"
    assert len((await member.ListSovereigns(rpc.ListSovereignsRequest())).sovereigns) == 1
    assert not (await stranger.ListSovereigns(rpc.ListSovereignsRequest())).sovereigns
    nobody: Any = bench.daemon.stub(stubs.SovereignServiceStub, token="")
    assert await reason_of(nobody.GetSovereign(rpc.GetSovereignRequest(name=NAME))) == "TOKEN_REJECTED"


async def test_a_plan_is_applied_by_its_own_hash_once_and_only_while_it_fits(bench: Bench) -> None:
    await bench.create()
    plan, other = await bench.plan(), await bench.plan()
    assert plan.hash == other.hash, "the same inputs give the same hash"
    wrong = rpc.ApplyPlanRequest(name=plan.name, hash="0" * 64)
    assert await reason_of(bench.plans.ApplyPlan(wrong)) == "PLAN_HASH_MISMATCH"
    await bench.apply(plan)
    assert await reason_of(bench.apply(plan)) == "PLAN_STALE"
    assert await reason_of(bench.apply(other)) == "RUN_IN_PROGRESS"


async def moved(bench: Bench, plan: Any) -> str:
    """What a plan is stale by."""
    with pytest.raises(grpc.aio.AioRpcError) as refused:
        await bench.apply(plan)
    said = explain(refused.value)
    assert said.reason == "PLAN_STALE"
    return str(said.metadata["changed"])


async def test_whatever_a_plan_was_made_from_makes_it_stale_alone_and_is_named(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = await bench.create()
    plan = await bench.plan()
    bench.world.catalog.version = "1.1.0"
    assert await moved(bench, plan) == "lock_digest"
    bench.world.catalog.version = "1.0.0"
    with monkeypatch.context() as patch:
        patch.setattr(CloudPlugins, "versions", lambda *_: {"cloud_provider:sandbox": "another"})
        assert await moved(bench, plan) == "versions"
    with monkeypatch.context() as patch:
        patch.setattr(CloudPlugins, "module_digests", lambda *_: {"sandbox": "sha256:another"})
        assert await moved(bench, plan) == "module_digests"

    async def written(tx: Any) -> None:
        row = LedgerRow("volume", "of-somebody", "east", {}, "")
        await tx.intend("omantel", "sb-east-mgt-dev", row, provider="sandbox", credential="credentials/x", run="")

    work: Any = bench.daemon.daemon.work
    await work.again(written)
    assert await moved(bench, plan) == "ledger_revision"
    plan = await bench.plan()
    change = pb.Sovereign(name=NAME, spec=pb.SovereignSpec(auto_destroy=True))
    etag = (await bench.get()).etag
    changed = await bench.sovereigns.UpdateSovereign(rpc.UpdateSovereignRequest(sovereign=change, etag=etag))
    assert changed.generation == made.generation + 1
    assert await moved(bench, plan) == "generation"
    plan = await bench.plan()

    async def aged(tx: Any) -> None:
        rows = metadata.tables["plan"]
        await tx.sql.execute(update(rows).where(rows.c.id == plan.name.rpartition("/")[2]).values(expires_at=tx.now))

    await work.again(aged)
    assert await moved(bench, plan) == "expired"


async def test_a_strangers_resource_of_a_name_that_is_needed_stands_in_the_way_and_is_left_alone(bench: Bench) -> None:
    await bench.create()
    wanted = next(c for c in (await bench.plan()).changes if c.kind == "network")
    account = Account(bench.home / "sandbox", "catalyst", {})
    stranger = await asyncio.to_thread(
        account.create,
        kind="network",
        name=wanted.name,
        region="east",
        labels={"team": "another"},
        spec={"cidr": "10.0.0.0/8"},
    )  # fmt: skip - one resource
    plan = await bench.plan()
    assert (plan.applicable, [f.code for f in plan.findings]) == (False, ["name.foreign_resource"])
    assert await reason_of(bench.apply(plan)) == "PLAN_NOT_APPLICABLE"
    gone = await bench.ended(await bench.apply(await bench.plan("DESTROY")))
    assert gone.state == pb.Run.STATE_SUCCEEDED, gone.error
    (left,) = bench.cloud()
    assert (left["id"], left["labels"]["team"]) == (stranger.id, "another")


async def test_a_catalog_that_is_away_is_said_so(bench: Bench) -> None:
    await bench.create()
    bench.world.catalog.away = True
    assert await reason_of(bench.plan()) == "CATALOG_UNAVAILABLE"


async def test_a_taken_name_is_a_finding_and_the_plan_cannot_be_applied(bench: Bench) -> None:
    await bench.create()
    bench.world.names.put("pools/omani.works/allocations/omantel")
    plan = await bench.plan()
    assert [f.code for f in plan.findings] == ["name.taken"]
    assert not plan.applicable
    assert await reason_of(bench.apply(plan)) == "PLAN_NOT_APPLICABLE"


async def test_a_cluster_that_is_too_small_is_an_error_with_its_figures(bench: Bench) -> None:
    cluster = {**spec()["clusters"][0], "control_plane": {"size": "sb2", "count": 1}, "worker_pools": []}
    await bench.create(clusters=[cluster])
    plan = await bench.plan()
    figures = {f.code: sorted(f.metadata.values(), key=float) for f in plan.findings if f.metadata}
    assert figures == {
        "sizing.memory": ["8.0", "20.1"], "sizing.cpu": ["2.0", "4.0"], "sizing.storage": ["40.0", "100.0"]
    }  # fmt: skip
    assert [f.code for f in plan.findings][3:] == ["control_plane.schedulable"]
    assert {f.cluster for f in plan.findings} == {"sb-east-mgt-dev"}
    tells = bench.world.catalog.tells
    for name in MANDATORY:
        tells[name] = {"requests": catalog.Resources(cpu_milli=400, ram_mb=1024, disk_gb=5)}
    tells["bp-grafana"] = {"requests": catalog.Resources(cpu_milli=300, ram_mb=256, disk_gb=0)}
    warned = await bench.plan()
    assert [(f.code, f.metadata["there_vcpu"], f.metadata["needed_vcpu"]) for f in warned.findings[:1]] == [
        ("sizing.cpu", "2.0", "2.1")
    ], "what components ask for counts, and nothing but that where all of them tell"
    assert [f.code for f in warned.findings[1:]] == ["control_plane.schedulable"]


async def test_a_hidden_dependency_is_found_in_the_plan(bench: Bench) -> None:
    kind = "postgresql.cnpg.io/Cluster"
    bench.world.catalog.tells["bp-cert-manager"] = {"required_kinds": [kind]}
    await bench.create()
    nobody = next(f for f in (await bench.plan()).findings if f.code == "component.hidden_dependency")
    assert (nobody.severity, nobody.metadata["kind"]) == (pb.Finding.SEVERITY_ERROR, kind)
    bench.world.catalog.tells["bp-grafana"] = {"provides": [kind]}
    later = await bench.plan()
    assert [(f.code, f.metadata["providers"]) for f in later.findings] == [
        ("component.hidden_dependency", "bp-grafana")
    ]
    assert later.applicable, "it may come up, and somebody was told"
    bench.world.catalog.tells["bp-cilium"] = {"provides": [kind]}
    assert not (await bench.plan()).findings, "what it needs provides the kind"


async def test_a_size_that_is_not_sold_is_an_error_at_its_path(bench: Bench) -> None:
    await bench.create(clusters=[{**spec()["clusters"][0], "control_plane": {"size": "cpx42", "count": 1}}])
    plan = await bench.plan()
    paths = {f.field for f in plan.findings if f.severity == pb.Finding.SEVERITY_ERROR}
    assert "spec.clusters[0].control_plane.size" in paths
    sizes = [f.alternatives for f in plan.findings if f.code == "capacity.size"]
    assert list(sizes[0]) == [f"providers/sandbox/regions/east/offers/{size}" for size in ("sb2", "sb4", "sb8", "sb16")]


@pytest.mark.parametrize("state", ["RESERVED", "REFUNDED", "CANCELLED"])
async def test_an_unpaid_order_starts_nothing(start: Start, state: str) -> None:
    async with start(require_paid_order=True) as bench:
        await bench.create()
        plan = await bench.plan()
        bench.world.orders.put(ORDER, NAME, state)
        assert await reason_of(bench.apply(plan)) == "ORDER_UNPAID", "no order at all"
        assert await reason_of(bench.apply(plan, order=ORDER)) == "ORDER_UNPAID"
        assert await reason_of(bench.apply(plan, order=ORDER + "0")) == "ORDER_NOT_FOUND"
        assert bench.world.names.reserved == 0
        bench.world.orders.put(ORDER, "sovereigns/other", "PAID")
        assert await reason_of(bench.apply(plan, order=ORDER)) == "ORDER_UNPAID", "another's order"
        bench.world.orders.put(ORDER, NAME, "PAID")
        assert (await bench.run_of(await bench.apply(plan, order=ORDER))).order == ORDER


async def test_an_etag_guards_updates_and_deletes(bench: Bench) -> None:
    made = await bench.create()
    change = pb.Sovereign(name=NAME, spec=pb.SovereignSpec(auto_destroy=True))
    stale = rpc.UpdateSovereignRequest(sovereign=change, etag='"old"')
    assert await reason_of(bench.sovereigns.UpdateSovereign(stale)) == "ETAG_MISMATCH"
    updated = await bench.sovereigns.UpdateSovereign(rpc.UpdateSovereignRequest(sovereign=change, etag=made.etag))
    assert (updated.generation, updated.spec.auto_destroy) == (2, True)
    assert await reason_of(bench.sovereigns.DeleteSovereign(rpc.DeleteSovereignRequest(name=NAME, etag=made.etag))) == (
        "ETAG_MISMATCH"
    )
    await bench.sovereigns.DeleteSovereign(rpc.DeleteSovereignRequest(name=NAME, etag=updated.etag))
    assert await reason_of(bench.get()) == "SOVEREIGN_NOT_FOUND"


async def test_what_can_never_change_does_not(bench: Bench) -> None:
    made = await bench.create()
    domain = pb.Domain(mode="pool", pool="omani.works", label="another")
    change = pb.Sovereign(name=NAME, spec=pb.SovereignSpec(domain=domain))
    request = rpc.UpdateSovereignRequest(sovereign=change, etag=made.etag)
    assert await wrong_fields(bench.sovereigns.UpdateSovereign(request)) == {"spec.domain"}


async def test_a_filter_that_is_not_served_is_refused_and_never_ignored(bench: Bench) -> None:
    await bench.create()
    wanted = "size = 3"
    for call in (
        bench.sovereigns.ListSovereigns(rpc.ListSovereignsRequest(filter=wanted)),
        bench.plans.ListPlans(rpc.ListPlansRequest(parent=NAME, filter=wanted)),
        bench.runs.ListRuns(rpc.ListRunsRequest(parent=NAME, filter=wanted)),
        bench.infra.ListLedger(rpc.ListLedgerRequest(parent=NAME, filter=wanted)),
        bench.infra.ListComponents(rpc.ListComponentsRequest(parent=f"{NAME}/clusters/-", filter=wanted)),
    ):
        assert await reason_of(call) == "FILTER_INVALID"
    active = await bench.sovereigns.ListSovereigns(rpc.ListSovereignsRequest(filter="state = ACTIVE"))
    assert not active.sovereigns
    drafts = await bench.sovereigns.ListSovereigns(rpc.ListSovereignsRequest(filter="state = DRAFT AND fqdn != x"))
    assert [held.name for held in drafts.sovereigns] == [NAME]
    await bench.infra.ListLedger(rpc.ListLedgerRequest(parent=NAME, filter="state = GONE AND kind = server"))
