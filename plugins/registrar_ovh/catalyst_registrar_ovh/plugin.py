"""The plugin: domains at OVHcloud.

What the API does that one would not expect
  two parts      name servers and DS are changed by two calls, each of which becomes a task of its own;
  keys, not DS   it takes the public key and digests it itself, so that a wish for DS has to bring its keys;
  half-way       while a change is under way the old servers are still used, marked `toDelete`, beside the new ones;
  ids first      things are listed by ids and read one by one, and a task may take one away in between.
"""

from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any
from urllib.parse import quote

import dns.dnssec
import dns.name
import dns.rdata
from catalyst_sdk import NotSupported, Permanent, Temporary, hookimpl, load_manifest
from catalyst_sdk.context import PluginContext
from catalyst_sdk.credentials import Credential
from catalyst_sdk.host_records import HostRecords, from_zone_text
from catalyst_sdk.registrar import Access, Delegation, DsRecord, Glue, Obstacle, Target, registrar_info
from catalyst_sdk.registrar_flow import ApiRegistrar, Work, hosts
from catalyst_sdk.registrar_http import Api

from .api import PROVIDER, RULES, OvhApi

_NEWEST = 5
"""Tasks of a domain that are looked at: old ones tell nothing about now."""
_LOOKS = 3
"""Times that a list is asked for while what it names goes."""


class OvhAccount:
    """Implements `catalyst_sdk.registrar_flow.Account`."""

    def __init__(self, api: OvhApi) -> None:
        self._api = api

    async def access(self, domain: str) -> Access:
        rights = await self._api.get("/auth/currentCredential")
        if rights["status"] != "validated":
            action = "validate the consumer key, or make a new one"
            text = f"the consumer key is {rights['status']}"
            raise Permanent("CREDENTIALS_REJECTED", text, provider=PROVIDER, user_action=action)
        await self._api.get(_path(domain))
        rules = [(rule["method"], rule["path"]) for rule in rights["rules"]]
        needed = {"ns": (("PUT", ""), ("POST", "/nameServers/update")), "ds": (("POST", "/dsRecord/update"),)}
        can = {
            part: all(_allows(rules, verb, _path(domain) + end) for verb, end in calls)
            for part, calls in needed.items()
        }  # fmt: skip - one table
        missing = Obstacle(
            "PERMISSION_MISSING", "the consumer key may read the domain and not change it",
            user_action=f"make a consumer key with the rules {RULES}",
        )  # fmt: skip
        return Access(
            valid=True, can_read=True, can_write_ns=can["ns"], can_write_ds=can["ds"],
            obstacles=() if all(can.values()) else (missing,),
        )  # fmt: skip

    async def read(self, domain: str) -> Delegation:
        about = await self._api.get(_path(domain))
        servers = [one for one in await self._servers(domain) if one["isUsed"]]
        keys = await self._listed(domain, "dsRecord")
        lock = about["transferLockStatus"]
        return Delegation(
            ns=hosts([one["host"] for one in servers]),
            ds=tuple(sorted(_digested(domain, key) for key in keys)),
            glue=tuple(_glue(domain, servers)),
            locks=("clientTransferProhibited",) if lock == "locked" else (),
        )

    async def write(self, domain: str, target: Target, present: Delegation) -> None:
        # A DS that has to go goes first: name servers that do not sign would be bogus under it.
        steps = [self._write_servers, self._write_keys]
        if set(present.ds) - set(target.ds):
            steps.reverse()
        keys = _keys(target)
        _single(target)
        for step in steps:
            await step(domain, target, present, keys)

    async def host_records(self, domain: str) -> HostRecords:
        text: Any = None
        try:
            text = await self._api.get(f"/domain/zone/{quote(domain.rstrip('.'), safe='')}/export")
        except Permanent as refusal:
            if refusal.reason != "DOMAIN_NOT_IN_ACCOUNT":
                raise
        if not isinstance(text, str):
            why = f"OVH has no zone of {domain}; its records are on name servers of others"
            raise Permanent("ZONE_NOT_HOSTED", why, provider=PROVIDER, user_action="import from the present host")
        return from_zone_text(domain, text, PROVIDER)

    async def work(self, domain: str) -> Work | None:
        tasks = await self._listed(domain, "task", newest=_NEWEST)
        for task in tasks:
            if task["status"] in ("todo", "doing"):
                coming = [one["host"] for one in await self._servers(domain) if not one["toDelete"]]
                return Work(False, f"OVH works on it: task {task['id']} is {task['status']}", hosts(coming))
        if tasks and tasks[0]["status"] in ("error", "cancelled"):
            return Work(True, f"OVH's task {tasks[0]['id']} ended as {tasks[0]['status']}: {tasks[0].get('comment')}")
        return None

    async def _write_servers(self, domain: str, target: Target, present: Delegation, keys: list[Any]) -> None:
        known = {glue.host: glue for glue in present.glue}
        if set(target.ns) == set(present.ns) and all(known.get(one.host) == one for one in target.glue):
            return
        if (await self._api.get(_path(domain))).get("nameServerType") != "external":
            await self._api.call("PUT", _path(domain), {"nameServerType": "external"})
        addresses = {glue.host: glue.addresses[0] for glue in target.glue}
        servers = [
            {"host": host.rstrip("."), **({"ip": addresses[host]} if host in addresses else {})} for host in target.ns
        ]
        await self._api.call("POST", f"{_path(domain)}/nameServers/update", {"nameServers": servers})

    async def _write_keys(self, domain: str, target: Target, present: Delegation, keys: list[Any]) -> None:
        if set(target.ds) != set(present.ds):
            await self._api.call("POST", f"{_path(domain)}/dsRecord/update", {"keys": keys})

    async def _servers(self, domain: str) -> list[Any]:
        return await self._listed(domain, "nameServer")

    async def _listed(self, domain: str, what: str, newest: int = 0) -> list[Any]:
        """What a list of ids stands for; with `newest`, so many of them, the last one first.

        Raises Temporary where one is gone, again and again, by the time it is asked for.
        """
        for _ in range(_LOOKS):
            ids = sorted(map(int, await self._api.get(f"{_path(domain)}/{what}")), reverse=newest > 0)
            found = [await self._one(f"{_path(domain)}/{what}/{id}") for id in ids[: newest or None]]
            if None not in found:
                return found
        raise Temporary(f"OVH changes the list of {what} of {domain} while it is read", provider=PROVIDER)

    async def _one(self, path: str) -> Any:
        """What an id stands for; None where that is gone: of a domain that is not there no ids are listed."""
        try:
            return await self._api.get(path)
        except Permanent as refusal:
            if refusal.reason == "DOMAIN_NOT_IN_ACCOUNT":
                return None
            raise


