"""What an allocation's zone and its place in the parent are to look like; and what is told about zones."""

from collections.abc import Collection
from dataclasses import dataclass

from catalyst_sdk.dns import Capability, Change, RecordSet, ZoneSpec, ZoneState

from . import traffic
from .allocations import Allocation
from .dnssec import wished_ds
from .ownership import foreign_keys
from .pools import Pool, ZoneMode
from .targets import addresses, locations

ADDRESSES = ("A", "AAAA", traffic.LUA)
"""Types that lead to somebody; the last one makes addresses up when it is asked."""


@dataclass(frozen=True, slots=True)
class ZoneFact:
    """Something that happened to a zone."""

    fqdn: str
    version: int
    owner: str
    serial: int = 0
    revision: int = 0


class ZoneCreated(ZoneFact):
    """It is there, with all its records."""


class ZoneSigned(ZoneFact):
    """Its signatures were seen at every server."""


class ZoneDeleted(ZoneFact):
    """It is gone from every server."""


TOLD: dict[type[ZoneFact], str] = {ZoneCreated: "created", ZoneSigned: "signed", ZoneDeleted: ""}
"""What a fact leaves behind in an allocation's `zone_told`."""


Can = Collection[Capability]
NOTHING: Can = frozenset()


def address_sets(a: Allocation, pool: Pool, can: Can = NOTHING) -> tuple[RecordSet, ...]:
    """The layout's names, each with the addresses of its slot; again below each location, with the location's. A host with
    a policy has what that comes to at a backend that `can` do so much."""
    others = steered(a)
    found: list[RecordSet] = []
    for policy in a.traffic:
        down = [address for host, address in a.down if host == policy.hostname]
        found += traffic.compiled(policy, can, down, pool.ttls.record)
    for host, slot in hosts(a, pool):
        if host in others:
            continue
        given = addresses(a.targets, slot)
        for kind, wanted in (("A", [x for x in given if ":" not in x]), ("AAAA", [x for x in given if ":" in x])):
            if wanted:
                found.append(RecordSet(host, kind, pool.ttls.record, tuple(wanted)))
    return tuple(sorted(found, key=lambda r: r.type == traffic.LUA))


def steered(a: Allocation) -> frozenset[str]:
    """Every name that gets addresses by a policy."""
    return frozenset(f"{policy.hostname}." for policy in a.traffic)


def hosts(a: Allocation, pool: Pool) -> tuple[tuple[str, str], ...]:
    """Every name of the layout, which gets addresses, with its slot."""
    own = [(a.zone if name == "@" else f"{name}.{a.zone}", slot) for name, slot in pool.layout]
    placed = [
        (f"{name}.{code}.{a.zone}", code)
        for code in locations(a.targets)
        for name, _ in pool.layout
        if name not in "@*"
    ]
    return (*own, *placed)


def issuers(a: Allocation, pool: Pool) -> RecordSet:
    """Who may issue certificates for the name and all below it (RFC 8659), and for which account (RFC 8657)."""
    account = f"; accounturi={pool.policy.account_uri}" if pool.policy.account_uri else ""
    said = tuple(f'0 issue "{issuer}{account}"' for issuer in pool.policy.issuers)
    return RecordSet(a.zone, "CAA", pool.ttls.record, said)


def no_mail(a: Allocation, pool: Pool) -> tuple[RecordSet, ...]:
    """A zone that takes no mail says so (RFC 7505, RFC 7208, RFC 7489); of a pool for mail none says it."""
    if "KIND_MAIL" in pool.kinds:
        return ()
    return (
        RecordSet(a.zone, "MX", pool.ttls.record, ("0 .",)),
        RecordSet(a.zone, "TXT", pool.ttls.record, ('"v=spf1 -all"',)),
        RecordSet(f"_dmarc.{a.zone}", "TXT", pool.ttls.record, ('"v=DMARC1; p=reject"',)),
    )


def spec(a: Allocation, pool: Pool, name_servers: tuple[str, ...], can: Can = NOTHING) -> ZoneSpec:
    """The zone to create."""
    return ZoneSpec(
        a.zone, name_servers, a.mark, own_sets(a, pool, can), signed=True,
        ttl=pool.ttls.record, negative_ttl=pool.ttls.negative, revision=a.generation,
    )  # fmt: skip


def own_sets(a: Allocation, pool: Pool, can: Can = NOTHING) -> tuple[RecordSet, ...]:
    """Everything that is wished for the name, besides what makes a zone one."""
    return (issuers(a, pool), *no_mail(a, pool), *address_sets(a, pool, can))


def corrections(a: Allocation, pool: Pool, state: ZoneState, can: Can = NOTHING) -> tuple[Change, ...]:
    """What must change in a zone that is there, so that its addresses and issuers are the wished ones.

    All else stays as it is: the owner may have come to take mail, and said so.
    """
    wanted = {(r.name, r.type): r for r in (issuers(a, pool), *address_sets(a, pool, can))}
    known = {(r.name, r.type): r for r in state.record_sets}
    others = foreign_keys(state.record_sets, a.owner)  # whoever shares the zone keeps his own
    gone = [Change(*key) for key in known.keys() - wanted.keys() - others if key[1] in ADDRESSES]
    new = [Change(r.name, r.type, r.ttl, r.records) for key, r in wanted.items() if not _equal(known.get(key), r)]
    return (*gone, *new)


