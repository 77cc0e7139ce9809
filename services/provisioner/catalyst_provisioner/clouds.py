"""The loaded cloud plugins, by the provider's name."""

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import cast

from catalyst_mesh import PluginHost, PluginUnavailable
from catalyst_mesh.plugins import LoadedPlugin
from catalyst_sdk.cloud import Binary, Boots, CloudProvider
from catalyst_sdk.tofu import TofuCloud
from catalyst_sdk.tofu.folders import module_digest

from .answers import checked
from .domain.reference import Code
from .domain.wishes import Cloud

KIND = "cloud_provider"
SIMULATED_CREDENTIAL = "credentials/{provider}-simulated"


class CloudPlugins:
    """Cloud plugins of this daemon; a spec names them by `manifest.provider`."""

    def __init__(self, host: PluginHost) -> None:
        self._host = host
        self._by_provider: dict[str, CloudProvider] = {}
        for name in host.names(KIND):
            plugin = cast(CloudProvider, host.get(KIND, name))
            self._by_provider[plugin.manifest.provider] = plugin

    def get(self, provider: str) -> CloudProvider:
        """The plugin of a provider. Raises PluginUnavailable."""
        if provider in self._by_provider:
            return checked(self._by_provider[provider])
        failed = [p for p in self._host.plugins if p.kind == KIND and p.failure and p.name.endswith(provider)]
        why = failed[0].failure if failed else f"it is not installed (found: {', '.join(self._by_provider) or 'none'})"
        raise PluginUnavailable(plugin=f"{KIND}:{provider}", why=why)

    def loaded(self, provider: str) -> LoadedPlugin:
        """How the plugin of a provider was found. Raises PluginUnavailable."""
        name = self.get(provider).manifest.provider
        return next(p for p in self._host.plugins if p.kind == KIND and p.name == name)

    def made_by_tools(self) -> list[TofuCloud]:
        """Those whose resources a tool of its own makes."""
        return [cast(TofuCloud, one) for one in self._by_provider.values() if hasattr(one, "left_behind")]

    @property
    def clouds(self) -> Mapping[str, Cloud]:
        """What each plugin says of itself."""
        return {provider: _cloud(plugin) for provider, plugin in self._by_provider.items()}

    def versions(self, providers: Iterable[str]) -> Mapping[str, str]:
        """Version of the plugin of each provider; a plan is stale when one changed."""
        loaded = {p.name: p.version for p in self._host.plugins if p.kind == KIND and not p.failure}
        return {f"{KIND}:{name}": loaded[name] for name in sorted(set(providers)) if name in loaded}

    def module_digests(self, providers: Iterable[str]) -> Mapping[str, str]:
        """Digest of the infrastructure module by provider, read anew, of those that have one; a native plugin has none."""
        modules = {p: getattr(self._by_provider.get(p), "module", None) for p in sorted(set(providers))}
        return {p: f"sha256:{module_digest(module)}" for p, module in modules.items() if isinstance(module, Path)}

    def binaries(self, provider: str, version: str) -> Sequence[Binary] | None:
        """What servers fetch to run this version of k3s; None: this cloud's servers fetch nothing, they are simulated."""
        told = getattr(self.get(provider), "binaries", None)
        return None if told is None else cast(Boots, self.get(provider)).binaries(version=version)


def _cloud(plugin: CloudProvider) -> Cloud:
    m = plugin.manifest
    regions = {region.id: Code(region.code, region.letter) for region in m.regions}
    default = SIMULATED_CREDENTIAL.format(provider=m.provider) if m.simulated else ""
    return Cloud(m.provider, Code(m.code, m.letter), regions, m.simulated, default, m.capabilities)