def _path(domain: str) -> str:
    return f"/domain/{quote(domain.rstrip('.'), safe='')}"


def _allows(rules: list[tuple[str, str]], method: str, path: str) -> bool:
    return any(verb == method and fnmatchcase(path, pattern) for verb, pattern in rules)


def _digested(domain: str, key: Any) -> DsRecord:
    """The DS that the registry makes of a key."""
    text = f"{int(key['flags'])} 3 {int(key['algorithm'])} {key['publicKey']}"
    ds = dns.dnssec.make_ds(dns.name.from_text(domain), dns.rdata.from_text("IN", "DNSKEY", text), "SHA256")
    return DsRecord(ds.key_tag, int(ds.algorithm), int(ds.digest_type), ds.digest.hex())


def _glue(domain: str, servers: list[Any]) -> list[Glue]:
    named = [(hosts([one["host"]])[0], one.get("ip")) for one in servers]
    return [Glue(host, (address,)) for host, address in named if address and host.endswith(f".{domain}")]


def _keys(target: Target) -> list[dict[str, object]]:
    """The keys of the wished DS, in OVH's words. Raises NotSupported where the wish has only digests."""
    known = {key.key_tag: key for key in target.keys}
    lacking = [ds.key_tag for ds in target.ds if ds.key_tag not in known]
    if lacking:
        text = f"OVH makes DS from the keys, and the wish lacks those with the tags {lacking}"
        raise NotSupported("set_ds", text, provider=PROVIDER)
    wished = (known[tag] for tag in sorted({ds.key_tag for ds in target.ds}))
    return [
        {"algorithm": key.algorithm, "flags": key.flags, "publicKey": key.public_key, "tag": key.key_tag}
        for key in wished
    ]


def _single(target: Target) -> None:
    for glue in target.glue:
        if len(glue.addresses) != 1:
            text = f"OVH takes one address for a name server, and {glue.host} has {len(glue.addresses)}"
            raise NotSupported("glue", text, provider=PROVIDER)


@hookimpl
def catalyst_plugin(context: PluginContext) -> ApiRegistrar:
    """Domains at OVHcloud; the region of a credential says where."""
    base = str(context.config.get("url", ""))
    info = registrar_info(load_manifest(Path(__file__).with_name("manifest.toml")))

    def account(api: Api, credential: Credential) -> OvhAccount:
        return OvhAccount(OvhApi(api, credential, base))

    return ApiRegistrar(info, context.secrets, account, try_seconds=float(context.config.get("try_seconds", 10)))
