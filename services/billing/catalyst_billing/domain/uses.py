"""Uses of vouchers, in two steps: reserved for an order, confirmed with its settlement.

Invariants
  caps        uses that are confirmed or reserved never pass `max_total`, `max_per_org`, `budget` or the campaign's budget;
  two steps   a reservation counts until it is confirmed, released or lapsed, and keeps the terms it was made under,
              whatever happens to the voucher meanwhile;
  lazy        a reservation past `expires_at` counts no more, swept or not.
"""

from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from enum import StrEnum

from catalyst_sdk import Decision, Refused

from .credit import Grant, Purpose, Source
from .money import Money
from .vouchers import State, Terms, Voucher, VoucherNotFound, moved

AT_ONCE = timedelta(minutes=1)
"""Life of a reservation that the same transaction confirms."""


class VoucherAlreadyUsed(Refused):
    reason, message = "VOUCHER_ALREADY_USED", "this Organization used the voucher {times} time(s), as often as it may"


class VoucherExhausted(Refused):
    reason, message = "VOUCHER_EXHAUSTED", "the voucher is used up"


class VoucherNotEligible(Refused):
    reason, message = "VOUCHER_NOT_ELIGIBLE", "the voucher is not for this: {why}"


class VoucherNotActive(Refused):
    reason, message = "VOUCHER_NOT_ACTIVE", "the voucher cannot be used now: {why}"


class VoucherNeedsOrder(Refused):
    reason, message = "VOUCHER_NEEDS_ORDER", "a discount is used with an order"


class UseState(StrEnum):
    """Where one use stands."""

    RESERVED = "reserved"
    CONFIRMED = "confirmed"
    RELEASED = "released"


@dataclass(frozen=True, slots=True)
class Use:
    """One use by one Organization. It keeps the terms of the moment in which it was reserved."""

    id: str
    voucher: str
    org: str
    order: str
    value: Money
    terms: Terms
    revision: int
    state: UseState
    expires_at: datetime
    created_at: datetime
    settled_at: datetime | None = None
    grant: str = ""
    version: int = 1

    @property
    def name(self) -> str:
        return f"vouchers/{self.voucher}/uses/{self.id}"

    def counts(self, now: datetime) -> bool:
        """Whether it still holds its place."""
        return self.state is UseState.CONFIRMED or (self.state is UseState.RESERVED and self.expires_at > now)


@dataclass(frozen=True, slots=True)
class Tally:
    """Uses of a voucher that count now, read under its lock."""

    confirmed: int = 0
    reserved: int = 0
    of_org: int = 0
    value_minor: int = 0
    campaign_left: Money | None = None
    """What its campaign may still give; None: no limit."""


@dataclass(frozen=True, slots=True)
class Wish:
    """Who wants to use a voucher, for which order (empty: none), counting for how much."""

    id: str
    org: str
    order: str
    value: Money
    purpose: Purpose | None
    org_is_new: bool
    expires_at: datetime


@dataclass(frozen=True, slots=True)
class Reserved:
    voucher: Voucher
    use: Use


@dataclass(frozen=True, slots=True)
class Confirmed:
    voucher: Voucher
    use: Use


@dataclass(frozen=True, slots=True)
class Released:
    voucher: Voucher
    use: Use
    why: str


@dataclass(frozen=True, slots=True)
class Pair:
    """A voucher and one use of it, decided together."""

    voucher: Voucher
    use: Use


def check(voucher: Voucher, tally: Tally, wish: Wish, now: datetime) -> None:
    """Whether `wish` could be met now. Raises what stands against it."""
    _check_time(voucher, now)
    terms = voucher.terms
    _check_eligible(terms, wish)
    if terms.max_total is not None and tally.confirmed + tally.reserved >= terms.max_total:
        raise VoucherExhausted
    if tally.of_org >= terms.max_per_org:
        raise VoucherAlreadyUsed(times=tally.of_org)
    if terms.budget is not None and tally.value_minor + wish.value.minor > terms.budget.minor:
        raise VoucherExhausted
    left = tally.campaign_left
    if left is not None and left.currency != wish.value.currency:
        raise VoucherNotEligible(why=f"its campaign is kept in {left.currency}")
    if left is not None and wish.value > left:
        raise VoucherExhausted


