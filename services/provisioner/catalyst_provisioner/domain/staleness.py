"""Whether what a plan was made from still stands.

Invariants
  each counts   any one input that moved makes the plan stale, and is named;
  offers        count as moved when something that is needed is sold out, or when the month's cost differs by more than
                a twentieth; a price that trembles takes nobody's consent away.
"""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from catalyst_sdk.cloud import Action, Change, Offer

TOLERANCE = 0.05


@dataclass(frozen=True, slots=True)
class Present:
    """The inputs as they are now, and what became of the plan."""

    now: datetime
    generation: int
    ledger_revision: int
    lock_digest: str = ""
    module_digests: Mapping[str, str] = field(default_factory=dict)
    versions: Mapping[str, str] = field(default_factory=dict)


def moved(body: Mapping[str, Any], present: Present, *, applied: bool, expires_at: datetime) -> list[str]:
    """What moved, by name; empty: nothing."""
    then = body["inputs"]
    differs = {
        "applied": applied,
        "expired": expires_at <= present.now,
        "generation": int(then["generation"]) != present.generation,
        "ledger_revision": int(then["ledger_revision"]) != present.ledger_revision,
        "lock_digest": then.get("lock_digest", "") != present.lock_digest,
        "module_digests": then.get("module_digests", {}) != dict(present.module_digests),
        "versions": then.get("versions", {}) != dict(present.versions),
    }
    return [name for name, has in differs.items() if has]


def diverged(accepted: Sequence[Mapping[str, Any]], now: Sequence[Change]) -> list[str]:
    """What a cloud would do now and nobody agreed to: address and action, each as a sentence. Empty: it is as agreed.

    accepted   changes of the cluster as its plan shows them
    now        what its plugin would do in this moment; a try before this one may have done some of it already
    """
    agreed = {row["address"]: row["action"] for row in accepted}
    return [
        f"{change.address}: {change.action.value} (agreed: {agreed.get(change.address, 'nothing')})"
        for change in now
        if change.action not in _ALLOWED.get(agreed.get(change.address, "ACTION_NO_OP"), ())
    ]


_ALLOWED = {
    "ACTION_NO_OP": (Action.NO_OP, Action.IMPORT),
    "ACTION_CREATE": (Action.CREATE, Action.IMPORT, Action.UPDATE, Action.NO_OP),
    "ACTION_IMPORT": (Action.IMPORT, Action.UPDATE, Action.NO_OP),
    "ACTION_UPDATE": (Action.UPDATE, Action.IMPORT, Action.NO_OP),
    "ACTION_REPLACE": (Action.REPLACE, Action.CREATE, Action.DELETE, Action.IMPORT, Action.UPDATE, Action.NO_OP),
    "ACTION_DELETE": (Action.DELETE, Action.NO_OP),
}
"""What may still be left of an agreed action, or has been done by a try before; an import makes and changes nothing."""


def offers_moved(body: Mapping[str, Any], places: Mapping[str, str], offers: Mapping[str, Sequence[Offer]]) -> bool:
    """Whether what is sold now lets the plan down.

    places   `provider/region` by cluster
    offers   what is sold now, by `provider/region`; one that is absent could not be asked and says nothing
    """
    known = {place: {(o.kind, o.size): o for o in rows} for place, rows in offers.items()}
    return _sold_out(body, places, known) or _dearer(body, places, known)


Sold = Mapping[str, Mapping[tuple[str, str], Offer]]


def _sold_out(body: Mapping[str, Any], places: Mapping[str, str], known: Sold) -> bool:
    made = {(c["cluster"], c["address"]) for c in body["changes"] if c["action"] == "ACTION_CREATE"}
    needed = Counter(
        (places.get(line["cluster"], ""), line["item"])
        for line in body["cost"]["after"]["lines"]
        if line["kind"] == "server" and (line["cluster"], line["address"]) in made
    )
    for (place, size), count in needed.items():
        if place in known:
            offer = known[place].get(("server", size))
            if offer is None or (offer.stock is not None and offer.stock < count):
                return True
    return False


def _dearer(body: Mapping[str, Any], places: Mapping[str, str], known: Sold) -> bool:
    then = now = 0
    for line in body["cost"]["after"]["lines"]:
        price = int((line.get("price") or {}).get("month", {}).get("minor", 0))
        offer = known.get(places.get(line["cluster"], ""), {}).get((line["kind"], line["item"]))
        then += price
        now += offer.price.month_minor if offer and offer.price else price
    return abs(now - then) > TOLERANCE * then
