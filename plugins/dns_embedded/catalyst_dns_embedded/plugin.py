"""The backend: a daemon's view of the embedded server."""

from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

from catalyst_sdk import hookimpl
from catalyst_sdk.context import PluginContext
from catalyst_sdk.dns import BackendInfo, Capability, Change, KeyOp, ZoneSpec, ZoneState
from catalyst_sdk.dns_rules import RECORD_TYPES

from . import wire
from .client import ControlClient
from .zones import PROVIDER

SOFTWARE = "catalyst-dns-embedded"


class EmbeddedBackend:
    """Implements `catalyst_sdk.dns.DnsBackend`."""

    def __init__(self, client: ControlClient) -> None:
        self._client = client

    async def info(self) -> BackendInfo:
        """What this backend is."""
        most = frozenset(Capability) - {Capability.LUA, Capability.GEO, Capability.AXFR}
        return BackendInfo(PROVIDER, SOFTWARE, most, RECORD_TYPES)

    async def probe(self) -> frozenset[Capability]:
        """What the server says that it can do."""
        return frozenset(map(Capability, await self._client.call("probe")))

    async def get_zone(self, *, zone: str) -> ZoneState | None:
        """The zone, or None."""
        answer = await self._client.call("get", zone=zone)
        return wire.to_state(answer) if answer else None

    async def create_zone(self, *, spec: ZoneSpec) -> ZoneState:
        """Make the zone, signed, in one step."""
        return await self._changed("create", spec=asdict(spec))

    async def apply(
        self, *, zone: str, changes: tuple[Change, ...], revision: int | None = None, expect: str | None = None
    ) -> ZoneState:
        """All changes or none."""
        wished: list[Mapping[str, Any]] = [asdict(change) for change in changes]
        return await self._changed("apply", zone=zone, changes=wished, revision=revision, expect=expect)

    async def delete_zone(self, *, zone: str, owner: str, expect: str | None = None) -> None:
        """Take the zone away."""
        await self._client.call("delete", zone=zone, owner=owner, expect=expect)

    async def dnssec(
        self, *, zone: str, op: KeyOp, tag: int | None = None, revision: int | None = None, expect: str | None = None
    ) -> ZoneState:
        """Change the keys."""
        return await self._changed("dnssec", zone=zone, op=op.value, tag=tag, revision=revision, expect=expect)

    async def _changed(self, call: str, **args: Any) -> ZoneState:
        return wire.to_state(await self._client.call(call, **args))


@hookimpl
def catalyst_plugin(context: PluginContext) -> EmbeddedBackend:
    return EmbeddedBackend(ControlClient(context.config["control"], Path(context.config["data"])))