def server_changes(a: Allocation, pool: Pool, state: ZoneState, name_servers: tuple[str, ...]) -> tuple[Change, ...]:
    """What has the zone name the servers that its pool has by now. Those of before go on serving it: caches know them."""
    known = state.find(a.zone, "NS")
    if known is not None and set(known.records) == set(name_servers):
        return ()
    return (Change(a.zone, "NS", pool.ttls.record, name_servers),)


def is_led_elsewhere(a: Allocation, parent: ZoneState, child: ZoneState, name_servers: tuple[str, ...]) -> bool:
    """Whether zone and cut both name other servers than the pool has by now. A cut alone was changed by somebody else."""
    sets = [state.find(a.zone, "NS") for state in (parent, child)]
    return child.owner == a.mark and all(r is not None and set(r.records) != set(name_servers) for r in sets)


def withdrawals(state: ZoneState) -> tuple[Change, ...]:
    """Takes every address out of a zone: a freed address may soon be a stranger's."""
    return tuple(Change(r.name, r.type) for r in state.record_sets if r.type in ADDRESSES)


def delegation(
    a: Allocation, pool: Pool, child: ZoneState, name_servers: tuple[str, ...], shown: RecordSet | None = None
) -> tuple[Change, ...]:
    """NS and DS of the child, for one change of the parent, which has the DS `shown`."""
    ds = wished_ds(child, shown)
    return (Change(a.zone, "NS", pool.ttls.ns, name_servers), Change(a.zone, "DS", pool.ttls.ds, ds))


def removals(a: Allocation, parent: ZoneState) -> tuple[Change, ...]:
    """Takes out of the parent everything at and below the name: what the cut hides comes alive when it goes."""
    return tuple(Change(r.name, r.type) for r in parent.record_sets if is_below(r.name, a.zone))


def foreign(
    a: Allocation, parent: ZoneState, name_servers: tuple[str, ...], child: ZoneState | None = None
) -> tuple[str, ...]:  # fmt: skip
    """Records of the parent at or below the name that are not the delegation that we would write, or have written when the
    pool had other servers: that vouches for the key of the `child`."""
    ours = {(a.zone, "NS"), (a.zone, "DS")}
    ns, ds = parent.find(a.zone, "NS"), parent.find(a.zone, "DS")
    own = {text.lower() for key in child.keys for text in key.ds} if child else set()
    is_vouched = ds is not None and {text.lower() for text in ds.records} <= own
    if ns is not None and set(ns.records) != set(name_servers) and not is_vouched:
        ours = set()
    below = [r for r in parent.record_sets if is_below(r.name, a.zone)]
    return tuple(f"{r.name} {r.type}" for r in below if (r.name, r.type) not in ours)


def labels_in_use(pool: Pool, parent: ZoneState, *, held: frozenset[str], servers: frozenset[str]) -> frozenset[str]:
    """Labels at or below which the pool's own zone holds records, and those of name servers.

    held      labels that somebody holds: their delegations are ours, or, inside of the pool's zone, all that is theirs
    servers   every name server's host name, with its final dot
    """
    cuts = ("NS", "DS")
    ours = [r.name for r in parent.record_sets if r.type in cuts or pool.zone_mode is ZoneMode.IN_PARENT]
    theirs = [r.name for r in parent.record_sets if r.type not in cuts and pool.zone_mode is ZoneMode.DELEGATED]
    found = {_label(name, pool) for name in (*theirs, *servers)}
    found |= {label for name in ours if (label := _label(name, pool)) not in held}
    return frozenset(
        label for label in found if label and label[0] not in "_*"
    )  # those are no label that one could have


def led_to(parent: ZoneState) -> frozenset[str]:
    """Hosts that delegations name."""
    cuts = (r for r in parent.record_sets if r.type == "NS" and r.name != parent.name)
    return frozenset(host for r in cuts for host in r.records)


def has_wildcard(parent: ZoneState) -> bool:
    """Whether the pool's zone answers for every released or mistyped name."""
    return any(r.name == f"*.{parent.name}" for r in parent.record_sets)


def _label(name: str, pool: Pool) -> str:
    """The label right below the pool at or below which `name` stands; empty where there is none."""
    return name.removesuffix(f".{pool.zone}").rsplit(".", 1)[-1] if name.endswith(f".{pool.zone}") else ""


def is_below(name: str, zone: str) -> bool:
    """Whether `name` is the zone's apex or lies below it."""
    return name == zone or name.endswith(f".{zone}")


def _equal(known: RecordSet | None, wanted: RecordSet) -> bool:
    return known is not None and known.ttl == wanted.ttl and set(known.records) == set(wanted.records)
