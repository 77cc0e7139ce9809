"""Which addresses the world can reach."""

import ipaddress

Address = ipaddress.IPv4Address | ipaddress.IPv6Address
_TRANSLATED = (ipaddress.ip_network("64:ff9b::/96"), ipaddress.ip_network("64:ff9b:1::/48"))
"""Prefixes of NAT64 (RFC 6052, RFC 8215): what is reached through them is the IPv4 address inside."""


def parse(text: str) -> Address | None:
    """The address that a text is; None where it is none that means the same everywhere. An IPv4 address in the clothes of an
    IPv6 one (RFC 4291, section 2.5.5.2) is the former: nobody is reached by an AAAA record of the latter."""
    try:
        address = ipaddress.ip_address(text)
    except ValueError:
        return None
    if mapped := getattr(address, "ipv4_mapped", None):
        return ipaddress.IPv4Address(mapped)
    # A zone of the machine that typed it means nothing elsewhere (RFC 4007, section 6).
    return None if getattr(address, "scope_id", None) else address


def is_public(address: Address) -> bool:
    """Whether the world can reach it; of an address that carries another one, that one."""
    inner = _inner(address)
    return address.is_global and not address.is_multicast if inner is None else is_public(inner)


def _inner(address: Address) -> ipaddress.IPv4Address | None:
    if isinstance(address, ipaddress.IPv4Address):
        return None
    if any(address in prefix for prefix in _TRANSLATED):
        return ipaddress.IPv4Address(int(address) & 0xFFFFFFFF)
    return address.ipv4_mapped or address.sixtofour
