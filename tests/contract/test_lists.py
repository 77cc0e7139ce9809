"""Lists (AIP-158), asked of every one that is served: sizes, tokens, and a walk that meets each row once."""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any
from uuid import uuid4

import pytest
from catalyst.billing.v1 import service_pb2 as billing
from catalyst.continuum.v1 import service_pb2 as continuum
from catalyst.provisioner.v1 import service_pb2 as provisioner
from catalyst_continuum.domain.runs import RunState
from catalyst_continuum.domain.slots import Phase, Slot
from catalyst_environment.domain import members
from catalyst_provisioner.domain.grants import Grant
from google.protobuf.descriptor import FieldDescriptor
from google.protobuf.message import Message

from . import wishes
from .conftest import mostly_on
from .contracts import rpcs
from .mesh import Mesh, descriptor, request_of

pytestmark = [pytest.mark.asyncio(loop_scope="session"), mostly_on("sqlite")]

_B, _C, _P = "catalyst.billing.v1", "catalyst.catalog.v1", "catalyst.pooldomain.v1"
_S, _X = "catalyst.provisioner.v1", "catalyst.continuum.v1"
MAXIMA = {f"{_P}.AllocationService/ListAllocations": 500, f"{_S}.RunService/ListLogs": 5000}
"""Largest page where it is not 1000."""
BY_ITSELF = {"page_size", "page_token", "parent", "filter", "name"}
"""Fields that the test sets itself."""
VALUES = {"order": "", "account": "billingAccounts/other", "owner": "organizations/other", "org": "organizations/acme"}
"""Other values for fields of text that have a form."""


def lists() -> list[str]:
    """Every method that answers a page."""
    return [
        f"{rpc.service}/{rpc.method.name}"
        for rpc in rpcs()
        if rpc.answer and any(f.name == "next_page_token" for f in rpc.answer.field)
    ]


async def rows(around: Mesh) -> Mapping[str, Mapping[str, Any]]:
    """Fields with which each list has several rows; the rows are made here."""
    account = await wishes.billing.account(around)
    for _ in range(4):
        await _again(around, account)
    run = [await wishes.provisioner.run(around) for _ in range(3)][-1]
    sovereign = run.name.partition("/runs/")[0]
    for _ in range(3):
        await around.call(f"{_S}.PlanService/CreatePlan", provisioner.CreatePlanRequest(parent=sovereign, intent=1))
    name = (await wishes.pooldomain.committed(around)).name
    for meter in ("egress_gb", "ram_gb_hours", "vcpu_hours"):
        used = await wishes.billing.usage(around, account)
        used.events[0].meter = f"meters/{meter}"
        await around.call(f"{_B}.MeteringService/RecordUsage", used)
        await wishes.billing.invoice(around)
        await wishes.billing.agreement(around)
        await around.call(f"{_B}.FranchiseService/IssueStatement", await wishes.billing.a_statement(around))
        await wishes.provisioner.sovereign(around)
        await around.call(f"{_P}.PoolService/CreatePool", await wishes.pooldomain.a_pool(around))
        await wishes.pooldomain.reserved(around)
        await wishes.pooldomain.backend(around)
        await wishes.pooldomain.zone(around)
        await wishes.provisioner.kept_credential(around)
    await _slots(around)
    await _grants(around, sovereign)
    zone, voucher = await wishes.pooldomain.full_zone(around), await wishes.billing.used_voucher(around)
    goodwills = await wishes.billing.goodwills(around)
    for _ in range(3):
        await wishes.billing.campaign(around)
    return {
        f"{_B}.AccountService/ListCreditGrants": {"parent": account},
        f"{_B}.AccountService/GetBalance": {"name": f"{account}/balance"},
        f"{_B}.OrderService/ListOrders": {"parent": account},
        f"{_B}.SubscriptionService/ListSubscriptions": {"parent": account},
        f"{_B}.AccountService/ListGoodwills": {"parent": goodwills},
        f"{_B}.MeteringService/QueryUsage": {"parent": account},
        f"{_B}.InvoiceService/ListInvoices": {"parent": "billingAccounts/-"},
        f"{_B}.VoucherService/ListVoucherUses": {"parent": voucher},
        f"{_B}.VoucherService/ListVoucherRevisions": {"parent": voucher},
        f"{_C}.CatalogService/ListVersions": {"parent": "blueprints/bp-cilium"},
        f"{_C}.CatalogService/AdviseUpgrades": {"parent": "environments/acme-prod"},
        f"{_C}.SourceService/ListIssues": {"parent": "sources/-"},
        f"{_P}.PoolService/ListReservedNames": {"parent": wishes.pooldomain.POOL},
        f"{_P}.AllocationService/ListAllocations": {"parent": wishes.pooldomain.POOL},
        f"{_P}.AllocationService/ListAllocationHistory": {"parent": name},
        f"{_P}.ZoneService/ListPlans": {"parent": zone},
        f"{_P}.ZoneService/ListZoneImports": {"parent": zone},
        f"{_P}.ZoneService/ListRecordSets": {"parent": zone},
        f"{_P}.ZoneService/ListDrifts": {"parent": zone},
        f"{_S}.PlanService/ListPlans": {"parent": sovereign},
        f"{_S}.RunService/ListRuns": {"parent": "sovereigns/-"},
        f"{_S}.RunService/ListSteps": {"parent": run.name},
        f"{_S}.RunService/ListEvents": {"parent": sovereign},
        f"{_S}.RunService/ListLogs": {"parent": run.name},
        f"{_S}.InfrastructureService/ListLedger": {"parent": sovereign},
        f"{_S}.InfrastructureService/ListComponents": {"parent": f"{sovereign}/clusters/-"},
        f"{_S}.AccessService/ListGrants": {"parent": sovereign},
        f"{_S}.OfferService/ListRegions": {"parent": "providers/sandbox"},
        f"{_S}.OfferService/ListOffers": {"parent": "providers/sandbox/regions/east"},
        f"{_X}.ContinuumService/ListContinuums": {"parent": "namespaces/-"},
        f"{_X}.ContinuumService/ListRuns": {"parent": await _runs(around)},
        **await _environments(around),
        "catalyst.mesh.v1.EventService/ListEvents": {"service": "catalog"},
    }


