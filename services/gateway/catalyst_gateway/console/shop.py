"""The shop: what is put together here is priced by the server as a quote, a quote becomes an order, and a paid order work.

No price is ever sent from here: a quote is named with its hash, and another one is refused.
"""

from collections.abc import Mapping, Sequence
from typing import Any
from urllib.parse import urlencode

from . import orders, words
from .asking import Answer, together
from .faults import NONE, REFUSALS, Faults
from .organizations import mine
from .visits import Shown, Visit, action, page

_ACCOUNT = "/console/billingAccounts/{account:str}"
_QUOTE = _ACCOUNT + "/quotes/{quote:str}"
_ORDER = _ACCOUNT + "/orders/{order:str}"
_PERIODS = (("1", "every month"), ("12", "every year"))


@page("/console/shop", is_open=True)
async def cart(at: Visit) -> Shown:
    """Plans, apps and what can be had beside them. A cart is its address: it can be kept, sent, and signed in to."""
    asked = at.request.query_params
    chosen = {"app": asked.getall("app", []), "add_on": asked.getall("add_on", [])}
    return await _cart(at, at.query, chosen)


@page("/console/shop/order")
async def begin(at: Visit) -> Shown:
    """The cart again, by somebody who had to sign in on the way: what was put together is the address."""
    return at.go(f"/console/shop?{at.request.url.query}")


async def _cart(
    at: Visit, given: Mapping[str, str], chosen: Mapping[str, Sequence[str]], faults: Faults = NONE
) -> Shown:
    plans, apps, add_ons, bundles, industries, organizations = await together(
        at.api.all("/v1/catalog/plans", "plans"),
        at.api.all("/v1/catalog/apps", "apps"),
        at.api.all("/v1/catalog/addOns", "addOns"),
        at.api.all("/v1/catalog/bundles", "bundles"),
        at.api.all("/v1/catalog/industries", "industries"),
        _organizations(at),
    )  # fmt: skip - one call
    industry = next((one for one in industries if words.leaf(one["name"]) == given.get("industry")), None)
    sold = [plan for plan in plans if not plan["retired"]]
    popular = next((words.leaf(plan["name"]) for plan in sold if plan["popular"]), "")
    return at.show(
        "shop.html",
        title="Shop",
        plans=sold,
        plan=given.get("plan") or popular,
        apps=offered([app for app in apps if words.bare(app["kind"]) != "SERVICE"], industry),
        bundles=[one for one in bundles if not one.get("retired")],
        bundle=given.get("bundle", words.leaf(industry["bundle"]) if industry else ""),
        industries=[one for one in industries if not one.get("retired")],
        industry=industry,
        add_ons=[one for one in add_ons if not one["retired"] and not one["included"]],
        organizations=organizations,
        periods=_PERIODS,
        given=given,
        chosen=chosen,
        faults=faults,
        status=422 if faults else 200,
    )  # fmt: skip - one call


async def _organizations(at: Visit) -> list[tuple[str, str]]:
    """Those of the person, with their names; none of somebody who has not signed in."""
    rows = await mine(at) if at.person.is_known else []
    return [(words.leaf(one["name"]), one["displayName"] or words.leaf(one["name"])) for one in rows]


def offered(apps: list[Answer], industry: Answer | None) -> list[Answer]:
    """Apps in the order in which they are shown: first what can be had, and of that what an industry suggests."""
    suggested = industry["suggestedApps"] if industry else []
    return sorted(apps, key=lambda app: (not app["deployable"], app["name"] not in suggested))


@action("/console/shop/organization")
async def join(at: Visit) -> Shown:
    """An Organization for somebody who belongs to none; the cart stays as it was."""
    named = {"displayName": at.form.get("organization.display_name", ""), "kind": "KIND_CUSTOMER"}
    id = at.form.get("organization_id", "").strip()
    chosen = {"app": at.many.get("app", ()), "add_on": at.many.get("add_on", ())}
    try:
        await at.api.send("POST", "/v1/organizations", named, organizationId=id)
    except REFUSALS as refused:
        return await _cart(at, at.form, chosen, Faults.of(refused))
    kept = [(name, value) for name in ("plan", "bundle", "app", "add_on") for value in at.many.get(name, ()) if value]
    return at.go(f"/console/shop?{urlencode([*kept, ('org', id)])}")


