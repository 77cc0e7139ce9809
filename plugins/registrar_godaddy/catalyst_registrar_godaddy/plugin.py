"""The plugin: name servers of domains at GoDaddy.

Since about April 2024 its API is closed to accounts with fewer than ten domains and without a premier membership: they are
told ACCESS_DENIED with good keys, which is not the same as wrong ones.
"""

import time
from datetime import timedelta
from hashlib import sha256
from pathlib import Path
from typing import Any
from urllib.parse import quote

from catalyst_sdk import Permanent, PluginFailure, hookimpl, load_manifest
from catalyst_sdk.context import PluginContext
from catalyst_sdk.credentials import Credential
from catalyst_sdk.host_records import HostRecord, HostRecords, host_records
from catalyst_sdk.registrar import Access, Delegation, Obstacle, Target, registrar_info
from catalyst_sdk.registrar_flow import ApiRegistrar, Work, hosts
from catalyst_sdk.registrar_http import Api, Pace, Reply

PROVIDER = "godaddy"
BASE = "https://api.godaddy.com"
_CALLS, _PER = 60, timedelta(seconds=60)
"""For one endpoint of one account."""
OWN = ".domaincontrol.com."
"""How the names of its own name servers end."""
_PAGE = 500
_HELD = ("holdRegistrar", "serverHold"), ("locked", "clientTransferProhibited")


class GoDaddyAccount:
    """Implements `catalyst_sdk.registrar_flow.Account`."""

    def __init__(self, api: Api, credential: Credential, base: str, pace: Pace) -> None:
        self._api = api
        self._credential = credential
        self._base = base or BASE
        self._pace = pace

    async def access(self, domain: str) -> Access:
        about = await self._about(domain)
        is_active = about["status"] == "ACTIVE"
        text = f"the domain is {about['status']}, and only ACTIVE ones are changed"
        stopped = Obstacle("DOMAIN_LOCKED", text, about["status"], "settle at GoDaddy what the domain's status says")
        return Access(
            valid=True,
            can_read=True,
            can_write_ns=is_active,
            can_write_ds=False,
            obstacles=() if is_active else (stopped,),
        )  # fmt: skip - one value

    async def read(self, domain: str) -> Delegation:
        about = await self._about(domain)
        # A domain that is not set up yet has null.
        locks = tuple(lock for name, lock in _HELD if about.get(name))
        return Delegation(hosts(about["nameServers"] or []), locks=locks)

    async def write(self, domain: str, target: Target, present: Delegation) -> None:
        reply = await self._call("PATCH", domain, {"nameServers": [host.rstrip(".") for host in target.ns]})
        if reply.status not in (200, 204):
            raise self._refusal(reply)

    async def host_records(self, domain: str) -> HostRecords:
        about = await self._about(domain)
        if not all(host.endswith(OWN) for host in hosts(about["nameServers"] or [])):
            text = f"{domain} is on name servers of others; what GoDaddy still has of it is not what anybody sees"
            raise Permanent("ZONE_NOT_HOSTED", text, provider=PROVIDER, user_action="import from the present host")
        rows: list[HostRecord] = []
        while True:
            reply = await self._call("GET", domain, end=f"/records?limit={_PAGE}&offset={len(rows) + 1}")
            found = reply.json()
            if reply.status != 200 or not isinstance(found, list):
                raise self._refusal(reply)
            rows += [_row(one) for one in found]
            if len(found) < _PAGE:
                return host_records(domain, rows)

    async def work(self, domain: str) -> Work | None:
        return None

    async def _about(self, domain: str) -> Any:
        reply = await self._call("GET", domain)
        found = reply.json()
        if reply.status != 200 or not isinstance(found, dict):
            raise self._refusal(reply)
        return found

    async def _call(self, method: str, domain: str, body: object = None, end: str = "") -> Reply:
        key, secret = self._credential["key"], self._credential["secret"]
        # By a digest: what is kept longer than a call holds no key.
        self._pace.spend(f"{sha256(key.encode()).hexdigest()} {method}", PROVIDER)
        url = f"{self._base}/v1/domains/{quote(domain.rstrip('.'), safe='')}{end}"
        headers = {"Authorization": f"sso-key {key}:{secret}", "Accept": "application/json"}
        return await self._api.call(method, url, headers=headers, body=body)

    def _refusal(self, reply: Reply) -> PluginFailure:
        found = reply.json()
        if not isinstance(found, dict) or "code" not in found:
            return self._api.refused(reply)
        code, said = str(found["code"]), self._api.quoted(found.get("message", ""))
        told = {"provider": PROVIDER, "provider_code": self._api.quoted(code, 80)}
        if reply.status == 403 and code == "ACCESS_DENIED":
            text = f"GoDaddy keeps its API closed to this account: {said}"
            action = "the account needs ten domains or a premier membership; else change the domain by hand"
            return Permanent("ACCESS_NOT_ENTITLED", text, user_action=action, **told)
        if reply.status == 404:
            text = f"the account has no such domain: {said}"
            action = "use the keys of the account that has the domain, for production"
            return Permanent("DOMAIN_NOT_IN_ACCOUNT", text, user_action=action, **told)
        if reply.status == 409 or "LOCKED" in code:
            text = f"GoDaddy does not change the domain in its present status: {said}"
            return Permanent("DOMAIN_LOCKED", text, user_action="unlock the domain at GoDaddy, then try again", **told)
        if reply.status in (400, 422):
            text = f"GoDaddy does not take the name servers: {said}"
            named = self._api.quoted(" ".join(str(one.get("path", "")) for one in found.get("fields") or ()))
            action = "check that the name servers exist and are spelt well"
            return Permanent("NAMESERVER_REJECTED", text, user_action=action, host=named, **told)
        return self._api.refused(reply, said, code)


def _row(record: Any) -> HostRecord:
    kind, name, value = record["type"], record["name"], str(record["data"])
    if kind == "SRV":
        own = "" if name in ("", "@") else f".{name}"
        name = f"{record['service']}.{record['protocol']}{own}"
        value = f"{record['weight']} {record['port']} {value}"
    priority = record.get("priority") if kind in ("MX", "SRV") else None
    return HostRecord(name, kind, value, int(record.get("ttl") or 0), priority)


@hookimpl
def catalyst_plugin(context: PluginContext) -> ApiRegistrar:
    """Domains at GoDaddy, with one pace for all calls of this process."""
    base = str(context.config.get("url", ""))
    info = registrar_info(load_manifest(Path(__file__).with_name("manifest.toml")))
    pace = Pace(_CALLS, _PER, time.monotonic)

    def account(api: Api, credential: Credential) -> GoDaddyAccount:
        return GoDaddyAccount(api, credential, base, pace)

    return ApiRegistrar(info, context.secrets, account, try_seconds=float(context.config.get("try_seconds", 10)))
