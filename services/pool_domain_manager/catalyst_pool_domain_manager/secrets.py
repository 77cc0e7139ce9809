"""Secrets for plugins: credentials of accounts, opened for the registrar that is called and for nobody else; and files.

A name says where a secret lies: `registrarAccounts/{id}` is an account's, `hand/…` is a credential that a caller has in
hand for one call and that is never written down; every other name is a file of the daemon's folder.
"""

import secrets
from collections.abc import Iterator, Mapping
from contextlib import contextmanager

from catalyst_mesh import Sealer, Work, sealed_at
from catalyst_sdk import Permanent, Secret, SecretRef
from catalyst_sdk.context import Secrets
from catalyst_sdk.credentials import packed

from .kept.accounts import t as accounts
from .store import Store

ACCOUNT = "registrarAccounts/"
_HAND = "hand/"


class PluginSecrets:
    """Implements `catalyst_sdk.context.Secrets`."""

    def __init__(self, work: Work[Store], sealer: Sealer, files: Secrets) -> None:
        self._work = work
        self._sealer = sealer
        self._files = files
        self._in_hand: dict[str, Secret] = {}

    def seal(self, account: str, fields: Mapping[str, str]) -> bytes:
        """A credential as it is kept with the account of that id."""
        return self._sealer.seal(packed(fields), sealed_at(accounts.c.sealed, account))

    @contextmanager
    def in_hand(self, fields: Mapping[str, str]) -> Iterator[SecretRef]:
        """A credential that can be resolved for the block, and never again."""
        ref = SecretRef(f"{_HAND}{secrets.token_hex(16)}")
        self._in_hand[ref.name] = Secret(packed(fields))
        try:
            yield ref
        finally:
            del self._in_hand[ref.name]

    async def resolve(self, ref: SecretRef) -> Secret:
        """The value behind `ref`. Raises Permanent("SECRET_NOT_FOUND")."""
        if ref.name.startswith(ACCOUNT):
            return await self._of_account(ref)
        if ref.name.startswith(_HAND):
            if found := self._in_hand.get(ref.name):
                return found
            raise Permanent("SECRET_NOT_FOUND", "that credential was for one call, which is over")
        return await self._files.resolve(ref)

    async def _of_account(self, ref: SecretRef) -> Secret:
        async with self._work.reading() as tx:
            account = await tx.account(ref.name.removeprefix(ACCOUNT))
        if account is None or not (account.sealed or account.secret_ref):
            raise Permanent("SECRET_NOT_FOUND", f"{ref.name} has no credential")
        if account.secret_ref:
            return await self._files.resolve(SecretRef(account.secret_ref))
        return Secret(self._sealer.open(account.sealed, sealed_at(accounts.c.sealed, account.id)))
