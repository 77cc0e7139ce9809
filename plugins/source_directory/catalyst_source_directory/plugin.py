"""The door by which the host comes in."""

from catalyst_sdk import hookimpl
from catalyst_sdk.context import PluginContext

from .source import DirectorySource


@hookimpl
def catalyst_plugin(context: PluginContext) -> DirectorySource:
    """The source for this host; it needs nothing of it."""
    return DirectorySource()
