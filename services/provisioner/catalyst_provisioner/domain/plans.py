"""Plans: what would happen, what it costs and what stands against it. Built from what was read, and from nothing else.

Invariants
  same in, same out   equal inputs give an equal plan and an equal hash, on every machine;
  whole               the hash covers all that a person agrees to, and no moment in time;
  an error blocks     a plan with an error finding is not applicable, whoever asks.
"""

import hashlib
import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from catalyst_sdk.cloud import Action, CostLine, Finding, InfraPlan, LedgerRow, Severity

from . import claims, costs, gates, graphs, risks, tending
from .gates import Gate
from .locks import Component, Lock
from .wishes import Approval, Document, Wish

APPLY, DESTROY, REPAIR = "INTENT_APPLY", "INTENT_DESTROY", "INTENT_REPAIR"
ADOPT, UPGRADE, HAND_OFF = "INTENT_ADOPT", "INTENT_UPGRADE", "INTENT_HAND_OFF"
INNER = ("sovereign", "adopted", "hand_off", "handing", "rising", "tended")
"""Parts of a body that its hash covers and nobody is shown."""

NATIVE = "native"


@dataclass(frozen=True, slots=True)
class Held:
    """A row of the ledger as a plan needs it."""

    cluster: str
    row: LedgerRow
    manager: str = ""
    """Who keeps it; empty: the plugin of its provider."""


@dataclass(frozen=True, slots=True)
class Found:
    """A finding, and the offers that would do instead."""

    finding: Finding
    cluster: str = ""
    alternatives: tuple[str, ...] = ()


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
    module_digests: Mapping[str, str] = field(default_factory=dict)
    """Digest of the infrastructure module by provider; a native plugin has none."""
    versions: Mapping[str, str] = field(default_factory=dict)
    offers_digests: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Wanted:
    """What is to be, as far as it could be worked out."""

    document: Document
    wish: Wish
    lock: Lock
    infra: Mapping[str, InfraPlan]
    spec_applied: bool
    """Whether the last successful run made this very spec true."""
    removed: tuple[str, ...] = ()
    """Clusters that are there and are not wished any more."""
    rising: Mapping[str, tuple[str, str]] = field(default_factory=dict)
    """Versions of k3s before and after, of clusters in which it changes."""
    handing: tuple[str, ...] = ()
    """Clusters that Crossplane gets at the end."""
    tended: tuple[Mapping[str, Any], ...] = ()
    """Work on single nodes, see `tending`."""


