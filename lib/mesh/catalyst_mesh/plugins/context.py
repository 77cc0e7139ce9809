"""What a daemon gives to its plugins."""

import re
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


class SecretFiles:
    """Secrets as files of one folder, as Kubernetes mounts them; read anew each time, so that a new value counts at once."""

    _NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,252}")

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    async def resolve(self, ref: SecretRef) -> Secret:
        """The content of the file of that name, without white space at its ends. Raises Permanent("SECRET_NOT_FOUND")."""
        try:
            if not self._NAME.fullmatch(ref.name):
                raise FileNotFoundError
            return Secret((self._folder / ref.name).read_bytes().strip())
        except OSError as error:
            action = f"put the secret into a file {ref.name} in the daemon's folder of secrets"
            raise Permanent("SECRET_NOT_FOUND", f"no secret {ref.name} can be read", user_action=action) from error


def plugin_context(
    data_folder: Path, secrets: Secrets | None = None
) -> Callable[[Manifest, Mapping[str, Any]], PluginContext]:
    """Makes the context of each plugin; its folder is `plugins/<kind>-<name>` below the daemon's data.

    A property that the manifest marks with `x-secret` is the name of a secret, and arrives as a SecretRef.
    """

    def make(manifest: Manifest, config: Mapping[str, Any]) -> PluginContext:
        folder = data_folder / "plugins" / f"{manifest.kind}-{manifest.name}"
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        return PluginContext(
            clock=SystemClock(),
            logger=get_logger(f"plugin:{manifest.kind}:{manifest.name}"),
            secrets=secrets or NoSecrets(),
            folder=folder,
            config={name: _referred(manifest, name, value) for name, value in config.items()},
        )

    return make


def _referred(manifest: Manifest, name: str, value: Any) -> Any:
    schema = manifest.config.get("properties", {}).get(name, {})
    return SecretRef(value) if schema.get("x-secret") and isinstance(value, str) else value
