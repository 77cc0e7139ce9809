"""Rows of clusters, of their components, and of the commands for their agents."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import datetime
from typing import Any

from catalyst_mesh import Transaction, sealed_at
from catalyst_sdk.cloud import Adopted
from sqlalchemy import ColumnElement, delete, func, insert, select, update

from ..domain.component_states import ComponentState, Condition, Release
from ..domain.locks import Component, Lock
from .tables import clusters as t
from .tables import commands, component_lines, components, enrolments, joins, states, workload_lists, workloads

STATES_KEPT = 20
"""Versions of a plugin's state that are kept of a cluster."""
WITHDRAWN = "withdrawn"
"""End of a command that nobody did."""


@dataclass(frozen=True, slots=True)
class ClusterRow:
    """A cluster that was wished, and what is known of it."""

    sovereign: str
    name: str
    number: int
    provider: str
    region: str
    credential: str
    spec: Mapping[str, Any]
    made: Mapping[str, Any] | None
    made_at: datetime | None
    plugin_state: bytes | None
    git_password: bytes | None
    enrolled_at: datetime | None
    heartbeat_at: datetime | None
    heartbeat: Mapping[str, Any] | None
    inventory: Mapping[str, Any] | None
    last_command: int

    @property
    def resource(self) -> str:
        """Resource name."""
        return f"sovereigns/{self.sovereign}/clusters/{self.name}"

    def place(self, column: str) -> bytes:
        """For which its plugin's state or its password is sealed."""
        return sealed_at(t.c[column], self.sovereign, self.name)

    @property
    def adopted(self) -> Mapping[str, Adopted]:
        """Resources that were given to it, by address."""
        return {address: Adopted(*pair) for address, pair in self.spec.get("adopted", {}).items()}

    @property
    def addresses(self) -> tuple[str, ...]:
        """Addresses of its ingress."""
        balancers = (self.made or {}).get("load_balancers", ())
        return tuple(b["ipv4"] for b in balancers if b["purpose"] == "ingress" and b["ipv4"])


@dataclass(frozen=True, slots=True)
class ComponentRow:
    """A wished component, and what its cluster shows of it."""

    sovereign: str
    cluster: str
    name: str
    position: int
    wave: int
    needs: Sequence[str]
    optional: bool
    wished_version: str
    wished_digest: str
    release: Release | None
    probe_passed: bool | None
    state: ComponentState
    message: str
    since: datetime
    was_ready: bool
    observed_at: datetime | None

    @property
    def wished(self) -> Component:
        """As a lock has it."""
        return Component(
            self.name, self.wished_version, self.wished_digest, tuple(self.needs), self.wave, self.optional
        )


@dataclass(frozen=True, slots=True)
class CommandEnd:
    """What became of a command."""

    code: str
    """Why it failed, empty where it did not."""
    message: str
    remaining: Sequence[str]
    """Names of what it left."""


def stated(sovereign: str, cluster: str) -> bytes:
    """For which the newest state of a cluster's plugin is sealed."""
    return sealed_at(t.c.plugin_state, sovereign, cluster)


@dataclass(frozen=True, slots=True)
class Given:
    """A command that was put down."""

    number: int
    body: bytes
    is_open: bool
    """Whether nobody has told of its end."""


