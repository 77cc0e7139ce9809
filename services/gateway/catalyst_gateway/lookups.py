"""Names that are in no pool, as the system's resolver sees them: whether one is there, and whether it leads to us."""

import asyncio
import socket
from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from catalyst_sdk import addresses

PATIENCE = 2.0
"""Seconds for one name."""


class NoSuchName(Exception):
    """The name has no address."""


class LookupFailed(Exception):
    """Nobody says whether it has."""


@dataclass(frozen=True, slots=True)
class Found:
    """Where a name leads.

    canonical   the name at the end of its aliases, in lower case without its final dot
    """

    canonical: str
    addresses: frozenset[str]


async def look_up(host: str) -> Found:
    """The addresses of a host. Raises NoSuchName, LookupFailed."""
    try:
        async with asyncio.timeout(PATIENCE):
            rows = await asyncio.get_running_loop().getaddrinfo(
                host, None, type=socket.SOCK_STREAM, flags=socket.AI_CANONNAME
            )
    except socket.gaierror as error:
        raise (NoSuchName if error.errno in (socket.EAI_NONAME, socket.EAI_NODATA) else LookupFailed) from error
    except (OSError, UnicodeError) as error:
        raise LookupFailed from error
    canonical = next((row[3] for row in rows if row[3]), host)
    return Found(canonical.lower().removesuffix("."), frozenset(str(row[4][0]) for row in rows))


async def pointing_fault(
    domain: str, wished: str, look_up: Callable[[str], Awaitable[Found]] = look_up
) -> tuple[str, str] | None:
    """Why `domain` does not lead to `wished`, an address or a host, by a record alone: a reason and a sentence; None: it does."""
    here = addresses.parse(wished)
    try:
        found = await look_up(domain)
        if here is not None:
            wanted = frozenset({str(here)})
        elif found.canonical == wished:
            return None
        else:
            wanted = (await look_up(wished)).addresses
    except NoSuchName:
        return "POINTS_NOWHERE", f"{domain} or {wished} has no address; enter a CNAME to {wished} at its present host"
    except LookupFailed:
        return "lookup-error", f"{domain} or {wished} could not be looked up"
    if found.addresses <= wanted:
        return None
    return (
        "POINTS_ELSEWHERE",
        f"{domain} leads to {', '.join(sorted(found.addresses))}, and {wished} is {', '.join(sorted(wanted))}",
    )
