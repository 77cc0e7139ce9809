"""Which address asks: that of the connection, or, where a proxy of ours made it, the one that the proxy saw.

Invariant
  not by word  a header counts only as far as proxies of ours wrote it: it is walked from its right end, and the first
               address that is none of them is the caller's, whatever stands to the left of it.
"""

from collections.abc import Sequence
from ipaddress import IPv4Address, IPv6Address, ip_address, ip_network

Address = IPv4Address | IPv6Address


class Proxies:
    """The networks in which proxies of ours stand."""

    def __init__(self, networks: Sequence[str]) -> None:
        self._networks = [ip_network(network) for network in networks]

    def is_ours(self, address: str) -> bool:
        """Whether what comes from `address` was passed on by a proxy of ours."""
        found = _read(address)
        return found is not None and any(found in network for network in self._networks)

    def client(self, peer: str, forwarded: Sequence[str], real_ip: str = "") -> str:
        """The caller's address.

        peer       of the connection
        forwarded  values of X-Forwarded-For, in their order
        real_ip    of X-Real-IP, which counts only without the other
        """
        last = peer
        hops = [hop.strip() for value in forwarded for hop in value.split(",")] or [real_ip.strip()]
        for hop in reversed(hops):
            if not self.is_ours(last):
                return last
            found = _read(hop)
            if found is None:  # what is no address says nothing, and nothing to the left of it does
                return last
            last = str(found)
        return last


def _read(text: str) -> Address | None:
    """An address, with or without a port, as proxies write it (RFC 7239, section 6); IPv4 in IPv6 is IPv4."""
    bare = text.strip()
    if bare.startswith("["):
        bare = bare[1:].partition("]")[0]
    elif bare.count(":") == 1:
        bare = bare.partition(":")[0]
    try:
        found = ip_address(bare)
    except ValueError:
        return None
    mapped = found.ipv4_mapped if isinstance(found, IPv6Address) else None
    return mapped or found
