"""The plugin: name servers of domains at Namecheap, and the addresses of those that lie in the domain themselves.

With servers of one's own Namecheap ends its mail forwarding, URL redirects and dynamic DNS for the domain: `validate` says so
while they may be in use. DS records cannot be set by its API.
"""

import time
from datetime import timedelta
from functools import cache
from pathlib import Path
from xml.etree import ElementTree

from catalyst_sdk import NotSupported, Permanent, Temporary, hookimpl, load_manifest
from catalyst_sdk.context import PluginContext
from catalyst_sdk.credentials import Credential
from catalyst_sdk.host_records import HostRecord, HostRecords, host_records
from catalyst_sdk.registrar import Access, Delegation, Glue, Obstacle, Target, registrar_info
from catalyst_sdk.registrar_flow import ApiRegistrar, Work, hosts
from catalyst_sdk.registrar_http import Api, Pace, unknown
from publicsuffixlist import PublicSuffixList

from .api import OF_REGISTRY, PROVIDER, NamecheapApi

LONGEST = 1200
"""Characters of all name servers together."""
_CALLS, _PER = 20, timedelta(seconds=60)
"""The lowest limit that was seen."""


class NamecheapAccount:
    """Implements `catalyst_sdk.registrar_flow.Account`."""

    def __init__(self, api: NamecheapApi) -> None:
        self._api = api

    async def access(self, domain: str) -> Access:
        about = await self._api.call("namecheap.domains.getInfo", {"DomainName": domain.rstrip(".")})
        servers = await self._servers(domain)
        obstacles = []
        if not _may_change(about):
            action = "ask the owner of the domain for the right to change it"
            obstacles.append(Obstacle("PERMISSION_MISSING", "the account may not change the domain", "", action))
        status = about.get("Status", "")
        if status.lower() != "ok":
            action = "settle at Namecheap what the domain's status says"
            obstacles.append(Obstacle("DOMAIN_LOCKED", f"the domain's status is {status}", status, action))
        can = not obstacles
        if _is_true(servers.get("IsUsingOurDNS")):
            text = (
                "with other name servers Namecheap's mail forwarding, URL redirects and dynamic DNS for the domain end"
            )
            obstacles.append(Obstacle("SERVICES_END", text, user_action="see whether one of them is in use"))
        return Access(valid=True, can_read=True, can_write_ns=can, can_write_ds=False, obstacles=tuple(obstacles))

    async def read(self, domain: str) -> Delegation:
        servers = await self._servers(domain)
        ns = hosts([one.text or "" for one in servers.findall("Nameserver")])
        own = [host for host in ns if host.endswith(f".{domain}")]
        known = {host: await self._registered(domain, host) for host in own}
        return Delegation(ns, glue=tuple(Glue(host, (address,)) for host, address in known.items() if address))

    async def write(self, domain: str, target: Target, present: Delegation) -> None:
        csv = ",".join(host.rstrip(".") for host in target.ns)
        if len(csv) > LONGEST:
            text = f"the names of the name servers have {len(csv)} characters, Namecheap takes {LONGEST}"
            raise Permanent("NAMESERVER_REJECTED", text, provider=PROVIDER, host=csv[:80])
        addresses = {one.host: _single(one) for one in target.glue}
        for host, address in addresses.items():
            await self._register(domain, host, address)
        made = await self._api.call(
            "namecheap.domains.dns.setCustom", {**self._split(domain), "Nameservers": csv}, writes=True
        )
        if not _is_true(made.get("Updated")):
            raise unknown(PROVIDER, "Namecheap answered OK and not that anything was updated")

    async def host_records(self, domain: str) -> HostRecords:
        found = await self._api.call("namecheap.domains.dns.getHosts", self._split(domain))
        if not _is_true(found.get("IsUsingOurDNS")):
            text = f"{domain} is on name servers of others; what Namecheap still has of it is not what anybody sees"
            raise Permanent("ZONE_NOT_HOSTED", text, provider=PROVIDER, user_action="import from the present host")
        return host_records(domain, [_row(one) for one in found if one.tag.lower() == "host"])

    async def work(self, domain: str) -> Work | None:
        return None

    async def _registered(self, domain: str, host: str) -> str:
        """The address under which the registry knows a name server of the domain; empty where it does not."""
        wish = {**self._split(domain), "Nameserver": host.rstrip(".")}
        try:
            about = await self._api.call("namecheap.domains.ns.getInfo", wish)
        except Temporary as failure:
            if failure.provider_code != OF_REGISTRY:
                raise
            return ""
        return about.get("IP", "")

    async def _register(self, domain: str, host: str, address: str) -> None:
        known = await self._registered(domain, host)
        if known == address:
            return
        wish = {**self._split(domain), "Nameserver": host.rstrip("."), "IP": address}
        command, old = ("update", {"OldIP": known}) if known else ("create", {})
        made = await self._api.call(f"namecheap.domains.ns.{command}", {**wish, **old}, writes=True)
        if not _is_true(made.get("IsSuccess")):
            raise unknown(PROVIDER, f"Namecheap answered OK and not that {host} was registered")

    async def _servers(self, domain: str) -> ElementTree.Element:
        return await self._api.call("namecheap.domains.dns.getList", self._split(domain))

    def _split(self, domain: str) -> dict[str, str]:
        """The registered name and its public suffix, which Namecheap wants apart: `acme` and `co.uk`."""
        name = domain.rstrip(".")
        suffix = public_suffixes().publicsuffix(name)
        label = name.removesuffix(f".{suffix}")
        if not suffix or label == name or "." in label:
            text = f"{name} is not what one registers: that is one label below a public suffix"
            raise Permanent("DOMAIN_NOT_IN_ACCOUNT", text, provider=PROVIDER, user_action="name the registered domain")
        return {"SLD": label, "TLD": suffix}


