"""All zones of one server: what the control port and updates change, and what queries are answered from.

Everything here runs on one event loop and returns without waiting, so one change follows another.
"""

from collections.abc import Sequence
from typing import Protocol
from uuid import uuid4

import dns.name
from catalyst_sdk import NotSupported, Permanent
from catalyst_sdk.dns import Change, KeyOp, ZoneSpec, ZoneState
from catalyst_sdk.dns_rules import Key, check_zone_name
from dns.rdatatype import RdataType

from . import rolling, zones
from .served import Served, unsigned
from .store import ZoneStore
from .zones import PROVIDER, Csk, Zone


class Signer(Protocol):
    """What signing asks for. Handed in, because a lease cell has none: cryptography is a quarter of a server's memory."""

    def new_key(self, zone: str) -> Csk: ...
    def sign(self, zone: Zone, before: Served | None) -> Served: ...
    def is_due(self, served: Served) -> bool: ...


class Authority:
    """Zones by name.

    lowest_ttl   below it a record is refused; 0 for a lease cell, whose values nobody may keep
    """

    def __init__(self, store: ZoneStore, signer: Signer | None, *, lowest_ttl: int = 1) -> None:
        self._store = store
        self._signer = signer
        self._lowest_ttl = lowest_ttl
        self._zones = {dns.name.from_text(zone.name): zone for zone in store.load()}
        self.changes = 0
        """How often something that is answered was changed since the start."""
        # Built at the first question: a restart with many zones answers at once.
        self._served: dict[dns.name.Name, Served] = {}

    def get(self, name: str) -> ZoneState | None:
        """The zone as the contract shows it."""
        zone = self._find(name)
        return state_of(zone) if zone else None

    def zone(self, origin: dns.name.Name) -> Zone | None:
        """The zone of that very name."""
        return self._zones.get(origin)

    def names(self) -> list[str]:
        """Names of all zones."""
        return sorted(zone.name for zone in self._zones.values())

    def create(self, spec: ZoneSpec) -> ZoneState:
        """Make a zone; one of the same owner stays as it is. Raises Permanent: FOREIGN_ZONE, RECORD_INVALID."""
        known = self._find(spec.name)
        if known is not None:
            return state_of(_owned(known, spec.owner))
        keys = () if not spec.signed or check_zone_name(spec.name) else (self._may_sign().new_key(spec.name),)
        zone = zones.create(spec, uid=uuid4().hex[:12], keys=keys, lowest_ttl=self._lowest_ttl)
        return state_of(self._take(None, zone, frozenset(zone.records)))

    def apply(
        self, name: str, changes: Sequence[Change], *, revision: int | None = None, expect: str | None = None
    ) -> ZoneState:
        """All changes or none. Raises Permanent: ZONE_ABSENT, CONFLICT, RECORD_INVALID."""
        return state_of(self.change(self._expected(name, expect), changes, revision))

    def change(self, zone: Zone, changes: Sequence[Change], revision: int | None = None) -> Zone:
        """All changes to a zone that this authority has, or none. Raises Permanent("RECORD_INVALID")."""
        after, touched = zones.changed(zone, changes, revision=revision, lowest_ttl=self._lowest_ttl)
        return self._take(zone, after, touched) if touched else zone

    def delete(self, name: str, *, owner: str, expect: str | None = None) -> None:
        """Take a zone away. Raises Permanent: FOREIGN_ZONE, CONFLICT."""
        zone = self._find(name)
        if zone is None:
            return
        _unchanged(_owned(zone, owner), expect)
        self._store.delete(zone.name)
        origin = dns.name.from_text(zone.name)
        self.changes += 1
        del self._zones[origin]
        self._served.pop(origin, None)

    def dnssec(
        self, name: str, op: KeyOp, *, tag: int | None = None, revision: int | None = None, expect: str | None = None
    ) -> ZoneState:
        """Change the keys. Raises Permanent: ZONE_ABSENT, CONFLICT, KEY_ABSENT, PROTECTED_RECORD."""
        zone, signer = self._expected(name, expect), self._may_sign()
        if op is KeyOp.RENOUNCE or (op is KeyOp.ENABLE and zone.keys):
            wished = op is KeyOp.RENOUNCE
            is_done = zone.renounced is wished or not zone.keys
            return state_of(zone if is_done else self._take(zone, *zones.renouncing(zone, revision, renounced=wished)))
        after = rolling.rolled(zone.keys, op, tag=tag, draw=lambda: signer.new_key(zone.name))
        if after == zone.keys:
            return state_of(zone)
        rolling.check_chain(zone.keys, after, self._ds_tags(zone))
        return state_of(self._take(zone, *zones.with_keys(zone, after, revision)))

    def served(self, name: dns.name.Name, *, above: bool = False) -> Served | None:
        """The zone that `name` lies in, by longest match; with `above`, that of its parent where this server has it."""
        origin = self._origin(name.parent()) if above and name != dns.name.root else None
        origin = origin or self._origin(name)
        if origin is None:
            return None
        if origin not in self._served:
            self._served[origin] = self._build(self._zones[origin], None)
        return self._served[origin]

    def sign_again(self) -> None:
        """Renew signatures of zones that have not changed for long."""
        for origin, served in list(self._served.items()):
            if served.chain and self._may_sign().is_due(served):
                zone = self._zones[origin]
                self._take(zone, zones.again(zone), frozenset({(zone.name, "SOA")}))

    def _take(self, before: Zone | None, after: Zone, touched: frozenset[Key]) -> Zone:
        origin = dns.name.from_text(after.name)
        known = self._served.get(origin)
        # What cannot be served is not stored; what is not on disk is not served.
        patched = known if not after.keys and known and not known.zone.keys else None
        built = None if patched else self._build(after, known)
        self._store.save(before, after, touched)
        self.changes += 1
        self._zones[origin] = after
        if patched:
            patched.patch(after, touched)
        elif built:
            self._served[origin] = built
        return after

    def _build(self, zone: Zone, before: Served | None) -> Served:
        return self._may_sign().sign(zone, before) if zone.keys else unsigned(zone, before)

    def _may_sign(self) -> Signer:
        if self._signer is None:
            raise NotSupported("dnssec", provider=PROVIDER)
        return self._signer

    def _origin(self, name: dns.name.Name) -> dns.name.Name | None:
        while name not in self._zones:
            if name == dns.name.root:
                return None
            name = name.parent()
        return name

    def _ds_tags(self, zone: Zone) -> frozenset[int]:
        """Tags of the DS records that the parent has for this zone, as far as this server has the parent."""
        origin = dns.name.from_text(zone.name)
        parent = self.served(origin, above=True)
        found = parent.find(origin, RdataType.DS) if parent else None
        return frozenset(ds.key_tag for ds in found or ())

    def _find(self, name: str) -> Zone | None:
        return None if check_zone_name(name) else self._zones.get(dns.name.from_text(name))

    def _expected(self, name: str, expect: str | None) -> Zone:
        zone = self._find(name)
        if zone is None:
            raise Permanent("ZONE_ABSENT", f"there is no zone {name}", provider=PROVIDER)
        return _unchanged(zone, expect)


def state_of(zone: Zone) -> ZoneState:
    """A zone as the contract shows it; never a private key."""
    return ZoneState(
        name=zone.name,
        owner=zone.owner,
        serial=zone.serial,
        revision=zone.revision,
        signed=bool(zone.keys),
        record_sets=zone.wished(),
        keys=zone.shown_keys(),
        etag=zone.etag,
    )


def _owned(zone: Zone, owner: str) -> Zone:
    if zone.owner != owner:
        raise Permanent(
            "FOREIGN_ZONE",
            f"{zone.name} carries the mark of another owner",
            provider=PROVIDER,
            user_action="release the zone where it was made, or choose another name",
        )
    return zone


def _unchanged(zone: Zone, expect: str | None) -> Zone:
    if expect is not None and expect != zone.etag:
        raise Permanent("CONFLICT", f"{zone.name} was changed meanwhile", provider=PROVIDER, found=zone.etag)
    return zone
