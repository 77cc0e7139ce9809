"""The door by which the host comes in."""

from catalyst_sdk import hookimpl
from catalyst_sdk.context import PluginContext

from .source import OciSource


@hookimpl
def catalyst_plugin(context: PluginContext) -> OciSource:
    """The source for this host."""
    return OciSource(context.secrets)
