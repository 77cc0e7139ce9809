"""Paying for a Sovereign: a quote, a voucher, an order. Nothing is provisioned before the order is paid."""

import time
from typing import Any

from catalyst_cli.api import Api, new_request_id
from catalyst_cli.failures import Failure
from catalyst_cli.output import err, money, word

PAID = {"PAID", "FULFILLING", "FULFILLED"}
_WAIT = 600
"""Seconds in which somebody pays in the browser."""


def pay(api: Api, sovereign: dict[str, Any], *, plan: str, voucher: str) -> str:
    """The name of a paid order for `sovereign`; an order paid before is used again."""
    slug = sovereign["spec"]["organization"]["slug"]
    account = f"billingAccounts/{slug}"
    for order in api.pages(f"/v1/billing/{account}/orders", "orders"):
        if order["selection"].get("sovereign") == sovereign["name"] and word(order["state"]) in ("PAID", "FULFILLING"):
            return str(order["name"])
    body = {"selection": {"plan": plan, "sovereign": sovereign["name"]}, "voucherCode": voucher}
    quote = api.post(f"/v1/billing/{account}/quotes", body, once=new_request_id())
    err.print(f"quote     {money(quote['total'])} a month, {money(quote['due'])} due now", markup=False)
    ordered = {"quote": quote["name"], "quoteHash": quote["hash"]}
    order = api.post(f"/v1/billing/{account}/orders", ordered, once=new_request_id())
    return _settled(api, order)


def _settled(api: Api, order: dict[str, Any]) -> str:
    told, deadline = False, time.monotonic() + _WAIT
    while word(order["state"]) not in PAID:
        if word(order["state"]) in ("CANCELLED", "EXPIRED", "FAILED", "REFUNDED"):
            why = order.get("failureReason", "")
            raise Failure(f"the order {order['name']} ended as {word(order['state'])}", why=why, exit_code=4)
        if order.get("checkoutUrl") and not told:
            told = True
            err.print(f"pay here  {order['checkoutUrl']}", markup=False)
        if time.monotonic() > deadline:
            raise Failure(f"{order['name']} is not paid yet", next_step="pay it and repeat this command", exit_code=4)
        time.sleep(0.3)
        order = api.get(f"/v1/billing/{order['name']}")
    err.print(f"order     {order['name']} is paid", markup=False)
    return str(order["name"])
