"""A good request for every method that writes, each about something that nobody else touches.

A test generated from the descriptors takes its request here; a method that is served and missing here fails the tests, so
the table cannot fall behind the contracts.
"""

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

from catalyst.billing.v1 import service_pb2 as billing
from catalyst.catalog.v1 import service_pb2 as catalog
from catalyst.continuum.v1 import service_pb2 as continuum
from catalyst.continuum.v1.resources_pb2 import RUN_KIND_SWITCHOVER
from catalyst.pooldomain.v1 import service_pb2 as pdm
from catalyst.provisioner.v1 import service_pb2 as provisioner
from catalyst_billing.app import house_of
from catalyst_billing.domain import renewals
from catalyst_catalog.domain.changes import Change
from catalyst_catalog.domain.changes import Kind as ChangeKind
from catalyst_catalog.domain.manifest_parts import Visibility
from catalyst_catalog.domain.moderation import Moderated
from catalyst_catalog.domain.sources import Blueprint
from catalyst_catalog.domain.universe import State as VersionState
from catalyst_catalog.domain.versions import Version
from catalyst_continuum.domain.approvals import Need
from catalyst_continuum.domain.runs import Kind as Move
from catalyst_continuum.domain.runs import Run, RunState
from catalyst_continuum.domain.slots import Phase, Slot
from catalyst_pool_domain_manager.domain import delegations
from catalyst_pool_domain_manager.domain.delegations import Snapshot
from catalyst_pool_domain_manager.domain.drifts import Drift, Kind, Sight, State
from catalyst_pool_domain_manager.domain.imports import Completeness, ZoneImport
from catalyst_pool_domain_manager.domain.record_sets import Wish as Wished
from catalyst_sdk.dns import RecordSet
from catalyst_sdk.registrar import Target
from google.protobuf import field_mask_pb2
from google.protobuf.message import Message

from services.catalog.tests.makers import document

from .mesh import Mesh

POOL = "pools/omani.works"
_BILLING, _CATALOG = "catalyst.billing.v1", "catalyst.catalog.v1"
_CONTINUUM = "catalyst.continuum.v1"
_PDM, _PROVISIONER = "catalyst.pooldomain.v1", "catalyst.provisioner.v1"
Wish = Callable[[Mesh], Awaitable[Any]]
DAEMON = {"service": "provisioner"}


async def account(m: Mesh) -> str:
    """A fresh account with credit enough for everything."""
    org, code = m.fresh(), (await voucher(m, active=True)).code
    wish = billing.RedeemVoucherRequest(parent=f"billingAccounts/{org}", code=code)
    await m.call(f"{_BILLING}.VoucherService/RedeemVoucher", wish)
    return f"billingAccounts/{org}"


async def voucher(m: Mesh, *, active: bool) -> Any:
    wish = billing.CreateVoucherRequest(activate=active)
    wish.voucher.code = f"CODE-{m.fresh()}".upper()
    wish.voucher.amount.minor, wish.voucher.amount.currency = 500_000, "OMR"
    wish.voucher.max_per_org = 10
    return await m.call(f"{_BILLING}.VoucherService/CreateVoucher", wish)


async def a_voucher(m: Mesh) -> Any:
    wish = billing.CreateVoucherRequest(activate=True)
    wish.voucher.code = f"CODE-{m.fresh()}".upper()
    wish.voucher.amount.minor, wish.voucher.amount.currency = 1_000, "OMR"
    return wish


async def redeem(m: Mesh) -> Any:
    code = (await voucher(m, active=True)).code
    return billing.RedeemVoucherRequest(parent=f"billingAccounts/{m.fresh()}", code=code)


def quote(parent: str) -> Any:
    wish = billing.CreateQuoteRequest(parent=parent)
    wish.selection.plan = "m"
    return wish


async def a_quote(m: Mesh) -> Any:
    return quote(await account(m))


async def an_order(m: Mesh, parent: str = "") -> Any:
    parent = parent or await account(m)
    made: Any = await m.call(f"{_BILLING}.QuoteService/CreateQuote", quote(parent))
    return billing.CreateOrderRequest(parent=parent, quote=made.name, quote_hash=made.hash)


async def order(m: Mesh, parent: str = "") -> Any:
    return await m.call(f"{_BILLING}.OrderService/CreateOrder", await an_order(m, parent))


async def a_card_order(m: Mesh) -> Any:
    """An order of an account without credit, which waits for its card."""
    return await order(m, f"billingAccounts/{m.fresh()}")


async def reserved(m: Mesh, owner: str = "organizations/acme") -> Any:
    return await m.call(f"{_PDM}.AllocationService/ReserveAllocation", await a_reservation(m, owner))


async def a_reservation(m: Mesh, owner: str = "organizations/acme") -> Any:
    return pdm.ReserveAllocationRequest(parent=POOL, label=m.fresh(), owner=owner)


async def renewal(m: Mesh) -> Any:
    held = await reserved(m)
    return pdm.RenewAllocationRequest(name=held.allocation.name, reservation_token=held.reservation_token)


async def commit(m: Mesh, owner: str = "organizations/acme") -> Any:
    held = await reserved(m, owner)
    wish = pdm.CommitAllocationRequest(name=held.allocation.name, reservation_token=held.reservation_token)
    wish.targets.add(slot="default", address="127.7.0.1")
    return wish


async def committed(m: Mesh, owner: str = "organizations/acme") -> Any:
    return await m.call(f"{_PDM}.AllocationService/CommitAllocation", await commit(m, owner))


async def retarget(m: Mesh) -> Any:
    held = await committed(m)
    wish = pdm.UpdateAllocationRequest(update_mask={"paths": ["targets"]}, etag=held.etag)
    wish.allocation.name = held.name
    wish.allocation.targets.add(slot="default", address="127.7.0.2")
    return wish


async def steered(m: Mesh) -> Any:
    """What continuum may do too: its addresses stay."""
    held = await committed(m)
    wish = pdm.UpdateAllocationRequest(update_mask={"paths": ["traffic"]}, etag=held.etag)
    wish.allocation.name = held.name
    return wish


async def hurry(m: Mesh) -> Any:
    held = await committed(m)
    return pdm.ReconcileAllocationRequest(name=held.name, etag=held.etag)


async def release(m: Mesh) -> Any:
    held = await committed(m)
    return pdm.ReleaseAllocationRequest(name=held.name, reason="not needed", etag=held.etag)


