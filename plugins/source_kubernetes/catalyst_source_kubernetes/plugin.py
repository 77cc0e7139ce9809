"""The door by which the host comes in."""

from catalyst_sdk import hookimpl
from catalyst_sdk.context import PluginContext

from .source import KubernetesSource


@hookimpl
def catalyst_plugin(context: PluginContext) -> KubernetesSource:
    """The source for this host."""
    return KubernetesSource(context.config)
