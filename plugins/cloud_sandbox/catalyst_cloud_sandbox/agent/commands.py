"""What the provisioner may ask of a simulated cluster, and what it answers."""

from dataclasses import replace

from catalyst.provisioner.v1 import resources_pb2

from . import reports, workloads
from .cluster import Cluster
from .identity import Tree

Command = resources_pb2.AgentCommand


def next_tree(tree: Tree, wished: Command.Tree) -> Tree:
    """The tree after a command; empty fields leave it as it is, but for the commit, where empty means the head."""
    given = {key: getattr(wished, key) for key in ("url", "branch", "path", "username", "password")}
    return replace(tree, commit=wished.commit, **{key: value for key, value in given.items() if value})


def obey(command: Command, cluster: Cluster) -> reports.Report | None:
    """Do what the cluster itself can do; trees are the caller's. None: there is nothing to answer."""
    match command.WhichOneof("command"):
        case None:
            return None
        case "reconcile":
            return _reconcile(command, cluster)
        case "drain":
            return _drain(command, cluster)
        case "probe":
            return cluster.probe(command.probe.component, command.probe.probe or "ready", command=command.id)
        case "reboot":
            return reports.result(command.id, message=cluster.reboot(command.reboot.node, command.reboot.boot_id))
        case "mint_token":
            return _access(command, cluster)
        case "tree":
            cluster.expect(command.tree.generation)
            return reports.result(command.id)
        case "workloads":
            asked = command.workloads
            cluster.host(command.id, workloads.wished(asked.workloads), asked.username, asked.password)
            return reports.result(command.id)
        case other:
            return _cannot(command, other)


def _reconcile(command: Command, cluster: Cluster) -> reports.Report:
    action = command.reconcile.action
    kinds = Command.Reconcile
    if action in (kinds.ACTION_RECONCILE, kinds.ACTION_RESET):
        cluster.poke(command.reconcile.components)
        if action == kinds.ACTION_RECONCILE:
            cluster.tell_everything()
    elif action in (kinds.ACTION_SUSPEND, kinds.ACTION_RESUME):
        cluster.suspend(action == kinds.ACTION_SUSPEND)
    return reports.result(command.id)


def _drain(command: Command, cluster: Cluster) -> reports.Report:
    # A simulated cluster makes nothing at its cloud, scales nothing, and its nodes are entries without pods.
    asked, kinds = command.drain, Command.Drain
    if asked.scope in (kinds.SCOPE_NODE, kinds.SCOPE_CORDON):
        cluster.close(asked.node, is_closed=True)
    elif asked.scope in (kinds.SCOPE_UNCORDON, kinds.SCOPE_FORGET):
        cluster.close(asked.node, is_closed=False)
    return reports.result(command.id, message="nothing to drain (simulated)")


def _access(command: Command, cluster: Cluster) -> reports.Report:
    asked = command.mint_token
    if asked.revoke:
        cluster.revoke(asked.grant)
        return reports.result(command.id)
    token, until = cluster.grant(asked.grant, asked.role, asked.ttl.ToTimedelta().total_seconds())
    return reports.access(command.id, token=token, until=until, ca=cluster.api_authority)


def _cannot(command: Command, what: str) -> reports.Report:
    return reports.result(command.id, code="not_supported", message=f"a simulated cluster has no {what}")
