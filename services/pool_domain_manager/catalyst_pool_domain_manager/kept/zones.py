"""Rows of zones, of their wishes and of challenges."""

from collections.abc import Iterable, Sequence
from dataclasses import asdict, replace
from typing import Any

from catalyst_mesh import Transaction
from catalyst_sdk.dns_rules import SIGNAL
from sqlalchemy import delete, func, insert, or_, select, tuple_, update
from sqlalchemy.exc import IntegrityError

from catalyst_pool_domain_manager.domain.hosting import (
    WORKING,
    ChangePolicy,
    DriftPolicy,
    Kind,
    Soa,
    State,
    Thresholds,
    Zone,
)
from catalyst_pool_domain_manager.domain.record_sets import Challenge, Wish

from . import tables
from .agenda import Agenda, agenda, ripe_first
from .rows import conditions_in, conditions_out, plain


class ZoneRows(Transaction):
    """Zones as their keepers wish them."""

    async def zone(self, domain: str, *, lock: bool = False) -> Zone | None:
        """One zone; with `lock`, others keep off it until the commit."""
        query = select(tables.zones).where(tables.zones.c.domain == domain)
        row = (await self.sql.execute(query.with_for_update() if lock and self.has_row_locks else query)).mappings()
        found = row.one_or_none()
        if found is None:
            return None
        self.seen(tables.zones, found)
        return _zone(found)

    async def zone_above(self, name: str) -> str:
        """The longest domain among ours that `name` lies in; empty where none is. `name` ends in a dot."""
        parts = name.rstrip(".").split(".")
        above = [".".join(parts[n:]) for n in range(len(parts))]
        t = tables.zones
        rows = await self.sql.execute(select(t.c.domain).where(t.c.domain.in_(above)))
        return max((domain for (domain,) in rows), key=len, default="")

    async def zones_after(
        self, after: str, limit: int, owners: Sequence[str] | None, **wanted: str
    ) -> Sequence[Zone]:  # fmt: skip
        """Zones by domain; `wanted`: values of columns."""
        t = tables.zones
        query = select(t).where(t.c.domain > after).order_by(t.c.domain).limit(limit)
        if owners is not None:
            query = query.where(t.c.owner.in_(owners))
        for column, value in wanted.items():
            query = query.where(t.c[column] == value)
        return [_zone(row) for row in (await self.sql.execute(query)).mappings()]

    async def zones_due(self, limit: int) -> Agenda[str]:
        """Domains that the keeper is to look at: zones with work, and any whose challenges have not been carried."""
        t, c = tables.zones, tables.challenges
        open_ones = select(c.c.zone).where(c.c.carried.is_(False))
        behind = (t.c.revision > t.c.written) | t.c.domain.in_(open_ones)
        works = or_(t.c.state.in_(WORKING), (t.c.state != State.FAILED) & behind)
        query = select(t.c.domain, t.c.not_before).where(works).order_by(*ripe_first(t), t.c.updated_at).limit(limit)
        kept = agenda([(domain, at) for domain, at in (await self.sql.execute(query)).all()], self.now)
        # Children of pools have no zone of their own here.
        children = open_ones.where(c.c.zone.not_in(select(t.c.domain))).distinct().limit(limit)
        return replace(kept, due=[*kept.due, *(await self.sql.execute(children)).scalars()])

    async def save_zone(self, zone: Zone) -> None:
        """Write a decided state. Raises LostRace."""
        await self.take(tables.zones, _zone_row(zone))

    async def zone_progress(self, before: Zone, after: Zone) -> None:
        """Write how far the keeper is; nothing is told. Raises LostRace where the zone changed meanwhile."""
        t = tables.zones
        mine = (t.c.domain == before.domain) & (t.c.version == before.version)
        await self.write(update(t).where(mine).values(_zone_row(after)))

    async def forget_zone(self, zone: Zone) -> None:
        """Take a zone that is gone out of the books, its wish too; plans and imports stay as history."""
        for table in (tables.wishes, tables.challenges):
            await self.sql.execute(delete(table).where(table.c.zone == zone.domain))
        t = tables.zones
        await self.write(delete(t).where((t.c.domain == zone.domain) & (t.c.version == zone.version)))

    async def wishes_of(self, domain: str) -> tuple[Wish, ...]:
        """What is wished of a zone, what is to go too, by name and type."""
        t = tables.wishes
        query = select(t).where(t.c.zone == domain).order_by(t.c.name, t.c.type)
        return tuple(_wish(row) for row in (await self.sql.execute(query)).mappings())

    async def wishes_of_all(self, domains: Sequence[str]) -> dict[str, list[Wish]]:
        """The same for many zones by one question."""
        t = tables.wishes
        found: dict[str, list[Wish]] = {domain: [] for domain in domains}
        for row in (await self.sql.execute(select(t).where(t.c.zone.in_(domains)))).mappings():
            found[row["zone"]].append(_wish(row))
        return found

    async def signals(self, owner: str) -> dict[str, list[Wish]]:
        """Keys of other zones that `owner` wishes to stand below names of servers, by the zone that they stand in."""
        t = tables.wishes
        is_signal = t.c.name.startswith(SIGNAL, autoescape=True) & (t.c.owner == owner)
        found: dict[str, list[Wish]] = {}
        for row in (await self.sql.execute(select(t).where(is_signal))).mappings():
            if row["records"]:
                found.setdefault(row["zone"], []).append(_wish(row))
        return found

    async def wishes_at(self, domain: str, name: str) -> tuple[Wish, ...]:
        """What is wished at one name."""
        t = tables.wishes
        query = select(t).where(t.c.zone == domain, t.c.name == name)
        return tuple(_wish(row) for row in (await self.sql.execute(query)).mappings())

    async def wish_sets(self, domain: str, wishes: Iterable[Wish]) -> None:
        """Put sets in place of what was wished of the same name and type."""
        t = tables.wishes
        rows = [{**plain(w), "zone": domain, "records": list(w.records)} for w in wishes]
        keys = [(row["name"], row["type"]) for row in rows]
        for at in range(0, len(keys), 200):
            part = keys[at : at + 200]
            await self.sql.execute(delete(t).where(t.c.zone == domain, tuple_(t.c.name, t.c.type).in_(part)))
        if rows:
            await self.sql.execute(insert(t), rows)

    async def renumber(self, domain: str, revision: int) -> None:
        """Give the whole wish of a zone one number."""
        t = tables.wishes
        await self.sql.execute(update(t).where(t.c.zone == domain).values(revision=revision))

    async def bury(self, domain: str, revision: int) -> None:
        """Forget the sets that were to go, now that the zone of that revision is without them."""
        t = tables.wishes
        gone = (t.c.zone == domain) & (t.c.records == []) & (t.c.revision <= revision)
        await self.sql.execute(delete(t).where(gone))

    async def challenges_of(self, domain: str, *names: str) -> tuple[Challenge, ...]:
        """Challenges in a zone, of some names or of all."""
        t = tables.challenges
        query = select(t).where(t.c.zone == domain).order_by(t.c.name, t.c.created_at, t.c.value)
        query = query.where(t.c.name.in_(names)) if names else query
        return tuple(
            Challenge(row["zone"], row["name"], row["value"], row["wanted"], row["carried"], row["revision"])
            for row in (await self.sql.execute(query)).mappings()
        )

    async def challenges_of_all(self, domains: Sequence[str]) -> dict[str, list[Challenge]]:
        """Challenges of many zones by one question."""
        t = tables.challenges
        found: dict[str, list[Challenge]] = {domain: [] for domain in domains}
        for row in (await self.sql.execute(select(t).where(t.c.zone.in_(domains)))).mappings():
            one = Challenge(row["zone"], row["name"], row["value"], row["wanted"], row["carried"], row["revision"])
            found[one.zone].append(one)
        return found

    async def challenge(self, c: Challenge) -> None:
        """Wish a value, or wish one away; what was never wished needs no removal."""
        t = tables.challenges
        mine = (t.c.zone == c.zone) & (t.c.name == c.name) & (t.c.value == c.value)
        changed = await self.sql.execute(
            update(t).where(mine & (t.c.wanted != c.wanted)).values(wanted=c.wanted, carried=False, revision=c.revision)
        )
        self.wrote.add(t.name)
        if changed.rowcount or not c.wanted:
            return
        if (await self.sql.execute(select(func.count()).select_from(t).where(mine))).scalar_one():
            return
        try:
            async with self.sql.begin_nested():
                await self.sql.execute(insert(t).values({**plain(c), "created_at": self.now}))
        except IntegrityError:  # a twin was faster, with the same wish
            return

    async def carried(self, found: Iterable[Challenge]) -> None:
        """The backend was seen to be as these want it; what was to go is forgotten. One that is wanted otherwise by now is
        not meant."""
        t = tables.challenges
        for c in found:
            mine = (t.c.zone == c.zone) & (t.c.name == c.name) & (t.c.value == c.value) & (t.c.wanted == c.wanted)
            await self.sql.execute(update(t).where(mine).values(carried=True) if c.wanted else delete(t).where(mine))

    async def drop_challenges(self, domain: str, *names: str) -> None:
        """Forget challenges, of some names or of the whole zone."""
        t = tables.challenges
        query = delete(t).where(t.c.zone == domain)
        await self.sql.execute(query.where(t.c.name.in_(names)) if names else query)

    async def hold_zone(self, domain: str) -> Zone | None:
        """Read a zone, and let nobody number its next change before the commit; others may hold it too."""
        query = select(tables.zones).where(tables.zones.c.domain == domain)
        query = query.with_for_update(read=True) if self.has_row_locks else query
        row = (await self.sql.execute(query)).mappings().one_or_none()
        return _zone(row) if row else None


def _zone_row(z: Zone) -> dict[str, Any]:
    return {
        **plain(z), "kind": str(z.kind), "state": str(z.state), "soa": asdict(z.soa),
        "drift_policy": str(z.drift_policy), "change_policy": str(z.change_policy),
        "thresholds": asdict(z.thresholds) if z.thresholds else None, "conditions": conditions_in(z.conditions),
    }  # fmt: skip


def _zone(row: Any) -> Zone:
    return Zone(
        **{
            **row,
            "kind": Kind(row["kind"]),
            "state": State(row["state"]),
            "soa": Soa(**row["soa"]),
            "drift_policy": DriftPolicy(row["drift_policy"]),
            "change_policy": ChangePolicy(row["change_policy"]),
            "thresholds": Thresholds(**row["thresholds"]) if row["thresholds"] else None,
            "conditions": conditions_out(row["conditions"]),
        }
    )


def _wish(row: Any) -> Wish:
    return Wish(row["name"], row["type"], row["ttl"], tuple(row["records"]), row["owner"], row["revision"])