async def _again(around: Mesh, account: str) -> None:
    """One more order that was given up, and one more grant of credit."""
    made = await wishes.billing.order(around, f"billingAccounts/{around.fresh()}")
    await around.call(f"{_B}.OrderService/CancelOrder", billing.CancelOrderRequest(name=made.name))
    code = (await wishes.billing.voucher(around, active=True)).code
    wish = billing.RedeemVoucherRequest(parent=account, code=code)
    await around.call(f"{_B}.VoucherService/RedeemVoucher", wish)


async def _environments(around: Mesh) -> Mapping[str, Mapping[str, Any]]:
    """An Organization with members, invitations and Environments, beside others."""
    parent = [(await wishes.environment.organization(around)).name for _ in range(3)][-1]
    org, package = parent.partition("/")[2], "catalyst.environment.v1"
    work: Any = around.daemons["environment"].daemon.work
    for n, kind in enumerate(("dev", "stg", "prod")):

        async def step(tx: Any, n: int = n) -> None:
            await tx.save(members.join(None, org, f"member-{n}", members.Role.VIEWER, tx.now).state)

        await work.again(step)
        invited = {"email": f"p{n}@acme.example", "role": 1}
        wish = request_of(f"{package}.MemberService/CreateInvitation", parent=parent, invitation=invited)
        await around.call(f"{package}.MemberService/CreateInvitation", wish)
        wish = request_of(f"{package}.EnvironmentService/CreateEnvironment", parent=parent, environment={"type": kind})
        await around.call(f"{package}.EnvironmentService/CreateEnvironment", wish)
    standing = await wishes.environment.made_environment(around)
    for _ in range(3):
        await wishes.environment.application(around, standing.name)
    hooks: list[Any] = [
        await around.call(f"{package}.WebhookService/CreateWebhook", _webhook(parent)) for _ in range(3)
    ]
    for _ in range(3):
        await wishes.environment.delivery(around, hooks[0].name)
    asked = await wishes.environment.a_promotion(around)
    await _promotions(around, asked)
    return {
        f"{package}.PolicyService/ListPromotions": {"parent": asked.parent},
        f"{package}.WebhookService/ListWebhooks": {"parent": parent},
        f"{package}.WebhookService/ListWebhookDeliveries": {"parent": hooks[0].name},
        f"{package}.ApplicationService/ListApplications": {"parent": standing.name},
        f"{package}.MemberService/ListMembers": {"parent": parent},
        f"{package}.MemberService/ListInvitations": {"parent": parent},
        f"{package}.EnvironmentService/ListEnvironments": {"parent": parent},
    }


