"""What things cost: sums that never count what has no price as nothing."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from catalyst_sdk.cloud import Price


@dataclass(frozen=True, slots=True)
class Line:
    """The price of one resource; None: it has none, and is shown as such."""

    cluster: str
    kind: str
    address: str
    item: str
    price: Price | None


def cost(lines: Iterable[Line], currency: str) -> dict[str, Any]:
    """Total, lines and what is unpriced, in the contract's form. Raises ValueError for two currencies."""
    rows = list(lines)
    priced = [line.price for line in rows if line.price is not None]
    if others := {p.currency for p in priced} - {currency}:
        raise ValueError(f"prices in {', '.join(sorted(others))} cannot be added to {currency}")
    total = Price(currency, sum(p.hour_micros for p in priced), sum(p.month_minor for p in priced))
    return {
        "total": price(total),
        "lines": [
            {"cluster": x.cluster, "kind": x.kind, "address": x.address, "item": x.item, "count": 1}
            | ({"price": price(x.price)} if x.price else {})
            for x in rows
        ],
        "unpriced": [f"{line.cluster}/{line.address}" for line in rows if line.price is None],
    }


def difference(before: Mapping[str, Any], after: Mapping[str, Any]) -> dict[str, Any]:
    """After less before."""
    a, b = before["total"], after["total"]
    month = int(b["month"]["minor"]) - int(a["month"]["minor"])
    hour = int(b["hour_micros"]) - int(a["hour_micros"])
    return {"month": {"minor": str(month), "currency": b["month"]["currency"]}, "hour_micros": str(hour)}


def price(value: Price) -> dict[str, Any]:
    """A price in the contract's form; 64 bit numbers are text in JSON."""
    month = {"minor": str(value.month_minor), "currency": value.currency}
    return {"month": month, "hour_micros": str(value.hour_micros), "capped": value.capped}
