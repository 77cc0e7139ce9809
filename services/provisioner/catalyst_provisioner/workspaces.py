"""What a cloud plugin is handed for one cluster: the ledger, its own state, and a way to tell people."""

import secrets
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import partial

from catalyst_mesh import Work, sealed_at
from catalyst_sdk import NotSupported, SecretRef
from catalyst_sdk.cloud import Enrolment, LedgerRow, Price
from catalyst_sdk.context import Secrets
from sqlalchemy.ext.asyncio import AsyncConnection

from .domain.enrolments import sha256
from .store import EnrolmentRow, Store, tables
from .store.clusters import stated
from .vault import ENROLMENT, Vault

Emit = Callable[..., Awaitable[None]]
Guard = Callable[[AsyncConnection], Awaitable[None]]
"""Ends the step in a transaction of a replica that does not hold the run any more."""


@dataclass(frozen=True, slots=True)
class Place:
    """Whose cluster it is, and where it lies."""

    sovereign: str
    cluster: str
    provider: str
    credential: str
    run: str = ""


class ReadingWorkspace:
    """For plans: everything may be read, nothing written."""

    def __init__(self, work: Work[Store], vault: Vault, place: Place, deadline: datetime) -> None:
        self._work = work
        self._vault = vault
        self._place = place
        self.credential = SecretRef(place.credential)
        self.deadline = deadline
        self.secrets: Secrets = vault

    async def rows(self) -> Sequence[LedgerRow]:
        """The cluster's rows in the order of intent."""
        async with self._work.reading() as tx:
            return [entry.row for entry in await tx.entries(self._place.sovereign, self._place.cluster)]

    async def intend(
        self, *, kind: str, name: str, region: str, labels: Mapping[str, str], price: Price | None = None
    ) -> None:
        """Refused."""
        raise NotSupported("intend", "a plan writes nothing")

    async def created(self, *, kind: str, name: str, id: str) -> None:
        """Refused."""
        raise NotSupported("created", "a plan writes nothing")

    async def gone(self, *, kind: str, name: str) -> None:
        """Refused."""
        raise NotSupported("gone", "a plan writes nothing")

    async def read_state(self) -> bytes | None:
        """The plugin's own state, opened."""
        async with self._work.reading() as tx:
            row = await tx.cluster(self._place.sovereign, self._place.cluster)
        return (
            self._vault.sealer.open(row.plugin_state, row.place("plugin_state")) if row and row.plugin_state else None
        )

    async def write_state(self, state: bytes) -> None:
        """Refused."""
        raise NotSupported("write_state", "a plan writes nothing")

    async def emit(
        self, *, code: str, message: str, level: str = "info", data: Mapping[str, str] | None = None
    ) -> None:
        """Tells nobody."""

    async def log(self, *, text: str, level: str = "INFO") -> None:
        """Written nowhere."""

    async def stopping(self) -> bool:
        """Never."""
        return False

    async def enrolment(self, *, server: str) -> Enrolment:
        """Refused."""
        raise NotSupported("enrolment", "a plan enrols nobody")


class LedgerWorkspace(ReadingWorkspace):
    """For runs: intents are committed before they are carried out, and nothing is written once the run is another's."""

    def __init__(
        self, work: Work[Store], vault: Vault, place: Place, deadline: datetime,
        *, endpoint: str, ca_pin: str, token_ttl: timedelta,
        emit: Emit, log: Emit, guard: Guard, is_cancelled: Callable[[], bool],
    ) -> None:  # fmt: skip
        super().__init__(work, vault, place, deadline)
        self._endpoint = endpoint
        self._ca_pin = ca_pin
        self._token_ttl = token_ttl
        self._emit = emit
        self._log = log
        self._guard = guard
        self._is_cancelled = is_cancelled

    async def intend(
        self, *, kind: str, name: str, region: str, labels: Mapping[str, str], price: Price | None = None
    ) -> None:
        """Commit the intent."""
        p, row = self._place, LedgerRow(kind, name, region, dict(labels), "", price)

        async def step(tx: Store) -> None:
            await self._guard(tx.sql)
            await tx.intend(p.sovereign, p.cluster, row, provider=p.provider, credential=p.credential, run=p.run)

        await self._work.again(step)

    async def created(self, *, kind: str, name: str, id: str) -> None:
        """Commit the id."""

        async def step(tx: Store) -> None:
            await self._guard(tx.sql)
            await tx.created(self._place.sovereign, kind=kind, name=name, id=id, run=self._place.run)

        await self._work.again(step)

    async def gone(self, *, kind: str, name: str) -> None:
        """Commit that it is gone."""

        async def step(tx: Store) -> None:
            await self._guard(tx.sql)
            await tx.gone(self._place.sovereign, kind=kind, name=name, run=self._place.run)

        await self._work.again(step)

    async def write_state(self, state: bytes) -> None:
        """Seal and keep it."""
        seal, p = partial(self._vault.sealer.seal, state), self._place

        async def step(tx: Store) -> None:
            await self._guard(tx.sql)
            await tx.change_cluster(p.sovereign, p.cluster, plugin_state=seal(stated(p.sovereign, p.cluster)))
            await tx.keep_state(p.sovereign, p.cluster, seal)

        await self._work.again(step)

    async def emit(
        self, *, code: str, message: str, level: str = "info", data: Mapping[str, str] | None = None
    ) -> None:
        """An event of the step."""
        await self._emit(code, message, level=level, data=data)

    async def log(self, *, text: str, level: str = "INFO") -> None:
        """Lines of the step."""
        await self._log(text, level=level)

    async def stopping(self) -> bool:
        """Whether the run was cancelled."""
        return self._is_cancelled()

    async def enrolment(self, *, server: str) -> Enrolment:
        """A token bound to `server`: the same one until it was used or is over."""
        p = self._place

        async def step(tx: Store) -> str:
            await self._guard(tx.sql)
            known = await tx.enrolment(sovereign=p.sovereign, cluster=p.cluster, server=server)
            if known and known.token and not known.public_key_sha256 and known.expires_at > tx.now:
                return known.token_sha256
            token = secrets.token_urlsafe(32)
            digest = sha256(token)
            sealed = self._vault.sealer.seal(token.encode(), sealed_at(tables.enrolments.c.token, digest))
            ends = tx.now + self._token_ttl
            row = EnrolmentRow(digest, p.sovereign, p.cluster, server, sealed, ends, "", "", None, 0)
            await tx.keep_enrolment(row)
            return digest

        digest = await self._work.again(step)
        resource = f"sovereigns/{p.sovereign}/clusters/{p.cluster}"
        return Enrolment(self._endpoint, resource, SecretRef(f"{ENROLMENT}{digest}"), self._ca_pin)
