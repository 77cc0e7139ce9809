"""Tables of PDM."""

from collections.abc import Collection, Sequence
from dataclasses import asdict, dataclass, fields, replace
from datetime import datetime, timedelta
from typing import Any

from catalyst_mesh import ROW_NUMBER, Json, Ready, UtcTime, chassis_tables
from sqlalchemy import (
    BigInteger,
    Boolean,
    Column,
    ColumnElement,
    Float,
    Index,
    Integer,
    Select,
    Table,
    Text,
    bindparam,
    delete,
    false,
    func,
    insert,
    literal,
    literal_column,
    or_,
    select,
    text,
    tuple_,
    type_coerce,
    update,
)

from .domain import traffic
from .domain.allocations import COMMITTED, VISIBLE, Allocation, Offer, State
from .domain.conditions import Condition
from .domain.filters import Filter
from .domain.policy import Policy, Rules
from .domain.pools import Left, Pool, Ttls, ZoneMode
from .kept.agenda import Agenda, agenda, ripe_first
from .kept.store import KeptRows
from .kept.tables import metadata as metadata  # for whoever wires or tests the whole schema

IN_SIGHT, STEERED = "allocation.in_sight", "allocation.steered"
"""What rings beside the table: for who looks after names that the world sees or that rest, and for who probes members of
traffic policies. A name on its way is written a dozen times, and none of them has work with it."""
WARM = "c2"
"""Step at which the zone of a name that is only reserved is as far as it comes."""
pools = Table(
    "pool",
    metadata,
    Column("domain", Text, primary_key=True),
    Column("uid", Text, nullable=False),
    Column("kinds", Json, nullable=False),
    Column("backend", Text, nullable=False),
    Column("layout", Json, nullable=False),
    Column("ttls", Json, nullable=False),
    Column("reservation_ttl", Float, nullable=False),
    Column("quarantine", Float, nullable=False),
    Column("allow_private_targets", Boolean, nullable=False),
    Column("policy", Json, nullable=False),
    Column("created_at", UtcTime, nullable=False),
    Column("updated_at", UtcTime, nullable=False),
    Column("ready", Boolean, nullable=False),
    Column("message", Text, nullable=False),
    Column("version", BigInteger, nullable=False),
    Column("in_use", Json, nullable=False, server_default="[]"),
    Column("rules", Json),
    Column("generation", BigInteger, nullable=False, server_default="1"),
    Column("registrar_account", Text, nullable=False, server_default=""),
    Column("name_server_set", Text, nullable=False, server_default=""),
    Column("zone_mode", Text, nullable=False, server_default=ZoneMode.DELEGATED),
    Column("left_servers", Json, nullable=False, server_default="[]"),
    Column("unswept", Text, nullable=False, server_default=""),
)  # fmt: skip - reads as a table
allocations = Table(
    "allocation", metadata,
    Column("pool", Text, primary_key=True), Column("label", Text, primary_key=True), Column("uid", Text, nullable=False),
    Column("owner", Text, nullable=False), Column("holder", Text, nullable=False),
    Column("created_by", Text, nullable=False), Column("state", Text, nullable=False),
    Column("token_hash", Text, nullable=False),
    Column("created_at", UtcTime, nullable=False), Column("updated_at", UtcTime, nullable=False),
    Column("reserved_at", UtcTime, nullable=False), Column("expires_at", UtcTime, nullable=False),
    Column("committed_at", UtcTime), Column("released_at", UtcTime), Column("available_at", UtcTime),
    Column("targets", Json, nullable=False),
    Column("generation", BigInteger, nullable=False), Column("observed_generation", BigInteger, nullable=False),
    Column("version", BigInteger, nullable=False), Column("zone_version", BigInteger, nullable=False),
    Column("zone_told", Text, nullable=False),
    Column("step", Text, nullable=False), Column("not_before", UtcTime), Column("tries", Integer, nullable=False),
    Column("conditions", Json, nullable=False), Column("reason", Text, nullable=False),
    Column("warm", Boolean, nullable=False, server_default=false()), Column("offer", Json),
    Column("looked_at", UtcTime), Column("extended", Boolean, nullable=False, server_default=false()),
    Column("inside", Boolean, nullable=False, server_default=false()),
    Column("traffic", Json, nullable=False, server_default="[]"),
    Column("epochs", Json, nullable=False, server_default="[]"), Column("down", Json, nullable=False, server_default="[]"),
    Index("allocation_due", "state", "not_before"), Index("allocation_owner", "owner", "state"),
)  # fmt: skip
history = Table(
    "allocation_history", metadata,
    Column("number", ROW_NUMBER, primary_key=True, autoincrement=True),
    Column("pool", Text, nullable=False), Column("label", Text, nullable=False), Column("uid", Text, nullable=False),
    Column("version", BigInteger, nullable=False), Column("event", Text, nullable=False),
    Column("state", Text, nullable=False), Column("owner", Text, nullable=False), Column("actor", Text, nullable=False),
    Column("reason", Text, nullable=False), Column("at", UtcTime, nullable=False),
    Column("request_id", Text, nullable=False, server_default=""),
    Index("history_of", "pool", "label", "number"),
)  # fmt: skip
# Statements on the way of every call are made once: to make one costs as much as to run it.
_A_NAME = Ready(
    select(allocations)
    .where(allocations.c.pool == bindparam("at_pool"), allocations.c.label == bindparam("at_label"))
    .with_for_update()
)
_OF_POOL = select(pools).where(pools.c.domain == bindparam("at_domain"))
_A_POOL = Ready(_OF_POOL)
_A_POOL_THAT_STAYS = Ready(_OF_POOL.with_for_update(read=True, key_share=True))
_A_POOL_ALONE = Ready(_OF_POOL.with_for_update())
_HAPPENED = Ready(insert(history))
_NAMED = frozenset(State) - {State.FREE, State.RESERVED, State.QUARANTINED}
"""States of a name that counts as one: said as those that are in, because no index finds those that are not."""


