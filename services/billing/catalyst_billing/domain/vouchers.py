"""Vouchers: a code that stands for credit or a discount.

Invariants
  for ever   a code is given once; a revoked voucher is never anything else again;
  lazy       a voucher past `ends_at` is EXPIRED, swept or not;
  frozen     what it is worth, and in which currency, never changes once somebody has reserved it;
  covered    no cap is ever set below what is used and reserved;
  written    every edit is a revision that stays.
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


class VoucherValueFrozen(Refused):
    reason, message = "VOUCHER_VALUE_FROZEN", "{voucher} was reserved before; what it is worth stays as it is"


class CapBelowUse(Refused):
    reason, message = "CAP_BELOW_USE", "{field} of {asked} is below what is used and reserved, {used}"


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
    campaign: str = ""
    """Id of the campaign whose budget it draws on; empty: none."""
    revision: int = 1
    """Number of the edit."""
    version: int = 1

    @property
    def name(self) -> str:
        return f"vouchers/{self.id}"

    @property
    def ends_at(self) -> datetime | None:
        """First moment at which it can no longer be used."""
        return self.terms.ends_at

    def standing(self, now: datetime) -> State:
        """The state with time taken into account."""
        over = self.terms.ends_at is not None and self.terms.ends_at <= now
        return State.EXPIRED if over and self.state in (State.ACTIVE, State.PAUSED, State.EXHAUSTED) else self.state

    def is_accepting(self, now: datetime) -> bool:
        """Whether somebody could use it now."""
        begun = self.terms.starts_at is None or self.terms.starts_at <= now
        return begun and self.standing(now) is State.ACTIVE


@dataclass(frozen=True, slots=True)
class Revision:
    """What a voucher was after an edit."""

    voucher: str
    revision: int
    terms: Terms
    campaign: str
    changed_by: str
    created_at: datetime

    @property
    def name(self) -> str:
        return f"vouchers/{self.voucher}/revisions/{self.revision}"


@dataclass(frozen=True, slots=True)
class Used:
    """How much of a voucher is used and reserved, read under its lock."""

    count: int = 0
    most_of_one: int = 0
    """By the Organization that has most of it."""
    value: int = 0
    """In minor units."""
    was_reserved: bool = False
    """Whether anybody has ever reserved it."""


@dataclass(frozen=True, slots=True)
class Edited:
    """A voucher with the revision that an edit made of it."""

    voucher: Voucher
    revision: Revision


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


def issue(
    id: str, code: str, terms: Terms, *, by: str, now: datetime, activate: bool, campaign: str = ""
) -> Decision[Voucher]:
    """A new voucher under a normalised code that nobody had before."""
    voucher = Voucher(id, code, terms, State.ACTIVE if activate else State.DRAFT, by, now, now, campaign)
    return Decision(voucher, (Issued(voucher),))


def revision_of(voucher: Voucher, by: str) -> Revision:
    """What a voucher is now, to be kept."""
    return Revision(voucher.id, voucher.revision, voucher.terms, voucher.campaign, by, voucher.updated_at)


def edit(voucher: Voucher, terms: Terms, campaign: str, used: Used, *, by: str, now: datetime) -> Decision[Edited]:
    """A new revision; one that changes nothing is none. Reservations keep the terms they were made under.

    Raises VoucherValueFrozen, CapBelowUse, IllegalTransition.
    """
    if voucher.state is State.REVOKED:
        raise IllegalTransition(voucher.name, voucher.state, "edit", _COMMANDS[State.REVOKED])
    if used.was_reserved and not _is_worth_the_same(voucher.terms, terms):
        raise VoucherValueFrozen(voucher=voucher.name)
    _check_caps(terms, used)
    if (terms, campaign) == (voucher.terms, voucher.campaign):
        return Decision(Edited(voucher, revision_of(voucher, by)))
    full = terms.max_total is not None and used.count >= terms.max_total
    state = voucher.state
    if state is State.EXHAUSTED and not full:
        state = State.ACTIVE
    edited = moved(voucher, state, now)
    edited = replace(edited, terms=terms, campaign=campaign, revision=voucher.revision + 1)
    return Decision(Edited(edited, revision_of(edited, by)))


def _is_worth_the_same(old: Terms, new: Terms) -> bool:
    """Whether value and currency stay; a budget may come or go, but not change its currency."""
    budgets = {terms.budget.currency for terms in (old, new) if terms.budget}
    return (old.amount, old.percent, old.periods) == (new.amount, new.percent, new.periods) and len(budgets) < 2


def _check_caps(terms: Terms, used: Used) -> None:
    budget = terms.budget.minor if terms.budget else None
    caps = (
        ("max_total", terms.max_total, used.count, str),
        ("max_per_org", terms.max_per_org, used.most_of_one, str),
        ("budget", budget, used.value, lambda n: str(Money(n, terms.budget.currency)) if terms.budget else ""),
    )
    for field, asked, count, told in caps:
        if asked is not None and asked < count:
            raise CapBelowUse(field=field, asked=told(asked), used=told(count))


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
