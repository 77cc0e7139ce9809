"""The plugin host: finds plugins, checks their manifests and configuration, contains what goes wrong in them."""

from .context import NoSecrets, SecretFiles, plugin_context
from .guard import Guarded, PluginBug
from .host import LoadedPlugin, PluginHost

__all__ = ["Guarded", "LoadedPlugin", "NoSecrets", "PluginBug", "PluginHost", "SecretFiles", "plugin_context"]
