"""Charges of a saved method without the customer: wished first, asked for under their own key, applied once."""

from dataclasses import dataclass, replace
from datetime import datetime
from enum import StrEnum

from .money import Money


class State(StrEnum):
    """What became of a charge."""

    WANTED = "wanted"
    CAPTURED = "captured"
    FAILED = "failed"


@dataclass(frozen=True, slots=True)
class Charge:
    """One try to have an invoice paid by a saved method. The credit that pays the rest is held under its id."""

    id: str
    org: str
    subscription: str
    invoice: str
    provider: str
    customer: str
    method: str
    amount: Money
    rounding: Money
    credit: Money
    state: State
    next_at: datetime
    created_at: datetime
    updated_at: datetime
    payment: str = ""
    """The provider's id of the payment."""
    why: str = ""
    tries: int = 0
    """Calls that told nothing, in a row."""
    version: int = 1

    @property
    def name(self) -> str:
        return f"charges/{self.id}"


def put_off(charge: Charge, next_at: datetime, now: datetime) -> Charge:
    """The provider did not say what became of it: it is asked again."""
    return replace(charge, next_at=next_at, tries=charge.tries + 1, updated_at=now, version=charge.version + 1)


def ended(charge: Charge, state: State, now: datetime, *, payment: str = "", why: str = "") -> Charge:
    """The charge with the provider's answer."""
    return replace(
        charge, state=state, payment=payment, why=why, updated_at=now, version=charge.version + 1
    )  # fmt: skip