async def a_pool(m: Mesh) -> Any:
    return pool(f"{m.fresh()}.example")


def pool(domain: str) -> Any:
    wish = pdm.CreatePoolRequest(pool_id=domain)
    wish.pool.zone, wish.pool.allow_private_targets = f"zones/{domain}", True
    wish.pool.policy.max_reservations_per_owner, wish.pool.policy.max_names_per_owner = 1000, 1000
    wish.pool.policy.reservations_per_minute = 10_000
    wish.pool.kinds.append(1)
    return wish


async def force_release(m: Mesh) -> Any:
    """Of a name that is going already, which takes neither 720 hours nor a look at the world."""
    held = await m.call(f"{_PDM}.AllocationService/ReleaseAllocation", await release(m))
    return pdm.ForceReleaseAllocationRequest(
        name=held.name, reason="abandoned", confirm_fqdn=held.fqdn, grace_confirmed=True
    )


async def offer(m: Mesh, giver: str = "organizations/acme", taker: str = "organizations/taker") -> Any:
    held = await committed(m, giver)
    return pdm.TransferAllocationRequest(name=held.name, new_owner=taker, reason="sold", etag=held.etag)


async def acceptance(m: Mesh, giver: str = "organizations/acme", taker: str = "organizations/taker") -> Any:
    wish = await offer(m, giver, taker)
    made = await m.call(f"{_PDM}.AllocationService/TransferAllocation", wish)
    return pdm.AcceptAllocationTransferRequest(name=wish.name, code=made.code)


async def changed_pool(m: Mesh) -> Any:
    made = await m.call(f"{_PDM}.PoolService/CreatePool", await a_pool(m))
    wish = pdm.UpdatePoolRequest(update_mask={"paths": ["quarantine"]}, etag=made.etag)
    wish.pool.name = made.name
    wish.pool.quarantine.FromSeconds(7200)
    return wish


async def removed_pool(m: Mesh) -> Any:
    made = await m.call(f"{_PDM}.PoolService/CreatePool", await a_pool(m))
    return pdm.DeletePoolRequest(name=made.name, etag=made.etag)


async def a_sovereign(m: Mesh) -> Any:
    label = m.fresh()
    wish = provisioner.CreateSovereignRequest()
    wish.sovereign.name = f"sovereigns/{label}"
    spec = wish.sovereign.spec
    spec.organization.slug, spec.organization.admin_email = "acme", "ops@acme.example"
    spec.domain.mode, spec.domain.pool, spec.domain.label = "pool", "omani.works", label
    cluster = spec.clusters.add(provider="sandbox", region="east", building_block="mgt", env_type="prod")
    cluster.hosts.extend(["mgt", "rtz", "dmz"])
    cluster.credential.name = "credentials/sandbox-simulated"
    cluster.control_plane.size, cluster.control_plane.count = "sb8", 1
    for name in ("general", "data"):
        cluster.worker_pools.add(name=name, size="sb4", count=1)
    return wish


async def sovereign(m: Mesh) -> Any:
    return await m.call(f"{_PROVISIONER}.SovereignService/CreateSovereign", await a_sovereign(m))


async def changed(m: Mesh) -> Any:
    held = await sovereign(m)
    wish = provisioner.UpdateSovereignRequest(update_mask={"paths": ["spec.organization"]}, etag=held.etag)
    wish.sovereign.name = held.name
    wish.sovereign.spec.organization.CopyFrom(held.spec.organization)
    wish.sovereign.spec.organization.display_name = "Acme"
    return wish


async def deletion(m: Mesh) -> Any:
    held = await sovereign(m)
    return provisioner.DeleteSovereignRequest(name=held.name, etag=held.etag)


async def a_plan(m: Mesh) -> Any:
    return provisioner.CreatePlanRequest(parent=(await sovereign(m)).name, intent=1)


async def application(m: Mesh) -> Any:
    plan: Any = await m.call(f"{_PROVISIONER}.PlanService/CreatePlan", await a_plan(m))
    assert plan.applicable, list(plan.findings)
    return provisioner.ApplyPlanRequest(name=plan.name, hash=plan.hash)


async def run(m: Mesh) -> Any:
    wish = await application(m)
    await m.call(f"{_PROVISIONER}.PlanService/ApplyPlan", wish)
    parent = provisioner.ListRunsRequest(parent=wish.name.partition("/plans/")[0])
    listed: Any = await m.call(f"{_PROVISIONER}.RunService/ListRuns", parent)
    return listed.runs[0]


async def pause(m: Mesh) -> Any:
    held = await run(m)
    return provisioner.PauseRunRequest(name=held.name, etag=held.etag, reason="look")


async def resumption(m: Mesh) -> Any:
    held: Any = await m.call(f"{_PROVISIONER}.RunService/PauseRun", await pause(m))
    return provisioner.ResumeRunRequest(name=held.name, etag=held.etag)


async def cancellation(m: Mesh) -> Any:
    held = await run(m)
    return provisioner.CancelRunRequest(name=held.name, etag=held.etag, mode=1)


async def a_credential(m: Mesh) -> Any:
    wish = provisioner.CreateCredentialRequest(values={"token": f"sbt_acme_{'a1' * 16}"})
    wish.credential.name, wish.credential.kind = f"credentials/{m.fresh()}", "cloud_provider"
    wish.credential.provider = "sandbox"
    return wish


async def kept_credential(m: Mesh) -> Any:
    return await m.call(f"{_PROVISIONER}.CredentialService/CreateCredential", await a_credential(m))


async def turned_credential(m: Mesh) -> Any:
    held = await kept_credential(m)
    return provisioner.AddCredentialVersionRequest(
        name=held.name, etag=held.etag, values={"token": f"sbt_acme_{'b2' * 16}"}
    )


async def checked_credential(m: Mesh) -> Any:
    return provisioner.CheckCredentialRequest(name=(await kept_credential(m)).name)


async def gone_credential(m: Mesh) -> Any:
    held = await kept_credential(m)
    return provisioner.DeleteCredentialRequest(name=held.name, etag=held.etag)


async def ensured(m: Mesh) -> Any:
    return billing.EnsureAccountRequest(org=f"organizations/{m.fresh()}")


async def proof(_: Mesh) -> Any:
    return billing.ProveLedgerRequest()


