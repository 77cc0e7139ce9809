"""Rows that hold sealed values: enrolments, reservations, credentials."""

from dataclasses import dataclass
from datetime import datetime
from typing import Any

from catalyst_mesh import Transaction, sealed_at
from sqlalchemy import delete, insert, select, update

from ..domain.enrolments import Ticket
from .tables import credentials, enrolments, joins, reservations

RESERVED, COMMITTED, LOST, RELEASED = "reserved", "committed", "lost", "released"


@dataclass(frozen=True, slots=True)
class EnrolmentRow:
    """The token of one server, sealed, and what it was used for."""

    token_sha256: str
    sovereign: str
    cluster: str
    server: str
    token: bytes | None
    expires_at: datetime
    server_id: str
    public_key_sha256: str
    answer: bytes | None
    last_report: int

    def place(self, column: str) -> bytes:
        """For which its token or its answer is sealed."""
        return sealed_at(enrolments.c[column], self.token_sha256)

    @property
    def ticket(self) -> Ticket:
        """As the domain sees it."""
        return Ticket(
            self.token_sha256, self.cluster, self.server, self.expires_at, self.server_id, self.public_key_sha256
        )


@dataclass(frozen=True, slots=True)
class Reservation:
    """A name that is held, with its sealed token."""

    sovereign: str
    allocation: str
    token: bytes
    expires_at: datetime
    state: str
    tries: int

    @property
    def place(self) -> bytes:
        """For which its token is sealed."""
        return sealed_at(reservations.c.token, self.sovereign)


@dataclass(frozen=True, slots=True)
class CredentialRow:
    """One version of a credential, sealed."""

    id: str
    version: int
    kind: str
    provider: str
    organization: str
    uid: str
    value: bytes
    creator: str
    created_at: datetime

    @property
    def place(self) -> bytes:
        """For which its value is sealed."""
        return sealed_at(credentials.c.value, self.id, self.version)


@dataclass(frozen=True, slots=True)
class JoinRow:
    """What the servers of a cluster need of one another, sealed."""

    sovereign: str
    cluster: str
    server_token: bytes
    worker_token: bytes
    endpoint: str


def joining(sovereign: str, cluster: str, column: str) -> bytes:
    """For which a token by which servers join one another is sealed."""
    return sealed_at(joins.c[column], sovereign, cluster)


class SecretRows(Transaction):
    """Sealed values."""

    async def join(self, sovereign: str, cluster: str) -> JoinRow | None:
        """What was given out when the cluster was begun."""
        mine = (joins.c.sovereign == sovereign) & (joins.c.cluster == cluster)
        row = (await self.sql.execute(select(joins).where(mine))).mappings().one_or_none()
        return JoinRow(**row) if row else None

    async def keep_join(self, row: JoinRow) -> None:
        """Once in the life of a cluster."""
        await self.write(insert(joins).values({c.name: getattr(row, c.name) for c in joins.c}))

    async def enrolment(self, *, token_sha256: str = "", sovereign: str = "", cluster: str = "",
                        server: str = "") -> EnrolmentRow | None:  # fmt: skip
        """By the token's digest, or by the server."""
        c = enrolments.c
        by_server = (c.sovereign == sovereign) & (c.cluster == cluster) & (c.server == server)
        where = c.token_sha256 == token_sha256 if token_sha256 else by_server
        row = (await self.sql.execute(select(enrolments).where(where))).mappings().one_or_none()
        return EnrolmentRow(**row) if row else None

    async def enrolments(self, sovereign: str, cluster: str) -> list[EnrolmentRow]:
        """All of a cluster."""
        c = enrolments.c
        rows = await self.sql.execute(select(enrolments).where((c.sovereign == sovereign) & (c.cluster == cluster)))
        return [EnrolmentRow(**row) for row in rows.mappings()]

    async def keep_enrolment(self, row: EnrolmentRow) -> None:
        """A new token for a server; the one before counts no more."""
        c = enrolments.c
        mine = (c.sovereign == row.sovereign) & (c.cluster == row.cluster) & (c.server == row.server)
        await self.sql.execute(delete(enrolments).where(mine))
        await self.write(insert(enrolments).values({c.name: getattr(row, c.name) for c in enrolments.c}))

    async def change_enrolment(self, token_sha256: str, **values: Any) -> None:
        """Give columns new values."""
        await self.write(update(enrolments).where(enrolments.c.token_sha256 == token_sha256).values(values))

    async def shred_enrolments(self, sovereign: str) -> int:
        """Destroy all tokens and answers; how many enrolments."""
        await self.sql.execute(delete(joins).where(joins.c.sovereign == sovereign))
        result = await self.sql.execute(delete(enrolments).where(enrolments.c.sovereign == sovereign))
        return int(result.rowcount)

    async def reservation(self, sovereign: str) -> Reservation | None:
        """The name that is held for a Sovereign."""
        rows = await self.sql.execute(select(reservations).where(reservations.c.sovereign == sovereign))
        row = rows.mappings().one_or_none()
        return Reservation(**row) if row else None

    async def reservations(self, state: str) -> list[Reservation]:
        """All in `state`."""
        rows = await self.sql.execute(select(reservations).where(reservations.c.state == state))
        return [Reservation(**row) for row in rows.mappings()]

    async def keep_reservation(self, row: Reservation) -> None:
        """Write what is held."""
        values = {c.name: getattr(row, c.name) for c in reservations.c}
        mine = reservations.c.sovereign == row.sovereign
        known = await self.reservation(row.sovereign)
        await self.write(
            insert(reservations).values(values) if known is None else update(reservations).where(mine).values(values)
        )

    async def credential(self, id: str, version: int = 0) -> CredentialRow | None:
        """One version; 0: the newest."""
        c = credentials.c
        query = select(credentials).where(c.id == id).order_by(c.version.desc()).limit(1)
        query = query.where(c.version == version) if version else query
        row = (await self.sql.execute(query)).mappings().one_or_none()
        return CredentialRow(**row) if row else None

    async def keep_credential(self, row: CredentialRow) -> None:
        """Store a version."""
        await self.write(insert(credentials).values({c.name: getattr(row, c.name) for c in credentials.c}))
