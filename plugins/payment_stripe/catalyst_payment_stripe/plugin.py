"""The door by which the host comes in."""

from catalyst_sdk import hookimpl
from catalyst_sdk.context import PluginContext

from .provider import StripeProvider


@hookimpl
def catalyst_plugin(context: PluginContext) -> StripeProvider:
    """The provider for this host."""
    return StripeProvider(context)
