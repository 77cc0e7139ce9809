"""Records of credentials, and who uses them; their values stand in `secrets`."""

from collections.abc import Collection, Mapping
from typing import Any

from catalyst_mesh import Transaction
from sqlalchemy import delete, select

from ..domain.credentials import Credential
from .secrets import CredentialRow
from .tables import credential_records as t
from .tables import credentials, ledger, sovereigns


class CredentialRecords(Transaction):
    """Credentials without their values."""

    async def credential_record(self, id: str) -> Credential | None:
        """The record, kept for this transaction until the commit."""
        row = (await self.sql.execute(select(t).where(t.c.id == id).with_for_update())).mappings().one_or_none()
        if row is None:
            return None
        self.seen(t, row)
        return Credential(**row)

    async def credentials_after(self, id: str, limit: int) -> list[Credential]:
        """Records by id."""
        rows = await self.sql.execute(select(t).where(t.c.id > id).order_by(t.c.id).limit(limit))
        return [Credential(**row) for row in rows.mappings()]

    async def credential_versions(self, id: str) -> list[CredentialRow]:
        """Versions, the newest first."""
        query = select(credentials).where(credentials.c.id == id).order_by(credentials.c.version.desc())
        return [CredentialRow(**row) for row in (await self.sql.execute(query)).mappings()]

    async def credential_checks(self, names: Collection[str]) -> dict[str, Mapping[str, Any]]:
        """The last check of each of these credentials that was checked."""
        ids = [name.partition("/")[2] for name in names]
        rows = await self.sql.execute(
            select(t.c.id, t.c.last_check).where(t.c.id.in_(ids) & t.c.last_check.is_not(None))
        )
        return {f"credentials/{row.id}": row.last_check for row in rows if row.last_check}

    async def forget_credential(self, id: str) -> None:
        """Destroy the record and every value."""
        await self.sql.execute(delete(credentials).where(credentials.c.id == id))
        await self.write(delete(t).where(t.c.id == id))

    async def users_of(self, name: str) -> list[str]:
        """Sovereigns that name a credential, or have resources made with it."""
        made = select(ledger.c.sovereign).where((ledger.c.credential == name) & (ledger.c.state != "gone"))
        found = {f"sovereigns/{id}" for id in (await self.sql.execute(made)).scalars()}
        wishes = select(sovereigns.c.id, sovereigns.c.spec).where(sovereigns.c.state != "destroyed")
        for row in await self.sql.execute(wishes):
            mirrors = (row.spec.get("air_gap") or {}).get("mirrors") or ()
            git = row.spec.get("gitops") or {}
            places = (*row.spec.get("clusters", ()), git, {"credential": git.get("signing_key")}, *mirrors)
            if any((place.get("credential") or {}).get("name") == name for place in places):
                found.add(f"sovereigns/{row.id}")
        return sorted(found)
