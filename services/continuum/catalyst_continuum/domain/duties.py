"""From the wish for a slot to one region's part in it."""

from catalyst_sdk.continuum import SyncMode

from . import antiflap
from .duty import Duty
from .spec import Spec, WitnessLoss

LOW_TTL = 1
"""Seconds that the names' records live while a planned move is prepared. A move may take five without writes in all, and a client
that asked just before the names moved goes on with its answer for as long as this."""
DRAIN = 10.0


def duty(slot: str, region: str, spec: Spec, *, promote: float) -> Duty:
    """What the agent of `region` is asked to do for `slot`; `promote` seconds are what its promoter takes at worst."""
    ttl = int(spec.names.ttl) if spec.names else LOW_TTL
    return Duty(
        slot,
        region,
        spec.members,
        spec.profile,
        spec.mode,
        suspended=spec.suspend,
        promotable=frozenset(one.name for one in spec.regions if one.promotable),
        sync=SyncMode(spec.sync_mode.value),
        failsafe=spec.witness_loss is WitnessLoss.FAILSAFE_PEERS,
        promote=promote,
        rpo=spec.rpo,
        drain=DRAIN if spec.switchover.drain is None else spec.switchover.drain,
        ttl=ttl,
        low_ttl=min(ttl, LOW_TTL),
    )  # fmt: skip - one row


def bounds(spec: Spec) -> antiflap.Bounds:
    """How often it may move by itself."""
    wished = spec.anti_flap
    return antiflap.Bounds(wished.min_interval, wished.max_auto_failovers, wished.window)
