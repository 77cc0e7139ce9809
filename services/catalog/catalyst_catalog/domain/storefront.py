"""What is sold: apps, backing services, plans, add-ons, bundles and industries as data, and the prices of a moment.

Invariants
  numbered     a price book never changes; a change of any price publishes the next number;
  kept edits   an import of seed data never overwrites a row that was edited, and never brings back one that was deleted;
  integers     money is minor units and a currency, limits are whole numbers; an absent limit is metered.
"""

import hashlib
import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from enum import Enum
from typing import Any

from catalyst_sdk import Decision

from . import changes
from .changes import Change

LIMITS = ("cpu_milli", "ram_mb", "disk_gb")
Rate = int | Mapping[str, Any] | None
"""Price of a meter: minor units of each unit, a document with model and tiers, or None where nobody set it."""


class Kind(Enum):
    """Kind of an offer; the value is its collection in resource names."""

    PLAN = "plans"
    ADD_ON = "addOns"
    APP = "apps"
    BUNDLE = "bundles"
    INDUSTRY = "industries"


@dataclass(frozen=True, slots=True)
class Offer:
    """One row of the storefront. `body` holds what its kind says; `seed_digest` the seed it still equals, or ''."""

    kind: Kind
    slug: str
    sort: int
    body: Mapping[str, Any]
    seed_digest: str
    is_deleted: bool
    created_at: datetime
    updated_at: datetime
    revision: int

    @property
    def name(self) -> str:
        return f"{self.kind.value}/{self.slug}"


@dataclass(frozen=True, slots=True)
class PriceBook:
    """All prices at one moment."""

    number: int
    currency: str
    valid_from: datetime
    published_by: str
    content: Mapping[str, Any]
    digest: str

    @property
    def name(self) -> str:
        return f"priceBooks/{self.number}"

    @property
    def rates(self) -> Mapping[str, Rate]:
        """Price of each meter."""
        return self.content["rates"]  # type: ignore[no-any-return]  # a document


@dataclass(frozen=True, slots=True)
class Stocked:
    """What a change of the storefront writes."""

    offers: tuple[Offer, ...]
    books: tuple[PriceBook, ...] = ()
    catalog_revision: int = 0
    """Of the catalogue before it; each of `changes` takes the next."""
    stands: Offer | None = None
    """A row that was to be changed and stays as it is."""
    kept: tuple[Offer, ...] = ()
    """Rows that differ from the seed and stay, for somebody has edited or deleted them."""
    latest: PriceBook | None = None
    """A price book that was to be followed and says all of it."""

    @property
    def changes(self) -> tuple[Change, ...]:
        """One per offer and price book."""
        rows = [(changes.Kind.OFFER, o.name, 0 if o.is_deleted else o.revision) for o in self.offers]
        rows += [(changes.Kind.PRICE_BOOK, book.name, book.number) for book in self.books]
        return tuple(
            Change(number, kind, name, row=row)
            for number, (kind, name, row) in enumerate(rows, start=self.catalog_revision + 1)
        )


@dataclass(frozen=True, slots=True)
class OfferChanged:
    offer: Offer
    is_new: bool
    actor: str = "catalog"
    changed: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class PriceBookPublished:
    book: PriceBook


def import_seed(
    seed: Mapping[str, Any],
    known: Mapping[tuple[Kind, str], Offer],
    latest: PriceBook | None,
    now: datetime,
    catalog_revision: int = 0,
    by: str = "catalog",
) -> Decision[Stocked]:
    """Bring seed data in. Rows that stand as they were seeded follow the seed; edited and deleted ones stay.

    known    every row, deleted ones too
    latest   the newest price book; the next one is published if the import changes a price. Its rates stay
    """
    offers = dict(known)
    changed: list[Offer] = []
    kept: list[Offer] = []
    for fresh in seed_offers(seed, now):
        before = known.get((fresh.kind, fresh.slug))
        merged = _merged(before, fresh)
        if before is not None and _is_edited(before):
            kept.append(before)
        if merged is not None:
            offers[fresh.kind, fresh.slug] = merged
            changed.append(merged)
    standing = [offer for offer in offers.values() if not offer.is_deleted]
    currency, rates = (latest.currency, latest.rates) if latest else (seed["currency"], seed["rates"])
    book = next_book(standing, currency, rates, latest, by, now) if changed or latest is None else None
    facts: tuple[object, ...] = tuple(OfferChanged(offer, offer.revision == 1, by) for offer in changed)
    stocked = Stocked(tuple(changed), (book,) if book else (), catalog_revision, kept=tuple(kept))
    return Decision(stocked, facts + ((PriceBookPublished(book),) if book else ()))