def _webhook(parent: str) -> Any:
    webhook = {"url": "https://93.184.216.34/", "types": ["catalyst.v1.unheard.*"]}
    return request_of("catalyst.environment.v1.WebhookService/CreateWebhook", parent=parent, webhook=webhook)


async def _promotions(around: Mesh, asked: Any) -> None:
    """Several of one Application: each but the last was withdrawn."""
    package = "catalyst.environment.v1.PolicyService"
    for n in range(4):
        made: Any = await around.call(f"{package}/CreatePromotion", asked)
        if n < 3:
            await around.call(f"{package}/CancelPromotion", request_of(f"{package}/CancelPromotion", name=made.name))


async def _slots(around: Mesh) -> None:
    """Slots of two namespaces, some of one name; runs of Sovereigns make them, and none has run here."""
    work: Any = around.daemons["continuum"].daemon.work
    for name in [around.fresh() for _ in range(3)]:
        for namespace in ("catalyst-system", "other"):

            async def step(tx: Any, name: str = name, namespace: str = namespace) -> None:
                await tx.save(_slot(namespace, name, tx.now))

            await work.again(step)


async def _runs(around: Mesh) -> str:
    """A slot whose run has others beside it that are over."""
    work: Any = around.daemons["continuum"].daemon.work
    run = await wishes.continuum.waiting_run(around)
    for n in range(3):

        async def step(tx: Any, n: int = n) -> None:
            await tx.put_run(replace(run, id=around.fresh(), state=RunState.ABORTED, created_at=float(n)))

        await work.again(step)
    return run.name.partition("/runs/")[0]


async def _grants(around: Mesh, sovereign: str) -> None:
    """Grants; agents mint them, and none reports here."""
    work: Any = around.daemons["provisioner"].daemon.work
    id = sovereign.partition("/")[2]

    async def step(tx: Any) -> None:
        for n in range(4):
            made = Grant(f"grant-{n}", id, str(uuid4()), around.fresh(), "sb-east-mgt-dev", "view", "ada", "look",
                         "active", 3600, tx.now, tx.now, n)  # fmt: skip
            await tx.keep_grant(made, fresh=True)

    await work.again(step)


def _slot(namespace: str, name: str, now: Any) -> Slot:
    return Slot(
        namespace=namespace, name=name, region="east", phase=Phase.PENDING, since=now, created_at=now, epoch=0,
        holder="", message="", version=1, gone=False,
    )  # fmt: skip


async def served(around: Mesh) -> list[str]:
    """Lists that are not answered by METHOD_NOT_SERVED."""
    return [m for m in lists() if (await around.refusal(m, request_of(m))).reason != "METHOD_NOT_SERVED"]


def of(answer: Message) -> list[Any]:
    """The rows of a page."""
    found: Any = answer
    field = next(f for f in answer.DESCRIPTOR.fields if f.is_repeated and f.message_type is not None)
    return list(getattr(found, field.name))


def token_of(answer: Message) -> str:
    return str(getattr(answer, "next_page_token", ""))


async def walk(around: Mesh, method: str, fields: Mapping[str, Any], size: int) -> list[Any]:
    found: list[Any] = []
    token = ""
    while True:
        answer = await around.call(method, request_of(method, **fields, page_size=size, page_token=token))
        found += of(answer)
        assert len(of(answer)) <= size, method
        token = token_of(answer)
        if not token:
            return found
        assert len(found) < 5000, f"{method} never ends"


async def test_every_list_keeps_the_rules_of_pages(around: Mesh) -> None:
    """One test, because the rows of all lists are made once."""
    where, wrong, short = await rows(around), dict[str, str](), set[str]()
    for method in await served(around):
        fields = where.get(method, {})
        for check in (sizes, walked, foreign_tokens):
            if why := await check(around, method, fields):
                wrong[f"{method} {check.__name__}"] = why
        if len(of(await around.call(method, request_of(method, **fields, page_size=1000)))) < 3:
            short.add(method.rsplit(".", 1)[1])
    assert wrong == {}
    few = {method for method in short if method.rpartition("/")[2] not in FEW}
    assert few <= FEW, "with fewer than three rows nothing is proved"


