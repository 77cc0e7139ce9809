"""One transaction on Organizations and what they have."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any, TypeVar

from catalyst_mesh import Page
from sqlalchemy import Select, Table, select
from sqlalchemy.engine import RowMapping

from ..domain import promotions
from ..domain.applications import Application
from ..domain.applications import State as ApplicationState
from ..domain.environments import Environment
from ..domain.members import Invitation, Member, Role
from ..domain.ordered import OrderedApp
from ..domain.organizations import Organization
from ..domain.promotions import Policy, Promotion
from ..domain.webhooks import Delivery, Webhook
from . import tables as t
from .bodies import from_json, to_json
from .pages import newest
from .webhooks import WebhookRows

E = TypeVar("E")
SEARCHED_AT_ONCE = 200
"""Rows that one read of a search takes at least."""
TABLES: Mapping[type[Any], Table] = {
    Organization: t.organizations,
    Member: t.members,
    Invitation: t.invitations,
    Environment: t.environments,
    Application: t.applications,
    Policy: t.policies,
    Promotion: t.promotions,
    Webhook: t.webhooks,
    Delivery: t.webhook_deliveries,
    OrderedApp: t.ordered_apps,
}


class Store(WebhookRows):
    """The unit of work of this daemon."""

    async def find(self, kind: type[E], *key: str, lock: bool = False) -> E | None:
        """One entity by its key; with `lock` nobody else changes it until the commit."""
        table = TABLES[kind]
        query = select(table).where(*(column == value for column, value in zip(table.primary_key, key, strict=True)))
        query = query.with_for_update() if lock and self.has_row_locks else query
        row = (await self.sql.execute(query)).mappings().one_or_none()
        return None if row is None else self._entity(kind, row)

    async def members(self, org: str, *, removed: bool = False) -> list[Member]:
        """Members of an Organization by name."""
        c = t.members.c
        query = select(t.members).where(c.org == org).order_by(c.id)
        return await self._all(Member, query if removed else query.where(c.is_removed.is_(False)))

    async def roles_of(self, subject: str) -> dict[str, Role | None]:
        """What is known of one person, by Organization; None: removed there."""
        rows = await self._all(Member, select(t.members).where(t.members.c.subject == subject))
        return {one.org: None if one.is_removed else one.role for one in rows}

    async def invitations(self, org: str) -> list[Invitation]:
        """Every invitation of an Organization."""
        return await self._all(Invitation, select(t.invitations).where(t.invitations.c.org == org))

    async def invitation_page(self, org: str, page: Page) -> list[Invitation]:
        """One more than a page of them, the newest first."""
        query = select(t.invitations).where(t.invitations.c.org == org)
        return await self._all(Invitation, newest(query, t.invitations, page))

    async def organizations(
        self, page: Page, *, among: frozenset[str] | None, states: Sequence[str], q: str = ""
    ) -> list[Organization]:
        """A page of the Organizations that answer to `q`, and one more, by name; `among` None: of all there are.

        What folds the case of a display name is Python's, which no database agrees with: the database looks in what was
        folded when the row was written. Rows of which it does not know are read and looked at here, some at a time, until
        the page is full.
        """
        c = t.organizations.c
        query = select(t.organizations).where(c.state.in_(states)).order_by(c.slug)
        query = query if among is None else query.where(c.slug.in_(sorted(among)))
        if q:
            known = c.sought.contains(q.casefold(), autoescape=True)
            query = query.where(known | (c.sought_version != c.version))
        size = max(page.size + 1, SEARCHED_AT_ONCE if q else 0)
        found: list[Organization] = []
        after = page.after or ""
        while len(found) <= page.size:
            rows = await self._all(Organization, query.where(c.slug > after).limit(size))
            found += [one for one in rows if one.answers_to(q)]
            if len(rows) < size:
                break
            after = rows[-1].slug
        return found[: page.size + 1]

    async def environments(self, org: str) -> list[Environment]:
        """The Environments of an Organization by name."""
        c = t.environments.c
        query = select(t.environments).where(c.org == org, c.state != "deleted").order_by(c.id)
        return await self._all(Environment, query)

    async def standing_environments(self) -> list[Environment]:
        """The Environments of all Organizations by name."""
        c = t.environments.c
        return await self._all(Environment, select(t.environments).where(c.state != "deleted").order_by(c.id))

    async def standing_applications(self) -> list[Application]:
        """The Applications of all Environments by name."""
        c = t.applications.c
        query = select(t.applications).where(c.state != "deleted").order_by(c.environment, c.id)
        return await self._all(Application, query)

    async def applications(self, environment: str) -> list[Application]:
        """The Applications of an Environment by name."""
        c = t.applications.c
        query = select(t.applications).where(c.environment == environment, c.state != "deleted").order_by(c.id)
        return await self._all(Application, query)

    async def written_applications(self, *, since: datetime) -> list[Application]:
        """Those of all Environments whose files were written, and those that have gone since a moment."""
        c = t.applications.c
        all = await self._all(Application, select(t.applications).order_by(c.environment, c.id))
        return [
            one
            for one in all
            if one.pin.commit and (one.state is not ApplicationState.DELETED or one.updated_at >= since)
        ]

    async def open_ordered(self) -> list[OrderedApp]:
        """Apps of paid orders whose installation has not begun."""
        c = t.ordered_apps.c
        query = select(t.ordered_apps).where(c.state != "begun").order_by(c.order, c.app)
        return await self._all(OrderedApp, query)

    async def ordered_of(self, org: str) -> list[OrderedApp]:
        """Every app that orders of an Organization name."""
        c = t.ordered_apps.c
        return await self._all(OrderedApp, select(t.ordered_apps).where(c.org == org).order_by(c.order, c.app))

    async def lives(self, org: str, id: str) -> list[Application]:
        """The Applications that share one repository, over all Environments."""
        c = t.applications.c
        query = select(t.applications).where(c.org == org, c.id == id, c.state != "deleted")
        return await self._all(Application, query)

    async def promotion(self, environment: str, id: str) -> Promotion | None:
        """One promotion, which nobody else changes until the commit."""
        return await self.find(Promotion, environment, id, lock=True)

    async def promotion_page(self, environment: str, page: Page) -> list[Promotion]:
        """One more than a page of the promotions into an Environment, the newest first."""
        query = select(t.promotions).where(t.promotions.c.environment == environment)
        return await self._all(Promotion, newest(query, t.promotions, page))

    async def open_promotions(self, environment: str) -> list[Promotion]:
        """Promotions into an Environment that have not come to an end."""
        c = t.promotions.c
        query = select(t.promotions).where(c.environment == environment, c.state.in_(sorted(promotions.OPEN)))
        return await self._all(Promotion, query)

    async def pending_promotions(self) -> list[tuple[str, str]]:
        """Keys of the promotions that wait, of all Environments."""
        c = t.promotions.c
        rows = await self.sql.execute(select(c.environment, c.id).where(c.state == "pending_approval").order_by(c.id))
        return [(row.environment, row.id) for row in rows]

    async def standing_policies(self) -> list[Policy]:
        """Policies of Environments that are there, by name."""
        there = {one.id for one in await self.standing_environments()}
        policies = await self._all(Policy, select(t.policies).order_by(t.policies.c.environment))
        return [one for one in policies if one.environment in there]

    async def asking_environments(self) -> frozenset[str]:
        """The Environments whose policies ask for anything: gates stand before them."""
        return frozenset(one.environment for one in await self._all(Policy, select(t.policies)) if one.asks)

    async def save(self, state: Any) -> None:
        """Write an entity, or several in turn. Raises LostRace where another writer was faster."""
        if isinstance(state, (tuple, list)):
            for one in state:
                await self.save(one)
            return
        table = TABLES[type(state)]
        found = {column.name: to_json(getattr(state, column.name)) for column in table.c if column.name != "body"}
        moments = {name: getattr(state, name) for name in found if name.endswith("_at")}
        await self.take(table, {**found, **moments, "body": to_json(state)})

    async def _all(self, kind: type[E], query: Select[Any]) -> list[E]:
        return [self._entity(kind, row) for row in (await self.sql.execute(query)).mappings()]

    def _entity(self, kind: type[E], row: RowMapping) -> E:
        self.seen(TABLES[kind], row)
        return from_json(kind, row["body"])


__all__ = ["Store"]
