"""Traffic policies: which of several addresses a host name answers with, compiled for what its backend can do.

Invariants
  never empty    a host with a policy always has an answer: where all members are down, all of them are told;
  typed          what is handed to a server that evaluates it is made of addresses, numbers and one address of a probe that
                 was taken apart before; no text of a caller gets there;
  said before    what a backend can neither evaluate nor have probed for it is refused when it is wished;
  epochs rise    a host name that was steered under an epoch is steered under an equal or a higher one only.
"""

import ipaddress
import re
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from urllib.parse import urlsplit

from catalyst_sdk import Violation, addresses
from catalyst_sdk.dns import Capability, RecordSet

LUA = "LUA"
MOST_MEMBERS = 64
_HOST = re.compile(r"[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?([.][a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?)*")
_PATH = re.compile(r"(/[A-Za-z0-9._~!$&+,;=:@%/-]{0,512})?(\?[A-Za-z0-9._~!$&+,;=:@%/?-]{0,512})?")


class Strategy(StrEnum):
    """Choice among the members."""

    SINGLE = "single"
    ALL = "all"
    ORDERED = "ordered"
    WEIGHTED = "weighted"
    HASHED = "hashed"
    CLOSEST = "closest"


PROBED = frozenset({Strategy.ALL, Strategy.ORDERED})
CLIENTS = frozenset({Strategy.WEIGHTED, Strategy.HASHED, Strategy.CLOSEST})
"""Strategies that go by the client, which only the answering server sees."""


@dataclass(frozen=True, slots=True)
class Member:
    """One address to choose."""

    address: str
    weight: int = 1
    rank: int = 0
    region: str = ""


@dataclass(frozen=True, slots=True)
class Probe:
    """How a member is found up: a GET of `url` at its address, or a connection to `port`. Times in seconds."""

    url: str = ""
    port: int = 0
    interval: float = 10.0
    timeout: float = 2.0
    down_after: int = 3


@dataclass(frozen=True, slots=True)
class Policy:
    """One host name's policy. `hostname` without a final dot; `probe` None: nobody is asked."""

    hostname: str
    strategy: Strategy
    members: tuple[Member, ...]
    probe: Probe | None = None
    ttl: int | None = None
    epoch: int = 0


def checked(wished: Sequence[Policy], fqdn: str, *, allow_private: bool) -> tuple[tuple[Policy, ...], list[Violation]]:
    """Policies in canonical form by host name, and everything that is wrong with them."""
    found: list[Violation] = []
    good = [_checked(n, policy, fqdn, found, allow_private=allow_private) for n, policy in enumerate(wished)]
    names = [policy.hostname for policy in good]
    found += [
        Violation(f"traffic[{n}].hostname", f"{name} has two policies", "unique")
        for n, name in enumerate(names)
        if name in names[:n]
    ]
    return tuple(sorted(good, key=lambda p: p.hostname)), found


def _checked(n: int, p: Policy, fqdn: str, found: list[Violation], *, allow_private: bool) -> Policy:
    def wrong(field: str, why: str, rule: str) -> None:
        found.append(Violation(f"traffic[{n}].{field}", why, rule))

    host = p.hostname.strip().lower().removesuffix(".")
    if not _HOST.fullmatch(host) or (host != fqdn and not host.endswith(f".{fqdn}")):
        wrong("hostname", f"it is no host name at or below {fqdn}", "hostname")
    if not 1 <= len(p.members) <= MOST_MEMBERS:
        wrong("members", f"1 to {MOST_MEMBERS} are needed", "count")
    members = []
    for m, member in enumerate(p.members):
        address = addresses.parse(member.address)
        if address is None:
            wrong(f"members[{m}].address", f"{member.address!r} is no address", "address")
        elif not allow_private and not addresses.is_public(address):
            wrong(f"members[{m}].address", f"{address} is not public", "public")
        else:
            members.append(Member(str(address), member.weight, member.rank, member.region))
    if len({m.address for m in members}) != len(members):
        wrong("members", "an address stands there twice", "unique")
    if p.strategy is Strategy.WEIGHTED and members and not any(m.weight for m in members):
        wrong("members", "somebody must have a weight", "weight")
    if p.probe is not None and p.probe.url and not _is_probe(p.probe.url):
        wrong("probe.url", "it is no plain http or https address", "url")
    return Policy(host, p.strategy, tuple(members), _probe(p, host), p.ttl, p.epoch)


def _probe(p: Policy, host: str) -> Probe | None:
    if p.strategy not in PROBED:
        return None
    given = p.probe or (Probe() if p.strategy is Strategy.ORDERED else None)
    if given is None or given.url or given.port:
        return given
    return Probe(f"https://{host}/healthz", 0, given.interval, given.timeout, given.down_after)


def _is_probe(url: str) -> bool:
    """Whether it can be written into a line that a server evaluates."""
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError:
        return False
    rest = url[len(f"{parts.scheme}://{parts.netloc}") :]
    return (
        parts.scheme in ("http", "https")
        and parts.netloc == (f"{parts.hostname}:{port}" if port else parts.hostname)
        and bool(_HOST.fullmatch(parts.hostname or ""))
        and bool(_PATH.fullmatch(rest))
    )


