"""The door by which the host comes in."""

from catalyst_sdk import hookimpl
from catalyst_sdk.context import PluginContext

from .source import GitSource


@hookimpl
def catalyst_plugin(context: PluginContext) -> GitSource:
    """The source for this host; its copies of repositories lie in the plugin's folder."""
    return GitSource(context.folder, context.secrets)