def _at_most(which: ColumnElement[bool], limit: str) -> ColumnElement[int]:
    """How many rows of one owner are so; nobody counts further than `limit`."""
    mine = select(literal(1)).select_from(allocations).where(allocations.c.owner == bindparam("of"), which)
    return select(func.count()).select_from(mine.limit(bindparam(limit)).subquery()).scalar_subquery()


_IS_NAMED = allocations.c.state.in_([literal_column(f"'{state}'") for state in sorted(_NAMED)])
"""Written out, as a list of parameters would be put into the statement anew each time."""
_HELD_BY = select(
    _at_most(
        (allocations.c.state == State.RESERVED) & (allocations.c.expires_at > bindparam("at")), "most_reserved"
    ).label("reserved"),
    _at_most(_IS_NAMED, "most_named").label("named"),
)
_HELD = _HELD_BY.subquery()
_STANDING = Ready(
    select(allocations, _HELD).select_from(
        _HELD.outerjoin(
            allocations,
            (allocations.c.pool == bindparam("at_pool")) & (allocations.c.label == bindparam("at_label")),
        )
    )
)
chassis_tables(metadata)


@dataclass(frozen=True, slots=True)
class Horizon:
    """How far the history reached at one moment, and which transactions were open then (0: none can be)."""

    number: int
    oldest_open: int = 0
    next_one: int = 0

    def ended_before(self, later: "Horizon") -> bool:
        """Whether every transaction that was open at this moment had ended at the later one."""
        return later.oldest_open >= self.next_one


