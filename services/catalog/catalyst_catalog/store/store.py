"""One transaction on the catalogue: what a sync knows, and how decided states are written."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import asdict, fields
from datetime import datetime
from functools import singledispatchmethod
from typing import Any
from uuid import uuid4

from catalyst_mesh import Transaction
from sqlalchemy import Select, Table, and_, bindparam, delete, func, insert, outerjoin, select, update
from sqlalchemy.engine import RowMapping

from ..domain import storefront
from ..domain.artifacts import Kept
from ..domain.changes import KEPT, Change, Kind
from ..domain.departures import Departed, Erasure
from ..domain.installations import Installation
from ..domain.moderation import Moderated
from ..domain.sightings import Known, Settled
from ..domain.sources import Blueprint, Issue, Item, Removal, Source
from ..domain.storefront import Offer, PriceBook, Stocked
from ..domain.universe import State
from ..domain.versions import Version
from . import rows as r
from . import tables as t
from .policies import seen_by
from .viewers import Viewer, visible

CATALOGUE = 1
MOST_CHANGES = 500
"""After more than these everything is read anew."""


class Store(Transaction):
    """The catalogue's unit of work."""

    async def source(self, id: str, *, lock: bool = False, deleted: bool = False) -> Source | None:
        """One source; with `lock` nobody else changes it until the commit, with `deleted` one that is gone too."""
        query = select(t.sources).where(t.sources.c.id == id)
        row = await self._one(query.with_for_update() if lock and self.has_row_locks else query)
        found = r.to_source(row) if row else None
        return None if found is None or (found.is_deleted and not deleted) else found

    async def sources(self) -> list[Source]:
        """Every source, by priority and name."""
        rows = await self._all(select(t.sources).where(t.sources.c.is_deleted.is_(False)))
        return sorted(map(r.to_source, rows), key=lambda source: (source.priority, source.id))

    async def items(self, source: str) -> dict[str, Item]:
        """What is remembered of a source's items, by path."""
        rows = await self._all(select(t.items).where(t.items.c.source == source))
        return {row["path"]: r.to_item(row) for row in rows}

    async def issues(self, source: str | None = None) -> list[Issue]:
        """Open issues of one source or of all, the latest first."""
        query = select(t.issues) if source is None else select(t.issues).where(t.issues.c.source == source)
        found = [r.to_issue(row) for row in await self._all(query)]
        return sorted(found, key=lambda issue: (issue.last_seen, issue.name), reverse=True)

    async def known(self, id: str) -> Known | None:
        """Everything that settling a sync of source `id` needs; the source is locked. None: it is gone."""
        source = await self.source(id, lock=True)
        if source is None:
            return None
        owner = source.owner
        mine = t.versions.c.owner_org == owner
        versions = [r.to_version(row) for row in await self._all(select(t.versions).where(mine))]
        owners = t.blueprints.c.owner_org.in_(sorted({"", owner}))
        names = [r.to_blueprint(row) for row in await self._all(select(t.blueprints).where(owners))]
        return Known(
            source,
            items=await self.items(id),
            issues={issue.key: issue for issue in await self.issues(id)},
            versions={(v.owner_org, v.blueprint, v.version): v for v in versions},
            blueprints={(b.owner_org, b.name): b for b in names},
            needs=r.needs_of(versions, names),
            catalog_revision=await self.revision(),
        )

    async def revision(self) -> int:
        """Number of changes that the catalogue has seen; 0 before the first."""
        found = (await self.sql.execute(select(t.catalogue.c.revision))).scalar_one_or_none()
        return int(found or 0)

    async def state(self) -> tuple[int, frozenset[str]]:
        """The revision, and the sources whose pre-releases count as any other version; in one look."""
        is_early = t.sources.c.prereleases.is_(True) & t.sources.c.is_deleted.is_(False)
        both = outerjoin(t.catalogue, t.sources, is_early)
        rows = (await self.sql.execute(select(t.catalogue.c.revision, t.sources.c.id).select_from(both))).all()
        return (int(rows[0][0]) if rows else 0), frozenset(id for _, id in rows if id is not None)

    async def versions(self, viewer: Viewer, names: Collection[str] | None = None) -> list[tuple[Version, str]]:
        """Every version that exists for `viewer`, with its uid; with `names` those of these Blueprints."""
        query = select(t.versions).where(visible(t.versions, viewer))
        query = query if names is None else query.where(t.versions.c.blueprint.in_(sorted(names)))
        rows = await self._seen(query, viewer)
        return [(r.to_version(row), row["uid"]) for row in rows]

    async def blueprints(self, viewer: Viewer, names: Collection[str] | None = None) -> list[RowMapping]:
        """The row of every Blueprint that exists for `viewer`; with `names` those of these."""
        query = select(t.blueprints).where(visible(t.blueprints, viewer))
        query = query if names is None else query.where(t.blueprints.c.name.in_(sorted(names)))
        return await self._seen(query, viewer)

    async def names_of(self, organizations: Collection[str]) -> frozenset[str]:
        """Bare names of the Blueprints that some Organizations have."""
        c = t.blueprints.c
        found = await self.sql.execute(select(c.name).where(c.owner_org.in_(sorted(organizations))))
        return frozenset(found.scalars())

    async def changed_since(self, revision: int) -> frozenset[str] | None:
        """Bare names of the Blueprints of which anything changed since; None: too many, or not remembered any more."""
        found = await self.changes(revision, MOST_CHANGES)
        if len(found) == MOST_CHANGES or (found and found[0].revision != revision + 1):
            return None
        return frozenset(change.blueprint for change in found) - {""}

    async def version(self, owner: str, blueprint: str, version: str) -> tuple[Version, str] | None:
        """One version with its uid, and nobody else changes it until the commit. Who may see it was asked before."""
        c = t.versions.c
        query = select(t.versions).where(c.owner_org == owner, c.blueprint == blueprint, c.version == version)
        row = await self._one(query.with_for_update() if self.has_row_locks else query)
        return (r.to_version(row), row["uid"]) if row else None

    async def siblings(self, owner: str, name: str) -> tuple[Blueprint | None, list[Version]]:
        """A Blueprint and all of its versions."""
        c, v = t.blueprints.c, t.versions.c
        row = await self._one(select(t.blueprints).where(c.owner_org == owner, c.name == name))
        rows = await self._all(select(t.versions).where(v.owner_org == owner, v.blueprint == name))
        return (r.to_blueprint(row) if row else None), list(map(r.to_version, rows))

    async def owned(self, source: str) -> list[Blueprint]:
        """The Blueprints whose names belong to a source."""
        rows = await self._all(select(t.blueprints).where(t.blueprints.c.source == source))
        return sorted(map(r.to_blueprint, rows), key=lambda blueprint: blueprint.name)

    async def owned_by(self, organization: str) -> list[Blueprint]:
        """Every Blueprint of an Organization."""
        rows = await self._all(select(t.blueprints).where(t.blueprints.c.owner_org == organization))
        return sorted(map(r.to_blueprint, rows), key=lambda blueprint: blueprint.name)

    async def sources_of(self, organization: str) -> list[str]:
        """Ids of an Organization's sources."""
        c = t.sources.c
        mine = select(c.id).where(c.organization == organization, c.is_deleted.is_(False)).order_by(c.id)
        return list((await self.sql.execute(mine)).scalars())

    async def depart(self, organization: str) -> None:
        """Note that an Organization has gone, and when."""
        if await self._one(select(t.departed).where(t.departed.c.organization == organization)) is None:
            await self.write(insert(t.departed).values(organization=organization, left_at=self.now))

    async def to_erase(self, before: datetime, most: int) -> list[Departed]:
        """Organizations that had gone by `before` and whose Blueprints are still there."""
        c = t.departed.c
        query = select(t.departed).where(c.erased_at.is_(None), c.left_at <= before).order_by(c.left_at).limit(most)
        return [Departed(**row) for row in await self._all(query)]

    async def is_left(self, organization: str) -> bool:
        """Whether what a gone Organization left is still there; nobody else erases it until the commit."""
        await self.alone("departed", organization)
        c = t.departed.c
        return (
            await self._one(select(t.departed).where(c.organization == organization, c.erased_at.is_(None))) is not None
        )

    async def changes(self, after: int, most: int) -> list[Change]:
        """What changed after revision `after`, in order, for everybody: whoever passes it on asks who may see it."""
        c = t.changes.c
        query = select(t.changes).where(c.revision > after).order_by(c.revision).limit(most)
        return list(map(r.to_change, await self._all(query)))

    async def oldest_change(self) -> int:
        """Revision of the oldest change that is remembered; 0 where none is."""
        found = (await self.sql.execute(select(func.min(t.changes.c.revision)))).scalar_one()
        return int(found or 0)

    async def keep(self, artifacts: Sequence[Kept]) -> None:
        """Keep bytes; of those that are there already, what is said about them now."""
        await self._put(t.artifacts, [r.from_artifact(one) | {"kept_at": self.now} for one in artifacts])

    async def artifact(self, digest: str) -> Kept | None:
        """The bytes of a digest. Who may have them was asked before."""
        row = await self._one(select(t.artifacts).where(t.artifacts.c.digest == digest))
        return r.to_artifact(row) if row else None

    async def installation(self, application: str) -> Installation | None:
        """What is known of an Application, one that has gone too; nobody else changes it until the commit."""
        query = select(t.installations).where(t.installations.c.application == application)
        row = await self._one(query.with_for_update() if self.has_row_locks else query)
        return Installation(**row) if row else None

    async def installations(self, organizations: Collection[str], environment: str = "") -> list[Installation]:
        """What stands of some Organizations, by name; with `environment` only there."""
        c = t.installations.c
        query = select(t.installations).where(c.organization.in_(sorted(organizations)), c.is_removed.is_(False))
        query = query.where(c.environment == environment) if environment else query
        return [Installation(**row) for row in await self._all(query.order_by(c.application))]

    async def note(self, installation: Installation) -> None:
        """Write what is known of an Application."""
        await self._put(t.installations, [asdict(installation)])

    async def forget_digests(self, source: str, path: str | None = None) -> None:
        """Have every item of a source, or the one at `path`, taken anew by its next sync."""
        c = t.items.c
        mine = c.source == source if path is None else and_(c.source == source, c.path == path)
        await self.sql.execute(update(t.items).where(mine).values(digest=""))

    async def count(self, state: State) -> int:
        """How many versions are in a state, of everybody."""
        query = select(func.count()).select_from(t.versions).where(t.versions.c.state == state.value)
        return int((await self.sql.execute(query)).scalar_one())

    async def source_counts(self, source: Source) -> tuple[int, int, int]:
        """How many Blueprints a source owns, versions it brought, issues it has open.

        What an earlier source of that id brought for another Organization is none of this one's.
        """
        counts = []
        for table in (t.blueprints, t.versions, t.issues):
            mine = table.c.source == source.id
            mine = mine if table is t.issues else mine & (table.c.owner_org == source.owner)
            counts.append((await self.sql.execute(select(func.count()).select_from(table).where(mine))).scalar_one())
        return counts[0], counts[1], counts[2]

    async def source_row(self, id: str) -> RowMapping | None:
        """A source's row, with what the domain does not need."""
        return await self._one(select(t.sources).where(t.sources.c.id == id))

    async def offers(self, kind: storefront.Kind | None = None, *, deleted: bool = False) -> list[Offer]:
        """Rows of the storefront in their order."""
        query = select(t.offers).order_by(t.offers.c.sort, t.offers.c.slug)
        query = query if kind is None else query.where(t.offers.c.kind == kind.value)
        rows = await self._all(query if deleted else query.where(t.offers.c.is_deleted.is_(False)))
        return [r.to_offer(row) for row in rows]

    async def offer(self, kind: storefront.Kind, slug: str) -> Offer | None:
        """One row of the storefront, a deleted one too."""
        c = t.offers.c
        row = await self._one(select(t.offers).where(c.kind == kind.value, c.slug == slug))
        return r.to_offer(row) if row else None

    async def offer_uids(self) -> Mapping[tuple[str, str], str]:
        """uid of every offer, by kind and slug."""
        rows = await self._all(select(t.offers.c.kind, t.offers.c.slug, t.offers.c.uid))
        return {(row["kind"], row["slug"]): row["uid"] for row in rows}

    async def price_book(self, number: int | None = None) -> PriceBook | None:
        """Price book `number`; None: the newest that counts already."""
        query = select(t.price_books).order_by(t.price_books.c.number.desc()).limit(1)
        if number is None:
            query = query.where(t.price_books.c.valid_from <= self.now)
        else:
            query = query.where(t.price_books.c.number == number)
        row = await self._one(query)
        return PriceBook(**{f.name: row[f.name] for f in fields(PriceBook)}) if row else None

    async def latest_price_book(self) -> PriceBook | None:
        """The book with the highest number, even if it counts only later."""
        highest = (await self.sql.execute(select(func.max(t.price_books.c.number)))).scalar_one()
        return None if highest is None else await self.price_book(int(highest))

    @singledispatchmethod
    async def save(self, state: Any) -> None:
        """Write a decided state. Raises LostRace where another writer was faster."""
        await super().save(state)

    @save.register
    async def _(self, state: Source) -> None:
        await self._next(t.sources, {**r.from_source(state), "updated_at": self.now}, "id", created=True)

    @save.register
    async def _(self, state: Settled) -> None:
        await self._record(state.catalog_revision, state.changes)
        await self.save(state.source)
        for version in state.versions:
            await self._next(t.versions, r.from_version(version), "owner_org", "blueprint", "version")
        for blueprint in state.blueprints:
            await self._save_blueprint(blueprint)
        await self._put(t.items, [r.from_item(item) for item in state.items])
        await self._drop(t.issues, [r.from_issue(issue) for issue in state.healed])
        await self._put(t.issues, [r.from_issue(issue) for issue in state.issues])

    @save.register
    async def _(self, state: Moderated) -> None:
        if not state.changes:
            return
        await self._record(state.catalog_revision, state.changes)
        await self._next(t.versions, r.from_version(state.version), "owner_org", "blueprint", "version")
        if state.blueprint is not None:
            await self._save_blueprint(state.blueprint)

    @save.register
    async def _(self, state: Removal) -> None:
        changes = [
            Change(number, Kind.BLUEPRINT, b.resource, b.owner_org, b.revision, before=b.visibility.value)
            for number, b in enumerate(state.orphans, start=state.catalog_revision + 1)
        ]
        await self._record(state.catalog_revision, changes)
        await self.save(state.source)
        for blueprint in state.orphans:
            await self._save_blueprint(blueprint)
        for table in (t.items, t.issues):
            await self.sql.execute(delete(table).where(table.c.source == state.source.id))

    @save.register
    async def _(self, state: Erasure) -> None:
        await self._record(state.catalog_revision, state.changes)
        org = state.departed.organization
        mine = select(t.sources.c.id).where(t.sources.c.organization == org)
        for table in (t.items, t.issues):
            await self.sql.execute(delete(table).where(table.c.source.in_(mine)))
        for table in (t.versions, t.blueprints):
            await self.sql.execute(delete(table).where(table.c.owner_org == org))
        await self.sql.execute(delete(t.installations).where(t.installations.c.organization == org))
        named = select(t.versions.c.digest)
        await self.sql.execute(delete(t.artifacts).where(t.artifacts.c.digest.not_in(named)))
        # Rows of sources stay: settings that still name one must not bring it back.
        erased = update(t.departed).where(t.departed.c.organization == org)
        await self.write(erased.values(erased_at=state.departed.erased_at))

    @save.register
    async def _(self, state: Stocked) -> None:
        await self._record(state.catalog_revision, state.changes)
        for offer in state.offers:
            await self._next(t.offers, r.from_offer(offer), "kind", "slug")
        for book in state.books:
            row = {f.name: getattr(book, f.name) for f in fields(PriceBook)}
            await self.write(insert(t.price_books).values({**row, "created_at": self.now}))

    async def _next(self, table: Table, row: Mapping[str, Any], *key: str, created: bool = False) -> None:
        """Take a row from revision n-1 to n."""
        if row["revision"] == 1:
            fresh = {"uid": str(uuid4())} | ({"created_at": self.now} if created else {})
            await self.write(insert(table).values({**row, **fresh}))
            return
        mine = table.c.revision == row["revision"] - 1
        for name in key:
            mine &= table.c[name] == row[name]
        await self.write(update(table).where(mine).values(dict(row)))

    async def _save_blueprint(self, blueprint: Blueprint) -> None:
        row = {**r.from_blueprint(blueprint), "updated_at": self.now}
        await self._next(t.blueprints, row, "owner_org", "name", created=True)

    async def _record(self, before: int, changes: Sequence[Change]) -> None:
        """Take the catalogue from revision `before` to the last of `changes`; of two that race one decides anew."""
        if not changes:
            return
        last = changes[-1].revision
        if before == 0:
            await self.write(insert(t.catalogue).values(id=CATALOGUE, revision=last))
        else:
            c = t.catalogue.c
            mine = (c.id == CATALOGUE) & (c.revision == before)
            await self.write(update(t.catalogue).where(mine).values(revision=last))
        await self.sql.execute(insert(t.changes), [r.from_change(change) for change in changes])
        if last // KEPT != before // KEPT:
            await self.sql.execute(delete(t.changes).where(t.changes.c.revision <= last - KEPT))

    async def _put(self, table: Table, rows: list[dict[str, Any]]) -> None:
        """Write rows whether they are there or not; whoever writes them holds the lease and the lock of their source."""
        await self._drop(table, rows)
        if rows:
            await self.sql.execute(insert(table), rows)

    async def _drop(self, table: Table, rows: list[dict[str, Any]]) -> None:
        if rows:
            keys = [column.name for column in table.primary_key]
            mine = [table.c[name] == bindparam(f"key_{name}") for name in keys]
            await self.sql.execute(delete(table).where(*mine), [{f"key_{n}": row[n] for n in keys} for row in rows])

    async def _one(self, query: Select[Any]) -> RowMapping | None:
        found: RowMapping | None = (await self.sql.execute(query)).mappings().one_or_none()
        return found

    async def _all(self, query: Select[Any]) -> list[RowMapping]:
        return list((await self.sql.execute(query)).mappings().all())

    async def _seen(self, query: Select[Any], viewer: Viewer) -> list[RowMapping]:
        """What `viewer` may see of the answer, by the query's own predicate and, on PostgreSQL, by the database's too."""
        if not self.has_row_locks:
            return await self._all(query)
        async with seen_by(self.sql, viewer):
            return await self._all(query)
