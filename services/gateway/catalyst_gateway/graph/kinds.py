"""The types of what people ask for most: as far as the read model knows them (`folding`)."""

# mypy: disable-error-code="untyped-decorator"
# strawberry.field has overloads that the checker takes for untyped where it decorates a method with a description.

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

import strawberry
from catalyst_mesh import Page
from sqlalchemy import ColumnElement
from strawberry.scalars import JSON

from ..shelves import readable
from ..tables import thing
from .folding import Kind, Row, by_name, folded
from .measure import MOST_PAGE, PAGE
from .paging import First, Info, PageInfo, page_info
from .reads import Reads, ThingNotFound

Body = Mapping[str, Any]


SOVEREIGN = Kind("provisioner.sovereign")
RUN = Kind("provisioner.run")
PLAN = Kind("provisioner.plan")
ALLOCATION = Kind("pooldomain.allocation")
ZONE = Kind("pooldomain.zone")
ORDER = Kind("billing.order")
SLOT = Kind("continuum.continuum", ("catalyst.v1.continuum.",))
ORGANIZATION = Kind("environment.organization")


@strawberry.type(description="An amount.")
class Money:
    minor: str = strawberry.field(description="In the smallest unit of the currency.")
    currency: str = strawberry.field(description="`OMR`")


@strawberry.type(description="Work on a Sovereign: making, changing or destroying it.")
class Run:
    name: str = strawberry.field(description="`sovereigns/acme/runs/run-1`")
    state: str = strawberry.field(description="Last word about it: STARTED, PAUSED, RESUMED, SUCCEEDED, FAILED, …")
    intent: str = strawberry.field(description="What it is for, `INTENT_APPLY`.")
    plan: str = strawberry.field(description="Plan that it carries out.")
    order: str = strawberry.field(description="Paid order behind it; empty: none.")
    actor: str = strawberry.field(description="Who asked for it; empty where that is not kept any more.")
    time: datetime = strawberry.field(description="When the last word about it was told.")


@strawberry.type(description="The newest runs of a Sovereign.")
class RunConnection:
    nodes: list[Run]
    page_info: PageInfo


@strawberry.type(description="What a change of a Sovereign would come to.")
class Plan:
    name: str = strawberry.field(description="`sovereigns/acme/plans/plan-1`")
    state: str = strawberry.field(description="Last word about it: CREATED, APPLIED, EXPIRED.")
    intent: str = strawberry.field(description="What it is for, `INTENT_APPLY`.")
    hash: str = strawberry.field(description="By which it is accepted.")
    applicable: bool = strawberry.field(description="Whether it may be applied.")
    empty: bool = strawberry.field(description="Whether it changes nothing.")
    difference: Money | None = strawberry.field(
        description="What a month would cost more than now; negative: less. Null where that is not kept any more."
    )
    error_codes: list[str] = strawberry.field(description="Codes of findings that stand against it.")
    actor: str = strawberry.field(description="Who asked for it; empty: the daemon itself.")
    time: datetime = strawberry.field(description="When the last word about it was told.")


@strawberry.type(description="The newest plans of a Sovereign.")
class PlanConnection:
    nodes: list[Plan]
    page_info: PageInfo


@strawberry.type(description="A control plane that was ordered, with its clusters.")
class Sovereign:
    name: str = strawberry.field(description="`sovereigns/acme`")
    organization: str = strawberry.field(description="Slug of whom it belongs to.")
    state: str = strawberry.field(description="Last word about it: CREATED, UPDATED, ACTIVATED, DEGRADED, RECOVERED.")
    fqdn: str = strawberry.field(description="Address; empty before it was active.")
    order: str = strawberry.field(description="Order that pays for it; empty: none is known.")
    simulated: bool = strawberry.field(description="Whether it stands on the simulated cloud.")
    generation: str = strawberry.field(description="Of its description.")
    clusters: JSON = strawberry.field(description="Clusters, as `SovereignActivated` tells them.")
    time: datetime = strawberry.field(description="When the last word about it was told.")

    @strawberry.field(description="What was done to it, the newest first.")
    async def runs(self, info: Info, first: First = PAGE) -> RunConnection:
        found, where = await _newest(info.context, self.name, RUN, "run", first)
        return RunConnection(nodes=[_run(*one) for one in found], page_info=where)

    @strawberry.field(description="What was planned for it and would cost, the newest first.")
    async def plans(self, info: Info, first: First = PAGE) -> PlanConnection:
        found, where = await _newest(info.context, self.name, PLAN, "plan", first)
        return PlanConnection(nodes=[_plan(*one) for one in found], page_info=where)


