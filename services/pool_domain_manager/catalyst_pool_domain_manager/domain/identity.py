"""Whose a domain is and who serves it today, as far as names alone tell."""

import hashlib
import hmac
from collections.abc import Callable

CHALLENGE = "_catalyst-challenge"
"""Label of the TXT record by which the holder of a domain proves that it is theirs."""
STOPPING = frozenset({"client update prohibited", "server update prohibited", "pending delete", "redemption period"})
"""RDAP statuses (RFC 8056) under which a registry takes no change of name servers."""

_HOSTS = (
    (".ns.cloudflare.com.", "Cloudflare"),
    (".domaincontrol.com.", "GoDaddy"),
    (".registrar-servers.com.", "Namecheap"),
    (".namecheaphosting.com.", "Namecheap"),
    (".ovh.net.", "OVHcloud"),
    (".anycast.me.", "OVHcloud"),
    (".dynadot.com.", "Dynadot"),
    (".awsdns-", "Amazon Route 53"),
    (".azure-dns.", "Microsoft Azure DNS"),
    (".googledomains.com.", "Google Cloud DNS"),
    (".digitalocean.com.", "DigitalOcean"),
    (".hetzner.", "Hetzner"),
    (".gandi.net.", "Gandi"),
    (".dnsimple", "DNSimple"),
    (".nsone.net.", "NS1"),
    (".ultradns.", "UltraDNS"),
    (".akam.net.", "Akamai"),
    (".linode.com.", "Linode"),
    (".name-services.com.", "Enom"),
    (".wixdns.net.", "Wix"),
    (".ui-dns.", "IONOS"),
)
"""Parts of host names by which providers are known."""


def registrable(domain: str, private: Callable[[str], str | None]) -> str:
    """The part of a domain that somebody registers, by a list of public suffixes; empty for a suffix itself."""
    return private(domain.rstrip(".").lower()) or ""


def dns_host(name_servers: tuple[str, ...]) -> str:
    """Who serves a domain that has these servers; empty where that is not known, or not one alone."""
    found = {name for host in name_servers for part, name in _HOSTS if part in f".{host.lower()}"}
    return found.pop() if len(found) == 1 else ""


def nonce(key: bytes, zone_uid: str) -> str:
    """What the challenge of a zone has to say. It is the zone's own, so that no other zone's proof serves for it."""
    return hmac.new(key, f"ownership {zone_uid}".encode(), hashlib.sha256).hexdigest()[:40]
