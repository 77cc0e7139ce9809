"""The plugin: names below a zone that Cloudflare hosts.

Cloudflare gives a zone its own name servers and takes no others, and as a registrar keeps its domains on them. What can be
had is the safest way of all: the zone stays where it is with its mail, and one name below it is delegated by NS and DS
records in it. All of a change goes in one batch, which Cloudflare makes whole or not at all.
"""

from pathlib import Path
from typing import Any
from urllib.parse import quote

from catalyst_sdk import NotSupported, Permanent, hookimpl, load_manifest
from catalyst_sdk.context import PluginContext
from catalyst_sdk.credentials import Credential
from catalyst_sdk.host_records import HostRecord, HostRecords, host_records
from catalyst_sdk.registrar import Access, Delegation, DsRecord, Obstacle, Target, registrar_info
from catalyst_sdk.registrar_flow import ApiRegistrar, Work, hosts
from catalyst_sdk.registrar_http import Api

from .api import PROVIDER, RIGHT, CloudflareApi, stranger

TTL = 3600
_MAY_WRITE = "#dns_records:edit"


class CloudflareAccount:
    """Implements `catalyst_sdk.registrar_flow.Account`."""

    def __init__(self, api: CloudflareApi, account_id: str) -> None:
        self._api = api
        self._verify = f"/accounts/{account_id}/tokens/verify" if account_id else "/user/tokens/verify"

    async def access(self, domain: str) -> Access:
        status = (await self._api.get(self._verify))["status"]
        if status != "active":
            action = "make a new API token, or enable this one"
            text = f"the token is {status}"
            raise Permanent("CREDENTIALS_REJECTED", text, provider=PROVIDER, user_action=action)
        zone = await self._zone(domain)
        rights = zone.get("permissions") or [_MAY_WRITE]
        obstacles = []
        if _is_whole(zone, domain):
            obstacles.append(
                Obstacle("OPERATION_UNSUPPORTED", _own_servers(domain), user_action=_advice(domain))
            )  # fmt: skip
        if _MAY_WRITE not in rights:
            action = f"give the token the permission {RIGHT} for the zone"
            obstacles.append(Obstacle("PERMISSION_MISSING", "the token may not write records", user_action=action))
        can = not obstacles
        return Access(valid=True, can_read=True, can_write_ns=can, can_write_ds=can, obstacles=tuple(obstacles))

    async def read(self, domain: str) -> Delegation:
        zone = await self._zone(domain)
        if _is_whole(zone, domain):
            # A zone that waits to be delegated here still has its old servers.
            pending = zone.get("status") == "pending" and zone.get("original_name_servers")
            return Delegation(hosts(pending or zone["name_servers"]))
        records = await self._records(zone, domain)
        ns = [one["content"] for one in records if one["type"] == "NS"]
        return Delegation(tuple(sorted(hosts(ns))), tuple(sorted(_ds(one) for one in records if one["type"] == "DS")))

    async def write(self, domain: str, target: Target, present: Delegation) -> None:
        zone = await self._zone(domain)
        if _is_whole(zone, domain):
            raise NotSupported("set_ns", _own_servers(domain), provider=PROVIDER, user_action=_advice(domain))
        wished: dict[Any, dict[str, Any]] = {host: _ns_record(domain, host) for host in target.ns}
        wished |= {ds: _ds_record(domain, ds) for ds in target.ds}
        there = {_content(one): one["id"] for one in await self._records(zone, domain)}
        gone = [{"id": id} for content, id in there.items() if content not in wished]
        new = [record for content, record in wished.items() if content not in there]
        batch = {"deletes": gone, "posts": new}
        await self._api.post(f"/zones/{quote(zone['id'], safe='')}/dns_records/batch", batch)

    async def host_records(self, domain: str) -> HostRecords:
        zone = await self._zone(domain)
        if not _is_whole(zone, domain):
            text = f"{domain} is a name within the zone {zone['name']}; its records are those of that zone"
            raise Permanent("ZONE_NOT_HOSTED", text, provider=PROVIDER, user_action="import the whole zone")
        records = await self._api.all(f"/zones/{quote(zone['id'], safe='')}/dns_records")
        # Its own name servers are not among them, and those of others may be.
        return host_records(domain, [_row(one) for one in records])

    async def work(self, domain: str) -> Work | None:
        return None

    async def _zone(self, domain: str) -> Any:
        """The zone that holds the domain: the longest name that is one."""
        labels = domain.rstrip(".").split(".")
        for first in range(len(labels) - 1):
            name = ".".join(labels[first:])
            if found := await self._api.get("/zones", name=name):
                return found[0]
        raise stranger(f"none of its zones is {domain} or above")

    async def _records(self, zone: Any, domain: str) -> list[Any]:
        path = f"/zones/{quote(zone['id'], safe='')}/dns_records"
        name = domain.rstrip(".")
        return [one for kind in ("NS", "DS") for one in await self._api.all(path, type=kind, name=name)]


def _is_whole(zone: Any, domain: str) -> bool:
    return hosts([zone["name"]]) == (domain,)


def _own_servers(domain: str) -> str:
    return f"{domain} is a zone of its own, and Cloudflare keeps its zones on its own name servers"


def _advice(domain: str) -> str:
    return f"delegate a name below it, such as platform.{domain.rstrip('.')}"


def _content(record: Any) -> Any:
    return _ds(record) if record["type"] == "DS" else hosts([record["content"]])[0]


def _row(record: Any) -> HostRecord:
    """A record as it is; one that Cloudflare stands before has the address of the server behind it."""
    data, kind = record.get("data") or {}, record["type"]
    value = record.get("content") or ""
    if kind == "SRV":
        value = f"{data['weight']} {data['port']} {data['target']}"
    elif kind == "CAA":
        value = f'{data["flags"]} {data["tag"]} "{data["value"]}"'
    priority = data.get("priority", record.get("priority")) if kind in ("MX", "SRV") else None
    return HostRecord(f"{record['name']}.", kind, value, int(record.get("ttl", 1)), priority)


def _ds(record: Any) -> DsRecord:
    data = record["data"]
    tag, algorithm, kind = int(data["key_tag"]), int(data["algorithm"]), int(data["digest_type"])
    return DsRecord(tag, algorithm, kind, data["digest"].lower())


def _ns_record(domain: str, host: str) -> dict[str, Any]:
    return {"type": "NS", "name": domain.rstrip("."), "content": host.rstrip("."), "ttl": TTL}


def _ds_record(domain: str, ds: DsRecord) -> dict[str, Any]:
    data = {"key_tag": ds.key_tag, "algorithm": ds.algorithm, "digest_type": ds.digest_type, "digest": ds.digest}
    return {"type": "DS", "name": domain.rstrip("."), "data": data, "ttl": TTL}


@hookimpl
def catalyst_plugin(context: PluginContext) -> ApiRegistrar:
    """Names below the zones that a token sees."""
    base = str(context.config.get("url", ""))
    info = registrar_info(load_manifest(Path(__file__).with_name("manifest.toml")))

    def account(api: Api, credential: Credential) -> CloudflareAccount:
        return CloudflareAccount(CloudflareApi(api, credential, base), credential.get("accountId"))

    return ApiRegistrar(info, context.secrets, account, try_seconds=float(context.config.get("try_seconds", 10)))