def next_book(
    offers: Iterable[Offer],
    currency: str,
    rates: Mapping[str, Rate],
    latest: PriceBook | None,
    by: str,
    now: datetime,
) -> PriceBook | None:
    """The book that these offers make; None if it would say what the latest says."""
    content = prices(offers, rates)
    digest = digest_of({"currency": currency, **content})
    if latest is not None and latest.digest == digest:
        return None
    return PriceBook(latest.number + 1 if latest else 1, currency, now, by, content, digest)


def prices(offers: Iterable[Offer], rates: Mapping[str, Rate]) -> dict[str, Any]:
    """What a price book holds, by slug."""
    by_kind: dict[Kind, list[Offer]] = {kind: [] for kind in Kind}
    for offer in sorted(offers, key=lambda o: o.slug):
        by_kind[offer.kind].append(offer)
    return {
        "plans": [_picked(o, "price_minor", "metered", *LIMITS) for o in by_kind[Kind.PLAN]],
        "add_ons": [_picked(o, "price_minor", "included") for o in by_kind[Kind.ADD_ON]],
        "bundles": [_picked(o, "discount_bps", "apps") for o in by_kind[Kind.BUNDLE]],
        "rates": dict(sorted(rates.items())),
    }


def seed_offers(seed: Mapping[str, Any], now: datetime) -> list[Offer]:
    """The rows that seed data describes."""
    rows: list[tuple[Kind, int, Mapping[str, Any]]] = []
    rows += [(Kind.PLAN, n, {**row, "currency": seed["currency"]}) for n, row in enumerate(seed["plans"])]
    rows += [(Kind.ADD_ON, n, {**row, "currency": seed["currency"]}) for n, row in enumerate(seed["add_ons"])]
    rows += [(Kind.BUNDLE, n, row) for n, row in enumerate(seed["bundles"])]
    rows += [(Kind.INDUSTRY, n, row) for n, row in enumerate(seed["industries"])]
    rows += [(Kind.APP, n, {**row, "kind": "service"}) for n, row in enumerate(seed["services"])]
    rows += [(Kind.APP, n, {**row, "kind": "app"}) for n, row in enumerate(seed["apps"])]
    return [
        Offer(kind, row["slug"], n, row, digest_of(row), is_deleted=False, created_at=now, updated_at=now, revision=1)
        for kind, n, row in rows
    ]


def blueprint_of(app: Offer, known: Iterable[str]) -> str:
    """Blueprint behind an app: the one it names, else `bp-<slug>`, or `bp-app-<slug>` where that means something else."""
    if app.body.get("blueprint"):
        return str(app.body["blueprint"])
    names = set(known)
    preferred = f"bp-app-{app.slug}"
    return preferred if preferred in names or f"bp-{app.slug}" in names else f"bp-{app.slug}"


def digest_of(document: Mapping[str, Any]) -> str:
    """SHA-256 of the canonical JSON, hexadecimal."""
    text = json.dumps(document, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
    return hashlib.sha256(text.encode()).hexdigest()


def _merged(known: Offer | None, fresh: Offer) -> Offer | None:
    """The row after the import; None where it stays as it is."""
    if known is None:
        return fresh
    if _is_edited(known) or known.seed_digest == fresh.seed_digest:
        return None
    return replace(fresh, created_at=known.created_at, revision=known.revision + 1)


def _is_edited(offer: Offer) -> bool:
    return offer.is_deleted or offer.seed_digest != digest_of(offer.body)


def _picked(offer: Offer, *names: str) -> dict[str, Any]:
    return {"slug": offer.slug, "retired": bool(offer.body.get("retired")), **{n: offer.body.get(n) for n in names}}
