"""From shapes to steps: which function does which step of a stored graph."""

from collections.abc import Iterable, Mapping
from datetime import timedelta
from functools import partial
from typing import Any, Optional

from catalyst_mesh.journal import Backoff, Kind, Step
from catalyst_mesh.journal.graph import Action
from catalyst_mesh.journal.observers import OnTransition

from ..domain import graphs
from ..domain.graphs import Shape
from .delegating import Delegating
from .gating import Gating
from .handing import Handing
from .looking import Looking
from .making import Making
from .naming import Naming
from .removing import Removing
from .rolling import Rolling
from .tools import Tools
from .undoing import Undoing

Done = tuple[Action, Optional[Action], Optional[Action]]  # noqa: UP045 - Action is a forward reference
"""run, check, undo."""
HANDING = ("claims.observe", "claims.manage", "handoff")
"""Actions at the end of a creation that wishes a hand-off."""


DEATHS = 30
"""Replicas that may die in a row before a run is stuck. A cluster is one step whatever it has of resources, so what was made
under five of them is not seen as progress; and a run that stands still costs money."""


def kinds(tools: Tools, transition: OnTransition, backoff: Backoff | None = None) -> tuple[Kind, ...]:
    """The kinds of runs that the provisioner has."""
    making, naming, removing, gating = Making(tools), Naming(tools), Removing(tools), Gating()
    rolling = Rolling(tools)
    owning = Delegating(tools)
    undoing = Undoing(tools, making, naming, owning)
    rests = backoff or Backoff(first=timedelta(seconds=1))

    handing = Handing(tools, making)

    def provision(scope: Mapping[str, Any]) -> Iterable[Step]:
        return [
            _step(
                shape,
                _handed(shape, handing)
                if (shape.action or shape.id) in HANDING
                else _made(shape, making, rolling, naming, removing, gating, owning, undoing),
                rests,
            )
            for shape in graphs.provision(scope)
        ]

    def destroy(scope: Mapping[str, Any]) -> Iterable[Step]:
        return [
            _step(shape, _removed(shape, removing, naming, gating, owning), rests) for shape in graphs.destroy(scope)
        ]

    def hand_off(scope: Mapping[str, Any]) -> Iterable[Step]:
        return [_step(shape, _handed(shape, handing), rests) for shape in graphs.hand_off(scope)]

    looking = Looking(tools)

    def drift(_: Mapping[str, Any]) -> Iterable[Step]:
        return [Step("look", looking.drift, timeout=timedelta(minutes=10), backoff=rests)]

    def check(_: Mapping[str, Any]) -> Iterable[Step]:
        return [Step("check", looking.check, timeout=timedelta(minutes=5), backoff=rests)]

    return (
        Kind(graphs.PROVISION, provision, transition, takeovers=DEATHS),
        Kind(graphs.DESTROY, destroy, transition, takeovers=DEATHS),
        Kind(graphs.HAND_OFF, hand_off, transition, takeovers=DEATHS),
        Kind(graphs.DRIFT, drift),
        Kind(graphs.CHECK, check),
    )


def _made(
    shape: Shape,
    making: Making,
    rolling: Rolling,
    naming: Naming,
    removing: Removing,
    gating: Gating,
    owning: Delegating,
    undoing: Undoing,
) -> Done:
    """Steps without a check look first and are idempotent, so they may simply run again."""
    c = shape.cluster
    table: Mapping[str, Done] = {
        "validate": (making.validate, None, None),
        "approve": (partial(gating.approve, gate=shape.gate), None, None),
        "name.reserve": (naming.reserve, None, undoing.name),
        "zone.make": (owning.make, None, undoing.name),
        "delegation": (owning.delegation, None, None),
        "zone.write": (owning.write, None, undoing.lead),
        "git.render": (making.render, None, undoing.tree),
        "infra": (partial(making.infra, cluster=c), None, partial(undoing.infra, cluster=c)),
        "dns.commit": (naming.commit, None, undoing.lead),
        "enrol": (partial(making.enrol, cluster=c), None, None),
        "quorum": (partial(making.quorum, cluster=c), None, None),
        "workers": (partial(making.workers, cluster=c), None, None),
        "k3s": (partial(rolling.k3s, cluster=c), None, None),
        "tend": (partial(rolling.tend, cluster=c, step=shape.id), None, None),
        "leave": (partial(removing.leave, cluster=c), None, partial(undoing.left, cluster=c)),
        "kit": (partial(making.kit, cluster=c, component=shape.component), None, None),
        "probe": (making.probe, None, None),
    }
    return table[shape.action or shape.id]


def _removed(shape: Shape, removing: Removing, naming: Naming, gating: Gating, owning: Delegating) -> Done:
    c = shape.cluster
    table: Mapping[str, Done] = {
        "approve": (partial(gating.approve, gate=shape.gate), None, None),
        "quiesce": (removing.quiesce, None, None),
        "remove": (partial(removing.remove, cluster=c), partial(removing.is_removed, cluster=c), None),
        "sweep": (removing.sweep, None, None),
        "verify": (removing.verify, None, None),
        "git.remove": (removing.remove_tree, None, None),
        "name.release": (naming.release, None, None),
        "zone.drop": (owning.drop, None, None),
        "shred": (removing.shred, None, None),
    }
    return table[shape.action or shape.id]


def _handed(shape: Shape, handing: Handing) -> Done:
    table: Mapping[str, Action] = {
        "claims.observe": handing.observe,
        "claims.manage": handing.settle,
        "claims.remove": handing.settle,
        "handoff": partial(handing.give, cluster=shape.cluster),
        "handback": partial(handing.take_back, cluster=shape.cluster),
    }
    return (table[shape.action or shape.id], None, None)


def _step(shape: Shape, done: Done, backoff: Backoff) -> Step:
    run, check, undo = done
    return Step(
        shape.id,
        run,
        check,
        undo,
        needs=shape.needs,
        timeout=shape.timeout,
        retries=shape.retries,
        backoff=backoff,
        optional=shape.optional,
        skippable=shape.skippable,
        phase=shape.phase,
        cluster=shape.cluster,
        component=shape.component,
    )
