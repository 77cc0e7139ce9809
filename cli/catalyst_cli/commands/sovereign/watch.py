"""`catalyst sovereign watch`."""

from catalyst_cli.api import Api
from catalyst_cli.commands.sovereign import runs
from catalyst_cli.commands.sovereign.files import resource
from catalyst_cli.commands.sovereign.get import Name
from catalyst_cli.commands.sovereign.showing import show_sovereign
from catalyst_cli.context import context
from catalyst_cli.output import Form, Output, err


def watch(name: Name, output: Output = Form.TABLE) -> None:
    """Follow the run of a Sovereign that is under way. Ctrl-C detaches; the run goes on.

    Examples:

        catalyst sovereign watch omantel
    """
    api = Api(context())
    run = runs.going(api, resource(name))
    if run is None:
        err.print(f"no run of {resource(name)} is under way", markup=False)
    else:
        runs.finish(api, run, wait=True)
    show_sovereign(output, api.get(f"/v1/{resource(name)}"))
