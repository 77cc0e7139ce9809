"""Sealed values, opened for the process that needs them and for nobody else."""

import secrets

from catalyst_mesh import Sealer, Work, sealed_at
from catalyst_sdk import Permanent, Secret, SecretRef

from .domain.credentials import Credential
from .store import CredentialRow, Store
from .store.tables import credentials

ENROLMENT = "enrolments/"
CREDENTIAL = "credentials/"


class Vault:
    """Resolves `credentials/{id}` and `enrolments/{sha256 of the token}`."""

    def __init__(self, work: Work[Store], sealer: Sealer) -> None:
        self._work = work
        self.sealer = sealer

    async def resolve(self, ref: SecretRef) -> Secret:
        """The value behind `ref`. Raises Permanent("SECRET_NOT_FOUND")."""
        async with self._work.reading() as tx:
            sealed = await self._sealed(tx, ref)
        if sealed is None:
            raise Permanent("SECRET_NOT_FOUND", f"there is no secret {ref.name}")
        return Secret(self.sealer.open(*sealed))

    async def _sealed(self, tx: Store, ref: SecretRef) -> tuple[bytes, bytes] | None:
        """What is kept, and where."""
        if ref.name.startswith(ENROLMENT):
            row = await tx.enrolment(token_sha256=ref.name.removeprefix(ENROLMENT))
            return (row.token, row.place("token")) if row and row.token else None
        credential = await tx.credential(ref.name.removeprefix(CREDENTIAL), int(ref.version or 0))
        return (credential.value, credential.place) if credential else None

    async def ensure_simulated(self, name: str, provider: str) -> None:
        """Make the credential of a simulated account, once in the life of this daemon's database."""
        id = name.removeprefix(CREDENTIAL)
        # The account's name and a random token, in the form that the simulated cloud takes.
        value = f"sbt_catalyst_{secrets.token_hex(16)}"

        async def step(tx: Store) -> None:
            if await tx.credential(id) is None:
                sealed = self.sealer.seal(value.encode(), sealed_at(credentials.c.value, id, 1))
                uid = secrets.token_hex(16)
                await tx.keep_credential(
                    CredentialRow(id, 1, "cloud_provider", provider, "", uid, sealed, "provisioner", tx.now)
                )
                await tx.save(Credential(id, uid, "cloud_provider", provider, "", 1, 1, tx.now, tx.now))

        await self._work.again(step)
