"""`catalyst access`: a kubeconfig for a while, who has one, and its end before its time."""

import os
import sys
from pathlib import Path
from typing import Annotated, Any

import typer

from catalyst_cli.api import Api, new_request_id
from catalyst_cli.confirm import confirm
from catalyst_cli.context import context
from catalyst_cli.output import Form, Output, err, show, word

COLUMNS = {
    "NAME": "name",
    "CLUSTER": "cluster",
    "ROLE": "role",
    "WHO": "grantee",
    "WHY": "reason",
    "STATE": "stands",
    "ENDS": "expireTime",
}  # fmt: skip - a table
Sovereign = Annotated[str, typer.Argument(help="Sovereign; sovereigns/ may be left out.")]


def kubeconfig(
    sovereign: Sovereign,
    reason: Annotated[str, typer.Option(help="Why; it is kept with the grant.")],
    cluster: Annotated[str, typer.Option(help="Cluster; needed where there are several.")] = "",
    role: Annotated[str, typer.Option(help="view, edit, admin or cluster-admin.")] = "view",
    minutes: Annotated[int, typer.Option(help="How long it works, 10 to 480.")] = 60,
    file: Annotated[
        Path | None, typer.Option(help="File to write, for nobody else to read; else it is printed.")
    ] = None,
) -> None:
    """Get a kubeconfig that works for a while. It is answered once, and can be revoked.

    Examples:

        catalyst access kubeconfig omantel --reason "look at a pod" --file omantel.kubeconfig

        catalyst access kubeconfig bankdhofar --cluster hz-fsn-mgt-prod --role edit --minutes 15 --reason "mend it"
    """
    body = {"cluster": cluster, "role": role, "reason": reason, "ttl": f"{minutes * 60}s"}
    with Api(context()) as api:
        answer = api.post(f"/v1/{_full(sovereign)}:issueKubeconfig", body, once=new_request_id())
    if file is None:
        sys.stdout.write(answer["kubeconfig"])
    else:
        with os.fdopen(os.open(file, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w") as written:
            written.write(answer["kubeconfig"])
    grant = answer["grant"]
    err.print(f"{grant['name']} works until {grant['expireTime']}", markup=False)


def list_grants(sovereign: Sovereign, output: Output = Form.TABLE) -> None:
    """List who got access, also what is over.

    Examples:

        catalyst access list omantel
    """
    with Api(context()) as api:
        rows = api.pages(f"/v1/{_full(sovereign)}/grants", "grants")
    show(output, {"grants": rows}, COLUMNS, [_row(row) for row in rows])


def revoke(
    grant: Annotated[str, typer.Argument(help="Grant, sovereigns/…/grants/….")],
    reason: Annotated[str, typer.Option(help="Why.")] = "",
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask.")] = False,
    output: Output = Form.TABLE,
) -> None:
    """End access before its time; it stands as REVOKING until the cluster has confirmed.

    Examples:

        catalyst access revoke sovereigns/omantel/grants/grant-019a2b3c4d5e6f708192 --yes
    """
    confirm(f"End {grant}?", yes=yes)
    with Api(context()) as api:
        answer = api.post(f"/v1/{grant}:revoke", {"reason": reason}, once=new_request_id())
    show(output, answer, COLUMNS, [_row(answer)])


def _full(name: str) -> str:
    return f"sovereigns/{name.removeprefix('sovereigns/')}"


def _row(grant: dict[str, Any]) -> dict[str, Any]:
    return {**grant, "stands": word(grant.get("state"))}