class Store(KeptRows):
    """Pools, allocations and their history."""

    async def lock(self, pool: str, label: str) -> Allocation | None:
        """Read a name, history included, and keep others off it until the commit."""
        row = await _A_NAME.row(self.sql, {"at_pool": pool, "at_label": label})
        if row is None:
            return None
        self.seen(allocations, row)
        return _allocation(row)

    async def standing(
        self, pool: str, label: str, owner: str, most: tuple[int, int]
    ) -> tuple[Allocation | None, int, int]:
        """A name, with how many reservations and how many names `owner` has, of whom nobody counts beyond `most`.

        Others are not kept off it: what is decided on it is saved only if it still stands so.
        """
        given = {"at_pool": pool, "at_label": label, **self._held_by(owner, most)}
        (row,) = await _STANDING.rows(self.sql, given)
        reserved, named = row.pop("reserved"), row.pop("named")
        if row["label"] is None:
            return None, reserved, named
        self.seen(allocations, row)
        return _allocation(row), reserved, named

    def decided_on(self, a: Allocation) -> None:
        """Say that what is saved next was decided on `a`, which an earlier transaction read."""
        self.seen(allocations, _allocation_row(a))

    async def pool(self, domain: str, *, stays: bool = False, alone: bool = False) -> Pool | None:
        """One pool.

        stays   it cannot be deleted before the commit
        alone   nobody else holds it so, or comes to hold it so, before the commit
        """
        query = _A_POOL_THAT_STAYS if stays else _A_POOL_ALONE if alone else _A_POOL
        row = await query.row(self.sql, {"at_domain": domain})
        if row is None:
            return None
        self.seen(pools, row)
        return await self._served(_pool(row))

    async def _served(self, pool: Pool) -> Pool:
        """The pool with its set of servers, where it has one."""
        if not pool.name_server_set:
            return pool
        return replace(pool, servers=await self.server_set(pool.name_server_set.removeprefix("nameServerSets/")))

    async def remove_pool(self, pool: Pool) -> None:
        """Delete a pool as it was read. Raises LostRace."""
        await self.write(delete(pools).where(pools.c.domain == pool.domain, pools.c.version == pool.version))

    async def a_name_in(self, pool: str) -> str | None:
        """A name that is held in the pool, or rests."""
        found = await self.live(pool, None, 1, None, Filter())
        return found[0].name if found else None

    async def pool_of_account(self, account: str) -> str:
        """A pool whose DS are changed by an account at a registrar; empty where there is none."""
        query = select(pools.c.domain).where(pools.c.registrar_account == account).limit(1)
        found = (await self.sql.execute(query)).scalar_one_or_none()
        return f"pools/{found}" if found else ""

    async def all_pools(self, after: str = "", limit: int = 1000, kind: str = "") -> Sequence[Pool]:
        """Pools by domain; with `kind`, those that serve it."""
        query = select(pools).where(pools.c.domain > after).order_by(pools.c.domain).limit(limit)
        if kind:
            # The list is kept as text on both databases, and no kind's name is a part of another's.
            query = query.where(type_coerce(pools.c.kinds, Text).contains(f'"{kind}"', autoescape=True))
        rows = list((await self.sql.execute(query)).mappings())
        return [await self._served(_pool(row)) for row in rows]

    async def pool_of_set(self, name: str) -> str:
        """A pool whose names have these servers; empty where none has."""
        found = (
            await self.sql.execute(select(pools.c.domain).where(pools.c.name_server_set == name).limit(1))
        ).scalar()
        return f"pools/{found}" if found else ""

    async def left_by(self, name: str) -> tuple[str, Left] | None:
        """A pool that has left these servers, whom somebody may still ask for its names; None where there is none."""
        pairs = (
            (pool.name, one) for pool in await self.all_pools() for one in pool.left_servers if one.servers == name
        )
        return next(pairs, None)

    async def live(
        self, pool: str | None, after: Sequence[str] | None, limit: int, owners: Sequence[str] | None, wanted: Filter
    ) -> Sequence[Allocation]:
        """Names that somebody holds, by pool and label, after the pair `after`.

        pool     None: all
        owners   None: everybody's
        """
        t = allocations
        is_reserved = (t.c.state == State.RESERVED) & (t.c.expires_at > self.now)
        rests = (t.c.state == State.QUARANTINED) & (t.c.available_at > self.now)
        lasts = t.c.state.not_in([State.FREE, State.RESERVED, State.QUARANTINED])
        query = select(t).where(or_(lasts, is_reserved, rests)).order_by(t.c.pool, t.c.label).limit(limit)
        if pool is not None:
            query = query.where(t.c.pool == pool)
        if after is not None:
            query = query.where(tuple_(t.c.pool, t.c.label) > tuple_(*(literal(part) for part in after)))
        if owners is not None:
            query = query.where(t.c.owner.in_(owners))
        for field, value in wanted.terms:
            query = query.where(_column(t, field) == (value.lower() if field == "state" else value))
        return [_allocation(row) for row in (await self.sql.execute(query)).mappings()]

    async def zoned(
        self, after: str, limit: int, owners: Sequence[str] | None, pools: Collection[str] | None = None
    ) -> Sequence[Allocation]:
        """Names that have a zone, by their full name; of some owners, or in some pools, where these are said."""
        t = allocations
        fqdn = _column(t, "fqdn")
        query = select(t).where(t.c.zone_told != "", fqdn > after).order_by(fqdn).limit(limit)
        if owners is not None:
            query = query.where(t.c.owner.in_(owners))
        if pools is not None:
            query = query.where(t.c.pool.in_(pools))
        return [_allocation(row) for row in (await self.sql.execute(query)).mappings()]

    async def names_by_state(self) -> dict[tuple[str, str], int]:
        """How many names are held, by pool and state."""
        t = allocations
        query = select(t.c.pool, t.c.state, func.count()).where(t.c.state != State.FREE).group_by(t.c.pool, t.c.state)
        return {(pool, state): count for pool, state, count in await self.sql.execute(query)}

    async def labels_held(self, pool: str) -> frozenset[str]:
        """Labels of a pool that somebody holds, or that rest."""
        t = allocations
        query = select(t.c.label).where(t.c.pool == pool, t.c.state != State.FREE)
        return frozenset(label for (label,) in await self.sql.execute(query))

    async def held_by(self, owner: str, most: tuple[int, int]) -> tuple[int, int]:
        """How many reservations and how many names `owner` has; nobody counts beyond `most`."""
        first, second = (await self.sql.execute(_HELD_BY, self._held_by(owner, most))).one()
        return int(first), int(second)

    def _held_by(self, owner: str, most: tuple[int, int]) -> dict[str, Any]:
        return {"of": owner, "at": self.now, "most_reserved": most[0], "most_named": most[1]}

    async def due(self, limit: int) -> Agenda[tuple[str, str]]:
        """Names that the reconciler is to look at, the longest waiting first."""
        t = allocations
        working = t.c.state.in_([State.PROVISIONING, State.RELEASING])
        to_warm = (t.c.state == State.RESERVED) & t.c.warm & (t.c.step != WARM)
        query = select(t.c.pool, t.c.label, t.c.not_before).where(working | to_warm)
        return await self._agenda(query.order_by(*ripe_first(t), t.c.updated_at).limit(limit))

    async def to_look_at(self, limit: int) -> Agenda[tuple[str, str]]:
        """Visible names that are to be looked at again, the longest waiting first."""
        t = allocations
        query = select(t.c.pool, t.c.label, t.c.not_before).where(t.c.state.in_(sorted(VISIBLE)))
        return await self._agenda(query.order_by(*ripe_first(t)).limit(limit))

    async def _agenda(self, query: Select[Any]) -> Agenda[tuple[str, str]]:
        rows = (await self.sql.execute(query)).all()
        return agenda([((row.pool, row.label), row.not_before) for row in rows], self.now)

    async def steered(self, after: Sequence[str], limit: int) -> Sequence[Allocation]:
        """Committed names with traffic policies, by pool and label, after the pair `after`."""
        t = allocations
        has_some = type_coerce(t.c.traffic, Text) != "[]"
        query = select(t).where(t.c.state.in_(sorted(COMMITTED)) & has_some)
        query = query.where(tuple_(t.c.pool, t.c.label) > tuple_(*(literal(part) for part in after)))
        rows = await self.sql.execute(query.order_by(t.c.pool, t.c.label).limit(limit))
        return [_allocation(row) for row in rows.mappings()]

    async def resting_until(self, when: datetime, limit: int) -> Sequence[tuple[str, str]]:
        """Names whose first rest ends before `when`, and of which nobody has looked whether they still resolve."""
        t = allocations
        near = (t.c.state == State.QUARANTINED) & (t.c.available_at <= when) & (t.c.available_at > self.now)
        query = select(t.c.pool, t.c.label).where(near & t.c.looked_at.is_(None)).limit(limit)
        return [(p, x) for p, x in (await self.sql.execute(query)).all()]

    async def overdue(self, limit: int) -> Sequence[tuple[str, str]]:
        """Reservations and quarantines whose time is over."""
        t = allocations
        ended = ((t.c.state == State.RESERVED) & (t.c.expires_at <= self.now)) | (
            (t.c.state == State.QUARANTINED) & (t.c.available_at <= self.now)
        )
        return [
            (p, x) for p, x in (await self.sql.execute(select(t.c.pool, t.c.label).where(ended).limit(limit))).all()
        ]

    async def events_of(
        self, pool: str, label: str, before: int | None, limit: int, owners: Sequence[str] | None
    ) -> Sequence[Any]:
        """History of a name, newest first; only what happened while it was one of `owners`', where these are given."""
        query = select(history).where(history.c.pool == pool, history.c.label == label)
        if before is not None:
            query = query.where(history.c.number < before)
        if owners is not None:
            query = query.where(history.c.owner.in_(owners))
        rows = await self.sql.execute(query.order_by(history.c.number.desc()).limit(limit))
        return list(rows.mappings())

    async def horizon(self) -> Horizon:
        """How far the history reaches now."""
        newest = select(func.coalesce(func.max(history.c.number), 0))
        if not self.has_row_locks:  # one writer: what comes has a higher number than all that is there
            return Horizon(int((await self.sql.execute(newest)).scalar_one()))
        open_ones = text("SELECT pg_snapshot_xmin(s)::text, pg_snapshot_xmax(s)::text FROM pg_current_snapshot() AS s")
        oldest = (await self.sql.execute(open_ones)).one()[0]
        number = int((await self.sql.execute(newest)).scalar_one())
        # Whoever has a number below the newest one began before now; who ended by then is seen in what is read from here on.
        return Horizon(number, int(oldest), int((await self.sql.execute(open_ones)).one()[1]))

    async def happened(
        self, after: int, until: int, pool: str | None, owners: Sequence[str] | None, limit: int
    ) -> Sequence[Any]:
        """What happened to names between two numbers of the history, oldest first."""
        query = select(history).where(history.c.number > after, history.c.number <= until)
        if pool is not None:
            query = query.where(history.c.pool == pool)
        if owners is not None:
            query = query.where(history.c.owner.in_(owners))
        return list((await self.sql.execute(query.order_by(history.c.number).limit(limit))).mappings())

    async def save(self, state: Any) -> None:
        """Write a decided state. Raises LostRace where another writer was faster."""
        if isinstance(state, Pool):
            await self.take(pools, _pool_row(state))
        elif isinstance(state, Allocation):
            await self.take(allocations, _allocation_row(state))
            if state.state is State.RESERVED and not state.warm:
                self.wrote.discard(allocations.name)  # nobody has work with a name that is only held
            if state.state in VISIBLE or state.state is State.QUARANTINED:
                self.wrote.add(IN_SIGHT)
            if state.traffic:
                self.wrote.add(STEERED)
        else:
            await self.save_kept(state)

    async def progress(self, before: Allocation, after: Allocation) -> None:
        """Write how far the reconciler is; nothing is told. Raises LostRace where the wish changed meanwhile."""
        t = allocations
        mine = (t.c.pool == before.pool) & (t.c.label == before.label) & (t.c.version == before.version)
        await self.write(update(t).where(mine & (t.c.step == before.step)).values(_allocation_row(after)))

    async def wake(self, pool: str, patient: int) -> None:
        """Have names of a pool looked at now that have been tried at least `patient` times and wait for the next."""
        t = allocations
        waits = t.c.state.in_([State.PROVISIONING, State.RELEASING]) & (t.c.not_before > self.now)
        await self.sql.execute(
            update(t).where((t.c.pool == pool) & waits & (t.c.tries >= patient)).values(not_before=self.now)
        )
        self.wrote.add(t.name)

    async def remember(self, a: Allocation, event: str, actor: str, *, request_id: str = "") -> None:
        """Append to the history of a name."""
        row = {"pool": a.pool, "label": a.label, "uid": a.uid, "version": a.version, "event": event,
               "state": str(a.state), "owner": a.owner, "actor": actor, "reason": a.reason, "at": self.now,
               "request_id": request_id}  # fmt: skip
        await _HAPPENED.count(self.sql, row)


