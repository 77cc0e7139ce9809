"""Plans: what would happen, what it costs and what stands against it. Built from what was read, and from nothing else.

Invariants
  same in, same out   equal inputs give an equal plan and an equal hash, on every machine;
  whole               the hash covers all that a person agrees to, and no moment in time;
  an error blocks     a plan with an error finding is not applicable, whoever asks.
"""

import hashlib
import json
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from catalyst_sdk.cloud import CostLine, InfraPlan, Severity

from . import claims, costs, gates, graphs, plan_rows, risks, tending
from .gates import Gate
from .plan_inputs import Found, Read, Wanted
from .wishes import Approval, Document

APPLY, DESTROY, REPAIR = "INTENT_APPLY", "INTENT_DESTROY", "INTENT_REPAIR"
ADOPT, UPGRADE, HAND_OFF = "INTENT_ADOPT", "INTENT_UPGRADE", "INTENT_HAND_OFF"
INNER = ("sovereign", "adopted", "hand_off", "handing", "rising", "tended")
"""Parts of a body that its hash covers and nobody is shown."""


def apply(read: Read, wanted: Wanted, found: Sequence[Found], *, intent: str = APPLY,
          more: Mapping[str, Any] | None = None) -> dict[str, Any]:  # fmt: skip
    """A plan that makes the wish so, in the contract's JSON form, hash included; with `more` parts of its own."""
    wish, lock = wanted.wish, wanted.lock
    changes = [plan_rows.change(name, plan, c) for name, plan in wanted.infra.items() for c in plan.changes]
    changes += [plan_rows.rise(name, *versions) for name, versions in wanted.rising.items()]
    changes += [tending.change(deed) for deed in wanted.tended]
    changes += [plan_rows.deletion(held, "its cluster is no longer wished") for held in reversed(read.held)
                if held.cluster in wanted.removed]  # fmt: skip
    components = [*plan_rows.components(read, wish, lock), *plan_rows.removals(read, wanted)]
    dangers = [*risks.of_changes(wish, wanted.infra, wanted.removed), *map(dict, wanted.risks)]
    cost = cost_of(read, wanted.infra)
    idle = (
        wanted.spec_applied
        and not (wanted.handing or wanted.tended)
        and all(change["action"] == "ACTION_NO_OP" for change in changes)
        and all(component["action"] == "ACTION_KEEP" for component in components)
    )
    asked = () if idle else gates.wanted(_asked(intent, dangers, cost, wanted.removed), wanted.document, wish.approvals)
    shapes = () if idle else graphs.provision(scope(wanted, [gate.plain() for gate in asked]))
    body = _body(read, intent, wanted.document, found, shapes, asked, idle) | {
        "changes": changes,
        "components": components,
        "cost": cost,
        "risks": dangers,
        "rising": {name: list(versions) for name, versions in wanted.rising.items()},
        "handing": list(wanted.handing),
        **({"tended": [dict(deed) for deed in wanted.tended]} if wanted.tended else {}),
        **(more or {}),
    }
    body["inputs"]["lock_digest"] = lock.digest
    return _hashed(body)


def destroy(
    read: Read,
    document: Document,
    clusters: Sequence[str],
    keep: Sequence[str],
    *,
    approvals: Sequence[Approval] = (),
    found: Sequence[Found] = (),
) -> dict[str, Any]:
    """A plan that takes everything away which the ledger lists."""
    changes = [plan_rows.deletion(held) for held in reversed(read.held)]
    components = [
        {"cluster": cluster, "blueprint": name, "previous_version": version, "action": "ACTION_REMOVE"}
        for cluster in clusters
        for name, version in sorted(read.installed.get(cluster, {}).items())
    ]
    kinds: dict[str, list[str]] = {}
    for held in read.held:
        kinds.setdefault(held.row.kind, []).append(held.row.name)
    # What has nothing outside is taken away by nobody's leave.
    asked = gates.wanted({gates.DESTROY: _ask(len(changes))}, document, approvals) if changes else ()
    shapes = graphs.destroy(leaving_scope(document, clusters, [gate.plain() for gate in asked]))
    cost = _cost(read, costs.cost((), read.currency))
    saved = {"month": cost["before"]["total"]["month"], "hour_micros": cost["before"]["total"]["hour_micros"]}
    lost = [name for kind in sorted(risks.HOLDS_DATA & kinds.keys()) for name in kinds[kind]]
    body = _body(read, DESTROY, document, found, shapes, asked, idle=False) | {
        "changes": changes,
        "components": components,
        "cost": cost,
        "risks": risks.of_destroy(kinds),
        "destroy": {"saved": saved, "kept": list(keep), "data_lost": lost},
    }
    return _hashed(body)


