"""A plan before it is applied: what would happen, what it costs, what stands against it, and the one door to doing it."""

from collections import Counter
from typing import Any

from . import graphs, orders, words
from .asking import Api
from .faults import NONE, REFUSALS, Faults
from .visits import Shown, Visit, action, page

_PLAN = "/console/sovereigns/{sovereign:str}/plans/{plan:str}"


@page(_PLAN)
async def plan(at: Visit) -> Shown:
    """All of it."""
    return await _show(at)


async def _show(at: Visit, faults: Faults = NONE, status: int = 422) -> Shown:
    values = await whole(at.api, f"sovereigns/{at.names['sovereign']}/plans/{at.names['plan']}")
    return at.show(
        "plan.html",
        title=f"Plan for {at.names['sovereign']}",
        faults=faults,
        form=at.form,
        status=status if faults else 200,
        **values,
    )  # fmt: skip - one call


async def whole(api: Api, name: str) -> dict[str, Any]:
    """Everything that a page says of a plan."""
    found = await api.get(f"/v1/{name}")
    one = await api.get(f"/v1/{name.partition('/plans/')[0]}")
    asks_order = words.bare(found["intent"]) == "APPLY" and not one["order"] and found["applicable"]
    bought = await orders.plans(api) if asks_order else ()
    return {"plan": found, "one": one, "asks_order": asks_order, "plans": bought, **summary(found)}


def summary(plan: dict[str, Any]) -> dict[str, Any]:
    """What a person wants to know of a plan before saying yes."""
    moving = [c for c in plan["changes"] if words.bare(c["action"]) != "NO_OP"]
    return {
        "moving": moving,
        "staying": len(plan["changes"]) - len(moving),
        "phases": Counter(step["phase"] for step in plan["steps"]),
        "lasting": _lasting(plan),
        "needs_name": words.bare(plan["intent"]) == "DESTROY",
        "may_apply": plan["applicable"] and not plan["empty"] and words.bare(plan["state"]) == "ACTIVE",
    }


def _lasting(plan: dict[str, Any]) -> float | None:
    """Seconds that it takes if each step takes as long as it usually does; None where past runs do not tell."""
    steps = [step for step in plan["steps"] if not step["gate"]]
    if not steps or any("usualDuration" not in step for step in steps):
        return None
    usual = {step["id"]: words.seconds(step.get("usualDuration")) or 0.0 for step in plan["steps"]}
    return sum(usual[id] for id in graphs.longest({s["id"]: s["needs"] for s in plan["steps"]}, usual))


@action(_PLAN + "/apply")
async def apply(at: Visit) -> Shown:
    """Do it: the plan that was looked at, by its hash, or nothing."""
    sovereign = at.names["sovereign"]
    name = f"sovereigns/{sovereign}/plans/{at.names['plan']}"
    found = await at.api.get(f"/v1/{name}")
    if words.bare(found["intent"]) == "DESTROY" and at.form.get("confirm", "").strip() != sovereign:
        return await _show(at, Faults.at(confirm=f"Type {sovereign}: what goes does not come back."))
    try:
        order = at.form.get("order", "")
        if at.form.get("buy"):
            paid = await orders.pay(at.api, sovereign, plan=at.form["buy"], voucher=at.form.get("voucher", "").strip())
            if not paid.is_paid:
                return at.go(f"/console/{name}/pay/{words.leaf(paid.name)}")
            order = paid.name
        body = {"hash": at.form.get("hash", ""), "order": order}
        operation = await at.api.send("POST", f"/v1/{name}:apply", body)
    except REFUSALS as refused:
        return await _show(at, Faults.of(refused), status=409)
    return at.go(f"/console/{operation['metadata']['run']}")


@page(_PLAN + "/pay/{order:str}")
async def pay(at: Visit) -> Shown:
    """An order that waits for its money; the page goes on by itself."""
    sovereign = at.names["sovereign"]
    one = await at.api.get(f"/v1/sovereigns/{sovereign}")
    account = f"billingAccounts/{one['spec']['organization']['slug']}"
    order = await at.api.get(f"/v1/billing/{account}/orders/{at.names['order']}")
    plan = await at.api.get(f"/v1/sovereigns/{sovereign}/plans/{at.names['plan']}")
    return at.show(
        "pay.html", title=f"Pay for {sovereign}", one=one, order=order, plan=plan, is_paid=orders.is_paid(order)
    )


PAGES = (plan, apply, pay)
