"""Things that the tests of billing need again and again."""

import hmac
from datetime import UTC, datetime, timedelta

from catalyst_billing.domain import pricing, quotes
from catalyst_billing.domain.accounts import BillingAccount
from catalyst_billing.domain.credit import Grant, Purpose, Source, Wallet
from catalyst_billing.domain.ledger import Kind, Txn
from catalyst_billing.domain.money import Money
from catalyst_billing.domain.postings import Books
from catalyst_billing.domain.prices import AddOn, App, Bundle, Plan, PriceBook
from catalyst_billing.domain.pricing import Selection
from catalyst_billing.domain.quotes import Quote
from catalyst_billing.domain.uses import Tally, Wish
from catalyst_billing.domain.vouchers import State, Terms, Voucher

NOON = datetime(2026, 1, 1, 12, tzinfo=UTC)
HALF_HOUR = timedelta(minutes=30)
LATER_NOON = NOON + timedelta(days=1)
BOOKS = Books("sovereigns/home", "billing")
PLAN_M = Purpose("m")


def omr(text: str) -> Money:
    """`9.5` as money; a minus is allowed here."""
    sign = -1 if text.startswith("-") else 1
    whole, _, rest = text.lstrip("-").partition(".")
    return Money(sign * (int(whole) * 1000 + int(rest.ljust(3, "0") or 0)), "OMR")


BOOK = PriceBook(
    version=1,
    currency="OMR",
    plans={
        "s": Plan("s", "S", omr("5")),
        "m": Plan("m", "M", omr("9")),
        "l": Plan("l", "L", omr("16")),
        "flexi": Plan("flexi", "Flexi", omr("0"), is_metered=True),
        "rated": Plan("rated", "Rated", omr("0"), is_metered=True, has_rates=True),
    },
    add_ons={
        "daily-backup": AddOn("daily-backup", "Daily backup", omr("3")),
        "priority-support": AddOn("priority-support", "Priority support", omr("5")),
        "waf": AddOn("waf", "WAF", omr("7"), is_included=True),
    },
    bundles={
        "comms-hub": Bundle("comms-hub", "Comms Hub", 1500, ("chat", "mail")),
        "soon": Bundle("soon", "Soon", 500, ("chat", "later")),
    },
    apps={
        "chat": App("chat", True, "blueprints/bp-chat"),
        "mail": App("mail", True, "blueprints/bp-mail"),
        "later": App("later", False, "blueprints/bp-later"),
        "odd": App("odd", True),
    },
)


def sign(message: bytes) -> bytes:
    return hmac.digest(b"key of the tests", message, "sha256")


def grant(id: str, amount: str, *, org: str = "acme", expires_at: datetime | None = None, **rest: object) -> Grant:
    given = omr(amount)
    values = {"effective_at": NOON, "created_at": NOON, "updated_at": NOON, "source": Source.GOODWILL, **rest}
    return Grant(id, org, given, given, given.zero(), expires_at=expires_at, **values)  # type: ignore[arg-type]


def wallet(*grants: Grant, org: str = "acme") -> Wallet:
    return Wallet(org, "OMR", grants)


def account(org: str = "acme") -> BillingAccount:
    return BillingAccount(org, "uid", "OMR", NOON, NOON)


def voucher(id: str = "v-1", *, state: State = State.ACTIVE, amount: str | None = "50", **terms: object) -> Voucher:
    flat = omr(amount) if amount else None
    return Voucher(id, "OMANI-26", Terms(amount=flat, **terms), state, "admin", NOON, NOON)  # type: ignore[arg-type]


def wish(org: str = "acme", *, id: str = "u-1", order: str = "o-1", value: str = "50", new: bool = True) -> Wish:
    return Wish(id, org, order, omr(value), PLAN_M, new, NOON + HALF_HOUR)


def quote(
    id: str = "q-1", *, org: str = "acme", selection: Selection | None = None, credit: str = "0",
    voucher: Voucher | None = None, step: int = 1, now: datetime = NOON,
) -> Quote:  # fmt: skip
    wanted = selection or Selection("m")
    priced = pricing.price(
        wanted, BOOK, voucher=voucher.terms if voucher else None, taxes=(), credit=omr(credit), step=step
    )
    return quotes.offer(
        id, org, wanted, purpose=pricing.purpose_of(wanted, BOOK), voucher=voucher, book_version=BOOK.version,
        priced=priced, now=now, ttl=HALF_HOUR, sign=sign,
    ).state  # fmt: skip


def booked(txns: tuple[Txn, ...]) -> dict[str, int]:
    """What `txns` book, by kind of account."""
    sums: dict[str, int] = {}
    for txn in txns:
        for entry in txn.entries:
            kind: Kind = entry.account.kind
            sums[kind.value] = sums.get(kind.value, 0) + entry.amount.minor
    return {kind: amount for kind, amount in sums.items() if amount}


NOBODY = Tally()