def _column(t: Table, field: str) -> ColumnElement[Any]:
    return t.c.label + "." + t.c.pool if field == "fqdn" else t.c[field]


def _allocation_row(a: Allocation) -> dict[str, Any]:
    row = {f.name: getattr(a, f.name) for f in fields(a)}
    conditions = [{**asdict(c), "since": c.since.isoformat() if c.since else None} for c in a.conditions]
    offer = {**asdict(a.offer), "ends_at": a.offer.ends_at.isoformat()} if a.offer else None
    lists = {"targets": list(a.targets), "epochs": list(a.epochs), "down": list(a.down)}
    policies = [asdict(p) for p in a.traffic]
    return {**row, **lists, "state": str(a.state), "conditions": conditions, "offer": offer, "traffic": policies}


def _allocation(row: Any) -> Allocation:
    conditions = tuple(
        Condition(**{**c, "since": datetime.fromisoformat(c["since"]) if c["since"] else None})
        for c in row["conditions"]
    )
    targets = tuple((slot, address) for slot, address in row["targets"])
    raw = row["offer"]
    offer = Offer(**{**raw, "ends_at": datetime.fromisoformat(raw["ends_at"])}) if raw else None
    read = {"state": State(row["state"]), "targets": targets, "conditions": conditions, "offer": offer}
    steered = {
        "traffic": tuple(_policy(raw) for raw in row["traffic"]),
        "epochs": tuple((host, int(epoch)) for host, epoch in row["epochs"]),
        "down": tuple((host, address) for host, address in row["down"]),
    }
    return Allocation(**{**row, **read, **steered})


