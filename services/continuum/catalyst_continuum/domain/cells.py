"""Which cells make one witness, and which of them count.

Invariants
  apart     two cells share no name, no address, no failure domain;
  distinct  of cells that show one identity only the first counts: whatever their addresses say, they are one;
  odd       an even number survives no more failures than one less, and is refused.
"""

import hashlib
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from enum import StrEnum

from . import spec
from .spec import LeaseClient, LeaseKind, SecretKey

LEAST, MOST = 1, 7
"""Of one witness. One cell is no quorum, and survives nothing; who tries things out may have it so."""


class Kind(StrEnum):
    """What keeps a cell."""

    DNS = "dns"
    DURABLE_OBJECT = "durable-object"
    HTTP_CAS = "http-cas"


@dataclass(frozen=True, slots=True)
class Cell:
    """One cell as the configuration has it.

    address    `ip:port` of a name server, URL of an HTTP store
    domain     what fails as a whole; empty: the cell is one of its own
    zone, key_name, key_file, transport   of a name server; empty: those of the daemon
    token      name of the secret that an HTTP store wants to see
    """

    name: str
    kind: Kind
    address: str
    domain: str = ""
    zone: str = ""
    key_name: str = ""
    key_file: str = ""
    transport: str = ""
    token: str = ""


def faults(cells: Sequence[Cell]) -> list[str]:
    """What keeps these cells from being one witness; empty where nothing does."""
    found = []
    if not LEAST <= len(cells) <= MOST or len(cells) % 2 == 0:
        found.append(f"{len(cells)} cells: take an odd number of at most {MOST}")
    found += [f"{name} is the name of {n} cells" for name, n in _twice(cell.name for cell in cells)]
    found += [f"{n} cells are at {address}" for address, n in _twice(cell.address.rstrip("/") for cell in cells)]
    found += [
        f"{n} cells stand in the failure domain {domain}"
        for domain, n in _twice(cell.domain for cell in cells if cell.domain)
    ]
    found += [
        f"{cell.name}: an HTTP cell wants a token" for cell in cells if cell.kind is not Kind.DNS and not cell.token
    ]
    return found


def wished(lease: LeaseClient) -> list[Cell]:
    """The cells that a wish names; none: it has those of the daemon."""
    if lease.kind in (LeaseKind.DURABLE_OBJECT, LeaseKind.CLOUDFLARE_KV):
        return [Cell(lease.kind.value, Kind.HTTP_CAS, lease.base_url, token=file_of(lease.token))]
    return [_cell(one) for one in lease.cells]


def unsupported(lease: LeaseClient) -> list[str]:
    """Kinds of cells that nothing here reaches."""
    if lease.kind is LeaseKind.K8S_LEASE:
        return [LeaseKind.K8S_LEASE.value]
    known = {kind.value for kind in Kind}
    return sorted({one.kind for one in lease.cells} - known)


def configuration(lease: LeaseClient) -> str:
    """Name under which the cells of a wish have its record: of which cells they are, and of nothing else that is said of them.
    Empty: the daemon's own cells."""
    rows = [f"{cell.name} {cell.kind} {cell.address} {cell.zone}" for cell in wished_or_unknown(lease)]
    return f"c{hashlib.sha256(chr(10).join(sorted(rows)).encode()).hexdigest()[:8]}" if rows else ""


def wished_or_unknown(lease: LeaseClient) -> Sequence["Cell | spec.Cell"]:
    """As `wished`, also where nothing here reaches them."""
    return lease.cells if unsupported(lease) and lease.cells else wished(lease)


def key(lease: LeaseClient) -> LeaseClient:
    """All that is said of the cells themselves; from where somebody looks is not."""
    return replace(lease, resolvers=())


def file_of(secret: SecretKey | None) -> str:
    """Name of the file that a secret of a wish lies in."""
    return f"{secret.name}.{secret.key}" if secret is not None else ""


def _cell(one: spec.Cell) -> Cell:
    if one.kind == Kind.DNS:
        return Cell(
            one.name, Kind.DNS, one.address, one.domain, one.zone, key_file=file_of(one.secret), transport=one.transport
        )
    return Cell(one.name, Kind(one.kind), one.base_url, one.domain, token=file_of(one.secret))


def clashing(shown: Mapping[str, str]) -> Mapping[str, str]:
    """Cells that do not count, with the cell that they are: `shown` has the identity of each that answered, in order."""
    first: dict[str, str] = {}
    return {cell: one for cell, id in shown.items() if (one := first.setdefault(id, cell)) != cell}


def _twice(names: Iterable[str]) -> list[tuple[str, int]]:
    return [(name, n) for name, n in Counter(names).items() if n > 1]
