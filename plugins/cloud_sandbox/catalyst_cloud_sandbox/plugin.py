"""Where the host finds the plugin."""

from pathlib import Path

from catalyst_sdk import hookimpl, load_manifest
from catalyst_sdk.cloud import cloud_manifest
from catalyst_sdk.context import PluginContext

from .provider import SandboxCloud


@hookimpl
def catalyst_plugin(context: PluginContext) -> SandboxCloud:
    """The simulated cloud, its store in the plugin's own folder."""
    manifest = load_manifest(Path(__file__).with_name("manifest.toml"))
    return SandboxCloud(cloud_manifest(manifest), context)
