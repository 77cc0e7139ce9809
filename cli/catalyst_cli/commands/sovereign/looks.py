"""`catalyst sovereign topology` and `catalyst sovereign drift`."""

from typing import Annotated

import typer

from catalyst_cli.api import Api, new_request_id
from catalyst_cli.commands.sovereign.files import resource
from catalyst_cli.commands.sovereign.get import Name
from catalyst_cli.commands.zone.operations import finish
from catalyst_cli.context import context
from catalyst_cli.output import Form, Output, err, show, word

NODES = {
    "CLUSTER": "cluster",
    "NODE": "id",
    "ROLE": "role",
    "POOL": "pool",
    "SIZE": "size",
    "ADDRESS": "ip",
    "STATUS": "status",
}  # fmt: skip - a table
DRIFTS = {
    "KIND": "kind",
    "CLUSTER": "cluster",
    "SEEN IN": "source",
    "RESOURCE": "resourceKind",
    "ADDRESS": "address",
    "WHAT": "message",
}  # fmt: skip - a table


def topology(name: Name, output: Output = Form.TABLE) -> None:
    """Show the clusters and nodes of a Sovereign as they were observed, never as they were wished.

    Examples:

        catalyst sovereign topology omantel

        catalyst sovereign topology omantel --output json
    """
    seen = Api(context()).get(f"/v1/{resource(name)}/topology")
    clusters = [cluster for region in seen.get("regions", ()) for cluster in region.get("clusters", ())]
    rows = [{**node, "cluster": cluster["id"]} for cluster in clusters for node in cluster.get("nodes", ())]
    show(output, seen, NODES, [{**row, "status": word(row.get("status"))} for row in rows])


def drift(
    name: Name,
    detect: Annotated[bool, typer.Option(help="Look now; otherwise the newest report is shown.")] = True,
    output: Output = Form.TABLE,
) -> None:
    """Say where the world differs from what was applied. Nothing is changed; exit code 1 where something differs.

    Examples:

        catalyst sovereign drift omantel

        catalyst sovereign drift omantel --no-detect --output json
    """
    api, full = Api(context()), resource(name)
    if detect:
        finish(api, api.post(f"/v1/{full}:detectDrift", once=new_request_id()), wait=True)
    report = api.get(f"/v1/{full}/drift")
    rows = report.get("drifts", [])
    show(output, report, DRIFTS, [{**row, "kind": word(row["kind"]).removeprefix("KIND_").lower()} for row in rows])
    for silent in report.get("unreachable", ()):
        err.print(f"could not be asked: {silent}", markup=False)
    if rows:
        raise typer.Exit(1)
