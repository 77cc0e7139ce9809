"""Work on single nodes of a cluster that stays: closed to new pods, opened again, emptied, restarted, made anew. Pure.

Invariants
  no second way   it is a plan like any other, which a run carries out: agreed to by its hash, seen step by step, cancelled;
  observed        a node is closed when its cluster shows it, restarted when another boot of it is ready, and made anew when
                  another server of its name is;
  once            a plan names the boot or the server that is to end: where another one stands by now, nothing ends any more.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from catalyst_sdk import Violation
from catalyst_sdk.cloud import Finding, Severity

from .previews import TargetNotFound
from .rolling import PLANE, READY, Node
from .rules import SpecInvalid

KIND = "NODE"
CAPABILITY = "replace"
"""Of a cloud that makes a single server anew."""
CORDON, UNCORDON, DRAIN, REPLACE, REBOOT = "cordon", "uncordon", "drain", "replace", "reboot"
VERBS: Mapping[str, str] = {
    "CORDON": CORDON,
    "UNCORDON": UNCORDON,
    "DRAIN": DRAIN,
    "REPLACE": REPLACE,
    "REBOOT": REBOOT,
}  # fmt: skip - pairs
EMPTYING = (DRAIN, REPLACE, REBOOT)
"""Verbs before which pods move away."""
GRACE, LONGEST = 300, 3600
"""Seconds for which budgets of disruption are obeyed: where nothing is said, and at most."""
SAID = {
    CORDON: "no new pods come onto it",
    UNCORDON: "pods may come onto it again",
    DRAIN: "its pods move away, for {grace} s as their budgets allow; then they are deleted",
    REBOOT: "it restarts, after its pods had {grace} s to move away where another node takes them",
    REPLACE: "its pods had {grace} s to move away, the cluster forgets it, and another server of its name joins",
}
PATHS = {REBOOT: ["boot_id"], REPLACE: ["server_id"]}


@dataclass(frozen=True, slots=True)
class Deed:
    """What is done to one node."""

    cluster: str
    node: str
    verb: str
    grace: int = GRACE
    """Seconds; of a verb that moves pods away."""
    before: str = ""
    """What ends: of a restart the boot, of a replacement who the node is; see `who`."""
    server: str = ""
    """Name of the server that is made anew."""
    server_id: str = ""
    """Its id at the cloud."""

    @property
    def step(self) -> str:
        """Id of the step that does it."""
        return f"node.{self.verb}.{self.node}"

    def plain(self) -> dict[str, Any]:
        """As a plan keeps it."""
        more = {"before": self.before, "server": self.server, "server_id": self.server_id}
        base = {"cluster": self.cluster, "node": self.node, "verb": self.verb, "grace": self.grace}
        return base | {key: value for key, value in more.items() if value}

    def is_done(self, nodes: Sequence[Node]) -> bool:
        """Whether the cluster shows it. Of a drain this is the closing alone: the pods its command tells of."""
        node = of(nodes, self.node)
        if node is None:
            return False
        if self.verb == REBOOT:
            return boot(node) not in ("", self.before) and node.get("status") == READY
        if self.verb == REPLACE:
            return who(node) != self.before and node.get("status") == READY
        return bool(node.get("cordoned")) is (self.verb != UNCORDON)


def of(nodes: Sequence[Node], id: str) -> Node | None:
    """The node of that name."""
    return next((one for one in nodes if one["id"] == id), None)


def boot(node: Node) -> str:
    """What its kernel calls this boot; empty where its agent does not tell."""
    return str(node.get("boot_id") or "")


def who(node: Node) -> str:
    """What tells it from another node of its name: its server, or when it joined where its cloud's name for that is not known."""
    return str(node.get("server_id") or node.get("create_time") or "")


def asked(
    verb: str, target: str, spec: Mapping[str, Any], known: Mapping[str, Sequence[Node]],
    servers: Mapping[str, Sequence[Mapping[str, Any]]],
) -> Deed:  # fmt: skip
    """The deed of a verb on `cluster/node`. Raises TargetNotFound, SpecInvalid.

    spec      fields of the verb: `grace_period`, seconds from 0 to 3600, of one that moves pods away
    known     nodes that each cluster shows
    servers   name and id of those that were made for it
    """
    cluster, _, name = target.partition("/")
    node = of(known.get(cluster, ()), name)
    if node is None:
        raise TargetNotFound(kind="node", target=target or "(nothing named)")
    word = VERBS[verb]
    grace = _grace(word, spec)
    if word == REBOOT:
        return Deed(cluster, name, word, grace, boot(node))
    if word == REPLACE:
        ids = {name, node.get("server_id")}
        made = next((one for one in servers.get(cluster, ()) if {one["name"], one["id"]} & ids), {})
        return Deed(cluster, name, word, grace, who(node), str(made.get("name", "")), str(made.get("id", "")))
    return Deed(cluster, name, word, grace)


def _grace(verb: str, spec: Mapping[str, Any]) -> int:
    fields = dict(spec)
    grace = fields.pop("grace_period", GRACE) if verb in EMPTYING else GRACE
    wrong = [Violation(f"spec.{name}", "is no field of this verb", "unknown") for name in sorted(fields)]
    if (
        isinstance(grace, bool)
        or not isinstance(grace, (int, float))
        or grace != int(grace)
        or not 0 <= grace <= LONGEST
    ):
        wrong.append(Violation("spec.grace_period", f"must be whole seconds from 0 to {LONGEST}", "range"))
    if wrong:
        raise SpecInvalid(wrong)
    return int(grace)


def change(deed: Mapping[str, Any]) -> dict[str, Any]:
    """As a plan shows it."""
    text = SAID[deed["verb"]].format(grace=deed["grace"])
    return {
        "cluster": deed["cluster"], "kind": "node", "name": deed["node"], "address": f"node.{deed['node']}",
        "action": "ACTION_UPDATE", "manager": "native", "reason": text,
        "changed_paths": PATHS.get(deed["verb"], ["cordoned"]),
    }  # fmt: skip


def findings(deed: Deed, nodes: Sequence[Node], *, can_replace: bool) -> list[Finding]:
    """What a person should know before, and what stands against it.

    can_replace   whether the cloud makes a single server anew
    """
    found = []
    if deed.verb == REBOOT and not deed.before:
        text = f"the agent of {deed.node} does not tell its boot: nobody would see that it restarted"
        found.append(Finding("node.boot_unknown", Severity.ERROR, "target", text, "bring its agent up to date"))
    if deed.verb == REPLACE and not can_replace:
        text = "this cloud makes no single server anew"
        remedy = "resize its pool, or delete and create it"
        found.append(Finding("plugin.capability_missing", Severity.ERROR, "target", text, remedy))
    elif deed.verb == REPLACE and not deed.server_id:
        text = f"{deed.node} is no server that was made for {deed.cluster}"
        found.append(Finding("node.unmanaged", Severity.ERROR, "target", text, "make it anew where it was made"))
    others = [one for one in nodes if one["id"] != deed.node and not one.get("cordoned")]
    if deed.verb != UNCORDON and not others:
        text = f"no other node of {deed.cluster} takes pods: what runs on {deed.node} has nowhere to go"
        found.append(Finding("node.last", Severity.WARNING, "target", text, "open or add a node first"))
    return found


def plane_of(deed: Mapping[str, Any], nodes: Sequence[Node]) -> int:
    """Of how many servers of a control plane the node is one; 0 of a worker."""
    node = of(nodes, deed["node"])
    is_plane = node is not None and node.get("role") == PLANE
    return sum(one.get("role") == PLANE for one in nodes) if is_plane else 0
