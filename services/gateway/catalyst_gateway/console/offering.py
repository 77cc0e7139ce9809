"""What a house has to offer, for those who keep it: clouds with their regions and sizes, and the book of prices."""

from collections.abc import Mapping
from typing import Any

from . import words
from .asking import together
from .faults import NONE, REFUSALS, Faults
from .visits import Shown, Visit, action, page

_MODELS = (("MODEL_PER_UNIT", "each unit its price"), ("MODEL_PACKAGE", "each started package its price"))
"""How usage becomes money, as far as one price says it; rates in tiers are sent as JSON, as the page shows."""


@page("/console/admin/providers")
async def providers(at: Visit) -> Shown:
    """Clouds that a Sovereign can be made on."""
    rows = await at.api.all("/v1/providers", "providers")
    return at.show("providers.html", title="Clouds", tab="providers", rows=rows)


@page("/console/admin/providers/{provider:str}")
async def provider(at: Visit) -> Shown:
    """One cloud: what it asks for, its regions, and what a server costs there."""
    name = f"providers/{at.names['provider']}"
    clouds, regions, offers = await together(
        at.api.all("/v1/providers", "providers"),
        at.api.all(f"/v1/{name}/regions", "regions"),
        at.api.all(f"/v1/{name}/regions/-/offers", "offers"),
    )
    one: Mapping[str, Any] = next((cloud for cloud in clouds if cloud["name"] == name), {"name": name})
    chosen = at.query.get("region", "")
    shown = [offer for offer in offers if chosen in ("", offer["name"].split("/")[3])]
    title = one.get("displayName") or words.leaf(name)
    return at.show("provider.html", title=title, tab="providers", one=one, regions=regions, offers=shown, chosen=chosen)


@page("/console/admin/prices")
async def prices(at: Visit) -> Shown:
    """The book of prices that counts now."""
    return await _prices(at, "current")


@page("/console/admin/prices/{number:str}")
async def former(at: Visit) -> Shown:
    """An earlier book, which orders of its time still refer to."""
    return await _prices(at, at.names["number"])


async def _prices(at: Visit, number: str, faults: Faults = NONE, preview: Mapping[str, Any] | None = None) -> Shown:
    book = await _book(at, number)
    return at.show(
        "prices.html",
        title="Prices" if number == "current" else f"Prices, book {number}",
        tab="prices",
        book=book,
        is_current=number == "current",
        models=_MODELS,
        given=at.form,
        preview=preview,
        faults=faults,
        status=422 if faults else 200,
    )  # fmt: skip - one call


async def _book(at: Visit, number: str) -> Mapping[str, Any] | None:
    """A book of prices; None where none was published yet. Raises PRICE_BOOK_NOT_FOUND for a number that there is not."""
    try:
        return await at.api.get(f"/v1/catalog/priceBooks/{number}")
    except REFUSALS as refused:
        if number == "current" and Faults.of(refused).reason == "PRICE_BOOK_NOT_FOUND":
            return None
        raise


@action("/console/admin/prices")
async def publish(at: Visit) -> Shown:
    """Fix all present prices, and one rate where it is given, as the next book; at first only what it would say is shown."""
    wish = _wish(at.form)
    only_looking = at.form.get("verb") != "publish"
    try:
        body = {**wish, **({"validateOnly": True} if only_looking else {})}
        made = await at.api.send("POST", "/v1/catalog/priceBooks:publish", body)
    except REFUSALS as refused:
        return await _prices(at, "current", Faults.of(refused))
    return await _prices(at, "current", preview=made) if only_looking else at.go("/console/admin/prices")


def _wish(form: Mapping[str, str]) -> dict[str, Any]:
    """The request that the form means; its number is that of the book that the person has looked at."""
    wish: dict[str, Any] = {"note": form.get("note", ""), "expectedNumber": form.get("expected_number") or "0"}
    if meter := form.get("rates[0].meter", "").strip():
        price = {
            "minor": form.get("rates[0].unit_price.minor") or "0",
            "currency": form.get("rates[0].unit_price.currency", ""),
        }
        rate = {
            "meter": meter if "/" in meter else f"meters/{meter}",
            "model": form.get("rates[0].model") or "MODEL_PER_UNIT",
            "unitPrice": price,
            "packageSize": form.get("rates[0].package_size", ""),
            "included": form.get("rates[0].included", ""),
        }
        wish["rates"] = [{name: value for name, value in rate.items() if value}]
    return wish


PAGES = (providers, provider, prices, former, publish)