def reserve(voucher: Voucher, tally: Tally, wish: Wish, now: datetime) -> Decision[Pair]:
    """Keep one use until `wish.expires_at`."""
    check(voucher, tally, wish, now)
    use = Use(
        id=wish.id, voucher=voucher.id, org=wish.org, order=wish.order, value=wish.value, terms=voucher.terms,
        revision=voucher.revision, state=UseState.RESERVED, expires_at=wish.expires_at, created_at=now,
    )  # fmt: skip
    kept = moved(voucher, voucher.state, now)
    return Decision(Pair(kept, use), (Reserved(kept, use),))


def renew(pair: Pair, tally: Tally, wish: Wish, now: datetime) -> Decision[Pair]:
    """Take a reservation anew that lapsed or was released, if there is still room; one that counts stays as it is.

    A lapsed one is prolonged, a released one is final: `wish` then becomes another use.
    """
    if pair.use.counts(now):
        return Decision(pair)
    if pair.use.state is UseState.RELEASED:
        return reserve(pair.voucher, tally, wish, now)
    check(pair.voucher, tally, wish, now)
    voucher = moved(pair.voucher, pair.voucher.state, now)
    use = replace(pair.use, expires_at=wish.expires_at, version=pair.use.version + 1)
    return Decision(Pair(voucher, use), (Reserved(voucher, use),))


def confirm(pair: Pair, tally: Tally, now: datetime) -> Decision[Pair]:
    """Settle a reservation that still counts; `tally` counts it among the reserved ones."""
    assert pair.use.counts(now)
    assert pair.use.state is UseState.RESERVED
    limit = pair.voucher.terms.max_total
    is_last = limit is not None and tally.confirmed + 1 >= limit and pair.voucher.state is State.ACTIVE
    voucher = moved(pair.voucher, State.EXHAUSTED if is_last else pair.voucher.state, now)
    grant = f"cg-{pair.use.id}" if pair.use.terms.amount else ""
    use = replace(
        pair.use, state=UseState.CONFIRMED, settled_at=now, grant=grant, version=pair.use.version + 1
    )  # fmt: skip
    return Decision(Pair(voucher, use), (Confirmed(voucher, use),))


def release(pair: Pair, why: str, now: datetime) -> Decision[Pair]:
    """Give a reservation back; one that is settled stays as it is."""
    if pair.use.state is not UseState.RESERVED:
        return Decision(pair)
    voucher = moved(pair.voucher, pair.voucher.state, now)
    use = replace(pair.use, state=UseState.RELEASED, settled_at=now, version=pair.use.version + 1)
    return Decision(Pair(voucher, use), (Released(voucher, use, why),))


def grant_of(use: Use, now: datetime) -> Grant | None:
    """The credit that a use makes; None for a discount."""
    amount = use.terms.amount
    if amount is None:
        return None
    ttl = use.terms.grant_ttl
    return Grant(
        id=f"cg-{use.id}", org=use.org, amount=amount, remaining=amount, held=amount.zero(), source=Source.VOUCHER,
        effective_at=now, created_at=now, updated_at=now, expires_at=now + ttl if ttl else None,
        plans=use.terms.plans, blueprints=use.terms.blueprints, voucher=use.voucher, order=use.order,
    )  # fmt: skip


def _check_time(voucher: Voucher, now: datetime) -> None:
    if voucher.state is State.REVOKED:
        raise VoucherNotFound
    standing = voucher.standing(now)
    if standing is State.EXHAUSTED:
        raise VoucherExhausted
    if standing is not State.ACTIVE:
        raise VoucherNotActive(why=f"it is {standing.upper()}")
    if not voucher.is_accepting(now):
        raise VoucherNotActive(why=f"it begins at {voucher.terms.starts_at:%FT%TZ}")


def _check_eligible(terms: Terms, wish: Wish) -> None:
    measure = terms.amount or terms.budget
    if measure is not None and measure.currency != wish.value.currency:
        raise VoucherNotEligible(why=f"it is kept in {measure.currency}, the account in {wish.value.currency}")
    if terms.new_organizations_only and not wish.org_is_new:
        raise VoucherNotEligible(why="it is for new Organizations")
    if wish.purpose is None:
        return
    if terms.plans and wish.purpose.plan not in terms.plans:
        raise VoucherNotEligible(why=f"it is for the plans {', '.join(terms.plans)}")
    if terms.blueprints and set(terms.blueprints).isdisjoint(wish.purpose.blueprints):
        raise VoucherNotEligible(why=f"it is for the Blueprints {', '.join(terms.blueprints)}")