def hand_off(
    read: Read, document: Document, clusters: Sequence[str], found: Sequence[Found], *, roll_back: bool
) -> dict[str, Any]:
    """A plan that gives what is there to Crossplane, or takes it back. Nothing is made, changed or deleted at a cloud."""
    to, said = ("", "taken back from Crossplane") if roll_back else (claims.CROSSPLANE, "given to Crossplane")
    changes, moving = [], set()
    for held in read.held:
        if held.cluster in clusters and claims.claimed(held.row.kind) and held.manager != to:
            changes.append(plan_rows.kept(held, "ACTION_IMPORT", to or plan_rows.NATIVE, said))
            moving.add(held.cluster)
        else:
            changes.append(plan_rows.kept(held, "ACTION_NO_OP", held.manager or plan_rows.NATIVE, ""))
    scope = {"clusters": [{"name": name} for name in clusters if name in moving], "roll_back": roll_back}
    shapes = graphs.hand_off(scope) if moving else ()
    cost = costs.cost(
        [costs.Line(h.cluster, h.row.kind, h.row.name, h.row.kind, h.row.price) for h in read.held], read.currency
    )
    body = _body(read, HAND_OFF, document, found, shapes, (), idle=not moving) | {
        "changes": changes,
        "components": [],
        "cost": _cost(read, cost),
        "risks": [],
        "hand_off": scope,
    }
    return _hashed(body)


def given_away(read: Read, clusters: Iterable[str]) -> list[str]:
    """Clusters, some of whose resources are Crossplane's."""
    wanted = set(clusters)
    return sorted({h.cluster for h in read.held if h.manager == claims.CROSSPLANE and h.cluster in wanted})


def cost_of(read: Read, infra: Mapping[str, InfraPlan]) -> dict[str, Any]:
    """Cost before, after, and the difference."""
    lines = (line for name, plan in infra.items() for line in _lines(name, plan.cost))
    return _cost(read, costs.cost(lines, read.currency))


def scope(wanted: Wanted, asked: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """What a run of this plan works on; see `graphs.Scope`."""
    kit = [{"name": c.name, "needs": list(c.needs), "optional": c.optional} for c in wanted.lock.components]
    return {
        "clusters": [
            {"name": cluster.name, "components": kit, "k3s": wanted.rising.get(cluster.name, ("", ""))[1]}
            for cluster in wanted.wish.clusters
        ],
        "removed": list(wanted.removed),
        "gates": [dict(gate) for gate in asked],
        "domain": {"mode": wanted.wish.mode, "delegation_first": wanted.wish.delegation_first},
        **({"handing": list(wanted.handing)} if wanted.handing else {}),
        **({"tended": [dict(deed) for deed in wanted.tended]} if wanted.tended else {}),
    }


def leaving_scope(document: Document, clusters: Sequence[str], asked: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """What a run that takes everything away works on."""
    return {
        "clusters": [{"name": name} for name in clusters],
        "gates": [dict(gate) for gate in asked],
        "domain": {"mode": document["domain"]["mode"]},
    }


def canonical(body: Mapping[str, Any]) -> bytes:
    """The bytes that are hashed: keys sorted, no spaces, UTF-8."""
    return json.dumps(body, sort_keys=True, separators=(",", ":"), ensure_ascii=False).encode()


def _body(
    read: Read, intent: str, document: Document, found: Sequence[Found], shapes: Sequence[graphs.Shape],
    asked: Sequence[Gate], idle: bool,
) -> dict[str, Any]:  # fmt: skip
    return {
        "sovereign": read.sovereign,
        "intent": intent,
        "spec": document,
        "steps": [plan_rows.step(shape) for shape in shapes],
        "findings": [plan_rows.finding(one) for one in found],
        "gates": [gate.plain() for gate in asked],
        "inputs": {
            "generation": str(read.generation),
            "ledger_revision": str(read.ledger_revision),
            "module_digests": dict(read.module_digests),
            "versions": dict(read.versions),
            "offers_digests": dict(read.offers_digests),
            **({"release": read.release} if read.release else {}),
        },
        "applicable": all(one.finding.severity is not Severity.ERROR for one in found),
        "empty": idle,
    }


def _asked(
    intent: str, dangers: Sequence[Mapping[str, Any]], cost: Mapping[str, Any], removed: Sequence[str]
) -> dict[str, str]:
    """What a person is asked, by kind of gate."""
    asked = {}
    if intent == REPAIR:
        asked[gates.REPAIR] = "what drifted is put right"
    if removed:
        asked[gates.DESTROY] = f"{', '.join(removed)} would be deleted"
    if replaced := [r["message"] for r in dangers if r["kind"] == risks.REPLACE]:
        asked[gates.REPLACE] = f"deleted and made again: {'; '.join(replaced)}"
    if lost := [r["message"] for r in dangers if r["kind"] == risks.DATA_LOSS]:
        asked[gates.DATA_LOSS] = f"data is lost: {'; '.join(lost)}"
    more = int(cost["difference"]["month"]["minor"])
    if more > 0:
        asked[gates.SPEND] = f"{more} more minor units of {cost['difference']['month']['currency']} a month"
    return asked


def _ask(resources: int) -> str:
    return f"everything would be deleted, {resources} resources and what they hold"


def _hashed(body: dict[str, Any]) -> dict[str, Any]:
    return body | {"hash": hashlib.sha256(canonical(body)).hexdigest()}


def _lines(cluster: str, lines: Sequence[CostLine]) -> list[costs.Line]:
    return [costs.Line(cluster, line.kind, line.address, line.size, line.price) for line in lines]


def _cost(read: Read, after: dict[str, Any]) -> dict[str, Any]:
    rows = [costs.Line(h.cluster, h.row.kind, h.row.name, h.row.kind, h.row.price) for h in read.held]
    before = costs.cost(rows, read.currency)
    return {"before": before, "after": after, "difference": costs.difference(before, after)}