async def verification(m: Mesh) -> Any:
    """Of cells that do not answer, which is a report as well."""
    work: Any = m.daemons["continuum"].daemon.work
    name = m.fresh()

    async def step(tx: Any) -> None:
        await tx.save(Slot("other", name, "east", Phase.PENDING, since=tx.now, created_at=tx.now))

    await work.again(step)
    return continuum.VerifyWitnessRequest(name=f"namespaces/other/continuums/{name}")


async def a_slot(m: Mesh, namespace: str = "acme") -> Any:
    """A wish for a slot without standby; its cells do not answer here."""
    wish = continuum.CreateContinuumRequest(parent=f"namespaces/{namespace}", continuum_id=m.fresh())
    wish.continuum.spec.primary_region, wish.continuum.spec.lease_client.kind = "sb-east-rtz-dev", 1
    wish.continuum.spec.suspend = True
    return wish


async def slot(m: Mesh) -> Any:
    return await m.call(f"{_CONTINUUM}.ContinuumService/CreateContinuum", await a_slot(m))


async def planned_run(m: Mesh) -> Any:
    """Of a slot with a standby, without which no run leads anywhere."""
    wish, (east, west) = await a_slot(m), ("sb-east-rtz-dev", "sb-west-rtz-dev")
    spec = wish.continuum.spec
    spec.hot_standby_regions.append(west)
    for region in (east, west):
        spec.regions.add(name=region, agent_endpoint="127.0.0.1:1")
    spec.application_ref.name, spec.switchover.mechanism = "shop", spec.switchover.MECHANISM_STATELESS
    held = await m.call(f"{_CONTINUUM}.ContinuumService/CreateContinuum", wish)
    return continuum.PlanRunRequest(name=held.name, kind=RUN_KIND_SWITCHOVER)


APPROVERS = ("role:org-admin", "role:security-officer", "role:sovereign-admin")


async def waiting_run(m: Mesh) -> Run:
    """One that waits for an approval; agents begin runs, and none is here."""
    work: Any = m.daemons["continuum"].daemon.work
    key = "/".join((await slot(m)).name.split("/")[1::2])
    run = Run(
        m.fresh(), key, Move.SWITCHOVER, "sb-east-rtz-dev", "sb-west-rtz-dev", 1, 1, RunState.AWAITING_APPROVAL,
        initiated_by="ada", plan_fingerprint="0" * 16, need=Need(1, APPROVERS, False, datetime(2200, 1, 1, tzinfo=UTC)),
    )  # fmt: skip

    async def step(tx: Any) -> None:
        await tx.put_run(run)

    await work.again(step)
    return run


async def approved_run(m: Mesh) -> Any:
    run = await waiting_run(m)
    return continuum.ApproveRunRequest(name=run.name, plan_fingerprint=run.plan_fingerprint, etag=run.etag)


async def aborted_run(m: Mesh) -> Any:
    run = await waiting_run(m)
    return continuum.AbortRunRequest(name=run.name, etag=run.etag)


async def changed_slot(m: Mesh) -> Any:
    held = await slot(m)
    wish = continuum.UpdateContinuumRequest(etag=held.etag)
    wish.continuum.name, wish.continuum.spec.rto.seconds = held.name, 120
    return wish


async def gone_slot(m: Mesh) -> Any:
    held = await slot(m)
    return continuum.DeleteContinuumRequest(name=held.name, etag=held.etag)


async def suspended_slot(m: Mesh) -> Any:
    held = await slot(m)
    return continuum.SuspendRequest(name=held.name, etag=held.etag)


async def resumed_slot(m: Mesh) -> Any:
    held = await slot(m)
    return continuum.ResumeRequest(name=held.name, etag=held.etag)


async def acknowledged_slot(m: Mesh) -> Any:
    held = await slot(m)
    return continuum.AcknowledgeFailoverRequest(name=held.name, etag=held.etag)


async def sync(_: Mesh) -> Any:
    return catalog.SyncSourceRequest(name="sources/public")


async def a_source(m: Mesh, org: str = "acme") -> Any:
    """One that is switched off: nothing is read behind the back of a test."""
    wish = catalog.CreateSourceRequest(source_id=f"src-{m.fresh()}")
    wish.source.kind, wish.source.scope, wish.source.org = "directory", 3, f"organizations/{org}"
    wish.source.enabled = False
    wish.source.config.update({"folder": "/nowhere"})
    return wish


async def source(m: Mesh, org: str = "acme") -> Any:
    return await m.call(f"{_CATALOG}.SourceService/CreateSource", await a_source(m, org))


async def changed_source(m: Mesh, org: str = "acme") -> Any:
    held = await source(m, org)
    wish = catalog.UpdateSourceRequest(etag=held.etag, update_mask={"paths": ["priority"]})
    wish.source.name, wish.source.priority = held.name, 30
    return wish


async def gone_source(m: Mesh, org: str = "acme") -> Any:
    held = await source(m, org)
    return catalog.DeleteSourceRequest(name=held.name, etag=held.etag)


async def retried_issue(m: Mesh) -> Any:
    listed: Any = await m.call(
        f"{_CATALOG}.SourceService/ListIssues", catalog.ListIssuesRequest(parent="sources/org-acme")
    )
    return catalog.RetryIssueRequest(name=listed.issues[0].name)


MOVES = {
    "Yank": "VERIFIED",
    "Unyank": "YANKED",
    "Deprecate": "VERIFIED",
    "Quarantine": "VERIFIED",
    "Release": "QUARANTINED",
}
"""Moves of versions, each with a state that it leaves."""


def _moved_version(move: str) -> Wish:
    async def wish(m: Mesh) -> Any:
        """Of a Blueprint of its own, as a sync would leave it."""
        name, state = f"bp-{m.fresh()}", VersionState[MOVES[move]]
        checked = document(name)

        async def step(tx: Any) -> None:
            revision = await tx.revision()
            made = Version(
                name, "", "1.0.0", "sha256:1", "public", name, state, "", checked, (), (), tx.now, tx.now, 1
            )  # fmt: skip - one row
            named = Blueprint(name, "", "public", 0, "1.0.0", Visibility.LISTED, None, 1)
            changes = (
                Change(revision + 1, ChangeKind.VERSION, made.name, row=1, state=state.value),
                Change(revision + 2, ChangeKind.BLUEPRINT, named.resource, row=1),
            )
            await tx.save(Moderated(made, revision, changes, named))

        await m.daemons["catalog"].daemon.work.again(step)
        kind: Any = getattr(catalog, f"{move}VersionRequest")
        return kind(name=f"blueprints/{name}/versions/1.0.0", reason="a test")

    return wish


