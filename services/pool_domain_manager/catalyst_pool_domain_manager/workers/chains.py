"""Whether a name's zone hangs together with its parent as the world sees it: DS, keys, signatures, authority.

Cheap enough to be asked of every visible name all the time: two questions to each server of the parent, two to each of the
zone's.
"""

import asyncio
from collections.abc import Sequence

import dns.flags
import dns.message
import dns.rrset
from catalyst_sdk.dns import ZoneState
from catalyst_sdk.resolver import Bogus, trusted_keys

from .servers import Fault, Servers, rrset, unsigned


async def faults(
    servers: Servers,
    parents: Sequence[str],
    parent: str,
    children: Sequence[str],
    child: str,
    state: ZoneState | None = None,
) -> list[Fault]:
    """What breaks the chain from `parent`, asked of all its servers, to `child`, asked of all of its own.

    state   the child as its backend has it: each server of the parent has to show the DS of every key that signs, and of
            no stranger's
    """
    shown = await asyncio.gather(*(_ds_at(servers, server, parent, child) for server in parents))
    found = [ds for ds in shown if isinstance(ds, Fault)]
    if state is not None:
        told = ((server, ds) for server, ds in zip(parents, shown, strict=True) if not isinstance(ds, Fault))
        found += [fault for server, ds in told if (fault := _unlike(server, ds, state))]
    sets = [ds for ds in shown if not isinstance(ds, Fault)]
    if found or not sets:
        return found or [Fault(parent, "missing", f"no server of {parent} is known")]
    below = await asyncio.gather(*(_zone_at(servers, server, child, sets) for server in children))
    return [fault for fault in below if fault]


def _unlike(server: str, shown: dns.rrset.RRset, child: ZoneState) -> Fault | None:
    """Whether the DS set is another one than the child's keys ask for; while a key is exchanged, that of the other may stand
    there too."""
    wanted = {text for key in child.keys if key.active for text in key.ds}
    possible = {text for key in child.keys for text in key.ds}
    is_right = wanted <= {str(ds) for ds in shown} <= possible
    return None if is_right else Fault(server, "missing", f"the DS of {child.name} is not as it should be")


async def _ds_at(servers: Servers, server: str, parent: str, child: str) -> dns.rrset.RRset | Fault:
    """The DS of `child` as a server of the parent shows it, signed by the parent where the parent is signed."""
    answer, keys = await asyncio.gather(servers.ask(server, child, "DS"), servers.ask(server, parent, "DNSKEY"))
    if isinstance(answer, Fault):
        return answer
    if isinstance(keys, Fault):
        return keys
    found = rrset(answer, child, "DS")
    if found is None:
        return Fault(server, "missing", f"the DS of {child} is not shown")
    above = rrset(keys, parent, "DNSKEY")
    return (unsigned(server, answer, found, parent, above) if above else None) or found


async def _zone_at(servers: Servers, server: str, child: str, shown: Sequence[dns.rrset.RRset]) -> Fault | None:
    """Whether a server of the child answers with authority, signed by a key that every DS set names."""
    soa, keys = await asyncio.gather(servers.ask(server, child, "SOA"), servers.ask(server, child, "DNSKEY"))
    if isinstance(soa, Fault):
        return soa
    if isinstance(keys, Fault):
        return keys
    found, named = rrset(soa, child, "SOA"), rrset(keys, child, "DNSKEY")
    if not soa.flags & dns.flags.AA or found is None:
        return Fault(server, "lame", f"no authority for {child}")
    if named is None:
        return Fault(server, "bogus", f"{child} has a DS and no key")
    try:
        for ds in shown:
            trusted_keys(keys, named.name, ds)
    except Bogus as broken:
        return Fault(server, "bogus", str(broken))
    return unsigned(server, soa, found, child, named)