class ClusterRows(Transaction):
    """Clusters, components and commands."""

    async def wish_cluster(self, sovereign: str, name: str, *, number: int, provider: str, region: str,
                           credential: str, spec: Mapping[str, Any]) -> None:  # fmt: skip
        """A cluster is to be; what is known of it stays."""
        row = {"provider": provider, "region": region, "credential": credential, "spec": dict(spec)}
        mine = _mine(sovereign, name)
        if await self.cluster(sovereign, name) is not None:
            await self.write(update(t).where(mine).values(row))
            return
        key = {"sovereign": sovereign, "name": name, "number": number, "last_command": 0}
        await self.write(insert(t).values(key | row))

    async def cluster(self, sovereign: str, name: str) -> ClusterRow | None:
        """One cluster."""
        row = (await self.sql.execute(select(t).where(_mine(sovereign, name)))).mappings().one_or_none()
        return ClusterRow(**row) if row else None

    async def clusters(self, sovereign: str) -> list[ClusterRow]:
        """All clusters by number."""
        rows = await self.sql.execute(select(t).where(t.c.sovereign == sovereign).order_by(t.c.number))
        return [ClusterRow(**row) for row in rows.mappings()]

    async def change_cluster(self, sovereign: str, name: str, **values: Any) -> None:
        """Give columns new values."""
        await self.write(update(t).where(_mine(sovereign, name)).values(values))

    async def heard_of(self, sovereign: str, name: str, at: datetime) -> None:
        """An agent was heard then; nothing changes where a later moment stands, none, or no cluster."""
        await self.sql.execute(
            update(t).where(_mine(sovereign, name) & (t.c.heartbeat_at < at)).values(heartbeat_at=at)
        )

    async def keep_state(self, sovereign: str, cluster: str, seal: Callable[[bytes], bytes]) -> None:
        """Put a version behind those that are kept, sealed for its place by `seal`; the oldest gives way."""
        mine = (states.c.sovereign == sovereign) & (states.c.cluster == cluster)
        number = int((await self.sql.execute(select(func.max(states.c.number)).where(mine))).scalar_one() or 0) + 1
        row = {"sovereign": sovereign, "cluster": cluster, "number": number, "created_at": self.now}
        row["state"] = seal(sealed_at(states.c.state, sovereign, cluster, number))
        await self.write(insert(states).values(row))
        await self.sql.execute(delete(states).where(mine & (states.c.number <= number - STATES_KEPT)))

    async def swap_state(self, sovereign: str, cluster: str, *, old: bytes, seal: Callable[[bytes], bytes]) -> bool:
        """Put a plugin's state, which `seal` seals for a place, where `old` is, if it still is that; whether it was."""
        mine = _mine(sovereign, cluster) & (t.c.plugin_state == old)
        new = seal(stated(sovereign, cluster))
        if not (await self.sql.execute(update(t).where(mine).values(plugin_state=new))).rowcount:
            return False
        await self.keep_state(sovereign, cluster, seal)
        return True

    async def states(self, sovereign: str, cluster: str) -> list[tuple[bytes, bytes]]:
        """Versions of a plugin's state, sealed, and for which places; the newest first."""
        mine = (states.c.sovereign == sovereign) & (states.c.cluster == cluster)
        query = select(states.c.state, states.c.number).where(mine).order_by(states.c.number.desc())
        rows = (await self.sql.execute(query)).all()
        return [(state, sealed_at(states.c.state, sovereign, cluster, number)) for state, number in rows]

    async def forget_life(self, sovereign: str, name: str) -> None:
        """Forget what was seen and said of a cluster that is no more: another one of that name begins with nothing.

        Its wish, its number, its ledger and its logs stay, and so does the fence of its workloads.
        """
        nothing = dict.fromkeys(("made", "made_at", "enrolled_at", "heartbeat_at", "heartbeat", "inventory"))
        await self.change_cluster(sovereign, name, **nothing)
        for table in (enrolments, joins, workloads):
            await self.sql.execute(delete(table).where((table.c.sovereign == sovereign) & (table.c.cluster == name)))
        c, w = components.c, workload_lists.c
        unseen = {"release": None, "probe_passed": None, "state": ComponentState.PENDING, "message": "",
                  "since": self.now, "was_ready": False, "observed_at": None}  # fmt: skip
        await self.sql.execute(
            update(components).where((c.sovereign == sovereign) & (c.cluster == name)).values(unseen)
        )
        unheard = update(workload_lists).where((w.sovereign == sovereign) & (w.cluster == name))
        await self.sql.execute(unheard.values(command=0, told=0, wished=[]))
        await self.withdraw(sovereign, name)

    async def drop_cluster(self, sovereign: str, name: str) -> None:
        """Forget a cluster that is gone, with its components, its servers' tokens and its commands."""
        for table in (components, commands, enrolments, joins, states, component_lines, workload_lists, workloads):
            await self.sql.execute(delete(table).where((table.c.sovereign == sovereign) & (table.c.cluster == name)))
        await self.sql.execute(delete(t).where(_mine(sovereign, name)))

    async def wish_components(self, sovereign: str, cluster: str, lock: Lock) -> bool:
        """Make the wished components those of `lock`; what is known of those that stay is kept. Whether any is new."""
        known = {row.name: row for row in await self.components(sovereign, cluster)}
        for position, component in enumerate(lock.components):
            row = {
                "position": position,
                "wave": component.wave,
                "needs": list(component.needs),
                "optional": component.optional,
                "wished_version": component.version,
                "wished_digest": component.digest,
            }
            key = {"sovereign": sovereign, "cluster": cluster, "name": component.name}
            if component.name in known:
                await self.write(update(components).where(_component(**key)).values(row))
            else:
                fresh = {"state": ComponentState.PENDING, "message": "", "since": self.now, "was_ready": False}
                await self.write(insert(components).values(key | row | fresh))
        for name in known.keys() - {c.name for c in lock.components}:
            await self.write(delete(components).where(_component(sovereign, cluster, name)))
        return any(component.name not in known for component in lock.components)

    async def components(self, sovereign: str, cluster: str = "") -> list[ComponentRow]:
        """Components by cluster and order; an empty cluster: of all."""
        c = components.c
        query = select(components).where(c.sovereign == sovereign).order_by(c.cluster, c.position)
        query = query.where(c.cluster == cluster) if cluster else query
        return [_component_row(row) for row in (await self.sql.execute(query)).mappings()]

    async def component(self, sovereign: str, cluster: str, name: str) -> ComponentRow | None:
        """One component of a cluster."""
        query = select(components).where(_component(sovereign, cluster, name))
        row = (await self.sql.execute(query)).mappings().one_or_none()
        return _component_row(row) if row else None

    async def save_component(self, row: ComponentRow) -> None:
        """Write what was observed."""
        values = {
            "release": asdict(row.release) if row.release else None,
            "probe_passed": row.probe_passed,
            "state": row.state,
            "message": row.message,
            "since": row.since,
            "was_ready": row.was_ready,
            "observed_at": row.observed_at,
        }
        await self.write(update(components).where(_component(row.sovereign, row.cluster, row.name)).values(values))

    async def drop_components(self, sovereign: str) -> None:
        """Nothing is wished any more."""
        await self.sql.execute(delete(components).where(components.c.sovereign == sovereign))

    async def command(self, sovereign: str, cluster: str, body: bytes, *, server: str = "") -> int:
        """Put a command down for an agent, of the server of that name or of any in the control plane; its number."""
        known = await self.cluster(sovereign, cluster)
        number = (known.last_command if known else 0) + 1
        await self.change_cluster(sovereign, cluster, last_command=number)
        row = {"sovereign": sovereign, "cluster": cluster, "number": number, "body": body, "message": ""}
        await self.write(insert(commands).values(row | {"server": server or None, "created_at": self.now}))
        return number

    async def open_commands(
        self, sovereign: str, cluster: str, *, server: str, is_worker: bool = False
    ) -> list[tuple[int, bytes]]:
        """Commands without a result that a server is to do, in order. A worker has no access to the API of its cluster."""
        c = commands.c
        mine = (c.sovereign == sovereign) & (c.cluster == cluster) & c.done_at.is_(None)
        its = c.server == server if is_worker else (c.server == server) | c.server.is_(None)
        rows = await self.sql.execute(select(c.number, c.body).where(mine & its).order_by(c.number))
        return [(row.number, row.body) for row in rows]

    async def commands_since(self, sovereign: str, cluster: str, moment: datetime) -> list[Given]:
        """Commands that were put down at that moment or later, in order."""
        c = commands.c
        mine = (c.sovereign == sovereign) & (c.cluster == cluster) & (c.created_at >= moment)
        rows = await self.sql.execute(select(c.number, c.body, c.done_at).where(mine).order_by(c.number))
        return [Given(number, body, done_at is None) for number, body, done_at in rows]

    async def withdraw(self, sovereign: str, cluster: str, *numbers: int) -> None:
        """Nobody is to do these any more, of those that are open; without numbers: any of the cluster."""
        c = commands.c
        mine = (c.sovereign == sovereign) & (c.cluster == cluster) & c.done_at.is_(None)
        mine = mine & c.number.in_(numbers) if numbers else mine
        over = {"code": WITHDRAWN, "message": "nobody wants it any more", "remaining": [], "done_at": self.now}
        await self.sql.execute(update(commands).where(mine).values(over))

    async def command_done(
        self, sovereign: str, cluster: str, number: int, *, code: str, message: str, remaining: Sequence[str] = ()
    ) -> None:
        """An agent told what became of a command."""
        mine = _command(sovereign, cluster, number) & commands.c.done_at.is_(None)
        values = {"code": code, "message": message, "remaining": list(remaining), "done_at": self.now}
        await self.sql.execute(update(commands).where(mine).values(values))

    async def command_code(self, sovereign: str, cluster: str, number: int) -> str:
        """Why a command failed, as its agent told; empty while it has not."""
        query = select(commands.c.code).where(_command(sovereign, cluster, number))
        return str((await self.sql.execute(query)).scalar_one_or_none() or "")

    async def is_command_done(self, sovereign: str, cluster: str, number: int) -> bool:
        """Whether its result has come."""
        return await self.command_end(sovereign, cluster, number) is not None

    async def command_end(self, sovereign: str, cluster: str, number: int) -> CommandEnd | None:
        """What became of a command; None: its result has not come."""
        c = commands.c
        query = select(c.code, c.message, c.remaining).where(
            _command(sovereign, cluster, number) & c.done_at.is_not(None)
        )
        row = (await self.sql.execute(query)).one_or_none()
        return CommandEnd(row.code or "", row.message, tuple(row.remaining or ())) if row else None


def _mine(sovereign: str, name: str) -> ColumnElement[bool]:
    return (t.c.sovereign == sovereign) & (t.c.name == name)


def _component(sovereign: str, cluster: str, name: str) -> ColumnElement[bool]:
    c = components.c
    return (c.sovereign == sovereign) & (c.cluster == cluster) & (c.name == name)


def _command(sovereign: str, cluster: str, number: int) -> ColumnElement[bool]:
    c = commands.c
    return (c.sovereign == sovereign) & (c.cluster == cluster) & (c.number == number)


def _component_row(row: Any) -> ComponentRow:
    release = row["release"]
    if release is not None:
        conditions = tuple(Condition(**one) for one in release["conditions"])
        release = Release(**{**release, "conditions": conditions})
    return ComponentRow(**{**row, "release": release, "state": ComponentState(row["state"])})
