"""What one server really answers of a zone, compared with what its backend has.

First the SOA with its serial and signature, then every record set with its own.
"""

import asyncio
from collections.abc import Callable, Collection, Mapping

import dns.flags
import dns.message
import dns.name
import dns.rdata
import dns.rdatatype
import dns.rrset
from catalyst_sdk.dns import RecordSet, ZoneState
from catalyst_sdk.dns_rules import KEYS, Key
from catalyst_sdk.resolver import fault, pick

from catalyst_pool_domain_manager.domain.drifts import Kind, Sight

from .servers import Fault, Servers, rrset


async def seen_at(
    servers: Servers, name: str, state: ZoneState, desired: Mapping[Key, RecordSet],
    signed_until: Callable[[int], None] = lambda _: None,
) -> tuple[Sight, ...]:  # fmt: skip
    """What a server answers otherwise than it should.

    state         the zone as its backend has it, keys with it
    signed_until  told when a signature ends that was seen, in seconds since 1970
    """
    answer = await _twice(servers, name, state.name)
    if isinstance(answer, Fault):
        return (Sight(Kind.LAME, name, cause=answer.detail),)
    soa = rrset(answer, state.name, "SOA")
    if soa is None or not answer.flags & dns.flags.AA:
        return (Sight(Kind.LAME, name, cause=f"no authority for {state.name}"),)
    for signatures in (r for r in answer.answer if r.rdtype == dns.rdatatype.RRSIG):
        signed_until(min(int(one.expiration) for one in signatures))
    keys = _keys(state)
    if state.signed and (wrong := _unsigned(answer, soa, state.name, keys)):
        return (Sight(wrong[0], name, cause=wrong[1]),)
    serial = int(soa[0].serial)
    if serial < state.serial:
        return (Sight(Kind.STALE_SERVER, name, cause=f"serial {serial}, the backend has {state.serial}"),)
    found = await asyncio.gather(*(_set_at(servers, name, state, wished, keys) for wished in desired.values()))
    return tuple(sight for sight in found if sight is not None)


async def answered(
    servers: Servers, name: str, desired: Mapping[Key, RecordSet], own: Collection[str] = ()
) -> dict[Key, RecordSet] | None:  # fmt: skip
    """What a server answers for the wished names; None where it gives no answer. `own`: keys of the zone itself, which are
    answered together with others' that are wished."""
    keys = sorted(desired)
    asked = await asyncio.gather(*(servers.ask(name, *key) for key in keys))
    if any(isinstance(answer, Fault) for answer in asked):
        return None
    found = {}
    for key, answer in zip(keys, asked, strict=True):
        seen = None if isinstance(answer, Fault) else rrset(answer, *key)
        if seen is not None:
            texts = tuple(text for rdata in seen if (text := str(rdata)) not in own)
            # One set has one time to live, which is that of the zone's own keys.
            ttl = desired[key].ttl if own and key[1] == KEYS else int(seen.ttl)
            found[key] = RecordSet(*key, ttl, texts)
    return found


async def _twice(servers: Servers, name: str, origin: str) -> dns.message.Message | Fault:
    """One lost packet is no trouble of a server."""
    answer = await servers.ask(name, origin, "SOA")
    return await servers.ask(name, origin, "SOA") if isinstance(answer, Fault) else answer


async def _set_at(
    servers: Servers, name: str, state: ZoneState, wished: RecordSet, keys: dns.rrset.RRset | None
) -> Sight | None:
    answer = await servers.ask(name, wished.name, wished.type)
    if isinstance(answer, Fault):
        return None  # it answered a moment ago; if it is away, the next look tells
    found = rrset(answer, wished.name, wished.type)
    if found is None:
        return Sight(Kind.MISSING, name, wished.name, wished.type, wished, None)
    seen = RecordSet(wished.name, wished.type, int(found.ttl), tuple(sorted(str(rdata) for rdata in found)))
    # Keys of others are answered together with the zone's own.
    own = {key.dnskey for key in state.keys} if wished.type == KEYS else set()
    if wished.type != "SOA" and set(seen.records) != set(wished.records) | own:
        return Sight(Kind.CHANGED, name, wished.name, wished.type, wished, seen)
    if state.signed and (wrong := _unsigned(answer, found, state.name, keys)):
        return Sight(wrong[0], name, wished.name, wished.type, cause=wrong[1])
    return None


def _keys(state: ZoneState) -> dns.rrset.RRset | None:
    """The zone's keys as the backend has them, so that nobody needs to ask for them."""
    if not state.keys:
        return None
    rdatas = [dns.rdata.from_text("IN", "DNSKEY", key.dnskey) for key in state.keys]
    return dns.rrset.from_rdata_list(dns.name.from_text(state.name), 3600, rdatas)


def _unsigned(
    answer: dns.message.Message, found: dns.rrset.RRset, zone: str, keys: dns.rrset.RRset | None
) -> tuple[Kind, str] | None:
    if pick(answer.answer, found.name, dns.rdatatype.RRSIG, covers=found.rdtype) is None:
        return Kind.UNSIGNED, f"{found.name} has no signature"
    why = fault(answer.answer, found, {dns.name.from_text(zone): keys} if keys is not None else {})
    return (Kind.BOGUS, why) if why else None
