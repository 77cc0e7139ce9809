"""Goodwill: credit that a billing-admin gives.

Invariants
  two people   what goes beyond the month's limit of an account is granted by nobody alone;
  once         a wish becomes at most one grant;
  lazy         a wish that nobody approved within a week is EXPIRED, swept or not.
"""

from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from enum import StrEnum

from catalyst_sdk import Code, Decision, Refused

from . import credit, postings
from .credit import Grant, Source
from .ledger import Txn
from .money import Money
from .postings import Books

LIFE = timedelta(days=7)
"""How long a wish waits for a second person."""


class GoodwillNotFound(Refused):
    code, reason, message = Code.NOT_FOUND, "GOODWILL_NOT_FOUND", "there is no {goodwill}"


class SecondPersonRequired(Refused):
    code, reason = Code.PERMISSION_DENIED, "SECOND_PERSON_REQUIRED"
    message = "{goodwill} is above the month's limit; somebody else than who asked approves it"


class GoodwillExpired(Refused):
    reason, message = "GOODWILL_EXPIRED", "nobody approved {goodwill} until {until}"


class State(StrEnum):
    """Where a wish stands."""

    PENDING = "pending"
    GRANTED = "granted"
    EXPIRED = "expired"


@dataclass(frozen=True, slots=True)
class Goodwill:
    """A wish to give credit."""

    id: str
    org: str
    amount: Money
    why: str
    ttl: timedelta | None
    """Lifetime of the credit; None: it never expires."""
    state: State
    requested_by: str
    created_at: datetime
    updated_at: datetime
    approved_by: str = ""
    grant: str = ""
    version: int = 1

    @property
    def name(self) -> str:
        return f"billingAccounts/{self.org}/goodwills/{self.id}"

    def standing(self, now: datetime) -> State:
        """The state with time taken into account."""
        is_over = self.state is State.PENDING and self.created_at + LIFE <= now
        return State.EXPIRED if is_over else self.state


@dataclass(frozen=True, slots=True)
class Given:
    """A wish, and what its fulfilment brings."""

    goodwill: Goodwill
    grant: Grant | None = None
    postings: tuple[Txn, ...] = ()


def ask(wish: Goodwill, given: Money, limit: Money, books: Books, now: datetime) -> Decision[Given]:
    """Grant at once what the month's limit still covers; what goes beyond waits for a second person.

    given   goodwill of this account since the month began
    """
    if given + wish.amount > limit:
        return Decision(Given(wish))
    return _grant(wish, "", books, now)


def approve(wish: Goodwill, by: str, books: Books, now: datetime) -> Decision[Given]:
    """Grant a waiting wish; a granted one stays as it is. Raises SecondPersonRequired, GoodwillExpired."""
    if wish.state is State.GRANTED:
        return Decision(Given(wish))
    if by == wish.requested_by:
        raise SecondPersonRequired(goodwill=wish.name)
    if wish.standing(now) is State.EXPIRED:
        raise GoodwillExpired(goodwill=wish.name, until=f"{wish.created_at + LIFE:%FT%TZ}")
    return _grant(wish, by, books, now)


def month_of(now: datetime) -> datetime:
    """The beginning of the month for which a limit counts."""
    return now.astimezone(UTC).replace(day=1, hour=0, minute=0, second=0, microsecond=0)


def _grant(wish: Goodwill, by: str, books: Books, now: datetime) -> Decision[Given]:
    grant = Grant(
        id=f"cg-{wish.id}", org=wish.org, amount=wish.amount, remaining=wish.amount, held=wish.amount.zero(),
        source=Source.GOODWILL, effective_at=now, created_at=now, updated_at=now,
        expires_at=now + wish.ttl if wish.ttl else None,
    )  # fmt: skip
    done = replace(
        wish, state=State.GRANTED, approved_by=by, grant=grant.id, updated_at=now,
        version=wish.version + 1 if by else wish.version,
    )  # fmt: skip
    cost = postings.goodwill_granted(books, org=wish.org, amount=wish.amount, goodwill=wish.id, at=now)
    return Decision(Given(done, grant, (cost,)), (credit.Granted(grant),))