_OFFERS: Mapping[str, tuple[str, Mapping[str, Any]]] = {
    "App": ("app", {"blueprint": "blueprints/bp-cilium"}),
    "Plan": ("plan", {"price": {"minor": 7000, "currency": "OMR"}}),
    "AddOn": ("add_on", {"price": {"minor": 700, "currency": "OMR"}}),
    "Bundle": ("bundle", {"apps": ["apps/wordpress"], "discount_bps": 100}),
    "Industry": ("industry", {}),
}
"""Field of each kind of offer in requests, and what a new one must say besides its title."""


def _new_offer(kind: str) -> Wish:
    field, values = _OFFERS[kind]

    async def wish(m: Mesh) -> Any:
        request: Any = getattr(catalog, f"Create{kind}Request")
        return request(**{f"{field}_id": m.fresh(), field: {"title": "A test", "sort": 1, **values}})

    return wish


def _changed_offer(kind: str) -> Wish:
    field, _ = _OFFERS[kind]

    async def wish(m: Mesh) -> Any:
        made: Any = await m.call(f"{_CATALOG}.StorefrontService/Create{kind}", await _new_offer(kind)(m))
        request: Any = getattr(catalog, f"Update{kind}Request")
        changed = {"name": made.name, "title": "Another"}
        return request(**{field: changed, "etag": made.etag, "update_mask": {"paths": ["title"]}})

    return wish


def _gone_offer(kind: str) -> Wish:
    async def wish(m: Mesh) -> Any:
        made: Any = await m.call(f"{_CATALOG}.StorefrontService/Create{kind}", await _new_offer(kind)(m))
        request: Any = getattr(catalog, f"Delete{kind}Request")
        return request(name=made.name, etag=made.etag)

    return wish


async def a_price_book(m: Mesh) -> Any:
    """With a price that no book had before."""
    wish = catalog.PublishPriceBookRequest()
    rate = wish.rates.add(meter="meters/egress_gb")
    rate.unit_price.minor, rate.unit_price.currency = int(m.fresh()[1:]), "OMR"
    return wish


async def selection(_: Mesh) -> Any:
    return catalog.SelectComponentsRequest(validate_only=True)


async def a_server_set(m: Mesh) -> Any:
    wish = pdm.CreateNameServerSetRequest(name_server_set_id=m.fresh())
    wish.name_server_set.published.extend(["ns1.dns.example", "ns2.dns.example"])
    for host in wish.name_server_set.published:
        wish.name_server_set.polled.add(host=host, addresses=["127.0.0.1"], port=9)
    return wish


async def server_set(m: Mesh) -> Any:
    return await m.call(f"{_PDM}.NameServerSetService/CreateNameServerSet", await a_server_set(m))


async def moved_servers(m: Mesh) -> Any:
    held = await server_set(m)
    wish = pdm.UpdateNameServerSetRequest(etag=held.etag, update_mask={"paths": ["also_notify"]})
    wish.name_server_set.name = held.name
    wish.name_server_set.also_notify.add(host="ns3.dns.example")
    return wish


async def gone_servers(m: Mesh) -> Any:
    held = await server_set(m)
    return pdm.DeleteNameServerSetRequest(name=held.name, etag=held.etag)


async def a_backend(m: Mesh) -> Any:
    wish = pdm.CreateBackendRequest(backend_id=m.fresh())
    wish.backend.plugin, wish.backend.secret_ref = "powerdns", "powerdns"
    wish.backend.config.update({"url": "http://127.0.0.1:9/api/v1/servers/localhost"})
    return wish


async def backend(m: Mesh) -> Any:
    return await m.call(f"{_PDM}.BackendService/CreateBackend", await a_backend(m))


async def moved_backend(m: Mesh) -> Any:
    held = await backend(m)
    wish = pdm.UpdateBackendRequest(etag=held.etag, update_mask={"paths": ["secret_ref"]})
    wish.backend.name, wish.backend.secret_ref = held.name, "another"
    return wish


async def gone_backend(m: Mesh) -> Any:
    held = await backend(m)
    return pdm.DeleteBackendRequest(name=held.name, etag=held.etag)


async def probe(m: Mesh) -> Any:
    held = await backend(m)
    return pdm.ProbeBackendRequest(name=held.name, etag=held.etag)


async def an_account(m: Mesh) -> Any:
    wish = pdm.CreateRegistrarAccountRequest(registrar_account_id=m.fresh())
    wish.registrar_account.registrar, wish.registrar_account.owner = "registrars/godaddy", "organizations/acme"
    wish.registrar_account.credential.update({"key": "0123456789", "secret": "0123456789"})
    return wish


async def registrar_account(m: Mesh) -> Any:
    return await m.call(f"{_PDM}.RegistrarService/CreateRegistrarAccount", await an_account(m))


async def moved_account(m: Mesh) -> Any:
    held = await registrar_account(m)
    wish = pdm.UpdateRegistrarAccountRequest(etag=held.etag, update_mask={"paths": ["credential"]})
    wish.registrar_account.name = held.name
    wish.registrar_account.credential.update({"key": "9876543210", "secret": "9876543210"})
    return wish


async def gone_account(m: Mesh) -> Any:
    held = await registrar_account(m)
    return pdm.DeleteRegistrarAccountRequest(name=held.name, etag=held.etag)


async def a_zone(m: Mesh) -> Any:
    wish = pdm.CreateZoneRequest(zone_id=f"{m.fresh()}.example")
    wish.zone.kind, wish.zone.owner, wish.zone.backend = 3, "organizations/acme", "backends/embedded"
    wish.zone.name_server_set = (await server_set(m)).name
    return wish


async def zone(m: Mesh) -> Any:
    return await m.call(f"{_PDM}.ZoneService/CreateZone", await a_zone(m))


async def moved_zone(m: Mesh) -> Any:
    held = await zone(m)
    wish = pdm.UpdateZoneRequest(etag=held.etag, update_mask={"paths": ["drift_policy"]})
    wish.zone.name, wish.zone.drift_policy = held.name, 2
    return wish


async def unsigned_zone(m: Mesh) -> Any:
    held = await zone(m)
    return pdm.DisableDnssecRequest(name=f"{held.name}/dnssec", reason="a test", etag=held.etag)


async def gone_zone(m: Mesh) -> Any:
    held = await zone(m)
    return pdm.DeleteZoneRequest(name=held.name, etag=held.etag)


