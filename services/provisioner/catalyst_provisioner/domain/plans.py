"""Plans: what would happen, what it costs and what stands against it. Built from what was read, and from nothing else.

Invariants
  same in, same out   equal inputs give an equal plan and an equal hash, on every machine;
  whole               the hash covers all that a person agrees to, and no moment in time;
  an error blocks     a plan with an error finding is not applicable, whoever asks.
"""

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from catalyst_sdk.cloud import Action, CostLine, Finding, InfraPlan, LedgerRow, Severity

from . import costs, graphs
from .locks import Component, Lock
from .wishes import Document, Wish

APPLY, DESTROY = "INTENT_APPLY", "INTENT_DESTROY"


@dataclass(frozen=True, slots=True)
class Held:
    """A row of the ledger as a plan needs it."""

    cluster: str
    row: LedgerRow


@dataclass(frozen=True, slots=True)
class Read:
    """All that was read for a plan."""

    sovereign: str
    generation: int
    ledger_revision: int
    currency: str
    held: tuple[Held, ...] = ()
    installed: Mapping[str, Mapping[str, str]] = field(default_factory=dict)
    """Version by component by cluster, as last applied."""
    findings: tuple[Finding, ...] = ()
    versions: Mapping[str, str] = field(default_factory=dict)
    offers_digests: Mapping[str, str] = field(default_factory=dict)


def apply(read: Read, document: Document, wish: Wish, lock: Lock, infra: Mapping[str, InfraPlan],
          *, spec_applied: bool, exposed: bool = False) -> dict[str, Any]:  # fmt: skip
    """A plan that makes `wish` so, in the contract's JSON form, hash included."""
    changes = [_change(name, plan, c) for name, plan in infra.items() for c in plan.changes]
    components = [_component(read, cluster.name, i, c, lock) for cluster in wish.clusters
                  for i, c in enumerate(lock.components, 1)]  # fmt: skip
    removed = [_removed(read, cluster.name, name, lock) for cluster in wish.clusters
               for name in sorted(read.installed.get(cluster.name, {}).keys() - {c.name for c in lock.components})]  # fmt: skip
    findings = [*read.findings, *(f for plan in infra.values() for f in plan.findings)]
    after = costs.cost((line for n, plan in infra.items() for line in _lines(n, plan.cost)), read.currency)
    idle = (
        spec_applied
        and all(change["action"] == "ACTION_NO_OP" for change in changes)
        and all(component["action"] == "ACTION_KEEP" for component in [*components, *removed])
    )
    shapes = () if idle else graphs.provision(scope(wish, lock))
    body = _body(read, APPLY, document, findings, shapes, idle) | {
        "changes": changes,
        "components": [*components, *removed],
        "cost": _cost(read, after),
        "risks": [_PUBLIC] if exposed else [],
    }
    body["inputs"]["lock_digest"] = lock.digest
    return _hashed(body)


def destroy(read: Read, document: Document, clusters: Sequence[str], keep: Sequence[str]) -> dict[str, Any]:
    """A plan that takes everything away which the ledger lists."""
    changes = [_deletion(held) for held in reversed(read.held)]
    components = [
        {"cluster": cluster, "blueprint": name, "previous_version": version, "action": "ACTION_REMOVE"}
        for cluster in clusters
        for name, version in sorted(read.installed.get(cluster, {}).items())
    ]
    shapes = graphs.destroy({"clusters": [{"name": name} for name in clusters]})
    cost = _cost(read, costs.cost((), read.currency))
    saved = {"month": cost["before"]["total"]["month"], "hour_micros": cost["before"]["total"]["hour_micros"]}
    body = _body(read, DESTROY, document, list(read.findings), shapes, idle=False) | {
        "changes": changes,
        "components": components,
        "cost": cost,
        "risks": [_IRREVERSIBLE],
        "destroy": {"saved": saved, "kept": list(keep), "data_lost": []},
    }
    return _hashed(body)


def scope(wish: Wish, lock: Lock) -> dict[str, Any]:
    """What a run of this plan works on; see `graphs.Scope`."""
    kit = [{"name": c.name, "needs": list(c.needs), "optional": c.optional} for c in lock.components]
    return {"clusters": [{"name": cluster.name, "components": kit} for cluster in wish.clusters]}


def canonical(body: Mapping[str, Any]) -> bytes:
    """The bytes that are hashed: keys sorted, no spaces, UTF-8."""
    return json.dumps(body, sort_keys=True, separators=(",", ":"), ensure_ascii=False).encode()