@strawberry.type(description="A name under a pool domain and who holds it.")
class Allocation:
    name: str = strawberry.field(description="`pools/omani.works/allocations/acme`")
    organization: str = strawberry.field(description="Slug of its owner.")
    state: str = strawberry.field(
        description="Last word about it: RESERVED, COMMITTED, ACTIVATED, DEGRADED, WITHDRAWN, …"
    )
    fqdn: str = strawberry.field(description="The whole name.")
    holder: str = strawberry.field(description="For what it is held; empty: not said.")
    zone: str = strawberry.field(description="Zone that serves it; empty before that is active.")
    targets: JSON = strawberry.field(description="Where it points, as its events tell.")
    time: datetime = strawberry.field(description="When the last word about it was told.")


@strawberry.type(description="A zone that is kept here.")
class Zone:
    name: str = strawberry.field(description="`zones/acme.omani.works`")
    organization: str = strawberry.field(description="Slug of its owner; empty: nobody's.")
    state: str = strawberry.field(description="Last word about it: CREATED, CHANGED, SIGNED, DRIFTED, REPAIRED, …")
    kind: str = strawberry.field(description="`KIND_CHILD`")
    serial: str = strawberry.field(description="Serial number of its last change.")
    time: datetime = strawberry.field(description="When the last word about it was told.")


@strawberry.type(description="Something that was ordered.")
class Order:
    name: str = strawberry.field(description="`billingAccounts/acme/orders/o-1`")
    organization: str = strawberry.field(description="Slug of who ordered.")
    state: str = strawberry.field(
        description="Last word about it: CREATED, PAID, CANCELLED, EXPIRED, FAILED, REFUNDED."
    )
    plan: str = strawberry.field(description="`m`; empty: none.")
    sovereign: str = strawberry.field(description="Sovereign that it is for; empty: none.")
    total: Money | None = strawberry.field(description="What it comes to.")
    apps: list[str] = strawberry.field(description="Apps that were paid with it.")
    time: datetime = strawberry.field(description="When the last word about it was told.")


@strawberry.type(description="Which region of something may write.")
class Slot:
    name: str = strawberry.field(description="`namespaces/acme/continuums/shop`")
    organization: str = strawberry.field(description="Slug of whose it is; empty: nobody's.")
    primary_region: str = strawberry.field(description="Region that is preferred.")
    hot_standby_regions: list[str] = strawberry.field(description="Regions that stand by.")
    holder: str = strawberry.field(description="Region that held it last.")
    epoch: str = strawberry.field(description="Epoch that was told last.")
    time: datetime = strawberry.field(description="When the last word about it was told.")


@strawberry.type(description="A customer, or a part of the own house.")
class Organization:
    name: str = strawberry.field(description="`organizations/acme`")
    state: str = strawberry.field(description="ACTIVE, SUSPENDED, … where it was said; else the last word about it.")
    display_name: str = strawberry.field(description="Its name for people.")
    owner: str = strawberry.field(description="Who made it; empty where that is not kept any more.")
    time: datetime = strawberry.field(description="When the last word about it was told.")


@strawberry.type(description="A Blueprint that was installed in an Environment.")
class Application:
    name: str = strawberry.field(description="`environments/acme-prod/applications/blog`")
    organization: str = strawberry.field(description="Slug of whose it is.")
    environment: str = strawberry.field(description="`acme-prod`")
    state: str = strawberry.field(description="INSTALLING, ACTIVE, …, as events tell it.")
    blueprint: str = strawberry.field(description="`blueprints/bp-ghost`")
    blueprint_version: str = strawberry.field(description="The exact version.")
    digest: str = strawberry.field(description="Of that version.")
    uses: list[str] = strawberry.field(description="Names of those of its Environment that it uses.")
    backing: bool = strawberry.field(description="Whether it is there for others alone: a backing service.")
    time: datetime = strawberry.field(description="When the last word about it was told.")

    @strawberry.field(description="Those of its Environment that use it.")
    async def used_by(self, info: Info, first: First = PAGE) -> "ApplicationConnection":
        beside = await info.context.beside.load(self.environment)
        using = [(row, said) for row, said in beside if self.name.rpartition("/")[2] in _texts(said, "uses")]
        page = Page.of(first or PAGE, "", "used_by", self.name, most=MOST_PAGE)
        nodes = [to_application(row, said) for row, said in using[: page.size]]
        more = PageInfo(has_next_page=len(using) > page.size, end_cursor="")
        return ApplicationConnection(nodes=nodes, page_info=more)


