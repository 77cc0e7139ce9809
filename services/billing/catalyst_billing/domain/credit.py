"""Credit: grants that are drawn from, and holds that reserve for an order.

Invariants
  covered       what holds draw from a grant and what is left of it free sum to `remaining`; neither is ever negative;
  one spender   a part that one order holds is available to no other until the hold is released or lapses;
  burn order    priority, then earliest expiry, then age: the same grants in the same state burn in the same order;
  traceable     a spend names the grants it drew from, so that a refund gives back to just these;
  pinned        a part that was held before its grant expired can still be captured; released, it is gone.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from enum import StrEnum

from catalyst_sdk import Refused

from .ledger import Part
from .money import Money, total

DEFAULT_PRIORITY = 100
RETURNED_TTL = timedelta(days=30)
"""Life of the goodwill that stands in for a grant which expired before it was given back."""


class CreditInsufficient(Refused):
    reason = "CREDIT_INSUFFICIENT"
    message = "{needed} of credit are needed, {available} are available"


class Source(StrEnum):
    """Where a grant came from."""

    VOUCHER = "voucher"
    TOP_UP = "top_up"
    GOODWILL = "goodwill"
    REFUND = "refund"


class HoldState(StrEnum):
    """What became of a hold."""

    ACTIVE = "active"
    CAPTURED = "captured"
    RELEASED = "released"
    RETURNED = "returned"


@dataclass(frozen=True, slots=True)
class Purpose:
    """What credit is to be spent on; restrictions of grants are compared with it."""

    plan: str = ""
    blueprints: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Grant:
    """Credit given once."""

    id: str
    org: str
    amount: Money
    remaining: Money
    held: Money
    source: Source
    effective_at: datetime
    created_at: datetime
    updated_at: datetime
    expires_at: datetime | None = None
    priority: int = DEFAULT_PRIORITY
    plans: tuple[str, ...] = ()
    blueprints: tuple[str, ...] = ()
    voucher: str = ""
    order: str = ""
    version: int = 1

    @property
    def name(self) -> str:
        return f"billingAccounts/{self.org}/creditGrants/{self.id}"

    @property
    def free(self) -> Money:
        """What no hold draws from."""
        return self.remaining - self.held

    def is_over(self, now: datetime) -> bool:
        """Whether it can no longer be spent."""
        return self.expires_at is not None and self.expires_at <= now

    def admits(self, purpose: Purpose | None) -> bool:
        """Whether its restrictions allow the purpose; None asks for no purpose in particular."""
        if purpose is None:
            return True
        of_plan = not self.plans or purpose.plan in self.plans
        return of_plan and (not self.blueprints or not set(self.blueprints).isdisjoint(purpose.blueprints))

    def changed(self, now: datetime, *, remaining: Money | None = None, held: Money | None = None) -> "Grant":
        """The same grant, one version later."""
        left, kept = self.remaining if remaining is None else remaining, self.held if held is None else held
        if not left.zero() <= kept <= left <= self.amount:
            raise ValueError(f"{self.name}: {kept} held of {left} left of {self.amount}")
        return replace(self, remaining=left, held=kept, updated_at=now, version=self.version + 1)


@dataclass(frozen=True, slots=True)
class Granted:
    grant: Grant


@dataclass(frozen=True, slots=True)
class Lapsed:
    """Credit expired unused."""

    grant: Grant
    amount: Money


@dataclass(frozen=True, slots=True)
class Draw:
    """What an order takes from one grant."""

    grant: str
    amount: Money


@dataclass(frozen=True, slots=True)
class Hold:
    """Credit reserved for one order, whose id it has; captured, it is the record of the spend."""

    id: str
    org: str
    draws: tuple[Draw, ...]
    promised: Money
    """What the order's own voucher adds at its settlement; nothing is drawn for it before."""
    state: HoldState
    expires_at: datetime
    version: int = 1

    @property
    def name(self) -> str:
        return f"holds/{self.id}"

    @property
    def amount(self) -> Money:
        """All the credit that the order uses."""
        return total([draw.amount for draw in self.draws], self.promised.currency) + self.promised


def burn(grants: Iterable[Grant], amount: Money, purpose: Purpose | None, now: datetime) -> list[Draw]:
    """From which grants `amount` comes, in burn order. Raises CreditInsufficient."""
    draws, left = [], amount
    for grant in spendable(grants, purpose, now):
        if not left:
            break
        part = min(left, grant.free)
        draws.append(Draw(grant.id, part))
        left -= part
    if left:
        raise CreditInsufficient(needed=amount, available=amount - left)
    return draws


