"""Billing accounts: exactly one per Organization, opened at its first use."""

from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum

from catalyst_sdk import Decision, Refused

from .money import Money


class State(StrEnum):
    """Whether an account may spend."""

    OPEN = "open"
    FROZEN = "frozen"
    CLOSED = "closed"


class AccountFrozen(Refused):
    reason, message = "ACCOUNT_FROZEN", "{account} is frozen; nothing is spent until it is opened again"


class AccountClosed(Refused):
    reason, message = "ACCOUNT_CLOSED", "{account} is closed"


class CurrencyMismatch(Refused):
    reason, message = "CURRENCY_MISMATCH", "{account} is kept in {kept}, not in {asked}"


@dataclass(frozen=True, slots=True)
class Contact:
    """Whom invoices address."""

    display_name: str = ""
    email: str = ""
    address_lines: tuple[str, ...] = ()
    region_code: str = ""


@dataclass(frozen=True, slots=True)
class TaxProfile:
    """What tax offices want to know of a customer."""

    tax_id: str = ""
    exempt: bool = False


@dataclass(frozen=True, slots=True)
class BillingAccount:
    """What one Organization owes and owns on this Sovereign."""

    org: str
    uid: str
    currency: str
    created_at: datetime
    updated_at: datetime
    state: State = State.OPEN
    contact: Contact = Contact()
    tax: TaxProfile = TaxProfile()
    customers: dict[str, str] = field(default_factory=dict)
    """Its id at each payment provider."""
    version: int = 1

    @property
    def name(self) -> str:
        return f"billingAccounts/{self.org}"

    def require_open(self) -> None:
        """Raises AccountFrozen, AccountClosed."""
        if self.state is State.FROZEN:
            raise AccountFrozen(account=self.name)
        if self.state is State.CLOSED:
            raise AccountClosed(account=self.name)


def ensure(
    account: BillingAccount | None, *, org: str, uid: str, currency: str, default: str, now: datetime
) -> Decision[BillingAccount]:
    """The account of `org`, opened in `currency` or the Sovereign's default where there is none yet."""
    if account is None:
        kept = Money(0, currency or default).currency
        return Decision(BillingAccount(org, uid, kept, now, now))
    if account.state is State.CLOSED:
        raise AccountClosed(account=account.name)
    if currency and Money(0, currency).currency != account.currency:
        raise CurrencyMismatch(account=account.name, kept=account.currency, asked=currency)
    return Decision(account)
