"""The types of the read API. What may be read is asked of the same table as for events and REST, for each object."""

# mypy: disable-error-code="untyped-decorator"
# strawberry.field has overloads that the checker takes for untyped where it decorates a method with a description.

from collections.abc import Sequence
from datetime import datetime
from typing import Annotated, Any

import strawberry
from catalyst_mesh import Page
from catalyst_mesh.readers import organization_of
from graphql import GraphQLError
from sqlalchemy import ColumnElement
from strawberry.scalars import JSON
from strawberry.schema.config import StrawberryConfig

from ..shelves import installed_from, matching, readable
from ..state import EnvironmentDenied, SearchTooShort
from ..tables import thing
from ..things import aggregate_of
from . import kinds
from .folding import APPLICATION, Row
from .kinds import (
    Allocation,
    AllocationConnection,
    Application,
    ApplicationConnection,
    ApplicationGroups,
    Order,
    OrderConnection,
    Organization,
    OrganizationConnection,
    Slot,
    SlotConnection,
    Sovereign,
    SovereignConnection,
    Zone,
    ZoneConnection,
    one_of,
    page_of,
)
from .measure import MOST_PAGE, PAGE
from .paging import After, First, Info, PageInfo, page_info
from .reads import Reads, ThingNotFound

LOOKED_AT = 2000
"""Events that one list looks at, for whoever may read few of them."""
Of = Annotated[str, strawberry.argument(description="A Blueprint, `blueprints/bp-ghost`; empty: of any.")]
Whose = Annotated[str, strawberry.argument(description="Slug of an Organization; empty: of all that the caller reads.")]


@strawberry.type(description="Something that happened.")
class Event:
    number: strawberry.ID = strawberry.field(description="Its place among all events, as in `id` of the stream.")
    subject: str = strawberry.field(description="`catalyst.v1.billing.order.paid`")
    key: str = strawberry.field(description="The thing that it is about.")
    version: strawberry.ID = strawberry.field(description="Version of the thing after it.")
    time: datetime = strawberry.field(description="When it happened.")
    body: JSON = strawberry.field(description="What it says, in the JSON form of its contract.")

    @strawberry.field(description="What stands of the thing now; null once it is no more.")
    async def thing(self, info: Info) -> "Thing | None":
        row = await info.context.things.load(self.key)
        return None if row is None else to_thing(row)


@strawberry.type(description="A page of events, the newest first.")
class EventConnection:
    nodes: list[Event]
    page_info: PageInfo


@strawberry.type(description="The newest word about something: a resource of a daemon, or an object of an Environment.")
class Thing:
    key: str = strawberry.field(
        description="Resource name, with `#<kind>` for what another kind says of it; or `ws/<environment>/<uid>`."
    )
    kind: str = strawberry.field(description="`pooldomain.zone`, `k8s.deployment`")
    name: str = strawberry.field(description="Its name among its kind.")
    environment: str = strawberry.field(description="Environment, empty: none.")
    organization: str = strawberry.field(description="Organization, empty: nobody's.")
    subject: str = strawberry.field(description="What was told last.")
    version: strawberry.ID = strawberry.field(description="Its version or generation.")
    time: datetime = strawberry.field(description="When that was told.")
    body: JSON = strawberry.field(description="What was told, in the JSON form of its contract.")

    @strawberry.field(description="What happened to it, the newest first; at most its last 100 events.")
    async def events(self, info: Info, first: First = PAGE) -> EventConnection:
        rows = await info.context.events.load(aggregate_of(self.key))
        page = Page.of(first or PAGE, "", "events", self.key, most=MOST_PAGE)
        nodes = [to_event(row) for row in rows[: page.size]]
        return EventConnection(nodes=nodes, page_info=PageInfo(has_next_page=len(rows) > page.size, end_cursor=""))


@strawberry.type(description="A page of things, by their keys.")
class ThingConnection:
    nodes: list[Thing]
    page_info: PageInfo


@strawberry.type(description="Where Applications of an Organization run.")
class Environment:
    name: str = strawberry.field(description="`acme-prod`")
    organization: str = strawberry.field(description="`acme`")

    @strawberry.field(description="What stands in it.")
    async def things(
        self, info: Info, kinds: list[str] | None = None, first: First = PAGE, after: After = ""
    ) -> ThingConnection:
        where = [thing.c.environment == self.name, *([thing.c.kind.in_(kinds)] if kinds else [])]
        return await _things(info.context, where, first, after, "environment", self.name, *(kinds or ()))

    @strawberry.field(description="What is installed in it.")
    async def applications(
        self, info: Info, blueprint: Of = "", first: First = PAGE, after: After = ""
    ) -> ApplicationConnection:
        here = [thing.c.environment == self.name, *_from(blueprint)]
        scope = (self.name, blueprint)
        found, where = await page_of(info.context, APPLICATION, first, after, *here, scope=scope)
        return ApplicationConnection(nodes=[kinds.to_application(*one) for one in found], page_info=where)

    @strawberry.field(description="The same by state, backing services apart.")
    async def by_state(self, info: Info, first: First = PAGE, after: After = "") -> ApplicationGroups:
        here = thing.c.environment == self.name
        found, where = await page_of(info.context, APPLICATION, first, after, here, scope=(self.name, "by state"))
        return kinds.grouped([kinds.to_application(*one) for one in found], where)


