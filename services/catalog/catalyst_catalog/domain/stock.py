"""Changes of what is sold: a row is made, changed or taken away, and every change of a price publishes the next book.

Invariants
  no half row     a change keeps what it does not name;
  no dead end     what a row names is there when it is written, and what is named is not taken away;
  always quoted   a book that counts only later is published anew above each change that counts before it, so that what
                  was announced still comes, with the prices that stand by then.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

from catalyst_sdk import Decision

from .refusals import (
    AppUnknown,
    BundleUnknown,
    CurrencyUnsupported,
    OfferInUse,
    PlanUnknown,
    PriceBookMoved,
    ServiceUnknown,
    SlugTaken,
    ValidFromPast,
)
from .storefront import Kind, Offer, OfferChanged, PriceBook, PriceBookPublished, Rate, Stocked, next_book

PRICED = frozenset({Kind.PLAN, Kind.ADD_ON, Kind.BUNDLE})
"""Kinds whose rows stand in a price book."""


@dataclass(frozen=True, slots=True)
class Shop:
    """What a change begins with.

    offers    every row that stands
    current   the price book that counts now; None before the first
    latest    the one with the highest number, which may count only later
    """

    offers: Sequence[Offer]
    current: PriceBook | None
    latest: PriceBook | None
    catalog_revision: int
    actor: str
    now: datetime

    def has(self, kind: Kind, slug: str) -> bool:
        return any((offer.kind, offer.slug) == (kind, slug) for offer in self.offers)


def create(
    shop: Shop, known: Offer | None, kind: Kind, slug: str, sort: int, body: Mapping[str, Any]
) -> Decision[Stocked]:
    """A new row. Raises SlugTaken and what `_check` does.

    known   what has that slug, a deleted row too: its revisions go on
    """
    if known is not None and not known.is_deleted:
        raise SlugTaken(name=known.name)
    made = Offer(
        kind,
        slug,
        sort,
        {"slug": slug, **body},
        seed_digest="",
        is_deleted=False,
        created_at=shop.now,
        updated_at=shop.now,
        revision=known.revision + 1 if known else 1,
    )  # fmt: skip - one row
    _check(shop, made)
    return _stocked(shop, made, OfferChanged(made, True, shop.actor))


def change(shop: Shop, known: Offer, sort: int, fields: Mapping[str, Any], named: Iterable[str]) -> Decision[Stocked]:
    """`known` with some values replaced. Raises what `_check` does.

    named   what the caller calls the fields, for who watches
    """
    body = {**known.body, **fields}
    if (body, sort) == (dict(known.body), known.sort):
        return Decision(Stocked((), catalog_revision=shop.catalog_revision, stands=known))
    # Without the seed's digest no later seed takes this row for one that nobody edited.
    changed = replace(known, body=body, sort=sort, seed_digest="", updated_at=shop.now, revision=known.revision + 1)
    _check(shop, changed)
    return _stocked(shop, changed, OfferChanged(changed, False, shop.actor, tuple(sorted(named))))


def remove(shop: Shop, known: Offer) -> Decision[Stocked]:
    """The row is gone. Raises OfferInUse with everything that names it."""
    if users := sorted(offer.name for offer in shop.offers if _names(offer, known)):
        raise OfferInUse(name=known.name, users=", ".join(users))
    gone = replace(known, is_deleted=True, seed_digest="", updated_at=shop.now, revision=known.revision + 1)
    return _stocked(shop, gone, OfferChanged(gone, False, shop.actor))


def publish(
    shop: Shop, rates: Mapping[str, Rate], *, expected: int | None = None, valid_from: datetime | None = None
) -> Decision[Stocked]:
    """Fix all present prices and `rates` as the next book; where nothing differs the last one stands.

    expected     number of the last book that the caller saw
    valid_from   None: now
    Raises PriceBookMoved, ValidFromPast.
    """
    number = shop.latest.number if shop.latest else 0
    if expected is not None and expected != number:
        raise PriceBookMoved(expected=expected, number=number)
    if valid_from is not None and valid_from < shop.now:
        raise ValidFromPast(valid_from=f"{valid_from:%FT%TZ}", now=f"{shop.now:%FT%TZ}")
    known = shop.latest.rates if shop.latest else {}
    currency = currency_of(shop)
    start = valid_from or shop.now
    book = next_book(shop.offers, currency, {**known, **rates}, shop.latest, shop.actor, start)
    if book is None and shop.latest is not None and shop.latest.valid_from > start:
        # The same prices, but sooner than they were announced.
        book = replace(shop.latest, number=number + 1, valid_from=start, published_by=shop.actor)
    if book is None:
        return Decision(Stocked((), catalog_revision=shop.catalog_revision, latest=shop.latest))
    return Decision(Stocked((), (book,), shop.catalog_revision), (PriceBookPublished(book),))


def currency_of(shop: Shop) -> str:
    """The one currency of all prices; '' before the first price."""
    if shop.latest is not None:
        return shop.latest.currency
    return next((str(offer.body["currency"]) for offer in shop.offers if offer.body.get("currency")), "")


def _stocked(shop: Shop, changed: Offer, fact: OfferChanged) -> Decision[Stocked]:
    books = tuple(_books(shop, changed)) if changed.kind in PRICED else ()
    facts = (fact, *map(PriceBookPublished, books))
    return Decision(Stocked((changed,), books, shop.catalog_revision), facts)


def _books(shop: Shop, changed: Offer) -> Iterable[PriceBook]:
    """The books that a changed row makes: one that counts now, and those again that were announced for later."""
    standing = [o for o in shop.offers if (o.kind, o.slug) != (changed.kind, changed.slug)]
    standing += [] if changed.is_deleted else [changed]
    currency = currency_of(shop) or str(changed.body.get("currency", ""))
    rates = shop.current.rates if shop.current else {}
    book = next_book(standing, currency, rates, shop.current, shop.actor, shop.now)
    if book is None:
        return
    book = replace(book, number=(shop.latest.number if shop.latest else 0) + 1)
    yield book
    later = shop.latest
    if later is not None and later.valid_from > shop.now:
        announced = next_book(standing, currency, later.rates, book, later.published_by, later.valid_from)
        if announced is not None:
            yield announced


def _check(shop: Shop, offer: Offer) -> None:
    """Whether everything that a row names is there. Raises AppUnknown and its like."""
    body = offer.body
    if (currency := body.get("currency")) and (known := currency_of(shop)) and currency != known:
        raise CurrencyUnsupported(currency=currency, known=known)
    apps = {o.slug: o for o in shop.offers if o.kind is Kind.APP}
    named = [*body.get("apps", ()), *body.get("suggested", ())]
    if missing := sorted(slug for slug in named if slug not in apps or apps[slug].body.get("kind") == "service"):
        raise AppUnknown(apps=", ".join(missing))
    services = {slug for slug, app in apps.items() if app.body.get("kind") == "service"}
    if missing := sorted(set(body.get("requires", ())) - services):
        raise ServiceUnknown(services=", ".join(missing))
    plan = body.get("next") or (body.get("recommended_size") if offer.kind is Kind.BUNDLE else "")
    if plan and not (shop.has(Kind.PLAN, plan) or (offer.kind is Kind.PLAN and plan == offer.slug)):
        raise PlanUnknown(plan=plan)
    if (bundle := body.get("bundle")) and not shop.has(Kind.BUNDLE, bundle):
        raise BundleUnknown(bundle=bundle)


def _names(offer: Offer, other: Offer) -> bool:
    """Whether `offer` would lead nowhere without `other`."""
    if offer.name == other.name:
        return False
    body = offer.body
    match other.kind:
        case Kind.APP:
            return other.slug in (*body.get("apps", ()), *body.get("suggested", ()), *body.get("requires", ()))
        case Kind.PLAN:
            return other.slug in (body.get("next"), body.get("recommended_size"), *body.get("size", {}).values())
        case Kind.BUNDLE:
            return other.slug == body.get("bundle")
        case _:
            return False
