"""Work on single nodes of a cluster that stays: closed to new pods, opened again, emptied. Pure.

Invariants
  no second way   it is a plan like any other, which a run carries out: agreed to by its hash, seen step by step, cancelled;
  observed        a node is closed when its cluster shows it, not when somebody was told to close it.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from catalyst_sdk import Violation
from catalyst_sdk.cloud import Finding, Severity

from .previews import TargetNotFound
from .rolling import Node
from .rules import SpecInvalid

KIND = "NODE"
CORDON, UNCORDON, DRAIN = "cordon", "uncordon", "drain"
VERBS: Mapping[str, str] = {"CORDON": CORDON, "UNCORDON": UNCORDON, "DRAIN": DRAIN}
GRACE, LONGEST = 300, 3600
"""Seconds for which budgets of disruption are obeyed: where nothing is said, and at most."""
SAID = {
    CORDON: "no new pods come onto it",
    UNCORDON: "pods may come onto it again",
    DRAIN: "its pods move away, for {grace} s as their budgets allow; then they are deleted",
}


@dataclass(frozen=True, slots=True)
class Deed:
    """What is done to one node."""

    cluster: str
    node: str
    verb: str
    grace: int = GRACE
    """Seconds; of a drain."""

    @property
    def step(self) -> str:
        """Id of the step that does it."""
        return f"node.{self.verb}.{self.node}"

    def plain(self) -> dict[str, Any]:
        """As a plan keeps it."""
        return {"cluster": self.cluster, "node": self.node, "verb": self.verb, "grace": self.grace}

    def is_done(self, nodes: Sequence[Node]) -> bool:
        """Whether the cluster shows it. Of a drain this is the closing alone: the pods its command tells of."""
        node = next((one for one in nodes if one["id"] == self.node), None)
        return node is not None and bool(node.get("cordoned")) is (self.verb != UNCORDON)


def asked(verb: str, target: str, spec: Mapping[str, Any], known: Mapping[str, Sequence[Node]]) -> Deed:
    """The deed of a verb on `cluster/node`. Raises TargetNotFound, SpecInvalid.

    spec    fields of the verb: `grace`, seconds from 0 to 3600, of a drain
    known   nodes that each cluster shows
    """
    cluster, _, node = target.partition("/")
    if node not in {one["id"] for one in known.get(cluster, ())}:
        raise TargetNotFound(kind="node", target=target or "(nothing named)")
    fields = dict(spec)
    grace = fields.pop("grace", GRACE) if verb == "DRAIN" else GRACE
    wrong = [Violation(f"spec.{name}", "is no field of this verb", "unknown") for name in sorted(fields)]
    if (
        isinstance(grace, bool)
        or not isinstance(grace, (int, float))
        or grace != int(grace)
        or not 0 <= grace <= LONGEST
    ):
        wrong.append(Violation("spec.grace", f"must be whole seconds from 0 to {LONGEST}", "range"))
    if wrong:
        raise SpecInvalid(wrong)
    return Deed(cluster, node, VERBS[verb], int(grace))


def change(deed: Mapping[str, Any]) -> dict[str, Any]:
    """As a plan shows it."""
    text = SAID[deed["verb"]].format(grace=deed["grace"])
    return {
        "cluster": deed["cluster"], "kind": "node", "name": deed["node"], "address": f"node.{deed['node']}",
        "action": "ACTION_UPDATE", "manager": "native", "reason": text, "changed_paths": ["cordoned"],
    }  # fmt: skip


def findings(deed: Deed, nodes: Sequence[Node]) -> list[Finding]:
    """What a person should know before."""
    others = [one for one in nodes if one["id"] != deed.node and not one.get("cordoned")]
    if deed.verb == UNCORDON or others:
        return []
    text = f"no other node of {deed.cluster} takes pods: what runs on {deed.node} has nowhere to go"
    return [Finding("node.last", Severity.WARNING, "target", text, "open or add a node first")]
