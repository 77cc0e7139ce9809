"""Paying for a Sovereign: a quote, a voucher, an order. What the command line does, in the same order."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from . import words
from .asking import Api

_PAID = ("PAID", "FULFILLING", "FULFILLED")
_USABLE = ("PAID", "FULFILLING")


@dataclass(frozen=True, slots=True)
class Paid:
    """An order, and whether its money is there."""

    name: str
    is_paid: bool


async def plans(api: Api) -> Sequence[tuple[str, str]]:
    """What can be bought: slugs with their names."""
    found = (await api.get("/v1/catalog/plans"))["plans"]
    return [
        (words.leaf(p["name"]), f"{p['title']}, {words.money(p['price'])} a month") for p in found if not p["retired"]
    ]


async def pay(api: Api, sovereign: str, *, plan: str, voucher: str) -> Paid:
    """An order for a Sovereign; one that was paid before is used again. Raises AioRpcError for a voucher that does not count."""
    name = f"sovereigns/{sovereign}"
    one = await api.get(f"/v1/{name}")
    account = f"/v1/billing/billingAccounts/{one['spec']['organization']['slug']}"
    for order in await api.all(f"{account}/orders", "orders"):
        if (order.get("selection") or {}).get("sovereign") == name and words.bare(order["state"]) in _USABLE:
            return Paid(order["name"], True)
    wish = {"selection": {"plan": plan, "sovereign": name}, "voucherCode": voucher}
    quote = await api.send("POST", f"{account}/quotes", wish)
    order = await api.send("POST", f"{account}/orders", {"quote": quote["name"], "quoteHash": quote["hash"]})
    return Paid(order["name"], is_paid(order))


def is_paid(order: dict[str, Any]) -> bool:
    """Whether its money is there."""
    return words.bare(order["state"]) in _PAID
