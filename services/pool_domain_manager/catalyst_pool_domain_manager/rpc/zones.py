"""ZoneService: the zones that PDM writes, and the keys of each."""

from catalyst.pooldomain.v1 import service_pb2_grpc

from .challenges import ZoneChallenges
from .zone_dnssec import ZoneSecurity
from .zone_drifts import ZoneDrifts
from .zone_imports import ZoneImports
from .zone_plans import ZonePlans
from .zone_propagation import ZonePropagation


class ZoneService(
    ZonePlans,
    ZonePropagation,
    ZoneImports,
    ZoneDrifts,
    ZoneChallenges,
    ZoneSecurity,
    service_pb2_grpc.ZoneServiceServicer,
):  # fmt: skip - one part a word
    """Zones of all kinds; each part of the service stands in a module of its own."""