def _single(glue: Glue) -> str:
    """Its one address, which is of IPv4: there is room for no other. Raises NotSupported."""
    if len(glue.addresses) != 1 or ":" in glue.addresses[0]:
        text = (
            f"Namecheap registers a name server with one IPv4 address, and {glue.host} has {', '.join(glue.addresses)}"
        )
        raise NotSupported("glue", text, provider=PROVIDER)
    return glue.addresses[0]


def _row(host: ElementTree.Element) -> HostRecord:
    """A record; redirects and what Namecheap does with mail have types of its own, and are none."""
    kind = host.attrib["Type"]
    priority = int(host.get("MXPref") or 10) if kind == "MX" else None
    return HostRecord(host.attrib["Name"], kind, host.attrib["Address"], int(host.get("TTL") or 0), priority)


@cache
def public_suffixes() -> PublicSuffixList:
    """The list as it was packed, read when it is first needed: ten thousand lines, which never change while we run."""
    return PublicSuffixList()


def _is_true(given: str | None) -> bool:
    """Its answers have `true`, `True` and `OK`."""
    return (given or "").lower() in ("true", "ok")


def _may_change(about: ElementTree.Element) -> bool:
    rights = about.find("Modificationrights")
    return _is_true(about.get("IsOwner")) or (rights is not None and _is_true(rights.get("All")))


@hookimpl
def catalyst_plugin(context: PluginContext) -> ApiRegistrar:
    """Domains at Namecheap, with one pace for all calls of this process."""
    base = str(context.config.get("url", ""))
    info = registrar_info(load_manifest(Path(__file__).with_name("manifest.toml")))
    pace = Pace(_CALLS, _PER, time.monotonic)

    def account(api: Api, credential: Credential) -> NamecheapAccount:
        return NamecheapAccount(NamecheapApi(api, credential, base, pace))

    return ApiRegistrar(info, context.secrets, account, try_seconds=float(context.config.get("try_seconds", 10)))
