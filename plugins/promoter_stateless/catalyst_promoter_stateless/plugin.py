"""The entry point."""

from catalyst_sdk import hookimpl
from catalyst_sdk.context import PluginContext

from .promoter import StatelessPromoter, configured


@hookimpl
def catalyst_plugin(context: PluginContext) -> StatelessPromoter:
    return StatelessPromoter(configured(context.config), context.folder)
