"""The plugin: name servers and glue of domains at Dynadot.

A name server must be known to the account before a domain may have it: a foreign one is added, one within the domain is
registered with its address. Both are done first, and both may have been done before.
"""

import asyncio
from collections.abc import Iterator, Mapping
from hashlib import sha256
from pathlib import Path
from typing import Any
from weakref import WeakValueDictionary

from catalyst_sdk import NotSupported, Permanent, hookimpl, load_manifest
from catalyst_sdk.context import PluginContext
from catalyst_sdk.credentials import Credential
from catalyst_sdk.host_records import HostRecord, HostRecords, host_records
from catalyst_sdk.registrar import Access, Delegation, Glue, Obstacle, Target, registrar_info
from catalyst_sdk.registrar_flow import ApiRegistrar, Work, hosts
from catalyst_sdk.registrar_http import Api

from .api import PROVIDER, DynadotApi, dicts

_KNOWN = ("already exist", "already in", "already added", "already registered")


class DynadotAccount:
    """Implements `catalyst_sdk.registrar_flow.Account`."""

    def __init__(self, api: DynadotApi) -> None:
        self._api = api

    async def access(self, domain: str) -> Access:
        about = await self._about(domain)
        stops = [name for name in ("Disabled", "UdrpLocked", "Hold") if str(about.get(name, "no")).lower() == "yes"]
        text = f"the domain is stopped at Dynadot: {', '.join(stops)}"
        stopped = Obstacle("DOMAIN_LOCKED", text, user_action="settle at Dynadot what stops the domain")
        return Access(
            valid=True,
            can_read=True,
            can_write_ns=not stops,
            can_write_ds=False,
            obstacles=(stopped,) if stops else (),
        )  # fmt: skip - one value

    async def read(self, domain: str) -> Delegation:
        about = await self._about(domain)
        listed = about["NameServerSettings"].get("NameServers") or []
        ns = hosts([one["ServerName"] for one in listed if one.get("ServerName")])
        own = [host for host in ns if host.endswith(f".{domain}")]
        known = {host: addresses for host, _, addresses in await self._servers()} if own else {}
        glue = tuple(Glue(host, tuple(known[host])) for host in own if known.get(host))
        locks = ("clientTransferProhibited",) if str(about.get("Locked", "no")).lower() == "yes" else ()
        return Delegation(ns, glue=glue, locks=locks)

    async def write(self, domain: str, target: Target, present: Delegation) -> None:
        wished = {glue.host: glue.addresses for glue in target.glue}
        known = {host: (id, addresses) for host, id, addresses in await self._servers()} if wished else {}
        for host in target.ns:
            if host not in wished:
                if host not in present.ns:
                    await self._add(host)
            elif host not in known:
                await self._register(host, wished[host])
            elif set(known[host][1]) != set(wished[host]):
                addresses = {f"ip{n}": address for n, address in enumerate(wished[host])}
                await self._api.call("set_ns_ip", writes=True, server_id=known[host][0], **addresses)
        servers = {f"ns{n}": host.rstrip(".") for n, host in enumerate(target.ns)}
        await self._api.call("set_ns", writes=True, domain=domain.rstrip("."), **servers)

    async def host_records(self, domain: str) -> HostRecords:
        about = (await self._about(domain))["NameServerSettings"]
        if about.get("NameServers"):
            text = f"{domain} is on name servers of others; Dynadot has no records of it"
            raise Permanent("ZONE_NOT_HOSTED", text, provider=PROVIDER, user_action="import from the present host")
        found = await self._api.call("get_dns", domain=domain.rstrip("."))
        parts = list(dicts(found))
        ttl = next((int(part["TTL"]) for part in parts if str(part.get("TTL", "")).isdecimal()), 0)
        return host_records(domain, [_row(part, ttl) for part in parts if "RecordType" in part])

    async def work(self, domain: str) -> Work | None:
        return None

    async def _add(self, host: str) -> None:
        await self._unless_known("add_ns", host=host.rstrip("."))

    async def _register(self, host: str, addresses: tuple[str, ...]) -> None:
        if len(addresses) != 1:
            text = f"Dynadot registers a name server with one address, and {host} has {len(addresses)}"
            raise NotSupported("glue", text, provider=PROVIDER)
        await self._unless_known("register_ns", host=host.rstrip("."), ip=addresses[0])

    async def _unless_known(self, command: str, **parameters: str) -> None:
        try:
            await self._api.call(command, writes=True, **parameters)
        except Permanent as refusal:
            if not any(phrase in refusal.message.lower() for phrase in _KNOWN):
                raise

    async def _about(self, domain: str) -> Mapping[str, Any]:
        found = await self._api.call("domain_info", domain=domain.rstrip("."))
        return [part for part in dicts(found) if "NameServerSettings" in part][0]  # noqa: RUF015 - a lack is a LookupError

    async def _servers(self) -> list[tuple[str, str, list[str]]]:
        """Name servers that the account knows: host, id, addresses."""
        found = await self._api.call("server_list")
        parts = [part for part in dicts(found) if "ServerId" in part]
        return [(hosts([_named(part)])[0], str(part["ServerId"]), list(_addresses(part))) for part in parts]


def _row(part: Mapping[str, Any], ttl: int) -> HostRecord:
    """A record of the domain, or of a `Subhost` below it; all have one lifetime, and forwards have types of its own."""
    kind = str(part["RecordType"]).upper()
    second = str(part.get("Value2") or "")
    priority = int(second) if kind == "MX" and second.isdecimal() else None
    return HostRecord(str(part.get("Subhost") or "@"), kind, str(part.get("Value", "")), ttl, priority)


def _named(server: Mapping[str, Any]) -> str:
    return str(server.get("ServerName") or server["Host"])


def _addresses(server: Mapping[str, Any]) -> Iterator[str]:
    """Its addresses, which stand alone, in a list, or numbered."""
    for name, value in server.items():
        if name.lower().startswith(("ip", "serverip")):
            yield from (str(one) for one in (value if isinstance(value, list) else [value]) if one)


@hookimpl
def catalyst_plugin(context: PluginContext) -> ApiRegistrar:
    """Domains at Dynadot, one request at a time for each account."""
    base = str(context.config.get("url", ""))
    info = registrar_info(load_manifest(Path(__file__).with_name("manifest.toml")))
    turns: WeakValueDictionary[str, asyncio.Lock] = WeakValueDictionary()

    def account(api: Api, credential: Credential) -> DynadotAccount:
        # By a digest: what is kept longer than a call holds no key.
        turn = turns.setdefault(sha256(credential["key"].encode()).hexdigest(), asyncio.Lock())
        return DynadotAccount(DynadotApi(api, credential, base, turn))

    return ApiRegistrar(info, context.secrets, account, try_seconds=float(context.config.get("try_seconds", 10)))
