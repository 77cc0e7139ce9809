"""The tree in a repository of the owner's own, where the spec names one. Clusters pull the embedded one in any case."""

import asyncio

from catalyst_mesh.journal import Context
from catalyst_sdk import SecretRef
from catalyst_sdk.credentials import Credential, opened

from .. import signing
from ..domain import remotes, trees
from ..domain.remotes import Remote
from ..domain.wishes import Document
from ..pushing import Change, push
from ..signing import Sign
from .tools import Tools, patiently


class Publishing:
    """What steps that commit or remove a tree do with the other repository."""

    def __init__(self, tools: Tools) -> None:
        self._t = tools

    async def published(self, ctx: Context, spec: Document, change: Change) -> None:
        """Push what was committed to where `spec` says."""
        if remote := remotes.read(spec):
            head = await self._pushed(remote, change)
            await ctx.log(f"pushed to {remote.url} {remote.branch}: {head}")

    async def signer(self, spec: Document) -> Sign | None:
        """What signs the commits of a spec, with the newest version of its key; None where nobody does."""
        remote = remotes.read(spec)
        if remote is None or not remote.signing_key:
            return None
        ref = SecretRef(remote.signing_key)
        return signing.signer(await opened(self._t.vault, ref, signing.SCHEMA, provider=signing.KIND))

    async def withdrawn(self, ctx: Context) -> None:
        """Take the Sovereign's folder out of the repository; what others have there stays."""
        sovereign = await self._t.sovereign(ctx)
        if remote := remotes.read(sovereign.spec):
            message = f"{sovereign.name} is gone\n"
            at = int(ctx.now().timestamp())
            sign = await self.signer(sovereign.spec)
            head = await self._pushed(remote, Change(trees.root_of(sovereign.fqdn), {}, message, at, sign))
            await ctx.log(f"taken out of {remote.url} {remote.branch}: {head or 'nothing was there'}")

    async def _pushed(self, remote: Remote, change: Change) -> str:
        login = await self._login(remote)
        pushing = asyncio.to_thread(push, self._t.repositories.remotes, remote, login, change)
        return await patiently(self._t, pushing)

    async def _login(self, remote: Remote) -> Credential | None:
        """The newest version, asked for at each push."""
        if not remote.credential:
            return None
        return await opened(self._t.vault, SecretRef(remote.credential), remotes.SCHEMA, provider=remotes.KIND)