async def a_zone_plan(m: Mesh) -> Any:
    wish = pdm.PlanZoneRequest(parent=(await zone(m)).name)
    change = wish.changes.add(action=1)
    change.record_set.name, change.record_set.type = "www", "A"
    change.record_set.values.append("192.0.2.1")
    return wish


async def zone_plan(m: Mesh) -> Any:
    return await m.call(f"{_PDM}.ZoneService/PlanZone", await a_zone_plan(m))


async def zone_application(m: Mesh) -> Any:
    plan = await zone_plan(m)
    return pdm.ApplyPlanRequest(name=plan.name, hash=plan.hash)


async def zone_reversal(m: Mesh) -> Any:
    """Of a plan that was carried out; the keeper would do it, and stands still."""
    plan = await zone_plan(m)
    _, domain, _, id = plan.name.split("/")

    async def step(tx: Any) -> None:
        held = await tx.plan(domain, id)
        await tx.save_plan(replace(held, state=held.state.APPLIED, version=held.version + 1))
        one = held.changes[0].after
        await tx.wish_sets(domain, [Wished(one.name, one.type, 1, one.records, "organizations/acme", 1)])

    await m.daemons["pooldomain"].daemon.work.again(step)
    return pdm.RevertPlanRequest(name=plan.name)


async def an_import(m: Mesh) -> Any:
    text = "@ 300 IN SOA ns1.x.example. root.x.example. 1 1 1 1 1\nwww 300 IN A 192.0.2.1\n"
    return pdm.ImportZoneRequest(parent=(await zone(m)).name, zone_file=text)


async def full_zone(m: Mesh) -> str:
    """A zone with several of everything."""
    made = (await drift(m)).partition("/drifts/")[0]
    for _ in range(3):
        wish = pdm.PlanZoneRequest(parent=made)
        change = wish.changes.add(action=1)
        change.record_set.name, change.record_set.type = "x", "A"
        change.record_set.values.append("192.0.2.1")
        await m.call(f"{_PDM}.ZoneService/PlanZone", wish)
    for id in ("two", "three", "four"):
        await kept_import(m, made.partition("/")[2], id)
    for label in ("a", "b", "c"):
        await drift(m, made.partition("/")[2], label)
    return made


async def kept_import(m: Mesh, domain: str = "", id: str = "one") -> str:
    """What an import found; the run would find it, and stands still."""
    domain = domain or (await zone(m)).name.partition("/")[2]

    async def step(tx: Any) -> None:
        found = ZoneImport(domain, id, "probe", Completeness.PARTIAL, (), False, "tester", tx.now)
        await tx.keep_import(found)

    await m.daemons["pooldomain"].daemon.work.again(step)
    return f"zones/{domain}/imports/{id}"


async def drift(m: Mesh, domain: str = "", label: str = "www") -> str:
    """A difference; the sweep would see it, and stands still."""
    domain = domain or (await zone(m)).name.partition("/")[2]
    wished = RecordSet(f"{label}.{domain}.", "A", 300, ("192.0.2.1",))

    async def step(tx: Any) -> str:
        await tx.wish_sets(domain, [Wished(wished.name, "A", 300, wished.records, "organizations/acme", 1)])
        sight = Sight(Kind.MISSING, name=wished.name, type="A", wished=wished)
        return str((await tx.open_drift(Drift(0, domain, "organizations/acme", sight, State.OPEN, tx.now))).name)

    return str(await m.daemons["pooldomain"].daemon.work.again(step))


async def repair(m: Mesh) -> Any:
    return pdm.RepairDriftRequest(name=await drift(m))


async def accepted_drift(m: Mesh) -> Any:
    return pdm.AcceptDriftRequest(name=await drift(m))


async def a_delegation_plan(m: Mesh) -> Any:
    held = await zone(m)
    wish = pdm.PlanDelegationRequest(name=f"{held.name}/delegation")
    servers: Any = await m.call(
        f"{_PDM}.NameServerSetService/GetNameServerSet", pdm.GetNameServerSetRequest(name=held.name_server_set)
    )
    wish.target.ns.extend(servers.published)
    for host in servers.published:
        wish.target.glue.add(host=host, addresses=["127.0.0.1"])
    return wish


async def delegation_application(m: Mesh) -> Any:
    wish = await a_delegation_plan(m)
    plan: Any = await m.call(f"{_PDM}.DelegationService/PlanDelegation", wish)
    return pdm.ApplyDelegationRequest(
        name=wish.name, plan=plan.name, hash=plan.hash, etag=await _cut_etag(m, wish.name)
    )


async def delegation_rollback(m: Mesh) -> Any:
    name = await moved_delegation(m)
    return pdm.RollbackDelegationRequest(name=name, reason="a test", etag=await _cut_etag(m, name))


async def closed_window(m: Mesh) -> Any:
    name = await moved_delegation(m)
    return pdm.CloseRollbackWindowRequest(name=name, etag=await _cut_etag(m, name))


async def moved_delegation(m: Mesh) -> str:
    """One that was flipped; the run would do it, and stands still."""
    held = await zone(m)
    domain = held.name.partition("/")[2]

    async def step(tx: Any) -> str:
        d = delegations.none_yet(domain, held.uid, held.owner, tx.now)
        before = Snapshot("p", Target(("ns1.old.test.", "ns2.old.test.")), "etag", tx.now)
        until = tx.now + delegations.WINDOW
        d = replace(d, state=delegations.State.DELEGATED, snapshot=before, rollback_until=until, version=1)
        await tx.save_delegation(d)
        return d.name

    return str(await m.daemons["pooldomain"].daemon.work.again(step))


async def _cut_etag(m: Mesh, name: str) -> str:
    seen: Any = await m.call(f"{_PDM}.DelegationService/GetDelegation", pdm.GetDelegationRequest(name=name))
    return str(seen.etag)


async def challenge(m: Mesh) -> Any:
    domain = (await zone(m)).name.partition("/")[2]
    return pdm.PresentChallengeRequest(fqdn=f"_acme-challenge.{domain}", value="proof")


async def clean_up(m: Mesh) -> Any:
    wish = await challenge(m)
    return pdm.CleanUpChallengeRequest(fqdn=wish.fqdn, value=wish.value)


def _moved(kind: type[Message], *, active: bool, **fields: Any) -> Wish:
    async def wish(m: Mesh) -> Any:
        held = await voucher(m, active=active)
        return kind(name=held.name, etag=held.etag, **fields)

    return wish


