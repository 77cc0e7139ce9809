"""What a spec may say of addresses, keys and names by which servers are reached."""

import ipaddress
import re
from collections.abc import Iterator

from catalyst_sdk import Violation

from .cidrs import LONGEST_BASE, SHORTEST_BASE
from .ssh_keys import key_fault
from .wishes import Document

HOST = re.compile(r"^(\*\.)?([a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?\.)*[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?$")


def violations(document: Document) -> Iterator[Violation]:
    """What is wrong with `network`, `access` and `api`."""
    network, access, api = (document.get(key) or {} for key in ("network", "access", "api"))
    if base := network.get("cidr_base"):
        yield from _base(base, "spec.network.cidr_base")
    for i, text in enumerate(network.get("reserved_cidrs") or ()):
        yield from _range(text, f"spec.network.reserved_cidrs[{i}]")
    for i, text in enumerate(access.get("ssh_allowed_cidrs") or ()):
        yield from _range(text, f"spec.access.ssh_allowed_cidrs[{i}]")
    for i, line in enumerate(access.get("ssh_public_keys") or ()):
        if fault := key_fault(line):
            yield Violation(f"spec.access.ssh_public_keys[{i}]", fault, "ssh_key")
    for i, text in enumerate(api.get("extra_sans") or ()):
        if not (HOST.match(text) or _is_address(text)):
            yield Violation(f"spec.api.extra_sans[{i}]", f"{text[:60]!r} is neither a name nor an address", "san")


def _base(text: str, path: str) -> Iterator[Violation]:
    found = list(_range(text, path))
    yield from found
    if not found:
        base = ipaddress.ip_network(text)
        if not (base.version == 4 and base.is_private):
            yield Violation(path, f"{text} is not private (RFC 1918)", "cidr")
        elif not SHORTEST_BASE <= base.prefixlen <= LONGEST_BASE:
            yield Violation(path, f"must be /{SHORTEST_BASE} to /{LONGEST_BASE}, not /{base.prefixlen}", "cidr")


def _range(text: str, path: str) -> Iterator[Violation]:
    try:
        ipaddress.ip_network(text)
    except ValueError:
        yield Violation(path, f"{text[:60]!r} is not a range without host bits", "cidr")


def _is_address(text: str) -> bool:
    try:
        ipaddress.ip_address(text)
    except ValueError:
        return False
    return True
