"""What every daemon tells about itself: `catalyst.mesh.v1.PluginService`."""

from catalyst.mesh.v1 import resources_pb2, service_pb2, service_pb2_grpc

from .paging import Page
from .plugins import LoadedPlugin, PluginHost
from .protos import Context


class PluginService(service_pb2_grpc.PluginServiceServicer):
    """Lists the plugins of this daemon."""

    def __init__(self, daemon: str, host: PluginHost) -> None:
        self._daemon = daemon
        self._host = host

    async def ListPlugins(
        self, request: service_pb2.ListPluginsRequest, context: Context
    ) -> service_pb2.ListPluginsResponse:
        page = Page.of(request.page_size, request.page_token, "plugins")
        rows = [p for p in self._host.plugins if page.after is None or p.label > page.after][: page.size + 1]
        cut = page.cut(rows, lambda p: p.label)
        plugins = [to_plugin(p, self._daemon) for p in cut.rows]
        return service_pb2.ListPluginsResponse(plugins=plugins, next_page_token=cut.next_page_token)


def to_plugin(p: LoadedPlugin, daemon: str) -> resources_pb2.Plugin:
    """A plugin as the contract shows it."""
    return resources_pb2.Plugin(
        name=f"plugins/{p.label}",
        kind=p.kind,
        version=p.version,
        sdk=p.manifest.sdk if p.manifest else "",
        capabilities=p.manifest.capabilities if p.manifest else (),
        state=_state(p),
        message=p.failure,
        daemon=daemon,
    )


def _state(p: LoadedPlugin) -> "resources_pb2.Plugin.State.ValueType":
    if p.is_off:
        return resources_pb2.Plugin.STATE_DISABLED
    return resources_pb2.Plugin.STATE_FAILED if p.failure else resources_pb2.Plugin.STATE_ACTIVE