def spendable(grants: Iterable[Grant], purpose: Purpose | None, now: datetime) -> list[Grant]:
    """Grants with something free that can be spent on `purpose` now, in burn order."""
    usable = (g for g in grants if g.free and g.effective_at <= now and not g.is_over(now) and g.admits(purpose))
    never = datetime.max.replace(tzinfo=now.tzinfo)
    return sorted(usable, key=lambda g: (g.priority, g.expires_at or never, g.created_at, g.id))


@dataclass(frozen=True, slots=True)
class Wallet:
    """The credit of one Organization in one currency: grants with something left or given back to, and open holds."""

    org: str
    currency: str
    grants: tuple[Grant, ...] = ()
    holds: tuple[Hold, ...] = ()

    def available(self, now: datetime, purpose: Purpose | None = None) -> Money:
        """What a new order can use."""
        return total([g.free for g in spendable(self.grants, purpose, now)], self.currency)

    def expiring(self, now: datetime, within: timedelta = RETURNED_TTL) -> Money:
        """The part of the available credit that ends before `now + within`."""
        soon = [g.free for g in spendable(self.grants, None, now) if g.is_over(now + within)]
        return total(soon, self.currency)

    @property
    def total(self) -> Money:
        """What is left of all grants, expired ones until they are swept: the customer's credit in the book."""
        return total([g.remaining for g in self.grants], self.currency)

    @property
    def held(self) -> Money:
        """What holds draw from grants."""
        return total([g.held for g in self.grants], self.currency)

    def hold_of(self, order: str) -> Hold | None:
        """The hold of an order."""
        return next((hold for hold in self.holds if hold.id == order), None)

    def give(self, grant: Grant) -> "Wallet":
        """The wallet with one grant more."""
        return replace(self, grants=(*self.grants, grant))

    def hold(
        self, order: str, amount: Money, *, promise: Grant | None, purpose: Purpose, until: datetime, now: datetime
    ) -> "Wallet":
        """Reserve `amount` for `order`. Raises CreditInsufficient.

        promise   the grant that the order's voucher will make; it takes its place in the burn order
        """
        draws = burn([*self.grants, *([promise] if promise else [])], amount, purpose, now)
        mine = tuple(draw for draw in draws if promise is None or draw.grant != promise.id)
        promised = amount - total([draw.amount for draw in mine], self.currency)
        before = self.hold_of(order)
        version = before.version + 1 if before else 1
        hold = Hold(order, self.org, mine, promised, HoldState.ACTIVE, until, version)
        return self._with(hold, _moved(self.grants, mine, now, held=1))

    def release(self, order: str, now: datetime) -> "Wallet":
        """Give a hold up; releasing what is not held changes nothing."""
        hold = self.hold_of(order)
        if hold is None or hold.state is not HoldState.ACTIVE:
            return self
        return self._with(_in(hold, HoldState.RELEASED), _moved(self.grants, hold.draws, now, held=-1))

    def lapse(self, now: datetime) -> "Wallet":
        """Release every hold whose time is over."""
        wallet = self
        for hold in self.holds:
            if hold.expires_at <= now:
                wallet = wallet.release(hold.id, now)
        return wallet

    def capture(self, order: str, now: datetime, *, fulfilled: Grant | None = None) -> "Wallet":
        """Spend what is held for `order`; `fulfilled` is the grant that was promised, made just now."""
        hold = self.hold_of(order)
        assert hold is not None
        assert hold.state is HoldState.ACTIVE, "only an active hold is captured"
        grants = _moved(self.grants, hold.draws, now, held=-1, remaining=-1)
        if fulfilled is None:
            return self._with(_in(hold, HoldState.CAPTURED), grants)
        last = [Draw(fulfilled.id, hold.promised)] if hold.promised else []
        spent = replace(hold, draws=(*hold.draws, *last), promised=hold.promised.zero())
        return self._with(_in(spent, HoldState.CAPTURED), _moved((*grants, fulfilled), last, now, remaining=-1))

    def give_back_part(self, order: str, amount: Money, number: int, now: datetime) -> "Wallet":
        """Return a part of a spend, what was burnt last first; an expired grant's comes back as goodwill for 30 days.

        number   of the refund within the order
        """
        hold = self.hold_of(order)
        assert hold is not None
        assert hold.state is HoldState.CAPTURED, "only a spend is given back"
        back, kept = _last_of(hold.draws, amount)
        over = {grant.id: grant for grant in self.grants if grant.is_over(now)}
        alive = [draw for draw in back if draw.grant not in over]
        goodwill = [
            _goodwill(f"gw-{order}-{number}-{n}", over[d.grant], d.amount, order, now)
            for n, d in enumerate((d for d in back if d.grant in over), 1)
        ]
        left = _in(replace(hold, draws=kept), HoldState.CAPTURED if kept else HoldState.RETURNED)
        return self._with(left, (*_moved(self.grants, alive, now, remaining=1), *goodwill))

    def take(self, grant: str, amount: Money, now: datetime) -> "Wallet":
        """Take credit off a grant that nobody holds, because the money for it goes back."""
        return replace(self, grants=_moved(self.grants, [Draw(grant, amount)], now, remaining=-1))

    def give_back(self, order: str, now: datetime) -> "Wallet":
        """Return a spend to its grants; an expired one comes back as goodwill for 30 days."""
        hold = self.hold_of(order)
        assert hold is not None
        assert hold.state is HoldState.CAPTURED, "only a spend is given back"
        over = {grant.id: grant for grant in self.grants if grant.is_over(now)}
        alive = [draw for draw in hold.draws if draw.grant not in over]
        lost = [draw for draw in hold.draws if draw.grant in over]
        goodwill = [_goodwill(f"gw-{order}-{n}", over[d.grant], d.amount, order, now) for n, d in enumerate(lost, 1)]
        grants = (*_moved(self.grants, alive, now, remaining=1), *goodwill)
        return self._with(_in(hold, HoldState.RETURNED), grants)

    def expire(self, now: datetime) -> tuple["Wallet", list[Lapsed]]:
        """Take off what nobody used in time; what is still held stays until its hold ends."""
        lapsed = [Lapsed(g.changed(now, remaining=g.held), g.free) for g in self.grants if g.is_over(now) and g.free]
        gone = {fact.grant.id: fact.grant for fact in lapsed}
        return replace(self, grants=tuple(gone.get(g.id, g) for g in self.grants)), lapsed

    def _with(self, hold: Hold, grants: Sequence[Grant]) -> "Wallet":
        others = tuple(other for other in self.holds if other.id != hold.id)
        return replace(self, grants=tuple(grants), holds=(*others, hold))


