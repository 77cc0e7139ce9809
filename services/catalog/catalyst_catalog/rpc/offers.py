"""Rows of the storefront and price books as messages."""

from collections.abc import Mapping
from typing import Any

from catalyst.catalog.v1 import resources_pb2 as pb
from catalyst.mesh.v1 import resources_pb2 as mesh
from catalyst_mesh.protos import stamp

from ..domain import capacity
from ..domain.storefront import LIMITS, Kind, Offer, PriceBook, Rate, blueprint_of
from ..domain.universe import Universe, resource
from .blueprints import struct
from .words import etag

METERS = {
    "vcpu_hour_minor": "meters/vcpu_hours",
    "ram_gb_hour_minor": "meters/ram_gb_hours",
    "storage_gb_hour_minor": "meters/storage_gb_hours",
    "egress_gb_minor": "meters/egress_gb",
}
"""Meter of billing behind each rate."""
ADD_ON_FACTS = ("retention_days", "response_hours", "reverse_dns")


class Shelf:
    """Makes messages of offers; knows the other rows and Blueprints that they name."""

    def __init__(self, offers: list[Offer], uids: Mapping[tuple[str, str], str], universe: Universe) -> None:
        self.apps = {offer.slug: offer for offer in offers if offer.kind is Kind.APP}
        self._plans = {offer.slug for offer in offers if offer.kind is Kind.PLAN}
        self._uids = uids
        self._universe = universe

    def message(self, offer: Offer) -> Any:
        """The message of an offer's kind."""
        makers = {
            Kind.APP: self.app,
            Kind.PLAN: self.plan,
            Kind.ADD_ON: self.add_on,
            Kind.BUNDLE: self.bundle,
            Kind.INDUSTRY: self.industry,
        }  # fmt: skip - reads as a table
        return makers[offer.kind](offer)

    def has_blueprint(self, name: str) -> bool:
        """Whether the catalogue that everybody sees has it."""
        return name in self._universe

    @property
    def blueprints(self) -> dict[str, str]:
        """Name of the Blueprint behind each app, by slug."""
        return {slug: blueprint_of(app, self._universe.names) for slug, app in self.apps.items()}

    def is_deployable(self, app: Offer) -> bool:
        """Whether a version of the Blueprint behind an app can be installed."""
        head = self._universe.heads.get(blueprint_of(app, self._universe.names))
        return head is not None and head.is_offered and not head.is_opt_in

    def app(self, offer: Offer) -> pb.App:
        body = offer.body
        size = body.get("size", {})
        kind = pb.App.KIND_SERVICE if body["kind"] == "service" else pb.App.KIND_APP
        return pb.App(
            **self._common(offer),
            kind=kind,
            blueprint=resource(blueprint_of(offer, self._universe.names)),
            deployable=self.is_deployable(offer),
            category=body.get("category", ""),
            tagline=body.get("tagline", ""),
            description=body.get("description", ""),
            tags=body.get("tags", ()),
            requires=body.get("requires", ()),
            related=body.get("related", ()),
            needs=resources(body.get("needs", body)),
            min_size=size.get("min", ""),
            recommended_size=size.get("recommended", ""),
            featured=body.get("featured", False),
            popular=body.get("popular", False),
            licence=body.get("licence", ""),
            website=body.get("website", ""),
            color=body.get("color", ""),
            image=body.get("image", ""),
            port=body.get("port", 0),
            engine=body.get("engine", ""),
            engine_version=body.get("engine_version", ""),
            shareable=body.get("shareable", False),
            config_schema=struct(body.get("config_schema")),
        )

    def plan(self, offer: Offer) -> pb.Plan:
        body = offer.body
        return pb.Plan(
            **self._common(offer),
            price=_money(body),
            limits=resources(body),
            metered=body["metered"],
            popular=body.get("popular", False),
            features=body.get("features", ()),
            next_plan=f"plans/{body['next']}" if body.get("next") else "",
            users_hint_max=body.get("users_hint_max", 0),
            retired=body.get("retired", False),
            description=body.get("description", ""),
        )

    def add_on(self, offer: Offer) -> pb.AddOn:
        body = offer.body
        return pb.AddOn(
            **self._common(offer),
            category=body.get("category", ""),
            price=_money(body),
            included=body.get("included", False),
            blueprint=resource(body["blueprint"]) if body.get("blueprint") else "",
            attributes=struct(body.get("attributes") or {name: body[name] for name in ADD_ON_FACTS if name in body}),
            retired=body.get("retired", False),
            description=body.get("description", ""),
        )

    def bundle(self, offer: Offer) -> pb.Bundle:
        body = offer.body
        apps = [self.apps[slug] for slug in body["apps"] if slug in self.apps]
        size = body.get("recommended_size", "")
        return pb.Bundle(
            **self._common(offer),
            apps=[f"apps/{slug}" for slug in body["apps"]],
            expanded_apps=[self.app(app) for app in apps],
            discount_bps=body["discount_bps"],
            recommended_plan=f"plans/{size}" if size in self._plans else "",
            deployable=bool(apps) and all(self.is_deployable(app) for app in apps),
            retired=body.get("retired", False),
            description=body.get("description", ""),
        )

    def industry(self, offer: Offer) -> pb.Industry:
        body = offer.body
        return pb.Industry(
            **self._common(offer),
            bundle=f"bundles/{body['bundle']}" if body.get("bundle") else "",
            suggested_apps=[f"apps/{slug}" for slug in body.get("suggested", ())],
            description=body.get("description", ""),
        )

    def _common(self, offer: Offer) -> dict[str, Any]:
        return {
            "name": offer.name,
            # One that is being made has none yet: it is the row's.
            "uid": self._uids.get((offer.kind.value, offer.slug), ""),
            "etag": etag(offer.revision),
            "version": offer.revision,
            "create_time": stamp(offer.created_at),
            "update_time": stamp(offer.updated_at),
            "title": offer.body.get("name", offer.slug),
            "sort": offer.sort,
        }


