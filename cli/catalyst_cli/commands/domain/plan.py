"""`catalyst domain plan`."""

from typing import Annotated, Any

import typer

from catalyst_cli.api import Api, new_request_id
from catalyst_cli.commands.zone.names import Zone, path_of
from catalyst_cli.context import context
from catalyst_cli.failures import Failure
from catalyst_cli.output import Form, Output, err, show

COLUMNS = {"CHANGE": "sentence"}


def plan(
    domain: Zone,
    account: Annotated[str, typer.Option(help="Account at the registrar; without one a person changes it.")] = "",
    ns: Annotated[list[str], typer.Option(help="A name server; default: those of the zone's set.")] = [],  # noqa: B006 - typer reads the default and keeps it
    ds: Annotated[bool, typer.Option(help="Have the parent sign for the zone's key, once the move is stable.")] = True,
    output: Output = Form.TABLE,
) -> None:
    """Say what moving a domain to our servers means. Nothing is changed; flip by the plan's name and hash within the hour.

    Examples:

        catalyst domain plan acme.example --account registrarAccounts/acme-ovh

        catalyst domain plan acme.example --no-ds --output json
    """
    zone = path_of(domain)
    with Api(context()) as api:
        body: dict[str, Any] = {"target": _target(api, zone, ns, ds=ds)}
        if account:
            body["registrarAccount"] = account if "/" in account else f"registrarAccounts/{account}"
        made = api.post(f"/v1/{zone}/delegation:plan", body, once=new_request_id())
    show(output, made, COLUMNS, made.get("changes", []) if output is Form.TABLE else None)
    if output is Form.TABLE:
        _summary(made)


def _target(api: Api, zone: str, ns: list[str], *, ds: bool) -> dict[str, Any]:
    known = api.get(f"/v1/{zone}")
    servers = api.get(f"/v1/{known['nameServerSet']}") if known.get("nameServerSet") else {}
    target: dict[str, Any] = {"ns": ns or servers.get("published", []), "glue": _inside(servers, zone)}
    if not target["ns"]:
        raise Failure(f"{zone} has no name servers", next_step="name them: --ns HOST --ns HOST", exit_code=2)
    if ds and known.get("dnssec", {}).get("enabled"):
        target["ds"] = api.get(f"/v1/{zone}/dnssec").get("ds", [])
    return target


def _inside(servers: dict[str, Any], zone: str) -> list[dict[str, Any]]:
    ending = f".{zone.removeprefix('zones/')}"
    return [glue for glue in servers.get("glue", []) if glue["host"].endswith(ending)]


def _summary(made: dict[str, Any]) -> None:
    """Findings, and how the plan is carried out."""
    for finding in made.get("safety", ()):
        lifts = f"--force {finding['rule']}" if finding.get("forceable") else "not to be forced"
        refused = f"refused ({lifts})" if finding.get("refused") else "note"
        err.print(f"{finding['rule']}: {refused}: {finding['detail']}", markup=False)
    err.print(f"to move it: catalyst domain flip {made['name']} --hash {made['hash']}", markup=False)
