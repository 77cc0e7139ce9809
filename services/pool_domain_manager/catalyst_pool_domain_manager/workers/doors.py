"""The parent's side of a delegation, behind one door: a registrar's plugin with the account that opens it."""

from dataclasses import dataclass
from typing import cast

from catalyst_mesh import PluginHost, Work
from catalyst_sdk import NotSupported, Permanent, SecretRef
from catalyst_sdk.host_records import HostRecords
from catalyst_sdk.registrar import Access, Delegation, RecordsHost, Registrar, RegistrarInfo, Target, Task

from catalyst_pool_domain_manager.domain.registrars import AccountNotFound
from catalyst_pool_domain_manager.store import Store

KIND = "registrar"
BY_HAND = "manual"
"""Plugin of whoever has no account with us: a person changes the parent, its servers tell."""


@dataclass(frozen=True, slots=True)
class Door:
    """A registrar for one domain, with the right to ask it. Only the four errors of the SDK come through."""

    registrar: Registrar
    credential: SecretRef | None
    info: RegistrarInfo
    domain: str

    @property
    def can_write_ds(self) -> bool:
        """Whether DS are changed by its API."""
        return bool({"set_ds", "subdomains"} & self.info.capabilities) or self.info.name == BY_HAND

    async def validate(self) -> Access:
        """What the account can do with the domain."""
        return await self.registrar.validate(credential=self.credential, domain=self.domain)

    async def read(self) -> Delegation:
        """The delegation as the registrar has it."""
        return await self.registrar.delegation(credential=self.credential, domain=self.domain)

    async def records(self) -> HostRecords:
        """What the registrar's own name servers have for the domain. Raises NotSupported."""
        if "host_records" not in self.info.capabilities:
            raise NotSupported("host_records", f"{self.info.display_name} does not tell its records by its API")
        host = cast(RecordsHost, self.registrar)  # as it declares
        return await host.host_records(credential=self.credential, domain=self.domain)

    async def apply(self, target: Target, expect: str) -> Task:
        """Begin to change it from the one that was read; the same target again is the same change."""
        return await self.registrar.apply(
            credential=self.credential, domain=self.domain, target=target, expect=expect
        )  # fmt: skip

    async def task(self, id: str) -> Task | None:
        """How far a change is; None where the registrar knows nothing of it any more."""
        try:
            return await self.registrar.task(credential=self.credential, id=id)
        except Permanent as refused:
            if refused.reason == "TASK_NOT_FOUND":
                return None
            raise


@dataclass(frozen=True, slots=True)
class Doors:
    """Opens the doors of accounts."""

    work: Work[Store]
    host: PluginHost

    async def open(self, account: str, domain: str) -> Door:
        """The door of an account's resource name; without one, the person's. Raises AccountNotFound, PluginUnavailable."""
        if not account:
            return await self._door(BY_HAND, None, domain)
        async with self.work.reading() as tx:
            known = await tx.account(account.removeprefix("registrarAccounts/"))
        if known is None:
            raise AccountNotFound(name=account)
        return await self._door(known.registrar, SecretRef(known.name), domain)

    async def _door(self, plugin: str, credential: SecretRef | None, domain: str) -> Door:
        registrar: Registrar = self.host.get(KIND, plugin)
        return Door(registrar, credential, await registrar.info(), domain)
