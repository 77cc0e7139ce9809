"""From messages to rows of the storefront: what each field of a message is called in a row, and rates."""

from collections.abc import Callable, Iterable, Mapping
from decimal import Decimal
from itertools import pairwise
from typing import Any

from catalyst.catalog.v1 import resources_pb2 as pb
from catalyst_mesh import InvalidRequest
from catalyst_sdk import Violation

from ..domain.refusals import CurrencyUnsupported, RateInvalid
from ..domain.storefront import LIMITS, Kind, Rate
from .offers import METERS
from .solving import plain

_Read = Callable[[Any], dict[str, Any]]


def _same(name: str) -> _Read:
    return lambda message: {name: getattr(message, name)}


def _list(name: str, called: str = "") -> _Read:
    """A list, of resource names or of slugs, as slugs."""
    return lambda message: {called or name: [text.rpartition("/")[2] for text in getattr(message, name)]}


def _slug(name: str, called: str = "") -> _Read:
    """A resource name as its last part."""
    return lambda message: {called or name: getattr(message, name).rpartition("/")[2]}


def _money(message: Any) -> dict[str, Any]:
    return {"price_minor": message.price.minor, "currency": message.price.currency}


def amounts(message: Any) -> dict[str, int | None]:
    """What Resources say, None for an absent dimension."""
    return {name: getattr(message, name) if message.HasField(name) else None for name in LIMITS}


def _limit(name: str) -> _Read:
    """One dimension alone, so that to change it leaves the others as they are."""
    return lambda message: {name: amounts(message.limits)[name]}


def _sizes(message: pb.App) -> dict[str, Any]:
    return {"size": {"min": message.min_size, "recommended": message.recommended_size}}


_WORDS = {"title": lambda message: {"name": message.title}, "description": _same("description")}
_RETIRED = {"retired": _same("retired")}
FIELDS: Mapping[Kind, Mapping[str, _Read]] = {
    Kind.APP: {
        **_WORDS,
        "kind": lambda m: {"kind": "service" if m.kind == pb.App.KIND_SERVICE else "app"},
        "blueprint": _slug("blueprint"),
        **{name: _same(name) for name in ("category", "tagline", "featured", "popular", "licence", "website", "color")},
        **{name: _same(name) for name in ("image", "port", "engine", "engine_version", "shareable")},
        **{name: _list(name) for name in ("tags", "requires", "related")},
        "needs": lambda m: {"needs": amounts(m.needs), **amounts(m.needs)},
        "min_size": _sizes,
        "recommended_size": _sizes,
        "config_schema": lambda m: {"config_schema": plain(m.config_schema)},
    },
    Kind.PLAN: {
        **_WORDS,
        **_RETIRED,
        "price": _money,
        "limits": lambda m: amounts(m.limits),
        **{f"limits.{name}": _limit(name) for name in LIMITS},
        "metered": _same("metered"),
        "popular": _same("popular"),
        "features": _list("features"),
        "next_plan": _slug("next_plan", "next"),
        "users_hint_max": _same("users_hint_max"),
    },
    Kind.ADD_ON: {
        **_WORDS,
        **_RETIRED,
        "category": _same("category"),
        "price": _money,
        "included": _same("included"),
        "blueprint": _slug("blueprint"),
        "attributes": lambda m: {"attributes": plain(m.attributes)},
    },
    Kind.BUNDLE: {
        **_WORDS,
        **_RETIRED,
        "apps": _list("apps"),
        "discount_bps": _same("discount_bps"),
        "recommended_plan": _slug("recommended_plan", "recommended_size"),
    },
    Kind.INDUSTRY: {**_WORDS, "bundle": _slug("bundle"), "suggested_apps": _list("suggested_apps", "suggested")},
}
"""Fields that may be written, by kind; `sort` besides, which every row has."""
REQUIRED: Mapping[Kind, tuple[str, ...]] = {
    Kind.APP: ("title", "blueprint"),
    Kind.PLAN: ("title", "price"),
    Kind.ADD_ON: ("title", "price"),
    Kind.BUNDLE: ("title", "apps"),
    Kind.INDUSTRY: ("title",),
}
"""What a new row must say."""


def body(kind: Kind, message: Any, fields: Iterable[str]) -> dict[str, Any]:
    """What `fields` of a message say, as a row calls it."""
    found: dict[str, Any] = {}
    for name in sorted(set(fields) - {"sort"}):
        found |= FIELDS[kind][name](message)
    return found


def whole(kind: Kind, message: Any) -> dict[str, Any]:
    """Everything that a new row says. Refuses one that lacks what it must say."""
    given = {field.name for field, _ in message.ListFields()}
    if missing := [name for name in REQUIRED[kind] if name not in given]:
        raise InvalidRequest(tuple(Violation(name, "is required", "required") for name in missing))
    return body(kind, message, FIELDS[kind])


def rates(given: Iterable[pb.Rate], currency: str) -> dict[str, Rate]:
    """The rates of a request, by the names that price books have for their meters.

    Raises RateInvalid, CurrencyUnsupported.
    """
    names = {meter: name for name, meter in METERS.items()}
    return {names.get(rate.meter, rate.meter): _rate(rate, currency) for rate in given}


def _rate(rate: pb.Rate, currency: str) -> Rate:
    prices = ([rate.unit_price] if rate.HasField("unit_price") else []) + [tier.unit_price for tier in rate.tiers]
    for price in prices:
        if currency and price.currency != currency:
            raise CurrencyUnsupported(currency=price.currency, known=currency)
    if why := _wrong(rate):
        raise RateInvalid(meter=rate.meter, why=why)
    minor = rate.unit_price.minor if rate.HasField("unit_price") else None
    model = rate.model or pb.Rate.MODEL_PER_UNIT
    if model == pb.Rate.MODEL_PER_UNIT and not rate.included:
        return minor
    tiers = [{"up_to": tier.up_to, "minor": tier.unit_price.minor} for tier in rate.tiers]
    return {
        "model": pb.Rate.Model.Name(model),
        "minor": minor,
        "package_size": rate.package_size,
        "included": rate.included,
        "tiers": tiers,
    }  # fmt: skip - one document


def _wrong(rate: pb.Rate) -> str:
    """Why a rate cannot be used; '' where it can."""
    is_tiered = rate.model in (pb.Rate.MODEL_GRADUATED, pb.Rate.MODEL_VOLUME)
    if is_tiered != bool(rate.tiers):
        return "a graduated or volume rate has tiers, and no other has"
    if is_tiered and rate.HasField("unit_price"):
        return "its tiers have the prices"
    if (rate.model == pb.Rate.MODEL_PACKAGE) != bool(rate.package_size):
        return "a package has a size, and nothing else has"
    if rate.package_size and Decimal(rate.package_size) == 0:
        return "an empty package has no price"
    ceilings = [tier.up_to for tier in rate.tiers]
    if ceilings and (ceilings[-1] or not all(ceilings[:-1])):
        return "the last tier is open, and no other is"
    closed = [Decimal(text) for text in ceilings[:-1]]
    return "" if all(low < high for low, high in pairwise(closed)) else "ceilings rise"