def price_book(book: PriceBook) -> pb.PriceBook:
    """A price book; a rate that nobody set has no price."""
    return pb.PriceBook(
        name=book.name,
        number=book.number,
        currency=book.currency,
        valid_from_time=stamp(book.valid_from),
        create_time=stamp(book.valid_from),
        published_by=book.published_by,
        plans=[
            pb.PlanPrice(
                slug=row["slug"],
                price=mesh.Money(minor=row["price_minor"], currency=book.currency),
                limits=resources(row),
                metered=row["metered"],
                retired=row["retired"],
            )
            for row in book.content["plans"]
        ],
        add_ons=[
            pb.AddOnPrice(
                slug=row["slug"],
                price=mesh.Money(minor=row["price_minor"], currency=book.currency),
                included=row["included"],
                retired=row["retired"],
            )
            for row in book.content["add_ons"]
        ],
        bundles=[
            pb.BundleDiscount(
                slug=row["slug"], discount_bps=row["discount_bps"], apps=row["apps"], retired=row["retired"]
            )
            for row in book.content["bundles"]
        ],
        rates=[_rate(name, minor, book.currency) for name, minor in sorted(book.content["rates"].items())],
        digest=book.digest,
    )


def to_capacity(verdict: capacity.Verdict) -> pb.Capacity:
    """A verdict as a message."""
    short = {name: verdict.shortfall.get(name, 0) for name in LIMITS}
    return pb.Capacity(
        fits=verdict.fits,
        plan=verdict.plan.name,
        limits=resources(verdict.plan.body),
        used=resources(capacity.total([verdict.used])),
        wanted=resources(verdict.wanted),
        shortfall=resources(short),
        suggested_plan=verdict.suggested.name if verdict.suggested else "",
    )


def _rate(name: str, rate: Rate, currency: str) -> pb.Rate:
    meter = METERS.get(name, name)
    if not isinstance(rate, Mapping):
        price = None if rate is None else mesh.Money(minor=rate, currency=currency)
        return pb.Rate(meter=meter, model=pb.Rate.MODEL_PER_UNIT, unit_price=price)
    minor = rate.get("minor")
    return pb.Rate(
        meter=meter,
        model=pb.Rate.Model.Value(rate["model"]),
        unit_price=None if minor is None else mesh.Money(minor=minor, currency=currency),
        package_size=rate.get("package_size", ""),
        included=rate.get("included", ""),
        tiers=[
            pb.RateTier(up_to=tier["up_to"], unit_price=mesh.Money(minor=tier["minor"], currency=currency))
            for tier in rate.get("tiers", ())
        ],
    )


def resources(body: Mapping[str, Any]) -> pb.Resources:
    return pb.Resources(**{name: body[name] for name in LIMITS if body.get(name) is not None})


def _money(body: Mapping[str, Any]) -> mesh.Money:
    return mesh.Money(minor=body["price_minor"], currency=body["currency"])