def _policy(raw: Any) -> traffic.Policy:
    members = tuple(traffic.Member(**member) for member in raw["members"])
    probe = traffic.Probe(**raw["probe"]) if raw["probe"] else None
    return traffic.Policy(**{**raw, "strategy": traffic.Strategy(raw["strategy"]), "members": members, "probe": probe})


def _pool_row(p: Pool) -> dict[str, Any]:
    row = {f.name: getattr(p, f.name) for f in fields(p) if f.name != "servers"}
    rules = {k: list(v) if isinstance(v, tuple) else v for k, v in asdict(p.rules).items() if v not in (None, ())}
    return {**row, "in_use": sorted(p.in_use), "kinds": list(p.kinds), "rules": rules, "policy": _former_policy(p.policy),
            "layout": list(p.layout), "zone_mode": str(p.zone_mode), "ttls": asdict(p.ttls),
            "left_servers": list(map(_left_row, p.left_servers)),
            "reservation_ttl": p.reservation_ttl.total_seconds(), "quarantine": p.quarantine.total_seconds()}  # fmt: skip


def _left_row(one: Left) -> list[Any]:
    return [one.servers, list(one.hosts), one.until.isoformat() if one.until else ""]


def _left(servers: str, hosts: Sequence[str], until: str) -> Left:
    return Left(servers, tuple(hosts), datetime.fromisoformat(until) if until else None)


