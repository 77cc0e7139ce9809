"""`catalyst plugins list`."""

from catalyst_cli.api import Api
from catalyst_cli.context import context
from catalyst_cli.output import Form, Output, show

COLUMNS = {
    "PLUGIN": "name",
    "DAEMON": "daemon",
    "STATE": "state",
    "VERSION": "version",
    "CAPABILITIES": "capabilities",
    "MESSAGE": "message",
}


def list_plugins(output: Output = Form.TABLE) -> None:
    """List the plugins of all daemons, those that failed to load with the reason.

    Examples:

        catalyst plugins list

        catalyst plugins list --output json
    """
    rows = Api(context()).get("/v1/plugins")["plugins"]
    show(output, {"plugins": rows}, COLUMNS, rows)