@strawberry.type(description="Reads; nothing is changed by GraphQL.")
class Query:
    @strawberry.field(description="One thing. THING_NOT_FOUND also where the caller may not read it.")
    async def thing(self, info: Info, key: str) -> Thing | None:
        row = await info.context.things.load(key)
        if row is None:
            raise ThingNotFound(key=key[:200])
        return to_thing(row)

    @strawberry.field(description="Things of a kind, of all Organizations that the caller reads or of one.")
    async def things(
        self, info: Info, kind: str, organization: str = "", first: First = PAGE, after: After = ""
    ) -> ThingConnection | None:
        where = [thing.c.kind == kind, *([thing.c.organization == organization] if organization else [])]
        return await _things(info.context, where, first, after, "things", kind, organization)

    @strawberry.field(
        description="An Environment of an Organization of the caller's. ENVIRONMENT_DENIED for any other."
    )
    async def environment(self, info: Info, name: str) -> Environment | None:
        org = organization_of(name)
        if not info.context.reader.may_hear(f"ws.{name}.", org):
            raise EnvironmentDenied(environment=name[:80])
        return Environment(name=name, organization=org)

    @strawberry.field(description="Things with a text of at least two characters in their name or body.")
    async def search(self, info: Info, q: str, first: First = PAGE, after: After = "") -> ThingConnection | None:
        text = q.strip()[:200]
        if len(text) < 2:
            raise SearchTooShort
        return await _things(info.context, [matching(text)], first, after, "search", text)

    @strawberry.field(description="What happened, the newest first.")
    async def events(
        self, info: Info, topic: str = "", first: First = PAGE, after: After = ""
    ) -> EventConnection | None:
        reads = info.context
        reads.reader.demand(topic)
        page = Page.of(first or PAGE, after, "events", topic, reads.person.subject, most=MOST_PAGE)
        async with reads.work.reading() as tx:
            rows = await tx.before(page.after, topic, LOOKED_AT)
        found = [row for row in rows if reads.may_read(row)]
        cut = page.cut(found[: page.size + 1], lambda row: row["number"])
        token = cut.next_page_token
        if not token and len(rows) == LOOKED_AT:  # there may be more behind much that is others'
            last = rows[-1]["number"]
            token = Page(1, None, page.scope).cut([last, last], lambda number: number).next_page_token
        return EventConnection(nodes=[to_event(row) for row in cut.rows], page_info=page_info(token))

    @strawberry.field(description="A Sovereign. THING_NOT_FOUND also where the caller may not read it.")
    async def sovereign(self, info: Info, name: str) -> Sovereign | None:
        return kinds.to_sovereign(*await one_of(info.context, kinds.SOVEREIGN, name))

    @strawberry.field(description="Sovereigns that the caller reads.")
    async def sovereigns(
        self, info: Info, organization: Whose = "", first: First = PAGE, after: After = ""
    ) -> SovereignConnection | None:
        found, where = await page_of(
            info.context, kinds.SOVEREIGN, first, after, *_of(organization), scope=(organization,)
        )
        return SovereignConnection(nodes=[kinds.to_sovereign(*one) for one in found], page_info=where)

    @strawberry.field(description="A name under a pool domain. THING_NOT_FOUND also where the caller may not read it.")
    async def allocation(self, info: Info, name: str) -> Allocation | None:
        return kinds.to_allocation(*await one_of(info.context, kinds.ALLOCATION, name))

    @strawberry.field(description="Names under pool domains that the caller reads.")
    async def allocations(
        self, info: Info, organization: Whose = "", first: First = PAGE, after: After = ""
    ) -> AllocationConnection | None:
        found, where = await page_of(
            info.context, kinds.ALLOCATION, first, after, *_of(organization), scope=(organization,)
        )
        return AllocationConnection(nodes=[kinds.to_allocation(*one) for one in found], page_info=where)

    @strawberry.field(description="A zone. THING_NOT_FOUND also where the caller may not read it.")
    async def zone(self, info: Info, name: str) -> Zone | None:
        return kinds.to_zone(*await one_of(info.context, kinds.ZONE, name))

    @strawberry.field(description="Zones that the caller reads.")
    async def zones(
        self, info: Info, organization: Whose = "", first: First = PAGE, after: After = ""
    ) -> ZoneConnection | None:
        found, where = await page_of(info.context, kinds.ZONE, first, after, *_of(organization), scope=(organization,))
        return ZoneConnection(nodes=[kinds.to_zone(*one) for one in found], page_info=where)

    @strawberry.field(description="An order. THING_NOT_FOUND also where the caller may not read it.")
    async def order(self, info: Info, name: str) -> Order | None:
        return kinds.to_order(*await one_of(info.context, kinds.ORDER, name))

    @strawberry.field(description="Orders that the caller reads.")
    async def orders(
        self, info: Info, organization: Whose = "", first: First = PAGE, after: After = ""
    ) -> OrderConnection | None:
        found, where = await page_of(info.context, kinds.ORDER, first, after, *_of(organization), scope=(organization,))
        return OrderConnection(nodes=[kinds.to_order(*one) for one in found], page_info=where)

    @strawberry.field(description="A slot. THING_NOT_FOUND also where the caller may not read it.")
    async def slot(self, info: Info, name: str) -> Slot | None:
        return kinds.to_slot(*await one_of(info.context, kinds.SLOT, name))

    @strawberry.field(description="Slots that the caller reads.")
    async def slots(
        self, info: Info, organization: Whose = "", first: First = PAGE, after: After = ""
    ) -> SlotConnection | None:
        found, where = await page_of(info.context, kinds.SLOT, first, after, *_of(organization), scope=(organization,))
        return SlotConnection(nodes=[kinds.to_slot(*one) for one in found], page_info=where)

    @strawberry.field(description="An Organization. THING_NOT_FOUND also where the caller may not read it.")
    async def organization(self, info: Info, name: str) -> Organization | None:
        return kinds.to_organization(*await one_of(info.context, kinds.ORGANIZATION, name))

    @strawberry.field(description="Organizations that the caller reads.")
    async def organizations(self, info: Info, first: First = PAGE, after: After = "") -> OrganizationConnection | None:
        found, where = await page_of(info.context, kinds.ORGANIZATION, first, after)
        return OrganizationConnection(nodes=[kinds.to_organization(*one) for one in found], page_info=where)

    @strawberry.field(description="An Application. THING_NOT_FOUND also where the caller may not read it.")
    async def application(self, info: Info, name: str) -> Application | None:
        return kinds.to_application(*await one_of(info.context, APPLICATION, name))

    @strawberry.field(description="Applications that the caller reads; of one Blueprint, what could be reused.")
    async def applications(
        self, info: Info, organization: Whose = "", blueprint: Of = "", first: First = PAGE, after: After = ""
    ) -> ApplicationConnection | None:
        wanted, scope = [*_of(organization), *_from(blueprint)], (organization, blueprint)
        found, where = await page_of(info.context, APPLICATION, first, after, *wanted, scope=scope)
        return ApplicationConnection(nodes=[kinds.to_application(*one) for one in found], page_info=where)


