"""The key of a new zone, as the name server itself tells it.

For each call of its API the server opens its database anew, so that to ask for a key costs as much as half a new zone; the name
server answers from connections that it has, in a tenth of that. It is believed where its answer is as sure as the API's: by TCP,
while the API is spoken without TLS, and by the one process that made the zone, since another one may yet know the key of a zone
that had the name before. All that is odd is left to the API.
"""

import asyncio
import ipaddress
import struct
from collections.abc import Mapping
from typing import Any
from urllib.parse import urlsplit

import dns.dnssec
import dns.exception
import dns.flags
import dns.message
import dns.rdatatype
from dns.rdatatype import RdataType

from . import places

PATIENCE = 1.0
"""Seconds for both answers; the API needs less."""
_ENTRY_POINT = 1
_DIGEST = "2"
"""SHA-256, the one that a new zone shows to its parent where the server publishes it by itself."""
Raw = list[dict[str, Any]]
"""Keys as the API lists them."""


class NameServer:
    """Where one process answers DNS."""

    def __init__(self, host: str, port: int) -> None:
        self.place = host, port

    async def keys(self, zone: str) -> Raw | None:
        """The only key of a zone that was made a moment ago and shows it to its parent; None where it cannot be told for sure.

        raises   OSError where nobody answers
        """
        async with asyncio.timeout(PATIENCE):
            answers = await self._asked(zone, RdataType.DNSKEY, RdataType.CDS)
        try:
            shown, named = (_only(wire, zone, kind) for wire, kind in answers)
            ds = dns.dnssec.make_ds(zone, shown, "SHA256")
        except (dns.exception.DNSException, ValueError):
            return None
        if not shown.flags & _ENTRY_POINT or ds.to_wire() != named.to_wire():
            return None
        return [{"id": 0, "active": True, "dnskey": str(shown), "ds": [str(ds)], "cds": [str(named)]}]

    async def _asked(self, zone: str, *kinds: RdataType) -> list[tuple[bytes, RdataType]]:
        reader, writer = await asyncio.open_connection(*self.place)
        try:
            queries = [dns.message.make_query(zone, kind).to_wire() for kind in kinds]
            writer.write(b"".join(struct.pack("!H", len(query)) + query for query in queries))
            return [(await _one(reader), kind) for kind in kinds]
        except EOFError as error:
            raise ConnectionResetError from error
        finally:
            writer.transport.abort()


def found(settings: Mapping[str, str], served_at: tuple[str, int] | None, url: str) -> NameServer | None:
    """The name server of the process whose API is at `url`; None where the API's answer is surer, or nobody says where it is.

    served_at   where the plugin's configuration says it answers
    """
    if urlsplit(url).scheme == "https" or settings.get("default-publish-cds") != _DIGEST:
        return None
    host, port = served_at or places.listens_at(settings, url)
    # What listens everywhere may be one of several behind the API's name.
    is_one = served_at is not None or host in settings.get("local-address", "").replace(",", " ").split()
    return NameServer(host, port) if is_one and not ipaddress.ip_address(host).is_unspecified else None


async def _one(reader: asyncio.StreamReader) -> bytes:
    (length,) = struct.unpack("!H", await reader.readexactly(2))
    return await reader.readexactly(length)


def _only(wire: bytes, zone: str, kind: RdataType) -> Any:
    """The one record of an answer with authority, and in the order in which it was asked. Raises ValueError."""
    answer = dns.message.from_wire(wire)
    (only,) = [r for rrset in answer.answer if rrset.rdtype == kind and str(rrset.name) == zone for r in rrset]
    if not answer.flags & dns.flags.AA:
        raise ValueError(zone)
    return only