@action("/console/shop")
async def price(at: Visit) -> Shown:
    """Have the cart priced."""
    chosen = {"app": at.many.get("app", ()), "add_on": at.many.get("add_on", ())}
    selection: dict[str, Any] = {
        "plan": at.form.get("plan", ""),
        "apps": list(chosen["app"]),
        "addOns": list(chosen["add_on"]),
        "bundle": at.form.get("bundle", ""),
        "periodMonths": int(at.form.get("period", "1") or "1"),
    }  # fmt: skip - a body
    body = {"selection": selection, "voucherCode": at.form.get("voucher_code", "").strip()}
    try:
        made = await at.api.send("POST", f"/v1/billing/billingAccounts/{at.form.get('org', '')}/quotes", body)
    except REFUSALS as refused:
        return await _cart(at, at.form, chosen, Faults.of(refused, under=("selection.",)))
    return at.go(f"/console/{made['name']}")


@page(_QUOTE)
async def quote(at: Visit) -> Shown:
    """What it costs, line by line, as the server says."""
    return await _quote(at)


async def _quote(at: Visit, faults: Faults = NONE) -> Shown:
    one = await at.api.get(f"/v1/billing/{_account(at)}/quotes/{at.names['quote']}")
    environments = await _environments(at)
    return at.show(
        "quote.html",
        title="Quote",
        one=one,
        org=f"organizations/{at.names['account']}",
        environments=environments,
        faults=faults,
        status=409 if faults else 200,
    )


async def _environments(at: Visit) -> list[tuple[str, str]]:
    """Where what is ordered could be installed; none is said by whoever does not see them."""
    try:
        rows = await at.api.all(f"/v1/organizations/{at.names['account']}/environments", "environments")
    except REFUSALS:
        return []
    return [(one["name"], words.leaf(one["name"])) for one in rows]


@action(_QUOTE)
async def order(at: Visit) -> Shown:
    """Order what was looked at: the quote by its hash, or nothing."""
    body: Answer = {"quote": f"{_account(at)}/quotes/{at.names['quote']}", "quoteHash": at.form.get("hash", "")}
    if where := at.form.get("environment", ""):
        body["environment"] = where
    try:
        made = await at.api.send("POST", f"/v1/billing/{_account(at)}/orders", body)
    except REFUSALS as refused:
        return await _quote(at, Faults.of(refused))
    return at.go(f"/console/{made['name']}")


@page(_ORDER)
async def ordered(at: Visit) -> Shown:
    """One order: whether it is paid, how to pay it, and what it began. It goes on by itself."""
    return await _ordered(at)


async def _ordered(at: Visit, faults: Faults = NONE) -> Shown:
    one = await at.api.get(f"/v1/billing/{_account(at)}/orders/{at.names['order']}")
    return at.show(
        "order.html",
        title="Order",
        one=one,
        org=f"organizations/{at.names['account']}",
        is_paid=orders.is_paid(one),
        faults=faults,
        status=409 if faults else 200,
    )


@action(_ORDER + "/cancel")
async def cancel(at: Visit) -> Shown:
    """Give it up before it is paid."""
    try:
        await at.api.send("POST", f"/v1/billing/{_account(at)}/orders/{at.names['order']}:cancel")
    except REFUSALS as refused:
        return await _ordered(at, Faults.of(refused))
    return at.go(f"/console/{_account(at)}/orders/{at.names['order']}")


@page("/console/organizations/{org:str}/orders")
async def every(at: Visit) -> Shown:
    """What an Organization has ordered."""
    slug = at.names["org"]
    rows = await at.api.all(f"/v1/billing/billingAccounts/{slug}/orders", "orders")
    return at.show("orders.html", title=f"Orders of {slug}", tab="orders", rows=rows, org=f"organizations/{slug}")


def _account(at: Visit) -> str:
    return f"billingAccounts/{at.names['account']}"


PAGES = (cart, begin, join, price, quote, order, ordered, cancel, every)
