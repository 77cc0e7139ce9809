"""The hooks over which pluggy finds plugins and tells observers what happened.

pluggy is synchronous, so no work goes through a hook: `catalyst_plugin` hands over an object, and the host calls the
async methods of that object. A hook is called in a thread of its own, in which no event loop runs, and one that does not end
within some seconds fails.
"""

from typing import Any

import pluggy

PROJECT = "catalyst"
"""Name of the pluggy project; the entry-point group is `catalyst.plugins`."""

GROUP = "catalyst.plugins"
"""Entry-point group in which a distribution names its plugin module."""

hookspec = pluggy.HookspecMarker(PROJECT)
hookimpl = pluggy.HookimplMarker(PROJECT)


class Specs:
    """Every hook of Catalyst."""

    @hookspec
    def catalyst_plugin(self, context: Any) -> Any:
        """Answer the plugin's object, made for this host. Since 0.1.

        context   `catalyst_sdk.context.PluginContext`: clock, logger, secrets, the plugin's folder, its configuration
        returns   an object that follows the Protocol of the manifest's kind
        """

    @hookspec
    def catalyst_event(self, subject: str, body: Any) -> None:
        """Told of each event that this daemon emitted, after its commit; what it raises is logged and ignored. Since 0.1.

        subject   `catalyst.v1.<service>.<resource>.<past participle>`
        body      the protobuf message of the event
        """
