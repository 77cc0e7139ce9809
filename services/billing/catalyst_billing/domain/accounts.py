"""Billing accounts: exactly one per Organization, opened at its first use."""

from dataclasses import dataclass, field, replace
from datetime import datetime
from enum import StrEnum

from catalyst_sdk import Code, Decision, Refused

from .money import Money


class State(StrEnum):
    """Whether an account may spend."""

    OPEN = "open"
    FROZEN = "frozen"
    CLOSED = "closed"


class AccountNotFound(Refused):
    code, reason, message = Code.NOT_FOUND, "ACCOUNT_NOT_FOUND", "there is no account {account}"


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
class Addressee:
    """Whom a document is made out to, as of its finalisation."""

    contact: Contact = Contact()
    tax: TaxProfile = TaxProfile()


NOBODY = Addressee()
"""Of whom nothing but the Organization is known."""


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

    @property
    def addressee(self) -> Addressee:
        """Whom a document of now is made out to."""
        return Addressee(self.contact, self.tax)

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


def freeze(account: BillingAccount, now: datetime) -> Decision[BillingAccount]:
    """Stop all spending; a frozen one stays as it is. Raises AccountClosed."""
    return _moved(account, State.FROZEN, now)


def unfreeze(account: BillingAccount, now: datetime) -> Decision[BillingAccount]:
    """Let it spend again; an open one stays as it is. Raises AccountClosed."""
    return _moved(account, State.OPEN, now)


def update(account: BillingAccount, contact: Contact, tax: TaxProfile, now: datetime) -> Decision[BillingAccount]:
    """Another addressee, other tax data. Raises AccountClosed."""
    if account.state is State.CLOSED:
        raise AccountClosed(account=account.name)
    if (contact, tax) == (account.contact, account.tax):
        return Decision(account)
    return Decision(replace(account, contact=contact, tax=tax, updated_at=now, version=account.version + 1))


def _moved(account: BillingAccount, to: State, now: datetime) -> Decision[BillingAccount]:
    if account.state is State.CLOSED:
        raise AccountClosed(account=account.name)
    if account.state is to:
        return Decision(account)
    return Decision(replace(account, state=to, updated_at=now, version=account.version + 1))
