"""`catalyst domain watch`."""

from catalyst_cli.api import Api
from catalyst_cli.commands.domain.following import COLUMNS, follow
from catalyst_cli.commands.zone.names import Zone, path_of
from catalyst_cli.context import context
from catalyst_cli.output import Form, Output, show


def watch(domain: Zone, output: Output = Form.TABLE) -> None:
    """Follow a domain's move until nothing moves it any more; Ctrl-C only stops following.

    Examples:

        catalyst domain watch acme.example

        catalyst domain watch acme.example --output json
    """
    with Api(context()) as api:
        show(output, follow(api, path_of(domain)), COLUMNS)
