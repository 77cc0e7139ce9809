"""What an agent is asked to do for one slot: the part of the resource that it decides by."""

from collections.abc import Iterable
from dataclasses import dataclass

from catalyst_sdk.continuum import SyncMode

from .timing import FAST, Profile
from .view import Mode, Wish


@dataclass(frozen=True, slots=True)
class Duty:
    """One region's part in one slot.

    slot         `<namespace>/<name>`, as in the register
    order        all regions, the preferred primary first, then the standbys in order of preference
    promotable   regions that may hold the slot; empty: all
    failsafe     whether the holder may go on without a majority of cells while all peers promise to hold off
    promote      seconds that a promotion may take before another standby is tried
    fails_after  seconds for which a database must fail, by two signals, before its region yields
    rpo          seconds of writes that a failover may lose
    drain        seconds that requests in flight may take before a planned move
    ttl, low_ttl lifetime of the names' records: usual, and while a planned move is prepared
    """

    slot: str
    region: str
    order: tuple[str, ...]
    profile: Profile = FAST
    mode: Mode = Mode.AUTOMATIC
    suspended: bool = False
    promotable: frozenset[str] = frozenset()
    sync: SyncMode = SyncMode.REQUIRED
    failsafe: bool = True
    promote: float = 10.0
    fails_after: float = 15.0
    rpo: float = 5.0
    drain: float = 10.0
    ttl: int = 10
    low_ttl: int = 5

    @property
    def regions(self) -> tuple[str, ...]:
        """All regions by name: bit i of the record's `y` is the i-th of these."""
        return tuple(sorted(self.order))

    @property
    def others(self) -> tuple[str, ...]:
        """The other regions, in order of preference."""
        return tuple(region for region in self.order if region != self.region)

    @property
    def rivals(self) -> tuple[str, ...]:
        """The other regions that may take the slot."""
        return tuple(region for region in self.others if self.may_lead(region))

    def may_lead(self, region: str) -> bool:
        """Whether `region` may hold the slot."""
        return region in self.order and (not self.promotable or region in self.promotable)

    def wish(self, holder: str) -> Wish:
        """What the table is asked by while `holder` holds the slot."""
        waiting = [region for region in self.order if region != holder and self.may_lead(region)]
        return Wish(
            self.region, self.mode, place=waiting.index(self.region) if self.region in waiting else len(waiting),
            suspended=self.suspended, profile=self.profile, poll=self.profile.look, promote=self.promote,
            is_primary=self.order[0] == self.region,
        )  # fmt: skip

    def bits(self, regions: Iterable[str]) -> str:
        """The record's `y` for these regions."""
        return f"{sum(1 << self.regions.index(region) for region in regions if region in self.order):x}"

    def of_bits(self, bits: str) -> frozenset[str]:
        """The regions that a record's `y` names."""
        value = int(bits or "0", 16)
        return frozenset(region for at, region in enumerate(self.regions) if value >> at & 1)
