"""What a daemon gives to its plugins."""

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from catalyst_sdk import Manifest, Permanent, Secret, SecretRef
from catalyst_sdk.context import PluginContext, Secrets

from ..clocks import SystemClock
from ..logs import get_logger


class NoSecrets:
    """For a daemon that keeps no secrets for plugins."""

    async def resolve(self, ref: SecretRef) -> Secret:
        raise Permanent("SECRET_NOT_FOUND", f"no secret {ref.name} is kept here")


def plugin_context(
    data_folder: Path, secrets: Secrets | None = None
) -> Callable[[Manifest, Mapping[str, Any]], PluginContext]:
    """Makes the context of each plugin; its folder is `plugins/<kind>-<name>` below the daemon's data."""

    def make(manifest: Manifest, config: Mapping[str, Any]) -> PluginContext:
        folder = data_folder / "plugins" / f"{manifest.kind}-{manifest.name}"
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        return PluginContext(
            clock=SystemClock(),
            logger=get_logger(f"plugin:{manifest.kind}:{manifest.name}"),
            secrets=secrets or NoSecrets(),
            folder=folder,
            config=config,
        )

    return make
