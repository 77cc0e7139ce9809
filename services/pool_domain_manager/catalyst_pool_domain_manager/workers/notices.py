"""Telling servers that a zone has changed (RFC 1996), so that they ask for it now and not when their timer ends.

Nobody waits for them: a notice that is lost costs time and nothing else, because every polled server is asked anyway whether the
change has arrived, and notices go out again until it has.
"""

import asyncio

import dns.asyncquery
import dns.exception
import dns.flags
import dns.message
import dns.opcode
import dns.rrset

from .polled import Polled

PATIENCE = 1.0


async def notify(told: Polled, origin: str, soa: str, ttl: int) -> frozenset[str]:
    """Send each server one notice with the zone's SOA; who has acknowledged it."""
    answers = await asyncio.gather(*(_one(told, server, _notice(origin, soa, ttl)) for server in told.names))
    return frozenset(server for server, heard in zip(told.names, answers, strict=True) if heard)


def _notice(origin: str, soa: str, ttl: int) -> dns.message.QueryMessage:
    message = dns.message.make_query(origin, "SOA")
    message.set_opcode(dns.opcode.NOTIFY)
    message.flags = (message.flags | dns.flags.AA) & ~dns.flags.RD
    message.answer.append(dns.rrset.from_text(origin, ttl, "IN", "SOA", soa))
    return message


async def _one(told: Polled, server: str, notice: dns.message.Message) -> bool:
    try:
        host, port = told.servers.address(server)
        await dns.asyncquery.udp(notice, host, timeout=PATIENCE, port=port)
    except (dns.exception.DNSException, OSError, LookupError, ValueError):
        return False
    return True