@strawberry.type(description="A page of Sovereigns, by their names.")
class SovereignConnection:
    nodes: list[Sovereign]
    page_info: PageInfo


@strawberry.type(description="A page of names, in their order.")
class AllocationConnection:
    nodes: list[Allocation]
    page_info: PageInfo


@strawberry.type(description="A page of zones, by their names.")
class ZoneConnection:
    nodes: list[Zone]
    page_info: PageInfo


@strawberry.type(description="A page of orders, by their names.")
class OrderConnection:
    nodes: list[Order]
    page_info: PageInfo


@strawberry.type(description="A page of slots, by their names.")
class SlotConnection:
    nodes: list[Slot]
    page_info: PageInfo


@strawberry.type(description="A page of Organizations, by their names.")
class OrganizationConnection:
    nodes: list[Organization]
    page_info: PageInfo


@strawberry.type(description="A page of Applications, by their names.")
class ApplicationConnection:
    nodes: list[Application]
    page_info: PageInfo


@strawberry.type(description="Applications of an Environment that are in one state.")
class ApplicationGroup:
    state: str = strawberry.field(description="As in `Application.state`.")
    backing: bool = strawberry.field(description="Whether these are backing services, which stand apart.")
    nodes: list[Application]


@strawberry.type(description="A page of an Environment's Applications by state, those first that people asked for.")
class ApplicationGroups:
    groups: list[ApplicationGroup]
    page_info: PageInfo


def grouped(applications: Sequence[Application], where: PageInfo) -> ApplicationGroups:
    """Applications by whether they are there for others, and by state."""
    found: dict[tuple[bool, str], list[Application]] = {}
    for one in applications:
        found.setdefault((one.backing, one.state), []).append(one)
    groups = [ApplicationGroup(state=key[1], backing=key[0], nodes=nodes) for key, nodes in sorted(found.items())]
    return ApplicationGroups(groups=groups, page_info=where)


async def page_of(
    reads: Reads, kind: Kind, first: int, after: str, *where: ColumnElement[bool], scope: Sequence[str] = ()
) -> tuple[list[tuple[Row, Body]], PageInfo]:
    """Things of a kind that the caller reads, each with what was told of it."""
    page = Page.of(first or PAGE, after, kind.name, *scope, reads.person.subject, most=MOST_PAGE)
    async with reads.work.reading() as tx:
        rows = await tx.things(
            thing.c.kind == kind.name, readable(reads.reader), *where, after=page.after or "", limit=page.size + 1
        )
    cut = page.cut(rows, lambda row: row["key"])
    told = await reads.told.load_many([(kind, row["key"]) for row in cut.rows])
    return [(row, _body(row, events)) for row, events in zip(cut.rows, told, strict=True)], page_info(
        cut.next_page_token
    )


async def one_of(reads: Reads, kind: Kind, key: str) -> tuple[Row, Body]:
    """One thing of a kind. Raises ThingNotFound, also where the caller may not read it."""
    found, _ = await page_of(reads, kind, 1, "", thing.c.key == key, scope=(key,))
    if not found:
        raise ThingNotFound(key=key[:200])
    return found[0]


def _body(row: Row, events: Sequence[Row]) -> Body:
    """What was told of a thing; of one whose events are swept by now the last word alone."""
    return folded(events or [row])


async def _newest(
    reads: Reads, sovereign: str, kind: Kind, field: str, first: int
) -> tuple[list[tuple[str, Sequence[Row]]], PageInfo]:
    """What was told of a Sovereign's runs or plans, by name, the newest first."""
    told = by_name(await reads.told.load((kind, sovereign)), field)
    page = Page.of(first or PAGE, "", field, sovereign, most=MOST_PAGE)
    names = list(reversed(told))
    more = PageInfo(has_next_page=len(names) > page.size, end_cursor="")
    return [(name, told[name]) for name in names[: page.size]], more