def _of(organization: str) -> list[ColumnElement[bool]]:
    return [thing.c.organization == organization] if organization else []


def _from(blueprint: str) -> list[ColumnElement[bool]]:
    return [installed_from(blueprint)] if blueprint else []


async def _things(
    reads: Reads, where: Sequence[ColumnElement[bool]], first: int, after: str, *scope: str
) -> ThingConnection:
    page = Page.of(first or PAGE, after, *scope, reads.person.subject, most=MOST_PAGE)
    async with reads.work.reading() as tx:
        rows = await tx.things(readable(reads.reader), *where, after=page.after or "", limit=page.size + 1)
    cut = page.cut(rows, lambda row: row["key"])
    nodes = [to_thing(row) for row in cut.rows]
    return ThingConnection(nodes=nodes, page_info=page_info(cut.next_page_token))


def to_thing(row: Row) -> Thing:
    """A row as it is shown."""
    names = ("key", "kind", "name", "environment", "organization", "subject", "time", "body")
    return Thing(**{name: row[name] for name in names}, version=strawberry.ID(str(row["version"])))


def to_event(row: Row) -> Event:
    """A row as it is shown."""
    number, version = strawberry.ID(str(row["number"])), strawberry.ID(str(row["version"]))
    shown: dict[str, Any] = {name: row[name] for name in ("subject", "time", "body")}
    return Event(number=number, key=row["aggregate"], version=version, **shown)


class _Schema(strawberry.Schema):
    def process_errors(self, errors: list[GraphQLError], execution_context: Any = None) -> None:
        """Errors are told by whoever answers; the library would log a traceback for each refusal."""


def make() -> strawberry.Schema:
    """The schema."""
    return _Schema(query=Query, config=StrawberryConfig(disable_field_suggestions=True))