def _last_of(draws: Sequence[Draw], amount: Money) -> tuple[list[Draw], tuple[Draw, ...]]:
    """The last draws that sum to `amount`, and what stays of all."""
    back: list[Draw] = []
    kept = list(draws)
    while amount:
        last = kept.pop()
        part = min(amount, last.amount)
        back.append(Draw(last.grant, part))
        if part != last.amount:
            kept.append(Draw(last.grant, last.amount - part))
        amount -= part
    return back, tuple(kept)


def vouchers_of(wallet: Wallet, hold: str) -> tuple[Part, ...]:
    """What a hold drew from grants that vouchers made, by voucher."""
    made = {grant.id: grant.voucher for grant in wallet.grants if grant.source is Source.VOUCHER}
    spent = wallet.hold_of(hold)
    parts: dict[str, Money] = {}
    for draw in spent.draws if spent else ():
        if voucher := made.get(draw.grant):
            parts[voucher] = parts[voucher] + draw.amount if voucher in parts else draw.amount
    return tuple(Part(f"vouchers/{voucher}", amount) for voucher, amount in sorted(parts.items()))


def _moved(
    grants: Sequence[Grant], draws: Iterable[Draw], now: datetime, *, held: int = 0, remaining: int = 0
) -> tuple[Grant, ...]:
    """The grants with each draw added to or taken from what is held and what remains."""
    by_grant = {draw.grant: draw.amount for draw in draws}
    return tuple(
        g.changed(now, held=g.held + part * held, remaining=g.remaining + part * remaining)
        if (part := by_grant.get(g.id))
        else g
        for g in grants
    )


def _in(hold: Hold, state: HoldState) -> Hold:
    return replace(hold, state=state, version=hold.version + 1)


def _goodwill(id: str, expired: Grant, amount: Money, order: str, now: datetime) -> Grant:
    return Grant(
        id=id, org=expired.org, amount=amount, remaining=amount, held=amount.zero(),
        source=Source.GOODWILL, effective_at=now, created_at=now, updated_at=now, expires_at=now + RETURNED_TTL,
        priority=expired.priority, plans=expired.plans, blueprints=expired.blueprints, order=order,
    )  # fmt: skip
