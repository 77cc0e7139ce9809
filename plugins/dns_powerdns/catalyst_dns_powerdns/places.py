"""Whether a server knows where clients are. Its settings alone do not say: without a database of places that holds positions,
`pickclosest` answers any member, and without the client's network it sees resolvers only.

So a record that tells the position of whoever asks is asked on behalf of two networks at different ends of the world, as a
resolver would (RFC 7871); only who tells two positions knows.
"""

import asyncio
import ipaddress
from collections.abc import Mapping
from urllib.parse import urlsplit

import dns.asyncquery
import dns.edns
import dns.exception
import dns.message

from .lua import ON

PROBE = 'TXT "latlon()"'
"""Content of the record, evaluated for each question; not one that anybody else may write."""
CLIENTS = ("8.8.8.8", "193.0.6.139", "202.12.29.175", "196.216.2.6")
"""Addresses of a resolver and of the registries of Europe, of Asia and the Pacific, and of Africa; nobody is sent anything."""
PATIENCE = 2.0
_NOWHERE = ("", "0.000000 0.000000")


def may_be_known(settings: Mapping[str, str]) -> bool:
    """Whether it is worth asking."""
    has_places = "geoip" in settings.get("launch", "").replace(",", " ").split()
    return has_places and settings.get("edns-subnet-processing", "no") in ON


def listens_at(settings: Mapping[str, str], url: str) -> tuple[str, int]:
    """Where the server answers, by its own settings; one that listens everywhere is asked where its API is."""
    first = (settings.get("local-address", "").replace(",", " ").split() or [""])[0]
    try:
        is_one = not ipaddress.ip_address(first).is_unspecified
    except ValueError:
        is_one = False
    port = settings.get("local-port", "53")
    return first if is_one else urlsplit(url).hostname or "127.0.0.1", int(port) if port.isdecimal() else 53


async def are_known(name: str, host: str, port: int, *, patience: float = PATIENCE) -> bool:
    """Whether the record at `name` tells different positions for clients in different places."""
    told = set(await asyncio.gather(*(_told(name, client, host, port, patience) for client in CLIENTS)))
    return len(told.difference(_NOWHERE)) > 1


async def _told(name: str, client: str, host: str, port: int, patience: float) -> str:
    query = dns.message.make_query(name, "TXT", use_edns=0, options=[dns.edns.ECSOption(client, 24)])
    try:
        answer = await dns.asyncquery.udp(query, host, timeout=patience, port=port)
    except (dns.exception.DNSException, OSError, EOFError):
        return ""
    return next((str(rdata).strip('"') for rrset in answer.answer for rdata in rrset), "")