async def cancelled_order(m: Mesh) -> Any:
    held = await a_card_order(m)
    return billing.CancelOrderRequest(name=held.name, etag=held.etag)


async def a_top_up(m: Mesh) -> Any:
    wish = billing.CreateTopUpRequest(parent=f"billingAccounts/{m.fresh()}")
    wish.amount.minor, wish.amount.currency = 5_000, "OMR"
    return wish


async def refunded_order(m: Mesh) -> Any:
    held = await order(m, await account(m))
    wish = billing.RefundOrderRequest(name=held.name, reason="wished")
    wish.amount.minor, wish.amount.currency = 100, "OMR"
    return wish


async def opened(m: Mesh) -> Any:
    """An account in the operator's hands."""
    wish = billing.GetAccountRequest(name=f"billingAccounts/{m.fresh()}")
    return await m.call(f"{_BILLING}.AccountService/GetAccount", wish)


async def moved_contact(m: Mesh) -> Any:
    held = await opened(m)
    wish = billing.UpdateAccountRequest(etag=held.etag)
    wish.account.name, wish.account.contact.email = held.name, "a@acme.example"
    return wish


async def frozen(m: Mesh) -> Any:
    return billing.FreezeAccountRequest(name=(await opened(m)).name, reason="chargebacks")


async def unfrozen(m: Mesh) -> Any:
    wish = await frozen(m)
    await m.call(f"{_BILLING}.AccountService/FreezeAccount", wish)
    return billing.UnfreezeAccountRequest(name=wish.name, reason="paid")


async def a_goodwill(m: Mesh) -> Any:
    wish = billing.GrantGoodwillRequest(name=(await opened(m)).name, reason="outage")
    wish.amount.minor, wish.amount.currency = 1_000, "OMR"
    return wish


async def goodwills(m: Mesh) -> str:
    """An account with several of them."""
    wish = await a_goodwill(m)
    for _ in range(4):
        await m.call(f"{_BILLING}.AccountService/GrantGoodwill", wish)
    return str(wish.name)


async def an_export(m: Mesh) -> Any:
    return billing.ExportAccountRequest(name=(await opened(m)).name, target_sovereign="sovereigns/second")


async def subscription(m: Mesh, parent: str = "") -> Any:
    """A subscription that credit has paid."""
    parent = (await order(m, parent)).name.partition("/orders/")[0]
    wish = billing.ListSubscriptionsRequest(parent=parent)
    listed: Any = await m.call(f"{_BILLING}.SubscriptionService/ListSubscriptions", wish)
    return listed.subscriptions[0]


async def invoice(m: Mesh, parent: str = "") -> str:
    """Name of the open invoice of a subscription that could not be renewed; who renews stands still here."""
    held = await subscription(m, parent)
    _, org, _, id = held.name.split("/")
    daemon: Any = m.daemons["billing"].daemon
    house = house_of(daemon.settings)

    async def step(tx: Any) -> str:
        dues = await tx.lock_dues(org, id, house.books)
        late = replace(
            dues, is_frozen=True, subscription=replace(dues.subscription, wake_at=dues.subscription.period_end)
        )
        unpaid = renewals.advance(late, house, renewals.Means(lambda s, a: False), dues.subscription.period_end)
        await tx.save(unpaid.state)
        return unpaid.state.invoice.name

    return str(await daemon.work.again(step))


async def a_change(m: Mesh) -> Any:
    held = await subscription(m)
    return billing.ChangeSubscriptionRequest(name=held.name, plan="l", etag=held.etag)


async def cancelled_subscription(m: Mesh) -> Any:
    held = await subscription(m)
    return billing.CancelSubscriptionRequest(name=held.name, etag=held.etag)


async def resumed_subscription(m: Mesh) -> Any:
    wish = await cancelled_subscription(m)
    gone: Any = await m.call(f"{_BILLING}.SubscriptionService/CancelSubscription", wish)
    return billing.ResumeSubscriptionRequest(name=gone.name, etag=gone.etag)


async def payment(m: Mesh) -> Any:
    return billing.PayInvoiceRequest(name=await invoice(m))


async def withdrawal(m: Mesh) -> Any:
    return billing.VoidInvoiceRequest(name=await invoice(m), reason="billed twice")


async def usage(m: Mesh, account: str = "") -> Any:
    org = account.partition("/")[2] or m.fresh()
    wish = billing.RecordUsageRequest()
    wish.events.add(id=m.fresh(), source="//test", org=f"organizations/{org}", meter="meters/vcpu_hours", value="1")
    wish.events[0].time.GetCurrentTime()
    return wish


async def a_meter(m: Mesh) -> Any:
    wish = billing.CreateMeterRequest(meter_id=f"meter_{m.fresh()}")
    wish.meter.unit, wish.meter.aggregation = "u", 1
    return wish


async def titled_meter(m: Mesh) -> Any:
    made: Any = await m.call(f"{_BILLING}.MeteringService/CreateMeter", await a_meter(m))
    wish = billing.UpdateMeterRequest(etag=made.etag)
    wish.meter.name, wish.meter.display_name = made.name, "Titled"
    return wish


async def entitlement(m: Mesh, parent: str = "") -> Any:
    wish = billing.UpdateEntitlementRequest(etag='"0"')
    wish.entitlement.name, wish.entitlement.mode = f"{parent or await account(m)}/entitlement", 2
    return wish


async def an_agreement(m: Mesh, sovereign: str = "") -> Any:
    wish = billing.CreateAgreementRequest()
    made = wish.agreement
    made.sovereign, made.share_bps, made.basis, made.currency = sovereign or f"sovereigns/{m.fresh()}", 3000, 1, "OMR"
    made.valid_from_time.FromJsonString("1700-01-01T00:00:00Z")
    return wish


async def agreement(m: Mesh) -> Any:
    return await m.call(f"{_BILLING}.FranchiseService/CreateAgreement", await an_agreement(m))


async def changed_agreement(m: Mesh) -> Any:
    made = await agreement(m)
    wish = billing.UpdateAgreementRequest(etag=made.etag)
    wish.agreement.name, wish.agreement.share_bps = made.name, 2000
    return wish


