"""The entry point."""

from catalyst_sdk import hookimpl
from catalyst_sdk.context import PluginContext

from .promoter import CnpgPromoter, configured


@hookimpl
def catalyst_plugin(context: PluginContext) -> CnpgPromoter:
    return CnpgPromoter(*configured(context.config))
