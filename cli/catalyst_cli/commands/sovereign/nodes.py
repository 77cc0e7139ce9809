"""`catalyst sovereign node …`: look at nodes; close, open, empty, restart them, and have one made anew.

Each of these is a plan that a run carries out: shown, agreed to, followed, and cancelled as any other.
"""

from typing import Annotated, Any

import typer

from catalyst_cli.api import Api, new_request_id
from catalyst_cli.commands.sovereign import plans, runs
from catalyst_cli.commands.sovereign.files import resource
from catalyst_cli.commands.sovereign.get import Name
from catalyst_cli.confirm import confirm
from catalyst_cli.context import context
from catalyst_cli.failures import Failure
from catalyst_cli.output import Form, Output, err, show, word

NODES = {
    "CLUSTER": "cluster",
    "NODE": "id",
    "ROLE": "role",
    "POOL": "pool",
    "SERVER": "serverId",
    "VERSION": "version",
    "STATUS": "status",
    "PODS": "pods",
}  # fmt: skip - a table
PLANS = {"NAME": "name", "STATE": "state", "APPLICABLE": "applicable", "HASH": "hash", "EXPIRES": "expireTime"}
Node = Annotated[str, typer.Argument(help="The node, `<node>` or `<cluster>/<node>`.")]
Grace = Annotated[
    int, typer.Option("--grace-period", min=0, max=3600, help="Seconds for which budgets of disruption are obeyed.")
]
DryRun = Annotated[bool, typer.Option("--dry-run", help="Show the plan, store and change nothing.")]
Wait = Annotated[bool, typer.Option(help="Follow the run to its end.")]
Yes = Annotated[bool, typer.Option("--yes", "-y", help="Do not ask.")]


def list_nodes(name: Name, output: Output = Form.TABLE) -> None:
    """List the nodes of a Sovereign as their clusters show them.

    Examples:

        catalyst sovereign node list omantel

        catalyst sovereign node list omantel --output json
    """
    rows = _nodes(Api(context()), resource(name))
    show(output, {"nodes": rows}, NODES, [_row(node) for node in rows])


def cordon(
    name: Name, node: Node, dry_run: DryRun = False, wait: Wait = True, yes: Yes = False, output: Output = Form.TABLE
) -> None:
    """Keep new pods off a node; those that run there stay.

    Examples:

        catalyst sovereign node cordon omantel sb-east-mgt-dev-general-1-3b7ba2
    """
    _change("CORDON", name, node, {}, dry_run=dry_run, wait=wait, yes=yes, output=output)


def uncordon(
    name: Name, node: Node, dry_run: DryRun = False, wait: Wait = True, yes: Yes = False, output: Output = Form.TABLE
) -> None:
    """Let pods onto a node again.

    Examples:

        catalyst sovereign node uncordon omantel sb-east-mgt-dev-general-1-3b7ba2
    """
    _change("UNCORDON", name, node, {}, dry_run=dry_run, wait=wait, yes=yes, output=output)


def drain(
    name: Name, node: Node, grace_period: Grace = 300, dry_run: DryRun = False, wait: Wait = True, yes: Yes = False,
    output: Output = Form.TABLE,
) -> None:  # fmt: skip
    """Move pods off a node, and keep new ones off it.

    Examples:

        catalyst sovereign node drain omantel sb-east-mgt-dev-general-1-3b7ba2 --grace-period 60

        catalyst sovereign node drain omantel sb-east-mgt-dev-general-1-3b7ba2 --dry-run
    """
    fields = {"grace_period": grace_period}
    _change("DRAIN", name, node, fields, dry_run=dry_run, wait=wait, yes=yes, output=output)


def reboot(
    name: Name, node: Node, grace_period: Grace = 300, dry_run: DryRun = False, wait: Wait = True, yes: Yes = False,
    output: Output = Form.TABLE,
) -> None:  # fmt: skip
    """Restart a node. Its pods move away first where another node takes them, and it takes pods again afterwards.

    Examples:

        catalyst sovereign node reboot omantel sb-east-mgt-dev-general-1-3b7ba2

        catalyst sovereign node reboot omantel sb-east-mgt-dev-general-1-3b7ba2 --yes --no-wait --output json
    """
    fields = {"grace_period": grace_period}
    _change("REBOOT", name, node, fields, dry_run=dry_run, wait=wait, yes=yes, output=output)


def replace(
    name: Name, node: Node, grace_period: Grace = 300, dry_run: DryRun = False, wait: Wait = True, yes: Yes = False,
    output: Output = Form.TABLE,
) -> None:  # fmt: skip
    """Have the server of a node deleted and made anew under its name. What only lay on its disk is lost.

    Examples:

        catalyst sovereign node replace omantel sb-east-mgt-dev-general-1-3b7ba2 --dry-run

        catalyst sovereign node replace omantel sb-east-mgt-dev-general-1-3b7ba2 --yes
    """
    fields = {"grace_period": grace_period}
    _change("REPLACE", name, node, fields, dry_run=dry_run, wait=wait, yes=yes, output=output)


def _change(
    verb: str, name: str, node: str, fields: dict[str, Any], *, dry_run: bool, wait: bool, yes: bool, output: Form
) -> None:
    """Plan it, show the plan, ask, apply it and follow the run."""
    api, full = Api(context()), resource(name)
    body = {"verb": f"VERB_{verb}", "kind": "KIND_NODE", "target": _target(api, full, node), "spec": fields}
    plan = api.post(f"/v1/{full}/plans:preview", {**body, "validateOnly": dry_run}, once=new_request_id())
    if not dry_run or output is Form.TABLE:
        plans.summary(plan)
    if dry_run:
        if output is not Form.TABLE:
            show(output, plan, PLANS)
        plans.require_applicable(plan)
        return
    plans.require_applicable(plan)
    if not plan.get("empty"):
        confirm(f"{verb.capitalize()} {node}?", yes=yes)
        runs.finish(api, runs.apply(api, plan), wait=wait)
    else:
        err.print("it is so already; nothing was done", markup=False)
    rows = [one for one in _nodes(api, full) if f"{one['cluster']}/{one['id']}" == body["target"]]
    show(output, {"nodes": rows}, NODES, [_row(one) for one in rows])


def _target(api: Api, full: str, node: str) -> str:
    """`<cluster>/<node>` of a node, which its name alone says where no two clusters have one of it. Raises Failure."""
    if "/" in node:
        return node
    found = [f"{one['cluster']}/{one['id']}" for one in _nodes(api, full) if one["id"] == node]
    if not found:
        raise Failure(f"{full} shows no node {node}", next_step=f"catalyst sovereign node list {full}", exit_code=3)
    if len(found) > 1:
        raise Failure(f"several clusters have a node {node}", details=tuple(found), exit_code=2)
    return found[0]


def _nodes(api: Api, full: str) -> list[dict[str, Any]]:
    seen = api.get(f"/v1/{full}/topology")
    clusters = [cluster for region in seen.get("regions", ()) for cluster in region.get("clusters", ())]
    return [{**node, "cluster": cluster["id"]} for cluster in clusters for node in cluster.get("nodes", ())]


def _row(node: dict[str, Any]) -> dict[str, Any]:
    return {**node, "status": word(node.get("status")), "pods": "kept off" if node.get("cordoned") else "taken"}