def apply(read: Read, wanted: Wanted, found: Sequence[Found], *, intent: str = APPLY,
          more: Mapping[str, Any] | None = None) -> dict[str, Any]:  # fmt: skip
    """A plan that makes the wish so, in the contract's JSON form, hash included; with `more` parts of its own."""
    wish, lock = wanted.wish, wanted.lock
    changes = [_change(name, plan, c) for name, plan in wanted.infra.items() for c in plan.changes]
    changes += [_rise(name, *versions) for name, versions in wanted.rising.items()]
    changes += [tending.change(deed) for deed in wanted.tended]
    changes += [_deletion(held, "its cluster is no longer wished") for held in reversed(read.held)
                if held.cluster in wanted.removed]  # fmt: skip
    components = [*_components(read, wish, lock), *_removals(read, wanted)]
    dangers = risks.of_changes(wish, wanted.infra, wanted.removed)
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
    changes = [_deletion(held) for held in reversed(read.held)]
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
            changes.append(_kept(held, "ACTION_IMPORT", to or NATIVE, said))
            moving.add(held.cluster)
        else:
            changes.append(_kept(held, "ACTION_NO_OP", held.manager or NATIVE, ""))
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
    read: Read, intent: str, document: Document, found: Sequence[Found], shapes: Sequence[graphs.Shape],
    asked: Sequence[Gate], idle: bool,
) -> dict[str, Any]:  # fmt: skip
    return {
        "sovereign": read.sovereign,
        "intent": intent,
        "spec": document,
        "steps": [_step(shape) for shape in shapes],
        "findings": [_finding(one) for one in found],
        "gates": [gate.plain() for gate in asked],
        "inputs": {
            "generation": str(read.generation),
            "ledger_revision": str(read.ledger_revision),
            "module_digests": dict(read.module_digests),
            "versions": dict(read.versions),
            "offers_digests": dict(read.offers_digests),
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


def _step(shape: graphs.Shape) -> dict[str, Any]:
    return {
        "id": shape.id,
        "phase": shape.phase,
        "needs": list(shape.needs),
        **({"timeout": f"{int(shape.timeout.total_seconds())}s"} if shape.timeout else {}),
        "retries": shape.retries,
        "gate": shape.gate,
        "undoable": shape.undoable,
        "skippable": shape.skippable,
        "optional": shape.optional,
        "cluster": shape.cluster,
        "component": shape.component,
    }


def _finding(found: Found) -> dict[str, Any]:
    one = found.finding
    return {
        "code": one.code,
        "severity": f"SEVERITY_{one.severity.value.upper()}",
        "field": one.path,
        "message": one.message,
        "remedy": one.remedy,
        "cluster": found.cluster,
        "metadata": dict(one.metadata),
        "alternatives": list(found.alternatives),
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


def _deletion(held: Held, reason: str = "") -> dict[str, Any]:
    return {
        "cluster": held.cluster,
        "kind": held.row.kind,
        "name": held.row.name,
        "address": f"{held.row.kind}.{held.row.name}",
        "action": "ACTION_DELETE",
        "manager": "native",
        "reason": reason,
    }


def _kept(held: Held, action: str, manager: str, reason: str) -> dict[str, Any]:
    kind, name = held.row.kind, held.row.name
    return {
        "cluster": held.cluster, "kind": kind, "name": name, "address": f"{kind}.{name}", "action": action,
        "manager": manager, "reason": reason,
    }  # fmt: skip


def _rise(cluster: str, before: str, after: str) -> dict[str, Any]:
    return {
        "cluster": cluster, "kind": "kubernetes", "name": cluster, "address": "k3s", "action": "ACTION_UPDATE",
        "manager": NATIVE, "reason": f"{before} to {after}, servers one by one, then workers",
        "changed_paths": ["k3s_version"],
    }  # fmt: skip


def _components(read: Read, wish: Wish, lock: Lock) -> list[dict[str, Any]]:
    numbered = list(enumerate(lock.components, 1))
    return [_component(read, cluster.name, i, c, lock) for cluster in wish.clusters for i, c in numbered]


def _removals(read: Read, wanted: Wanted) -> list[dict[str, Any]]:
    """Components that go: those that the lock has no more, and all of a cluster that goes."""
    kept = {c.name for c in wanted.lock.components}
    staying = {cluster.name for cluster in wanted.wish.clusters}
    return [
        _removed(read, cluster, name)
        for cluster, versions in read.installed.items()
        for name in sorted(versions.keys() - (kept if cluster in staying else set()))
    ]


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


def _removed(read: Read, cluster: str, name: str) -> dict[str, Any]:
    version = read.installed[cluster][name]
    return {"cluster": cluster, "blueprint": name, "previous_version": version, "action": "ACTION_REMOVE"}


def _lines(cluster: str, lines: Sequence[CostLine]) -> list[costs.Line]:
    return [costs.Line(cluster, line.kind, line.address, line.size, line.price) for line in lines]


def _cost(read: Read, after: dict[str, Any]) -> dict[str, Any]:
    rows = [costs.Line(h.cluster, h.row.kind, h.row.name, h.row.kind, h.row.price) for h in read.held]
    before = costs.cost(rows, read.currency)
    return {"before": before, "after": after, "difference": costs.difference(before, after)}
