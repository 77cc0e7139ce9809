"""First keys that a parent may believe: the CDS of a zone below the names of its name servers (RFC 9615).

A signed zone whose parent names our servers and no key yet asks for its DS by the CDS at its top. A parent that bootstraps
believes them where they stand at `_dsboot.<zone>._signal.<name server>` too, in zones that are secure already. In those that are
kept here they are wished, like any other record, and go when the parent has a DS, or names other servers.

Invariants
  ours alone   what somebody else has wished at such a name stays as it is;
  silence      a parent that cannot be asked, and a zone that was not looked at, changes nothing.
"""

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from catalyst_mesh import Lease, LostRace, PluginUnavailable, Work, get_logger
from catalyst_sdk import PluginFailure, Refused
from catalyst_sdk.dns import ZoneState
from catalyst_sdk.dns_rules import SIGNAL, Key, check_name
from catalyst_sdk.registrar import Target

from catalyst_pool_domain_manager.domain import hosting
from catalyst_pool_domain_manager.domain.hosting import State, Zone
from catalyst_pool_domain_manager.domain.record_sets import RECORD_TTL, Wish
from catalyst_pool_domain_manager.store import Store

from .backends import Backends

BY_ITSELF = "service:pooldomain"
"""Owner of these wishes, by which they are told from people's."""
_BELOW = "._signal."


@dataclass(frozen=True, slots=True)
class Asking:
    """A zone that asks for its first DS: the hosts that serve it, and what it shows of its key."""

    hosts: tuple[str, ...]
    cds: tuple[str, ...]
    cdnskey: tuple[str, ...]

    def at(self, domain: str, host: str) -> dict[Key, tuple[str, ...]]:
        """What is to stand below the name of one of its servers."""
        name = f"{SIGNAL}{domain}{_BELOW}{host}"
        return {} if check_name(name) else {(name, "CDS"): self.cds, (name, "CDNSKEY"): self.cdnskey}


@dataclass
class Signals:
    """Gathers in a pass over all zones which of them ask, and has that wished at its end."""

    work: Work[Store]
    backends: Backends
    _seen: dict[str, Asking | None] = field(default_factory=dict)

    def see(self, zone: Zone, state: ZoneState, hosts: Collection[str], shown: Sequence[Target | None]) -> None:
        """What a look at all servers of the parent came to. `hosts`: those that the zone names."""
        if None in shown or not shown:
            return
        is_pointed = all(one is not None and set(one.ns) == set(hosts) and not one.ds for one in shown)
        is_asking = is_pointed and zone.signed and len(state.keys) == 1
        self._seen[zone.domain] = asking(state, hosts) if is_asking else None

    async def settle(self, lease: Lease) -> None:
        """Wish what is to stand, and wish away what is not any more."""
        seen, self._seen = self._seen, {}
        async with self.work.reading() as tx:
            known = await tx.signals(BY_ITSELF)
            gone = {
                d for wishes in known.values() for w in wishes if (d := _of(w)) not in seen and not await tx.zone(d)
            }
            wanted = await _placed(tx, {domain: one for domain, one in seen.items() if one})
        over = {*gone, *(domain for domain, one in seen.items() if one is None)}
        for domain in {*known, *wanted}:
            held = {w.key: w.records for w in known.get(domain, ())}
            puts = {key: texts for key, texts in wanted.get(domain, {}).items() if held.get(key) != texts}
            ends = [w.key for w in known.get(domain, ()) if _of(w) in over and w.key not in wanted.get(domain, {})]
            if puts or ends:
                await self._wish(domain, {**puts, **dict.fromkeys(ends, ())}, lease)

    async def _wish(self, domain: str, sets: Mapping[Key, tuple[str, ...]], lease: Lease) -> None:
        try:
            async with self.work.reading() as tx:
                zone = await tx.zone(domain)
            if zone is None or not await self._takes(zone):
                return
            async with self.work.transaction() as tx:
                await lease.guard(tx.sql)
                await _wished(tx, domain, sets)
        except (LostRace, PluginFailure, PluginUnavailable, Refused) as failure:
            get_logger("signals").info("keys not signalled", zone=domain, why=str(failure))  # the next pass tries again

    async def _takes(self, zone: Zone) -> bool:
        """Whether the zone is signed, and its backend has such records: another one is no place to believe."""
        return zone.signed and {"CDS", "CDNSKEY"} <= (await (await self.backends.get(zone.backend)).info()).record_types


def asking(state: ZoneState, hosts: Iterable[str]) -> Asking:
    """What a zone shows of its keys."""
    ds = tuple(sorted(text for key in state.keys for text in key.ds))
    return Asking(tuple(sorted(hosts)), ds, tuple(sorted(key.dnskey for key in state.keys)))


async def _placed(tx: Store, found: Mapping[str, Asking]) -> dict[str, dict[Key, tuple[str, ...]]]:
    """By zone of ours, what is to stand in it. A server inside the zone that asks proves nothing."""
    placed: dict[str, dict[Key, tuple[str, ...]]] = {}
    for domain, one in found.items():
        for host in one.hosts:
            kept = await _zone_of(tx, host)
            if kept is not None and not f".{host}".endswith(f".{domain}."):
                placed.setdefault(kept, {}).update(one.at(domain, host))
    return placed


async def _zone_of(tx: Store, host: str) -> str | None:
    """The zone kept here that has the host."""
    name = host.rstrip(".")
    while "." in (name := name.partition(".")[2]):
        if await tx.zone(name) is not None:
            return name
    return None


async def _wished(tx: Store, domain: str, sets: Mapping[Key, tuple[str, ...]]) -> None:
    zone = await tx.zone(domain, lock=True)
    if zone is None or zone.state is State.DELETING:
        return
    others = [w.key for w in await tx.wishes_of(domain) if w.records and w.owner != BY_ITSELF]
    after = hosting.wish(zone, tx.now)
    wishes = [
        Wish(*key, RECORD_TTL if texts else 0, texts, BY_ITSELF, after.revision)
        for key, texts in sets.items()
        if key not in others
    ]
    if wishes:
        await tx.wish_sets(domain, wishes)
        await tx.save_zone(after)


def _of(wish: Wish) -> str:
    """The zone whose keys a signal shows."""
    return wish.name.removeprefix(SIGNAL).partition(_BELOW)[0]