def _plan(name: str, events: Sequence[Row]) -> Plan:
    said = folded(events)
    more: dict[str, Any] = {field: _text(said, field) for field in ("state", "intent", "hash", "actor")}
    more |= {field: bool(said.get(field)) for field in ("applicable", "empty")}
    more |= {
        "difference": _money((said.get("difference") or {}).get("month")),
        "error_codes": _texts(said, "errorCodes"),
    }
    return Plan(name=name, time=events[-1]["time"], **more)


def _run(name: str, events: Sequence[Row]) -> Run:
    said = folded(events)
    texts = {field: _text(said, field) for field in ("state", "intent", "plan", "order", "actor")}
    return Run(name=name, time=events[-1]["time"], **texts)


def to_sovereign(row: Row, said: Body) -> Sovereign:
    """A Sovereign as it is shown."""
    more: dict[str, Any] = {field: _text(said, field) for field in ("state", "fqdn", "order", "generation")}
    more |= {"clusters": said.get("clusters", []), "simulated": bool(said.get("simulated"))}
    return Sovereign(name=row["key"], organization=row["organization"], time=row["time"], **more)


def to_allocation(row: Row, said: Body) -> Allocation:
    """A name as it is shown."""
    more: dict[str, Any] = {field: _text(said, field) for field in ("state", "fqdn", "holder", "zone")}
    more |= {"targets": said.get("targets", [])}
    return Allocation(name=row["key"], organization=row["organization"], time=row["time"], **more)


def to_zone(row: Row, said: Body) -> Zone:
    """A zone as it is shown."""
    texts = {field: _text(said, field) for field in ("state", "kind", "serial")}
    return Zone(name=row["key"], organization=row["organization"], time=row["time"], **texts)


def to_order(row: Row, said: Body) -> Order:
    """An order as it is shown."""
    more: dict[str, Any] = {field: _text(said, field) for field in ("state", "plan", "sovereign")}
    more |= {"total": _money(said.get("total")), "apps": _texts(said, "apps")}
    return Order(name=row["key"], organization=row["organization"], time=row["time"], **more)


def to_slot(row: Row, said: Body) -> Slot:
    """A slot as it is shown."""
    record = said.get("record") or {}
    more: dict[str, Any] = {"hot_standby_regions": _texts(said, "hotStandbyRegions")}
    return Slot(
        name=row["key"],
        organization=row["organization"],
        time=row["time"],
        primary_region=_text(said, "primaryRegion"),
        holder=_text(said, "holder"),
        epoch=_text(record, "epoch"),
        **more,
    )  # fmt: skip - one call


def to_organization(row: Row, said: Body) -> Organization:
    """An Organization as it is shown."""
    texts = {"state": _text(said, "state"), "display_name": _text(said, "displayName"), "owner": _text(said, "owner")}
    return Organization(name=row["key"], time=row["time"], **texts)


_STATES = {"REQUESTED": "INSTALLING", "INSTALLED": "ACTIVE", "REMOVED": "DELETED"}
"""What an Application is after events that do not say its state."""


def to_application(row: Row, said: Body) -> Application:
    """An Application as it is shown."""
    texts = {field: _text(said, field) for field in ("blueprint", "digest")}
    texts["state"] = _STATES.get(_text(said, "state"), _text(said, "state"))
    return Application(
        name=row["key"],
        organization=row["organization"],
        environment=row["environment"],
        time=row["time"],
        blueprint_version=_text(said, "blueprintVersion"),
        uses=_texts(said, "uses"),
        backing=bool(said.get("backing")),
        **texts,
    )  # fmt: skip - one call


def _text(said: Body, field: str) -> str:
    return str(said.get(field) or "")


def _texts(said: Body, field: str) -> list[str]:
    found = said.get(field)
    return [str(one) for one in found] if isinstance(found, list) else []


def _money(found: Any) -> Money | None:
    if not isinstance(found, Mapping):
        return None
    return Money(minor=str(found.get("minor", "0")), currency=str(found.get("currency", "")))
