"""How a slot's names are answered: which addresses lead to which region, and by which rule.

Invariants
  one decider   a name of something stateful has the holder's addresses only: a rule that tests addresses at each question
                flips, and flips back, by itself;
  never empty   every region that can be led to has an address, and a rule whose tests all fail tells all of them;
  typed         what a server evaluates is made of addresses, numbers and one probe address that was taken apart before.
"""

import ipaddress
import re
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from urllib.parse import urlsplit

from catalyst_sdk.continuum import TrafficPlan

from .spec import Selector, Spec
from .traffic import ADDRESS_KINDS, LUA, Wanted, addressed

_URL = re.compile(r"https?://[a-z0-9]([a-z0-9.-]{0,251}[a-z0-9])?(:[0-9]{1,5})?(/[A-Za-z0-9._~!$&+,;=:@%/?-]{0,512})?")


TESTED: Mapping[str, frozenset[Selector]] = {
    "4.7": frozenset({Selector.IFURLUP, Selector.IFPORTUP, Selector.PICKWHASHED}),
}
"""Functions that were tried on a version of PowerDNS, by its first two numbers. `pickclosest` needs a database of places
that no test has; `pickfirst` is none of its functions."""


@dataclass(frozen=True, slots=True)
class Probe:
    """How a server tests an address. Times in seconds; the interval is the server's setting (`lua-health-checks-interval`)."""

    url: str
    interval: int = 5
    timeout: int = 2
    failures: int = 3

    @property
    def port(self) -> int:
        """Port of the URL."""
        parts = urlsplit(self.url)
        return parts.port or (443 if parts.scheme == "https" else 80)


@dataclass(frozen=True, slots=True)
class Place:
    """One region's front: its addresses, and its share where the rule weighs."""

    addresses: tuple[str, ...]
    weight: int = 100


@dataclass(frozen=True, slots=True)
class Steering:
    """What a slot says of its names.

    names     full, without a final dot, all inside `zone`
    places    by region, in the order of preference
    ttl       seconds
    """

    zone: str
    names: tuple[str, ...]
    places: Mapping[str, Place]
    ttl: int = 10
    selector: Selector = Selector.STATIC
    probe: Probe | None = None

    def plan(self, holder: str) -> TrafficPlan:
        """The addresses that names may answer with while `holder` holds the slot."""
        if not self.names:
            return TrafficPlan(holder, {}, self.ttl)  # nothing leads to the slot, and nothing is to be led
        led = (holder,) if self.selector is Selector.STATIC else tuple(self.places)
        addresses = tuple(sorted({one for region in led for one in self.places[region].addresses}))
        return TrafficPlan(holder, dict.fromkeys(sorted(self.names), addresses), self.ttl)

    def wanted(self, plan: TrafficPlan, name: str) -> Wanted:
        """The records that `name` has by a plan."""
        if self.selector is Selector.STATIC:
            return addressed(plan.addresses[name], plan.ttl)
        lines = [line for kind in ADDRESS_KINDS if (line := self._line(kind, plan.holder))]
        return Wanted({LUA: tuple(lines)}, plan.ttl)

    def _line(self, kind: str, holder: str) -> str:
        """One line for PowerDNS (its manual, "Lua Records"), the holder's addresses first."""
        order = sorted(self.places, key=lambda region: region != holder)
        sets = [(self.places[region].weight, some) for region in order if (some := self._of(region, kind))]
        if not sets:
            return ""
        everyone = [one for _, some in sets for one in some]
        probe = self.probe or Probe("")
        rule = f"selector='all',timeout={probe.timeout},minimumFailures={probe.failures},backupSelector='all'"
        if self.selector is Selector.IFURLUP:
            return f"{kind} ifurlup('{probe.url}',{_table(_quoted(some) for _, some in sets)},{{{rule}}})"
        if self.selector is Selector.IFPORTUP:
            return f"{kind} ifportup({probe.port},{_quoted(everyone)},{{{rule}}})"
        if self.selector is Selector.PICKCLOSEST:
            return f"{kind} pickclosest({_quoted(everyone)})"
        weighed = [(weight, some) for weight, some in sets if weight] or [(1, some) for _, some in sets]
        return f"{kind} pickwhashed({_table(f'{{{weight},{one!r}}}' for weight, some in weighed for one in some)})"

    def _of(self, region: str, kind: str) -> tuple[str, ...]:
        parsed = sorted(str(ipaddress.ip_address(one)) for one in self.places[region].addresses)
        return tuple(one for one in parsed if (":" in one) == (kind == "AAAA"))


def wished(spec: Spec) -> Steering | None:
    """How a slot's names are answered by its wish; None: it has none."""
    names = spec.names
    if names is None:
        return None
    places = {region.name: Place(region.lb_ips, region.weight) for region in spec.regions}
    health = names.health
    probe = Probe(health.url, int(health.interval), int(health.timeout), health.failures) if health else None
    return Steering(names.zone, names.hostnames, places, int(names.ttl), names.selector, probe)


def faults(wish: Steering, *, stateful: bool, software: Collection[str] | None = None) -> Mapping[str, str]:
    """What is wrong with a wish, by field of `lua_record`; for whoever admits it.

    stateful   whether a database moves with the slot
    software   what the zone's authorities say they are (`version.bind`), as far as they say; None: not asked
    """
    found: dict[str, str] = {}
    if outside := [name for name in wish.names if not _is_inside(name, wish.zone)]:
        found["hostnames"] = f"{', '.join(outside)} is not inside {wish.zone}"
    if bare := [region for region, place in wish.places.items() if not place.addresses]:
        found["regions"] = f"{', '.join(bare)} has no address that names could lead to"
    if wish.selector is Selector.STATIC:
        return found
    if stateful:
        found["selector"] = (
            f"{wish.selector} decides at each question where a name leads, and so a second time beside the register; names of "
            "a slot with a database are static"
        )
    elif unfit := [one for one in software or () if wish.selector not in _tested(one)]:
        found["selector"] = f"{wish.selector} was not tried on {', '.join(sorted(unfit))}; {_where(wish.selector)}"
    if wish.selector in (Selector.IFURLUP, Selector.IFPORTUP) and wish.probe is None:
        found["health_check"] = f"{wish.selector} needs an address to test"
    if wish.probe is not None and (why := _probe_fault(wish.probe)):
        found["health_check"] = why
    return found


def _is_inside(name: str, zone: str) -> bool:
    name, zone = name.rstrip(".").lower(), zone.rstrip(".").lower()
    return name == zone or name.endswith(f".{zone}")


def _probe_fault(probe: Probe) -> str:
    if not _URL.fullmatch(probe.url):
        return f"{probe.url!r} is no plain http or https address"
    if probe.timeout >= probe.interval:
        return f"the timeout {probe.timeout} s must be below the interval {probe.interval} s"
    return ""


def _tested(software: str) -> frozenset[Selector]:
    match = re.search(r"PowerDNS[^0-9]*([0-9]+[.][0-9]+)", software)
    return TESTED.get(match[1], frozenset()) if match else frozenset()


def _where(selector: Selector) -> str:
    versions = sorted(version for version, known in TESTED.items() if selector in known)
    return f"it was on PowerDNS {', '.join(versions)}" if versions else "it was tried nowhere; static is what is left"


def _quoted(addresses: Sequence[str]) -> str:
    return _table(f"'{one}'" for one in addresses)


def _table(parts: Iterable[str]) -> str:
    return "{" + ",".join(parts) + "}"
