"""All zones of one server: what the control port and updates change, and what queries are answered from.

Everything here runs on one event loop and returns without waiting, so one change follows another.
"""

from datetime import UTC, datetime

import dns.name
from catalyst_sdk import Permanent
from catalyst_sdk.dns import Change, ZoneSpec, ZoneState

from . import signing, zones
from .signing import Served
from .store import ZoneStore
from .zones import PROVIDER, Zone


class Authority:
    """Zones by name."""

    def __init__(self, store: ZoneStore) -> None:
        self._store = store
        self._served: dict[dns.name.Name, Served] = {}
        for zone in store.load():
            self._served[zone.origin] = signing.serve(zone)

    def get(self, name: str) -> ZoneState | None:
        """The zone as the contract shows it."""
        served = self._served.get(dns.name.from_text(name))
        return state_of(served.zone) if served else None

    def create(self, spec: ZoneSpec) -> ZoneState:
        """Make a zone; one of the same owner stays as it is. Raises Permanent("FOREIGN_ZONE")."""
        known = self._served.get(dns.name.from_text(spec.name))
        if known is None:
            return self._take(None, zones.create(spec, signing.new_key() if spec.signed else b""))
        if known.zone.owner != spec.owner:
            raise Permanent("FOREIGN_ZONE", f"{spec.name} carries the mark of another owner", provider=PROVIDER)
        return state_of(known.zone)

    def apply(
        self, name: str, changes: tuple[Change, ...], revision: int | None = None, expect: str | None = None
    ) -> ZoneState:
        """All changes or none. Raises Permanent: ZONE_ABSENT, CONFLICT, RECORD_INVALID."""
        zone = self._zone(name)
        if expect is not None and expect != zone.etag:
            raise Permanent("CONFLICT", f"{name} was changed meanwhile", provider=PROVIDER, found=zone.etag)
        ttl = zone.records[zone.name, "SOA"].ttl
        return self._take(zone, zones.changed(zone, changes, revision=revision, mark_ttl=ttl))

    def delete(self, name: str, owner: str) -> None:
        """Take a zone away. Raises Permanent("FOREIGN_ZONE")."""
        served = self._served.get(dns.name.from_text(name))
        if served is None:
            return
        if served.zone.owner != owner:
            raise Permanent("FOREIGN_ZONE", f"{name} carries the mark of another owner", provider=PROVIDER)
        self._store.delete(served.zone.name)
        del self._served[served.origin]

    def names(self) -> list[str]:
        """Names of all zones."""
        return sorted(served.zone.name for served in self._served.values())

    def served(self, name: dns.name.Name, *, above: bool = False) -> Served | None:
        """The zone that `name` lies in, by longest match; with `above`, never the zone whose apex it is."""
        while True:
            served = self._served.get(name)
            if served is not None and not above:
                return served
            if name == dns.name.root:
                return served
            name, above = name.parent(), False

    def sign_again(self) -> None:
        """Renew the signatures of zones that have not changed for long."""
        for served in list(self._served.values()):
            if served.zone.key and datetime.now(UTC) - served.signed_at > signing.SIGN_AGAIN:
                self._take(served.zone, zones.changed(served.zone, ()))

    def _take(self, before: Zone | None, after: Zone) -> ZoneState:
        served = signing.serve(after)  # what cannot be served is not stored
        self._store.save(before, after)
        self._served[served.origin] = served
        return state_of(after)

    def _zone(self, name: str) -> Zone:
        served = self._served.get(dns.name.from_text(name))
        if served is None:
            raise Permanent("ZONE_ABSENT", f"there is no zone {name}", provider=PROVIDER)
        return served.zone


def state_of(zone: Zone) -> ZoneState:
    """A zone as the contract shows it; never its private key."""
    return ZoneState(
        name=zone.name,
        owner=zone.owner,
        serial=zone.serial,
        revision=zone.revision,
        signed=bool(zone.key),
        record_sets=zone.wished(),
        keys=signing.keys(zone),
        etag=zone.etag,
    )
