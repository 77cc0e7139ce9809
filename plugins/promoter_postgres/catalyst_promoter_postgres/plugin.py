"""The entry point."""

from catalyst_sdk import hookimpl
from catalyst_sdk.context import PluginContext

from .place import configured
from .promoter import PostgresPromoter


@hookimpl
def catalyst_plugin(context: PluginContext) -> PostgresPromoter:
    return PostgresPromoter(configured(context.config))
