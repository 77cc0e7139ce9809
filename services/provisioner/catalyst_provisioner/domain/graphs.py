"""The graphs of runs: which steps a creation and a destruction have, and what each needs. Shapes only, no functions.

What a step does stands in `steps/`, under the same names; a plan shows these shapes before anything runs.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import timedelta
from typing import Any

PROVISION, DESTROY, HAND_OFF = "provision", "destroy", "hand_off"
DRIFT, CHECK = "drift", "credential_check"
"""Runs that only look, and are no runs of a Sovereign."""


@dataclass(frozen=True, slots=True)
class Shape:
    """One step as a plan shows it."""

    id: str
    phase: str
    needs: tuple[str, ...] = ()
    timeout: timedelta | None = timedelta(minutes=15)
    """Longest that one try may take; None: a person is waited for as long as it takes."""
    retries: int = 9
    undoable: bool = False
    optional: bool = False
    skippable: bool = False
    cluster: str = ""
    component: str = ""
    action: str = ""
    """Which function does it; the id where empty."""
    gate: str = ""
    """Kind of the gate that it waits at."""


Scope = Mapping[str, Any]
"""Input of a run, plain JSON: `{"clusters": [{"name", "components": [{"name", "needs", "optional"}]}], "removed": [name],
"gates": [gate], "domain": {"mode", "delegation_first"}, "handing": [name], "settled": bool, …}`; all but the clusters may be
absent. `handing` are clusters that Crossplane gets at the end. Settled is a Sovereign outside of which nothing differed, as far
as runs know, from what was applied before. `tended` is work on single nodes, as `tending.Deed` is plain."""


def provision(scope: Scope) -> tuple[Shape, ...]:
    """Steps of a creation or a change."""
    return tuple(_provision(scope))


def destroy(scope: Scope) -> tuple[Shape, ...]:
    """Steps of a destruction."""
    return tuple(_destroy(scope))


def hand_off(scope: Scope) -> tuple[Shape, ...]:
    """Steps that give resources to Crossplane, or take them back: nobody manages before the other only looks."""
    clusters = [cluster["name"] for cluster in scope["clusters"]]
    verb, last = ("handback", "claims.remove") if scope.get("roll_back") else ("handoff", "claims.manage")
    return tuple(_given(clusters, (), "claims.observe", verb, last))


def of(kind: str, scope: Scope) -> tuple[Shape, ...]:
    """Steps of a run of that kind."""
    return {PROVISION: provision, DESTROY: destroy, HAND_OFF: hand_off}[kind](scope)


def kind_of(intent: str) -> str:
    """Kind of the runs of a plan."""
    return {"INTENT_DESTROY": DESTROY, "INTENT_HAND_OFF": HAND_OFF}.get(intent, PROVISION)


def _provision(scope: Scope) -> Iterator[Shape]:
    names = [cluster["name"] for cluster in scope["clusters"]]
    domain = scope.get("domain") or {"mode": "pool"}
    own = domain["mode"] != "pool"
    yield Shape("validate", "prepare", timeout=timedelta(minutes=10))
    gates = tuple(_gates(scope, ("validate",)))
    yield from gates
    named = ("validate", *(gate.id for gate in gates))
    yield Shape("name.reserve", "name", named, timedelta(minutes=5), undoable=True, action="zone.make" if own else "")
    if own:
        yield Shape("delegation", "dns", ("name.reserve",), timeout=None)
    yield Shape("git.render", "git", ("name.reserve",), timedelta(minutes=5), undoable=True)
    first = ("name.reserve", "delegation") if own and domain.get("delegation_first") else ("name.reserve",)
    for name in names:
        infra = Shape(f"infra.{name}", "infrastructure", first, timedelta(minutes=60), undoable=True)
        yield _in(infra, name, "infra")
    yield Shape(
        "dns.commit", "dns", ("name.reserve", *(f"infra.{n}" for n in names)), timedelta(minutes=30), undoable=True,
        action="zone.write" if own else "",
    )  # fmt: skip
    last: list[str] = ["dns.commit", *(("delegation",) if own else ())]
    for cluster in scope["clusters"]:
        steps = [*_cluster(cluster), *_tended(cluster["name"], scope.get("tended", ()))]
        yield from steps
        last += [shape.id for shape in steps if not shape.optional and not shape.id.startswith(("enrol.", "quorum."))]
    for name in scope.get("removed", ()):
        # Names point elsewhere and trees are rendered without it before a cluster goes.
        leave = Shape(
            f"leave.{name}", "infrastructure", ("dns.commit", "git.render"), timedelta(minutes=60), undoable=True
        )
        yield _in(leave, name, "leave")
        last.append(f"leave.{name}")
    yield Shape("probe", "acceptance", tuple(last), timedelta(minutes=10))
    if handing := scope.get("handing"):
        yield from _given(handing, ("probe",), "claims.observe", "handoff", "claims.manage")


def _cluster(cluster: Mapping[str, Any]) -> Iterator[Shape]:
    name = cluster["name"]
    yield _in(Shape(f"enrol.{name}", "cluster", ("git.render", f"infra.{name}")), name, "enrol")
    yield _in(Shape(f"quorum.{name}", "cluster", (f"enrol.{name}",)), name, "quorum")
    yield _in(Shape(f"workers.{name}", "cluster", (f"quorum.{name}",), skippable=True), name, "workers")
    if cluster.get("k3s"):
        yield _in(Shape(f"k3s.{name}", "cluster", (f"quorum.{name}",), timedelta(hours=2)), name, "k3s")
    yield from _kit(name, cluster["components"])


def _tended(name: str, deeds: Sequence[Mapping[str, Any]]) -> Iterator[Shape]:
    """Work on single nodes, one after the other."""
    before = f"quorum.{name}"
    for deed in deeds:
        if deed["cluster"] == name:
            # A server that is made anew boots and joins in that time, one that restarts comes back.
            limit = timedelta(seconds=deed["grace"], minutes=30 if deed["verb"] == "replace" else 15)
            yield _in(Shape(f"node.{deed['verb']}.{deed['node']}", "cluster", (before,), limit), name, "tend")
            before = f"node.{deed['verb']}.{deed['node']}"


def _given(clusters: Sequence[str], needs: tuple[str, ...], first: str, verb: str, last: str) -> Iterator[Shape]:
    """Claims that only look, another manager for each cluster, claims as they are from then on."""
    yield Shape(first, "git", needs, timedelta(minutes=5))
    given = [_in(Shape(f"{verb}.{name}", "handoff", (first,), timedelta(minutes=30)), name, verb) for name in clusters]
    yield from given
    yield Shape(last, "git", tuple(shape.id for shape in given), timedelta(minutes=5))


def _gates(scope: Scope, needs: tuple[str, ...]) -> Iterator[Shape]:
    for gate in scope.get("gates", ()):
        yield Shape(gate["step"], "approval", needs, timeout=None, retries=0, action="approve", gate=gate["kind"])


def _kit(cluster: str, components: Sequence[Mapping[str, Any]]) -> Iterator[Shape]:
    known = {component["name"] for component in components}
    for component in components:
        name = component["name"]
        needs = tuple(f"kit.{cluster}.{need}" for need in component["needs"] if need in known)
        yield Shape(
            f"kit.{cluster}.{name}",
            "components",
            needs or (f"enrol.{cluster}",),
            timedelta(minutes=15),
            optional=component["optional"],
            skippable=component["optional"],
            cluster=cluster,
            component=name,
            action="kit",
        )


def _destroy(scope: Scope) -> Iterator[Shape]:
    clusters = [cluster["name"] for cluster in scope["clusters"]]
    own = (scope.get("domain") or {"mode": "pool"})["mode"] != "pool"
    gates = tuple(_gates(scope, ()))
    yield from gates
    agreed = tuple(gate.id for gate in gates)
    yield Shape("quiesce", "quiesce", agreed, timeout=timedelta(minutes=5), skippable=True)
    for name in clusters:
        yield _in(Shape(f"remove.{name}", "infrastructure", ("quiesce",), timedelta(minutes=60)), name, "remove")
    yield Shape("sweep", "sweep", ("quiesce", *(f"remove.{n}" for n in clusters)), timedelta(minutes=60))
    yield Shape("verify", "sweep", ("sweep",), timedelta(minutes=60))
    yield Shape("git.remove", "git", ("verify",), timedelta(minutes=5))
    release = "zone.drop" if own else ""
    yield Shape("name.release", "name", ("git.remove",), timedelta(minutes=30), action=release)
    yield Shape("shred", "shred", ("name.release",), timedelta(minutes=5))


def _in(shape: Shape, cluster: str, action: str) -> Shape:
    return replace(shape, cluster=cluster, action=action)
