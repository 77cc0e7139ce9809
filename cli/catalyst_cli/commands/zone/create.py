"""`catalyst zone create`."""

from typing import Annotated

import typer

from catalyst_cli.api import Api, new_request_id
from catalyst_cli.commands.zone.list_zones import COLUMNS
from catalyst_cli.commands.zone.names import Zone, path_of
from catalyst_cli.context import context
from catalyst_cli.output import Form, Output, show


def create(
    zone: Zone,
    owner: Annotated[str, typer.Option(help="Organization that owns it, organizations/<slug>.")],
    backend: Annotated[str, typer.Option(help="Where it is written, backends/<id>.")],
    servers: Annotated[str, typer.Option(help="Its name servers, nameServerSets/<id>.")],
    kind: Annotated[str, typer.Option(help="BYO, or POOL for a zone that is to hold a pool's names.")] = "BYO",
    repair: Annotated[bool, typer.Option(help="Put differences right by itself instead of telling them.")] = False,
    output: Output = Form.TABLE,
) -> None:
    """Wish a zone. It is made at its backend, signed, and looked at on every server.

    Examples:

        catalyst zone create acme.example --owner organizations/acme \\
            --backend backends/embedded --servers nameServerSets/main
    """
    wish = {
        "kind": f"KIND_{kind.upper()}", "owner": owner, "backend": backend, "nameServerSet": servers,
        "driftPolicy": f"DRIFT_POLICY_{'REPAIR' if repair else 'REPORT'}",
    }  # fmt: skip
    # The resource is the body; the rest of the request goes beside it.
    domain = path_of(zone).partition("/")[2]
    answer = Api(context()).post_resource("/v1/zones", wish, zoneId=domain, requestId=new_request_id())
    show(output, answer, COLUMNS)
