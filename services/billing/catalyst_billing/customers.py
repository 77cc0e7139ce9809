"""Customers at payment providers: one for each Organization and provider, made when it is first needed."""

from dataclasses import replace

from catalyst_mesh import Work

from .domain.accounts import BillingAccount
from .providers import Providers
from .store import Store


class Customers:
    """Knows an Organization's id at each provider."""

    def __init__(self, work: Work[Store], providers: Providers) -> None:
        self._work = work
        self._providers = providers

    async def of(self, org: str, provider: str) -> str:
        """The provider's id of `org`; asked for under one key, so that a second ask finds what the first one made."""
        async with self._work.reading() as tx:
            account = await tx.account(org)
        assert account is not None, "who has an order has an account"
        if known := account.customers.get(provider):
            return known
        ref = await self._providers.get(provider).ensure_customer(
            key=f"customer:{org}", name=account.contact.display_name or org, email=account.contact.email,
            metadata={"org": f"organizations/{org}"},
        )  # fmt: skip

        async def step(tx: Store) -> None:
            current = await tx.lock_account(org)
            assert current is not None
            await tx.save(_known(current, provider, ref))

        await self._work.again(step)
        return ref


def _known(account: BillingAccount, provider: str, ref: str) -> BillingAccount:
    if account.customers.get(provider) == ref:
        return account
    return replace(account, customers={**account.customers, provider: ref}, version=account.version + 1)