def missing(p: Policy, can: Collection[Capability]) -> str:
    """What the backend lacks for the policy; empty where nothing."""
    if p.strategy in CLIENTS and Capability.LUA not in can:
        return f"the strategy {p.strategy.name}, which goes by the client"
    if p.strategy is Strategy.CLOSEST and Capability.GEO not in can:
        return "the strategy CLOSEST, for which the server has to be seen to know where clients are"
    return ""


def needs_prober(p: Policy, can: Collection[Capability]) -> bool:
    """Whether somebody else than the answering server has to look which members are up."""
    if p.probe is None or p.strategy not in PROBED:
        return False
    return Capability.LUA not in can or (p.strategy is Strategy.ORDERED and bool(p.probe.port))


def compiled(p: Policy, can: Collection[Capability], down: Collection[str], ttl: int) -> tuple[RecordSet, ...]:
    """The record sets of the host. `down`: members that a prober found so; `ttl`: of the pool's records."""
    name, lasting = f"{p.hostname}.", p.ttl or ttl
    is_probed = p.strategy in PROBED and p.probe is not None
    if p.strategy in CLIENTS or (is_probed and not needs_prober(p, can)):
        lines = [line for kind, members in _families(p.members) if (line := _line(p, kind, members))]
        return (RecordSet(name, LUA, lasting, tuple(lines)),)
    chosen = _up(p, down)
    return tuple(
        RecordSet(name, kind, lasting, tuple(m.address for m in members)) for kind, members in _families(chosen)
    )


def _up(p: Policy, down: Collection[str]) -> tuple[Member, ...]:
    """Who is told: those that are up, of the lowest rank where it goes by rank; all where none is."""
    if p.strategy is Strategy.SINGLE or p.probe is None:
        return p.members
    up = tuple(m for m in p.members if m.address not in down)
    if not up or p.strategy is not Strategy.ORDERED:
        return up or p.members
    first = min(m.rank for m in up)
    return tuple(m for m in up if m.rank == first)


def _families(members: Sequence[Member]) -> list[tuple[str, tuple[Member, ...]]]:
    kinds = {4: "A", 6: "AAAA"}
    found: dict[str, list[Member]] = {}
    for member in members:
        found.setdefault(kinds[ipaddress.ip_address(member.address).version], []).append(member)
    return [(kind, tuple(found[kind])) for kind in sorted(found)]


def _line(p: Policy, kind: str, members: tuple[Member, ...]) -> str:
    """One line of PowerDNS' LUA records (its manual, "Lua Records"), of addresses and numbers only."""
    if p.strategy is Strategy.WEIGHTED:
        weighed = [m for m in members if m.weight] or members
        table = _table([f"{{{m.weight},'{m.address}'}}" for m in weighed])
        return _content(kind, f"pickwhashed({table})")
    if p.strategy is Strategy.HASHED:
        return _content(kind, f"pickhashed({_quoted(members)})")
    if p.strategy is Strategy.CLOSEST:
        return _content(kind, f"pickclosest({_quoted(members)})")
    probe = p.probe or Probe()
    options = f"timeout={max(1, round(probe.timeout))},minimumFailures={max(1, probe.down_after)},backupSelector='all'"
    if probe.port:
        return _content(kind, f"ifportup({probe.port},{_quoted(members)},{{selector='all',{options}}})")
    # Sets are tried in their order: one set for all, or one a rank.
    ranks = [0] if p.strategy is Strategy.ALL else sorted({m.rank for m in members})
    sets = [_quoted([m for m in members if p.strategy is Strategy.ALL or m.rank == rank]) for rank in ranks]
    return _content(kind, f"ifurlup('{probe.url}',{_table(sets)},{{selector='all',{options}}})")


def _quoted(members: Sequence[Member]) -> str:
    return _table([f"'{m.address}'" for m in members])


def _table(parts: Sequence[str]) -> str:
    return "{" + ",".join(parts) + "}"


def _content(kind: str, code: str) -> str:
    """The record's data; a text above 255 octets is several (RFC 1035, section 3.3.14)."""
    pieces = [code[at : at + 255] for at in range(0, len(code), 255)]
    return f"{kind} " + " ".join(f'"{piece}"' for piece in pieces)


def members_of(content: str) -> frozenset[str]:
    """The addresses that a compiled line may answer with."""
    text = "".join(re.findall(r'"([^"]*)"', content))
    return frozenset(quoted for quoted in re.findall(r"'([^']*)'", text) if addresses.parse(quoted))


def raised(epochs: Mapping[str, int], before: Sequence[Policy], after: Sequence[Policy], epoch: int) -> dict[str, int]:
    """The epochs after a change of policies. Raises StaleEpoch with the host whose epoch is higher.

    epoch   of the whole request, for hosts that state none
    """
    known = {p.hostname: p for p in before}
    wished = {p.hostname: p for p in after}
    found = dict(epochs)
    for host in sorted(known.keys() | wished.keys()):
        given = (wished[host].epoch if host in wished else 0) or epoch
        if given < found.get(host, 0):
            raise StaleEpoch(host, found[host], given)
        if given:
            found[host] = given
    return found


class StaleEpoch(Exception):
    """Somebody else has steered a host name since."""

    def __init__(self, hostname: str, stored: int, given: int) -> None:
        super().__init__(f"{hostname} was steered under epoch {stored}")
        self.hostname, self.stored, self.given = hostname, stored, given