async def a_statement(m: Mesh) -> Any:
    """A month after all that were stated, and long ago."""
    home = billing.ListAgreementsRequest(sovereign="sovereigns/home")
    found: Any = await m.call(f"{_BILLING}.FranchiseService/ListAgreements", home)
    if not found.agreements:
        await m.call(f"{_BILLING}.FranchiseService/CreateAgreement", await an_agreement(m, "sovereigns/home"))
    year, month = divmod(int(m.fresh().removeprefix("t")), 12)
    return billing.IssueStatementRequest(month=f"{1700 + year}-{month + 1:02}")


async def used_voucher(m: Mesh) -> str:
    """A voucher with several uses and revisions."""
    held = await voucher(m, active=True)
    for n in range(3):
        use = billing.RedeemVoucherRequest(parent=f"billingAccounts/{m.fresh()}", code=held.code)
        await m.call(f"{_BILLING}.VoucherService/RedeemVoucher", use)
        now = await m.call(f"{_BILLING}.VoucherService/GetVoucher", billing.GetVoucherRequest(name=held.name))
        wish = billing.UpdateVoucherRequest(etag=now.etag)
        wish.voucher.name, wish.voucher.description = held.name, f"Edit {n}"
        await m.call(f"{_BILLING}.VoucherService/UpdateVoucher", wish)
    return str(held.name)


async def edited_voucher(m: Mesh) -> Any:
    held = await voucher(m, active=True)
    wish = billing.UpdateVoucherRequest(etag=held.etag, update_mask=field_mask_pb2.FieldMask(paths=["description"]))
    wish.voucher.name, wish.voucher.description = held.name, "Welcome"
    return wish


async def a_campaign(_: Mesh) -> Any:
    wish = billing.CreateCampaignRequest()
    wish.campaign.display_name = "Spring"
    return wish


async def campaign(m: Mesh) -> Any:
    return await m.call(f"{_BILLING}.VoucherService/CreateCampaign", await a_campaign(m))


async def moved_campaign(m: Mesh) -> Any:
    held = await campaign(m)
    wish = billing.UpdateCampaignRequest(etag=held.etag)
    wish.campaign.name, wish.campaign.display_name = held.name, "May"
    return wish


async def moved_provider(m: Mesh) -> Any:
    held = await m.call(f"{_BILLING}.ProviderService/GetProvider", billing.GetProviderRequest(name="providers/fake"))
    wish = billing.UpdateProviderRequest(etag=held.etag, update_mask=field_mask_pb2.FieldMask(paths=["enabled"]))
    wish.provider.name, wish.provider.enabled = held.name, True
    return wish


