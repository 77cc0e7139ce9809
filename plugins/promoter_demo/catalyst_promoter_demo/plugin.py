"""The entry point."""

from catalyst_sdk import hookimpl
from catalyst_sdk.context import PluginContext

from .promoter import DemoPromoter, configured


@hookimpl
def catalyst_plugin(context: PluginContext) -> DemoPromoter:
    return DemoPromoter(configured(context.config))
