"""The backend: a daemon's view of the embedded server."""

from pathlib import Path

from catalyst_sdk import hookimpl
from catalyst_sdk.context import PluginContext
from catalyst_sdk.dns import Capability, Change, ZoneSpec, ZoneState

from .control import ControlClient

_CAPABILITIES = frozenset(
    {
        Capability.ZONE_LIFECYCLE,
        Capability.DNSSEC,
        Capability.CDS,
        Capability.ATOMIC_BATCH,
        Capability.COMPARE_AND_SWAP,
    }
)


class EmbeddedBackend:
    """Implements `catalyst_sdk.dns.DnsBackend`."""

    def __init__(self, client: ControlClient) -> None:
        self._client = client

    async def probe(self) -> frozenset[Capability]:
        """What the server can do, once it answers."""
        await self._client.names()
        return _CAPABILITIES

    async def get_zone(self, *, zone: str) -> ZoneState | None:
        """The zone, or None."""
        return await self._client.get(zone)

    async def create_zone(self, *, spec: ZoneSpec) -> ZoneState:
        """Make the zone, signed, in one step."""
        return await self._client.create(spec)

    async def apply(
        self, *, zone: str, changes: tuple[Change, ...], revision: int | None = None, expect: str | None = None
    ) -> ZoneState:
        """All changes or none."""
        return await self._client.apply(zone, changes, revision, expect)

    async def delete_zone(self, *, zone: str, owner: str) -> None:
        """Take the zone away."""
        await self._client.delete(zone, owner)


@hookimpl
def catalyst_plugin(context: PluginContext) -> EmbeddedBackend:
    return EmbeddedBackend(ControlClient(context.config["control"], Path(context.config["data"])))
