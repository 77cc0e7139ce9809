"""The catalog's price book, asked for over gRPC. Whatever cannot be read is not sold: no cheaper price, ever."""

import asyncio
from collections.abc import Iterable
from datetime import UTC, datetime
from decimal import Decimal

import grpc
from catalyst.catalog.v1 import resources_pb2, service_pb2, service_pb2_grpc
from catalyst_mesh import moment
from catalyst_sdk import Code, Refused

from .domain.money import Money
from .domain.prices import AddOn, App, Bundle, Plan, PriceBook
from .domain.pricing import Selection
from .domain.rating import Card, Model, Rate, Tier

CURRENT = "priceBooks/current"


class CatalogUnavailable(Refused):
    code, reason, message = Code.UNAVAILABLE, "CATALOG_UNAVAILABLE", "the catalog told no price ({why}); try again"


class PlanTooSmall(Refused):
    reason = "CAPACITY"
    message = "plan {plan} is too small for what is or would be installed: {missing} too much; remove some, or take {suggested}"


class PriceBooks:
    """Reads the price book that counts now."""

    def __init__(self, stub: "service_pb2_grpc.StorefrontServiceAsyncStub") -> None:
        self._stub = stub

    async def current(self, selection: Selection) -> PriceBook:
        """The book, with the apps that `selection` is about. Raises CatalogUnavailable."""
        try:
            book = await self._stub.GetPriceBook(service_pb2.GetPriceBookRequest(name=CURRENT))
            bundled = [slug for b in book.bundles if b.slug == selection.bundle for slug in b.apps]
            apps = await self._apps(dict.fromkeys((*selection.apps, *bundled)))
        except grpc.aio.AioRpcError as error:
            raise CatalogUnavailable(why=error.code().name) from error
        return to_book(book, apps)

    async def require_capacity(self, org: str, plan: str, add_ons: Iterable[str], apps: Iterable[str] = ()) -> None:
        """Raises PlanTooSmall where a plan cannot hold what `org` has installed and `apps` too, CatalogUnavailable where
        nobody can say."""
        question = service_pb2.CheckCapacityRequest(
            plan=f"plans/{plan}", add_ons=[f"addOns/{slug}" for slug in add_ons], org=org,
            apps=[f"apps/{slug}" for slug in apps],
        )  # fmt: skip
        try:
            verdict = (await self._stub.CheckCapacity(question)).capacity
        except grpc.aio.AioRpcError as error:
            raise CatalogUnavailable(why=error.code().name) from error
        if not verdict.fits:
            missing = [f"{amount} {field.name}" for field, amount in verdict.shortfall.ListFields() if amount]
            suggested = verdict.suggested_plan.removeprefix("plans/") or "another plan"
            raise PlanTooSmall(plan=plan, missing=", ".join(missing) or "some of it", suggested=suggested)

    async def _apps(self, slugs: Iterable[str]) -> list[resources_pb2.App]:
        found = await asyncio.gather(*(self._app(slug) for slug in slugs))
        return [app for app in found if app is not None]

    async def _app(self, slug: str) -> resources_pb2.App | None:
        try:
            return await self._stub.GetApp(service_pb2.GetAppRequest(name=f"apps/{slug}"))
        except grpc.aio.AioRpcError as error:
            if error.code() is grpc.StatusCode.NOT_FOUND:
                return None
            raise


def to_book(book: resources_pb2.PriceBook, apps: Iterable[resources_pb2.App]) -> PriceBook:
    """The contract's book as the domain reads it; what is retired is left out."""
    has_rates = bool(book.rates) and all(rate.HasField("unit_price") or rate.tiers for rate in book.rates)
    return PriceBook(
        version=book.number,
        currency=book.currency,
        plans={
            p.slug: Plan(p.slug, f"Plan {p.slug}", _money(p.price, book), p.metered, has_rates)
            for p in book.plans
            if not p.retired
        },
        add_ons={
            a.slug: AddOn(a.slug, a.slug, _money(a.price, book), a.included) for a in book.add_ons if not a.retired
        },
        bundles={b.slug: Bundle(b.slug, b.slug, b.discount_bps, tuple(b.apps)) for b in book.bundles if not b.retired},
        apps={app.slug: app for app in map(_app, apps)},
        card=_card(book),
    )


def _card(book: resources_pb2.PriceBook) -> Card:
    return Card(
        version=book.number,
        currency=book.currency,
        valid_from=moment(book.valid_from_time) or datetime.fromtimestamp(0, UTC),
        rates=tuple(_rate(rate, book) for rate in book.rates if rate.HasField("unit_price") or rate.tiers),
        metered=tuple(sorted(p.slug for p in book.plans if p.metered)),
    )


def _rate(rate: resources_pb2.Rate, book: resources_pb2.PriceBook) -> Rate:
    return Rate(
        meter=rate.meter.removeprefix("meters/"),
        model=_MODELS[rate.model],
        price=_money(rate.unit_price, book) if rate.HasField("unit_price") else None,
        package=Decimal(rate.package_size or 1),
        included=Decimal(rate.included or 0),
        tiers=tuple(Tier(Decimal(t.up_to) if t.up_to else None, _money(t.unit_price, book)) for t in rate.tiers),
    )


_MODELS = {
    resources_pb2.Rate.MODEL_UNSPECIFIED: Model.PER_UNIT,
    resources_pb2.Rate.MODEL_PER_UNIT: Model.PER_UNIT,
    resources_pb2.Rate.MODEL_GRADUATED: Model.GRADUATED,
    resources_pb2.Rate.MODEL_VOLUME: Model.VOLUME,
    resources_pb2.Rate.MODEL_PACKAGE: Model.PACKAGE,
}


def _app(app: resources_pb2.App) -> App:
    return App(app.name.removeprefix("apps/"), app.deployable, app.blueprint)


def _money(price: object, book: resources_pb2.PriceBook) -> Money:
    currency = getattr(price, "currency", "") or book.currency
    if currency != book.currency:
        raise CatalogUnavailable(why=f"a price in {currency} in a book in {book.currency}")
    return Money(getattr(price, "minor", 0), currency)
