"""The entry point."""

from catalyst_sdk import hookimpl
from catalyst_sdk.context import PluginContext

from .fencer import MeshFencer
from .services import configured


@hookimpl
def catalyst_plugin(context: PluginContext) -> MeshFencer:
    """Over the Services that the configuration names."""
    return MeshFencer(configured(context.config))