def _former_policy(p: Policy) -> dict[str, Any]:
    """The rules in force, as the release before reads them."""
    names = ("shortest", "longest", "leading_digit", "most_reservations", "most_names")
    return {
        **{name: getattr(p, name) for name in names}, "reserved": sorted(p.reserved), "patterns": list(p.patterns)
    }  # fmt: skip


def _pool(row: Any) -> Pool:
    # A row of the release before has the rules in force only; as a document they say the same.
    said: dict[str, Any] = row["policy"] if row["rules"] is None else row["rules"]
    rules: dict[str, Any] = {name: tuple(v) if isinstance(v, list) else v for name, v in said.items()}
    known = {name: value for name, value in row.items() if name != "policy"}
    return Pool(
        **{
            **known,
            "in_use": frozenset(row["in_use"]),
            "kinds": tuple(row["kinds"]),
            "layout": tuple((name, slot) for name, slot in row["layout"]),
            "ttls": Ttls(**row["ttls"]),
            "left_servers": tuple(_left(*one) for one in row["left_servers"]),
            "zone_mode": ZoneMode(row["zone_mode"]),
            "rules": Rules(**rules),
            "reservation_ttl": timedelta(seconds=row["reservation_ttl"]),
            "quarantine": timedelta(seconds=row["quarantine"]),
        }
    )