def budget_findings(wish: Wish, monthly_minor: int, currency: str, warn_at: float, block_at: float) -> list[Finding]:
    """Whether the month's cost stays within the limit."""
    if wish.monthly_limit is None:
        return []
    limit, in_currency = wish.monthly_limit
    path = "spec.budget.monthly_limit"
    if in_currency != currency:
        text = f"the limit is in {in_currency}, prices are in {currency}"
        return [Finding("budget.warn", Severity.WARNING, path, text, f"give the limit in {currency}")]
    share = monthly_minor / limit if limit else float("inf")
    if share < warn_at:
        return []
    blocked = share > block_at
    text = f"{monthly_minor} of {limit} minor units a month ({100 * share:.0f} %)"
    code, severity = ("budget.exceeded", Severity.ERROR) if blocked else ("budget.warn", Severity.WARNING)
    return [Finding(code, severity, path, text, "raise the limit or take less")]


def _body(
    read: Read, intent: str, document: Document, found: Sequence[Finding], shapes: Sequence[graphs.Shape], idle: bool
) -> dict[str, Any]:
    return {
        "sovereign": read.sovereign,
        "intent": intent,
        "spec": document,
        "steps": [_step(shape) for shape in shapes],
        "findings": [_finding(one) for one in found],
        "gates": [],
        "inputs": {
            "generation": str(read.generation),
            "ledger_revision": str(read.ledger_revision),
            "versions": dict(read.versions),
            "offers_digests": dict(read.offers_digests),
        },
        "applicable": all(one.severity is not Severity.ERROR for one in found),
        "empty": idle,
    }


def _hashed(body: dict[str, Any]) -> dict[str, Any]:
    return body | {"hash": hashlib.sha256(canonical(body)).hexdigest()}


def _step(shape: graphs.Shape) -> dict[str, Any]:
    return {
        "id": shape.id,
        "phase": shape.phase,
        "needs": list(shape.needs),
        "timeout": f"{int(shape.timeout.total_seconds())}s",
        "retries": shape.retries,
        "undoable": shape.undoable,
        "skippable": shape.skippable,
        "optional": shape.optional,
        "cluster": shape.cluster,
        "component": shape.component,
    }


def _finding(one: Finding) -> dict[str, Any]:
    return {
        "code": one.code,
        "severity": f"SEVERITY_{one.severity.value.upper()}",
        "field": one.path,
        "message": one.message,
        "remedy": one.remedy,
        "metadata": dict(one.metadata),
    }


def _change(cluster: str, plan: InfraPlan, change: Any) -> dict[str, Any]:
    return {
        "cluster": cluster,
        "kind": change.kind,
        "name": change.name,
        "address": change.address,
        "action": f"ACTION_{change.action.value.upper()}",
        "manager": "native",
        "reason": change.reason,
        "changed_paths": list(change.paths),
        **({"before": dict(change.before)} if change.action is not Action.CREATE and change.before else {}),
        **({"after": dict(change.after)} if change.action is not Action.DELETE and change.after else {}),
    }


def _deletion(held: Held) -> dict[str, Any]:
    return {
        "cluster": held.cluster,
        "kind": held.row.kind,
        "name": held.row.name,
        "address": f"{held.row.kind}.{held.row.name}",
        "action": "ACTION_DELETE",
        "manager": "native",
    }


def _component(read: Read, cluster: str, order: int, component: Component, lock: Lock) -> dict[str, Any]:
    before = read.installed.get(cluster, {}).get(component.name, "")
    action = "KEEP" if before == component.version else "UPGRADE" if before else "ADD"
    return {
        "cluster": cluster,
        "blueprint": component.name,
        "version": component.version,
        "digest": component.digest,
        "previous_version": before,
        "action": f"ACTION_{action}",
        "requested": component.requested,
        "needed_by": list(lock.needed_by(component.name)),
        "needs": list(component.needs),
        "wave": component.wave,
        "order": order,
        "optional": component.optional,
    }


def _removed(read: Read, cluster: str, name: str, lock: Lock) -> dict[str, Any]:
    version = read.installed[cluster][name]
    return {"cluster": cluster, "blueprint": name, "previous_version": version, "action": "ACTION_REMOVE"}


def _lines(cluster: str, lines: Sequence[CostLine]) -> list[costs.Line]:
    return [costs.Line(cluster, line.kind, line.address, line.size, line.price) for line in lines]


def _cost(read: Read, after: dict[str, Any]) -> dict[str, Any]:
    rows = [costs.Line(h.cluster, h.row.kind, h.row.name, h.row.kind, h.row.price) for h in read.held]
    before = costs.cost(rows, read.currency)
    return {"before": before, "after": after, "difference": costs.difference(before, after)}


_PUBLIC = {
    "kind": "KIND_PUBLIC_EXPOSURE",
    "code": "api.public",
    "message": "the Kubernetes API is reachable by the world",
    "resources": [],
}
_IRREVERSIBLE = {
    "kind": "KIND_IRREVERSIBLE",
    "code": "destroy.final",
    "message": "everything of this Sovereign is deleted, its data too",
    "resources": [],
}
