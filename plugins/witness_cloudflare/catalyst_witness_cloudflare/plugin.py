"""The entry point."""

from catalyst_sdk import hookimpl
from catalyst_sdk.context import PluginContext

from .cells import HttpCells, configured


@hookimpl
def catalyst_plugin(context: PluginContext) -> HttpCells:
    return HttpCells(configured(context.config), context.secrets)
