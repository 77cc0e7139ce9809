"""Vouchers: a code that stands for credit or a discount.

Invariants
  for ever   a code is given once; a revoked voucher is never anything else again;
  lazy       a voucher past `ends_at` is EXPIRED, swept or not.
"""

import re
import unicodedata
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from enum import StrEnum

from catalyst_sdk import Code, Decision, Refused

from .money import Money
from .moves import IllegalTransition

CODE = re.compile(r"[A-Z0-9][A-Z0-9-]{2,30}[A-Z0-9]")
ALPHABET = "23456789ABCDEFGHJKMNPQRSTUVWXYZ"
"""Signs of generated codes: none that people take for another one."""
GENERATED_LENGTH = 12


class VoucherNotFound(Refused):
    code, reason, message = Code.NOT_FOUND, "VOUCHER_NOT_FOUND", "there is no such voucher"


class VoucherCodeInvalid(Refused):
    code, reason = Code.INVALID_ARGUMENT, "VOUCHER_CODE_INVALID"
    message = "a code has 4 to 32 of the signs A-Z, 0-9 and hyphen, none of them at an end"


class VoucherCodeTaken(Refused):
    code, reason, message = Code.ALREADY_EXISTS, "VOUCHER_CODE_TAKEN", "this code was given before"


class State(StrEnum):
    """Where a voucher stands."""

    DRAFT = "draft"
    ACTIVE = "active"
    PAUSED = "paused"
    REVOKED = "revoked"
    EXHAUSTED = "exhausted"
    EXPIRED = "expired"


@dataclass(frozen=True, slots=True)
class Terms:
    """What a voucher gives and to whom: either `amount`, or `percent` for `periods`."""

    amount: Money | None = None
    percent: int = 0
    periods: int = 0
    budget: Money | None = None
    max_total: int | None = None
    max_per_org: int = 1
    starts_at: datetime | None = None
    ends_at: datetime | None = None
    grant_ttl: timedelta | None = None
    plans: tuple[str, ...] = ()
    blueprints: tuple[str, ...] = ()
    new_organizations_only: bool = False
    description: str = ""


@dataclass(frozen=True, slots=True)
class Voucher:
    """A code and its terms."""

    id: str
    code: str
    terms: Terms
    state: State
    issued_by: str
    created_at: datetime
    updated_at: datetime
    version: int = 1

    @property
    def name(self) -> str:
        return f"vouchers/{self.id}"

    def standing(self, now: datetime) -> State:
        """The state with time taken into account."""
        over = self.terms.ends_at is not None and self.terms.ends_at <= now
        return State.EXPIRED if over and self.state in (State.ACTIVE, State.PAUSED, State.EXHAUSTED) else self.state

    def is_accepting(self, now: datetime) -> bool:
        """Whether somebody could use it now."""
        begun = self.terms.starts_at is None or self.terms.starts_at <= now
        return begun and self.standing(now) is State.ACTIVE


@dataclass(frozen=True, slots=True)
class Issued:
    voucher: Voucher


@dataclass(frozen=True, slots=True)
class Revoked:
    voucher: Voucher
    by: str
    why: str


def normalise(code: str) -> str:
    """The code as it is kept: NFKC, upper case, trimmed. Raises VoucherCodeInvalid."""
    kept = unicodedata.normalize("NFKC", code).upper().strip()
    if not CODE.fullmatch(kept):
        raise VoucherCodeInvalid
    return kept


def issue(id: str, code: str, terms: Terms, *, by: str, now: datetime, activate: bool) -> Decision[Voucher]:
    """A new voucher under a normalised code that nobody had before."""
    voucher = Voucher(id, code, terms, State.ACTIVE if activate else State.DRAFT, by, now, now)
    return Decision(voucher, (Issued(voucher),))


def activate(voucher: Voucher, now: datetime) -> Decision[Voucher]:
    """DRAFT or PAUSED to ACTIVE; an active one stays as it is."""
    if voucher.state is State.ACTIVE:
        return Decision(voucher)
    return Decision(_move(voucher, "activate", State.ACTIVE, {State.DRAFT, State.PAUSED}, now))


def pause(voucher: Voucher, now: datetime) -> Decision[Voucher]:
    """ACTIVE to PAUSED; a paused one stays as it is. Reservations made before stand."""
    if voucher.state is State.PAUSED:
        return Decision(voucher)
    return Decision(_move(voucher, "pause", State.PAUSED, {State.ACTIVE}, now))


def revoke(voucher: Voucher, now: datetime, *, by: str, why: str) -> Decision[Voucher]:
    """Withdraw it for good; every use stays. A revoked one stays as it is."""
    if voucher.state is State.REVOKED:
        return Decision(voucher)
    gone = moved(voucher, State.REVOKED, now)
    return Decision(gone, (Revoked(gone, by, why),))


def _move(voucher: Voucher, command: str, to: State, allowed: set[State], now: datetime) -> Voucher:
    standing = voucher.standing(now)
    if standing not in allowed:
        raise IllegalTransition(voucher.name, standing, command, _COMMANDS[standing])
    return moved(voucher, to, now)


def moved(voucher: Voucher, state: State, now: datetime) -> Voucher:
    """The voucher in `state`, one version later."""
    return replace(voucher, state=state, updated_at=now, version=voucher.version + 1)


_COMMANDS = {
    State.DRAFT: ("activate", "revoke"),
    State.ACTIVE: ("activate", "pause", "revoke"),
    State.PAUSED: ("activate", "pause", "revoke"),
    State.REVOKED: ("revoke",),
    State.EXHAUSTED: ("revoke",),
    State.EXPIRED: ("revoke",),
}