FEW = {"ListRegions", "ListProviders", "ListSources", "ListVersions", "ListSubscriptions", "ListOrders", "ListFindings",
       "ListLogs", "ListLedger", "ListPlugins", "ListZones", "ListAllocationHistory", "ListBundles", "ListBusReports",
       "ListDeadLetters", "AdviseUpgrades", "EventService/ListEvents", "RegistrarService/ListRegistrarAccounts"}  # fmt: skip
"""Lists that have few rows in a mesh that stands still; the tests of their daemons have more."""


async def sizes(around: Mesh, method: str, fields: Mapping[str, Any]) -> str:
    negative = await around.refusal(method, request_of(method, **fields, page_size=-1))
    if negative.code != "INVALID_ARGUMENT" or "page_size" not in {v.field for v in negative.violations}:
        return f"-1: {negative.code} {negative.reason}"
    usual = of(await around.call(method, request_of(method, **fields)))
    large = of(await around.call(method, request_of(method, **fields, page_size=2_000_000_000)))
    if len(large) > MAXIMA.get(method, 1000) or (len(usual) > 50 and not method.endswith("ListLogs")):
        return f"0: {len(usual)} rows, too many: {len(large)}"
    return ""


async def walked(around: Mesh, method: str, fields: Mapping[str, Any]) -> str:
    whole = await walk(around, method, fields, 500)
    if len(whole) > 100:
        return "" if await walk(around, method, fields, 40) == whole else "pages of 40 are not the whole"
    by_two = await walk(around, method, fields, 2)
    if by_two != whole:
        return f"by two {[getattr(r, 'name', '?') for r in by_two]}, whole {[getattr(r, 'name', '?') for r in whole]}"
    names = [row.SerializeToString(deterministic=True) for row in whole]
    return "a row comes twice" if len(names) != len(set(names)) else ""


async def foreign_tokens(around: Mesh, method: str, fields: Mapping[str, Any]) -> str:
    for rubbish in ("rubbish", "!", "e30", "bnVsbA", "W10"):
        why = await around.refusal(method, request_of(method, **fields, page_token=rubbish))
        if (why.code, why.reason) != ("INVALID_ARGUMENT", "PAGE_TOKEN_INVALID"):
            return f"token {rubbish}: {why.code} {why.reason}"
    token = token_of(await around.call(method, request_of(method, **fields, page_size=1)))
    if not token:
        return ""
    for field in descriptor(method).input_type.fields:  # whatever shapes the list, its token is bound to it
        if field.name in BY_ITSELF or (value := another(field)) is None:
            continue
        why = await around.refusal(method, request_of(method, **fields, page_token=token, **{field.name: value}))
        if why.reason not in ("PAGE_TOKEN_INVALID", "REQUEST_INVALID"):
            return f"a token lives on with another {field.name}: {why.code} {why.reason}"
    return ""


def another(field: FieldDescriptor) -> Any:
    """A value that differs from the default."""
    made: Any = {FieldDescriptor.TYPE_BOOL: True, FieldDescriptor.TYPE_ENUM: 1, FieldDescriptor.TYPE_INT64: 2}.get(
        field.type
    )
    if field.type == FieldDescriptor.TYPE_STRING:
        made = VALUES.get(field.name, "other") or None
    return [made] if field.is_repeated and made is not None else made


async def test_what_one_caller_was_given_another_cannot_use(around: Mesh) -> None:
    for _ in range(3):
        await wishes.pooldomain.reserved(around)
    method = f"{_P}.AllocationService/ListAllocations"
    token = token_of(await around.call(method, request_of(method, parent=wishes.pooldomain.POOL, page_size=1)))
    mine = around.token(groups=["/acme/org-viewer"])
    why = await around.refusal(method, request_of(method, parent=wishes.pooldomain.POOL, page_token=token), token=mine)
    assert why.reason == "PAGE_TOKEN_INVALID"


async def test_slots_of_one_name_in_two_namespaces_are_both_listed(around: Mesh) -> None:
    await _slots(around)
    listed = await walk(around, f"{_X}.ContinuumService/ListContinuums", {"parent": "namespaces/-"}, 1)
    names = [slot.name for slot in listed]
    assert len(names) == len(set(names)) >= 6
    assert {name.split("/")[1] for name in names} >= {"catalyst-system", "other"}
    one: Any = await around.call(
        f"{_X}.ContinuumService/GetContinuum", continuum.GetContinuumRequest(name=names[0])
    )  # fmt: skip - one call
    assert one.name == names[0]
