"""The entry point."""

from catalyst_sdk import hookimpl
from catalyst_sdk.context import PluginContext

from .cells import DnsCells
from .configured import configured


@hookimpl
def catalyst_plugin(context: PluginContext) -> DnsCells:
    return DnsCells(configured(context.config))
