"""Where the host finds the plugin."""

from pathlib import Path

from catalyst_sdk import hookimpl, load_manifest
from catalyst_sdk.cloud import cloud_manifest
from catalyst_sdk.context import PluginContext

from .provider import HetznerCloud


@hookimpl
def catalyst_plugin(context: PluginContext) -> HetznerCloud:
    """The cloud, with its tool."""
    manifest = load_manifest(Path(__file__).with_name("manifest.toml"))
    return HetznerCloud(cloud_manifest(manifest), context)
