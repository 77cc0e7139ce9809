"""`catalyst name check`."""

from catalyst_cli.api import Api
from catalyst_cli.commands.name.fqdn import Fqdn, split
from catalyst_cli.context import context
from catalyst_cli.output import Form, Output, show


def check(fqdn: Fqdn, output: Output = Form.TABLE) -> None:
    """Say whether a name can be had, and why not.

    Examples:

        catalyst name check acme.omani.works
    """
    pool, label = split(fqdn)
    answer = Api(context()).get(f"/v1/{pool}:checkName", label=label)
    # Of a name that cannot be, the answer has none.
    row = {**answer, "fqdn": answer.get("fqdn") or f"{label}.{pool.removeprefix('pools/')}"}
    show(output, answer, {"FQDN": "fqdn", "AVAILABLE": "available", "REASON": "reason", "DETAIL": "detail"}, [row])