WRITES: Mapping[str, Wish] = {
    f"{_BILLING}.FranchiseService/CreateAgreement": an_agreement,
    f"{_BILLING}.FranchiseService/UpdateAgreement": changed_agreement,
    f"{_BILLING}.FranchiseService/IssueStatement": a_statement,
    f"{_BILLING}.MeteringService/RecordUsage": usage,
    f"{_BILLING}.MeteringService/CreateMeter": a_meter,
    f"{_BILLING}.MeteringService/UpdateMeter": titled_meter,
    f"{_BILLING}.MeteringService/UpdateEntitlement": entitlement,
    f"{_BILLING}.SubscriptionService/ChangeSubscription": a_change,
    f"{_BILLING}.SubscriptionService/CancelSubscription": cancelled_subscription,
    f"{_BILLING}.SubscriptionService/ResumeSubscription": resumed_subscription,
    f"{_BILLING}.InvoiceService/PayInvoice": payment,
    f"{_BILLING}.InvoiceService/VoidInvoice": withdrawal,
    f"{_BILLING}.AccountService/EnsureAccount": ensured,
    f"{_BILLING}.AccountService/UpdateAccount": moved_contact,
    f"{_BILLING}.AccountService/FreezeAccount": frozen,
    f"{_BILLING}.AccountService/UnfreezeAccount": unfrozen,
    f"{_BILLING}.AccountService/GrantGoodwill": a_goodwill,
    f"{_BILLING}.AccountService/ExportAccount": an_export,
    f"{_BILLING}.QuoteService/CreateQuote": a_quote,
    f"{_BILLING}.OrderService/CreateOrder": an_order,
    f"{_BILLING}.OrderService/CancelOrder": cancelled_order,
    f"{_BILLING}.OrderService/CreateTopUp": a_top_up,
    f"{_BILLING}.OrderService/RefundOrder": refunded_order,
    f"{_BILLING}.VoucherService/RedeemVoucher": redeem,
    f"{_BILLING}.VoucherService/CreateVoucher": a_voucher,
    f"{_BILLING}.VoucherService/ActivateVoucher": _moved(billing.ActivateVoucherRequest, active=False),
    f"{_BILLING}.VoucherService/PauseVoucher": _moved(billing.PauseVoucherRequest, active=True),
    f"{_BILLING}.VoucherService/RevokeVoucher": _moved(billing.RevokeVoucherRequest, active=True, reason="leaked"),
    f"{_BILLING}.VoucherService/UpdateVoucher": edited_voucher,
    f"{_BILLING}.VoucherService/CreateCampaign": a_campaign,
    f"{_BILLING}.VoucherService/UpdateCampaign": moved_campaign,
    f"{_BILLING}.LedgerService/ProveLedger": proof,
    f"{_BILLING}.ProviderService/UpdateProvider": moved_provider,
    f"{_CATALOG}.SourceService/SyncSource": sync,
    f"{_CATALOG}.SourceService/CreateSource": a_source,
    f"{_CATALOG}.SourceService/UpdateSource": changed_source,
    f"{_CATALOG}.SourceService/DeleteSource": gone_source,
    f"{_CATALOG}.SourceService/RetryIssue": retried_issue,
    **{f"{_CATALOG}.ModerationService/{move}Version": _moved_version(move) for move in MOVES},
    **{f"{_CATALOG}.StorefrontService/Create{kind}": _new_offer(kind) for kind in _OFFERS},
    **{f"{_CATALOG}.StorefrontService/Update{kind}": _changed_offer(kind) for kind in _OFFERS},
    **{f"{_CATALOG}.StorefrontService/Delete{kind}": _gone_offer(kind) for kind in _OFFERS},
    f"{_CATALOG}.StorefrontService/PublishPriceBook": a_price_book,
    f"{_CONTINUUM}.ContinuumService/VerifyWitness": verification,
    f"{_CONTINUUM}.ContinuumService/CreateContinuum": a_slot,
    f"{_CONTINUUM}.ContinuumService/UpdateContinuum": changed_slot,
    f"{_CONTINUUM}.ContinuumService/DeleteContinuum": gone_slot,
    f"{_CONTINUUM}.ContinuumService/Suspend": suspended_slot,
    f"{_CONTINUUM}.ContinuumService/Resume": resumed_slot,
    f"{_CONTINUUM}.ContinuumService/AcknowledgeFailover": acknowledged_slot,
    f"{_CONTINUUM}.ContinuumService/ApproveRun": approved_run,
    f"{_CONTINUUM}.ContinuumService/AbortRun": aborted_run,
    f"{_PDM}.PoolService/CreatePool": a_pool,
    f"{_PDM}.PoolService/UpdatePool": changed_pool,
    f"{_PDM}.PoolService/DeletePool": removed_pool,
    f"{_PDM}.AllocationService/ReserveAllocation": a_reservation,
    f"{_PDM}.AllocationService/RenewAllocation": renewal,
    f"{_PDM}.AllocationService/CommitAllocation": commit,
    f"{_PDM}.AllocationService/UpdateAllocation": retarget,
    f"{_PDM}.AllocationService/ReconcileAllocation": hurry,
    f"{_PDM}.AllocationService/ReleaseAllocation": release,
    f"{_PDM}.BackendService/CreateBackend": a_backend,
    f"{_PDM}.BackendService/UpdateBackend": moved_backend,
    f"{_PDM}.BackendService/DeleteBackend": gone_backend,
    f"{_PDM}.BackendService/ProbeBackend": probe,
    f"{_PDM}.NameServerSetService/CreateNameServerSet": a_server_set,
    f"{_PDM}.NameServerSetService/UpdateNameServerSet": moved_servers,
    f"{_PDM}.NameServerSetService/DeleteNameServerSet": gone_servers,
    f"{_PDM}.RegistrarService/CreateRegistrarAccount": an_account,
    f"{_PDM}.RegistrarService/UpdateRegistrarAccount": moved_account,
    f"{_PDM}.RegistrarService/DeleteRegistrarAccount": gone_account,
    f"{_PDM}.ZoneService/CreateZone": a_zone,
    f"{_PDM}.ZoneService/UpdateZone": moved_zone,
    f"{_PDM}.ZoneService/DeleteZone": gone_zone,
    f"{_PDM}.AllocationService/ForceReleaseAllocation": force_release,
    f"{_PDM}.AllocationService/TransferAllocation": offer,
    f"{_PDM}.AllocationService/AcceptAllocationTransfer": acceptance,
    f"{_PDM}.ZoneService/PlanZone": a_zone_plan,
    f"{_PDM}.ZoneService/ApplyPlan": zone_application,
    f"{_PDM}.ZoneService/RevertPlan": zone_reversal,
    f"{_PDM}.ZoneService/ImportZone": an_import,
    f"{_PDM}.ZoneService/RepairDrift": repair,
    f"{_PDM}.ZoneService/AcceptDrift": accepted_drift,
    f"{_PDM}.DelegationService/PlanDelegation": a_delegation_plan,
    f"{_PDM}.DelegationService/ApplyDelegation": delegation_application,
    f"{_PDM}.DelegationService/RollbackDelegation": delegation_rollback,
    f"{_PDM}.DelegationService/CloseRollbackWindow": closed_window,
    f"{_PDM}.ZoneService/DisableDnssec": unsigned_zone,
    f"{_PDM}.ZoneService/PresentChallenge": challenge,
    f"{_PDM}.ZoneService/CleanUpChallenge": clean_up,
    f"{_PROVISIONER}.SovereignService/CreateSovereign": a_sovereign,
    f"{_PROVISIONER}.SovereignService/UpdateSovereign": changed,
    f"{_PROVISIONER}.SovereignService/DeleteSovereign": deletion,
    f"{_PROVISIONER}.PlanService/CreatePlan": a_plan,
    f"{_PROVISIONER}.PlanService/ApplyPlan": application,
    f"{_PROVISIONER}.RunService/PauseRun": pause,
    f"{_PROVISIONER}.RunService/ResumeRun": resumption,
    f"{_PROVISIONER}.RunService/CancelRun": cancellation,
    f"{_PROVISIONER}.CredentialService/CreateCredential": a_credential,
    f"{_PROVISIONER}.CredentialService/AddCredentialVersion": turned_credential,
    f"{_PROVISIONER}.CredentialService/CheckCredential": checked_credential,
    f"{_PROVISIONER}.CredentialService/DeleteCredential": gone_credential,
}
"""Good requests by method."""

STEPS_OF_RUNS = {
    f"{_CONTINUUM}.ContinuumService/AdmitCell": "needs a cell that forgot, among others that answer",
    f"{_CONTINUUM}.ContinuumService/StartRun": "needs an agent of each region, and a plan that nothing stands against",
    f"{_CONTINUUM}.ContinuumService/ForceTakeover": "needs agents, as above",
    f"{_BILLING}.AccountService/ApproveGoodwill": "needs a second person, and the operator is one",
    f"{_BILLING}.AccountService/ImportAccount": "needs a bundle of a Sovereign that is trusted",
    f"{_BILLING}.AccountService/OpenPortal": "needs a payment provider that has a portal",
    f"{_PROVISIONER}.RunService/RetryStep": "needs a step that failed, which takes a run that moves",
    f"{_PROVISIONER}.PlanService/PreviewChange": "needs a Sovereign that was active once, which takes a run that moves",
    f"{_PROVISIONER}.InfrastructureService/DetectDrift": "needs a Sovereign that was active once, as above",
    f"{_PROVISIONER}.RunService/ApproveGate": "needs a step that waits, which takes a run that moves",
    f"{_PROVISIONER}.RunService/RejectGate": "needs a step that waits, which takes a run that moves",
    f"{_PROVISIONER}.RunService/SkipStep": "needs a step that may be left out, which only a destroy has",
    f"{_PROVISIONER}.AccessService/IssueKubeconfig": "needs a cluster that reports, which takes a run that moves",
    f"{_PROVISIONER}.AccessService/RevokeGrant": "needs a grant, as above",
    f"{_PDM}.ZoneService/RollKey": "asks the zone's DNS server for the key that there is",
}
"""Writers without a request here, with the reason; the daemons' own tests ask them."""

ASKED_BY = {f"{_BILLING}.AccountService/EnsureAccount": DAEMON}
"""Claims of the caller where it is not the operator."""
