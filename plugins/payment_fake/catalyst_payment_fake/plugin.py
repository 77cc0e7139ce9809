"""The door by which the host comes in."""

from catalyst_sdk import hookimpl
from catalyst_sdk.context import PluginContext

from .provider import FakeProvider


@hookimpl
def catalyst_plugin(context: PluginContext) -> FakeProvider:
    """The provider for this host."""
    return FakeProvider(context)
