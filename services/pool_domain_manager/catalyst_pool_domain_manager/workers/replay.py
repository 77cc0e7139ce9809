"""Whether servers answer alike: each imported name and type, asked of the old servers and of the new ones."""

import asyncio
import hashlib
from collections.abc import Iterable, Mapping

import dns.message
import dns.rcode
import dns.rdatatype
import dns.rrset
from catalyst_sdk import Temporary
from catalyst_sdk.dns_rules import Key

from .polled import Polled
from .servers import Fault, rrset

AT_ONCE = 32
NOTHING = ""
"""Digest of a name that has no such records."""


async def digests(polled: Polled, keys: Iterable[Key]) -> dict[Key, str]:
    """What the first server that answers has at each name. Raises Temporary where none does."""
    turns = asyncio.Semaphore(AT_ONCE)

    async def one(key: Key) -> tuple[Key, str]:
        async with turns:
            for server in polled.names:
                answer = await polled.servers.ask(server, *key)
                if not isinstance(answer, Fault) and answer.rcode() in (dns.rcode.NOERROR, dns.rcode.NXDOMAIN):
                    return key, _digest(answer, key)
        raise Temporary(f"none of {', '.join(polled.names)} answers {key[1]} of {key[0]}", provider="dns")

    return dict(await asyncio.gather(*(one(key) for key in keys)))


async def differing(polled: Polled, wanted: Mapping[Key, str]) -> dict[str, tuple[Key, ...]]:
    """By server, what it answers otherwise. A server that does not answer is not named: silence is no other answer."""
    turns = asyncio.Semaphore(AT_ONCE)

    async def one(server: str, key: Key) -> Key | None:
        async with turns:
            answer = await polled.servers.ask(server, *key)
        return None if isinstance(answer, Fault) or _digest(answer, key) == wanted[key] else key

    async def at(server: str) -> tuple[str, tuple[Key, ...]]:
        found = await asyncio.gather(*(one(server, key) for key in wanted))
        return server, tuple(key for key in found if key is not None)

    return {server: keys for server, keys in await asyncio.gather(*(at(s) for s in polled.names)) if keys}


def _digest(answer: dns.message.Message, key: Key) -> str:
    found = rrset(answer, *key) or _cut(answer, key)
    if found is None:
        return NOTHING
    # The canonical form: case of names within the data and order of records say nothing.
    parts = sorted(rdata.to_digestable() for rdata in found)
    return hashlib.sha256(b"\0".join(parts)).hexdigest()[:20]


def _cut(answer: dns.message.Message, key: Key) -> dns.rrset.RRset | None:
    """Of a cut below the zone its servers only refer to it."""
    return (
        next((s for s in answer.authority if str(s.name) == key[0] and s.rdtype == dns.rdatatype.NS), None)
        if (key[1] == "NS")
        else None
    )
