"""What the console keeps for people: who is signed in, and wishes that are not finished yet.

Wishes belong to a person; whoever asks for another's finds nothing. Of a session's cookie only the digest is kept, and what the
provider gave is sealed.
"""

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any

from catalyst_mesh import Json, Transaction, UtcTime
from catalyst_mesh.retention import Rule
from catalyst_mesh.sealing import SEALED
from sqlalchemy import Column, Index, LargeBinary, Table, Text, delete, insert, select, update

from .tables import metadata

DRAFTS_KEPT = timedelta(days=30)
"""For so long a wish that nobody goes on with is kept."""
draft = Table(
    "draft",
    metadata,
    Column("id", Text, primary_key=True),
    Column("owner", Text, nullable=False),
    Column("body", Json, nullable=False),
    Column("changed_at", UtcTime, nullable=False),
    Index("draft_owner", "owner"),
)  # fmt: skip - reads as a table
session = Table(
    "session",
    metadata,
    Column("id", Text, primary_key=True),
    Column("secret", Text, nullable=False, unique=True),
    Column("previous", Text, nullable=False, server_default=""),
    Column("rotated_at", UtcTime, nullable=False),
    Column("subject", Text, nullable=False),
    Column("access", LargeBinary, nullable=False, info=SEALED),
    Column("refresh", LargeBinary, nullable=False, info=SEALED),
    Column("access_until", UtcTime, nullable=False),
    Column("renewing_until", UtcTime),
    Column("until", UtcTime, nullable=False),
    Column("created_at", UtcTime, nullable=False),
    Column("agent", Text, nullable=False),
    Index("session_previous", "previous"),
    Index("session_subject", "subject"),
)  # fmt: skip - reads as a table
sign_in = Table(
    "sign_in",
    metadata,
    Column("state", Text, primary_key=True),
    Column("verifier", Text, nullable=False),
    Column("nonce", Text, nullable=False),
    Column("next", Text, nullable=False),
    Column("created_at", UtcTime, nullable=False),
)  # fmt: skip - reads as a table
SIGN_IN_KEPT = timedelta(minutes=10)
"""For so long somebody may take at the provider's page."""


class Kept(Transaction):
    """Reads and writes them."""

    async def session(self, secret: str) -> Mapping[str, Any] | None:
        """The session of a cookie's digest, the newest or the one before."""
        query = select(session).where((session.c.secret == secret) | (session.c.previous == secret))
        row = (await self.sql.execute(query)).mappings().one_or_none()
        return dict(row) if row else None

    async def lock_session(self, id: str) -> Mapping[str, Any] | None:
        """A session as it is now; kept off others until the commit."""
        query = select(session).where(session.c.id == id).with_for_update()
        row = (await self.sql.execute(query)).mappings().one_or_none()
        return dict(row) if row else None

    async def sessions(self, subject: str) -> Sequence[Mapping[str, Any]]:
        """Where a person is signed in, the newest first."""
        query = select(session).where(session.c.subject == subject).order_by(session.c.created_at.desc())
        return [dict(row) for row in (await self.sql.execute(query)).mappings()]

    async def open_session(self, row: Mapping[str, Any]) -> None:
        """Somebody signed in."""
        await self.write_quietly(insert(session).values(**row))

    async def change_session(self, id: str, **changed: Any) -> None:
        """Another secret, or other tokens."""
        await self.sql.execute(update(session).where(session.c.id == id).values(**changed))

    async def end_session(self, id: str) -> None:
        """Signed out, there."""
        await self.sql.execute(delete(session).where(session.c.id == id))

    async def end_sessions(self, subject: str) -> None:
        """Signed out, everywhere."""
        await self.sql.execute(delete(session).where(session.c.subject == subject))

    async def begin_sign_in(self, row: Mapping[str, Any]) -> None:
        """Somebody goes to the provider."""
        await self.write_quietly(insert(sign_in).values(**row))

    async def end_sign_in(self, state: str) -> Mapping[str, Any] | None:
        """Somebody comes back: what was begun, once; None where nothing was, or too long ago."""
        mine = sign_in.c.state == state
        row = (await self.sql.execute(select(sign_in).where(mine).with_for_update())).mappings().one_or_none()
        await self.sql.execute(delete(sign_in).where(mine))
        return dict(row) if row and row["created_at"] > self.now - SIGN_IN_KEPT else None

    async def draft(self, id: str, owner: str) -> Mapping[str, Any] | None:
        """A wish of a person; None where that person has none of this id."""
        query = select(draft.c.body).where((draft.c.id == id) & (draft.c.owner == owner))
        found: Mapping[str, Any] | None = (await self.sql.execute(query)).scalar_one_or_none()
        return found

    async def drafts(self, owner: str) -> Sequence[tuple[str, Mapping[str, Any], datetime]]:
        """A person's wishes with their ids, the newest first."""
        query = select(draft).where(draft.c.owner == owner).order_by(draft.c.changed_at.desc()).limit(50)
        return [(row["id"], row["body"], row["changed_at"]) for row in (await self.sql.execute(query)).mappings()]

    async def keep_draft(self, id: str, owner: str, body: Mapping[str, Any]) -> None:
        """Write a wish anew, as it is now."""
        row = {"body": dict(body), "changed_at": self.now}
        mine = (draft.c.id == id) & (draft.c.owner == owner)
        if (await self.sql.execute(update(draft).where(mine).values(row))).rowcount == 0:
            await self.write_quietly(insert(draft).values(id=id, owner=owner, **row))

    async def drop_draft(self, id: str, owner: str) -> None:
        """Forget a wish."""
        await self.sql.execute(delete(draft).where((draft.c.id == id) & (draft.c.owner == owner)))


def rules() -> tuple[Rule, ...]:
    """What is swept of these tables."""
    return (
        Rule(draft, draft.c.changed_at, DRAFTS_KEPT),
        Rule(session, session.c.until, timedelta(0)),
        Rule(sign_in, sign_in.c.created_at, SIGN_IN_KEPT),
    )
