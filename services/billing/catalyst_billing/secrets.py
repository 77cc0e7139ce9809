"""Secrets for payment plugins: those that admins gave, sealed in the database, and files of the daemon's folder."""

from catalyst_mesh import Sealer, Work, sealed_at
from catalyst_sdk import Permanent, Secret, SecretRef
from catalyst_sdk.context import Secrets

from .store import Store
from .store.tables import provider_secret

PREFIX = "providers/"


class PluginSecrets:
    """Implements `catalyst_sdk.context.Secrets`. `providers/{name}/{field}` is an admin's; every other name is a file."""

    def __init__(self, work: Work[Store], sealer: Sealer, files: Secrets) -> None:
        self._work = work
        self._sealer = sealer
        self._files = files

    async def resolve(self, ref: SecretRef) -> Secret:
        """The value behind `ref`. Raises Permanent("SECRET_NOT_FOUND")."""
        if not ref.name.startswith(PREFIX):
            return await self._files.resolve(ref)
        _, provider, field = ref.name.split("/", 2)
        async with self._work.reading() as tx:
            kept = {secret.field: secret for secret in await tx.provider_secrets(provider)}.get(field)
        if kept is None or not kept.is_configured:
            raise Permanent("SECRET_NOT_FOUND", f"{ref.name} has no value")
        if kept.secret_ref:
            return await self._files.resolve(SecretRef(kept.secret_ref))
        assert kept.sealed is not None
        return Secret(self._sealer.open(kept.sealed, sealed_at(provider_secret.c.sealed, provider, field)))
