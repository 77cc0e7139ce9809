"""How an Application stands on one cluster, as that shows it."""

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum


class Stand(StrEnum):
    """Where it stands there."""

    UNKNOWN = "unknown"
    PENDING = "pending"
    INSTALLING = "installing"
    READY = "ready"
    DEGRADED = "degraded"
    FAILED = "failed"


@dataclass(frozen=True, slots=True)
class Sight:
    """One cluster's word. It is written before the cluster hears of the Application, so that none is forgotten."""

    cluster: str
    state: Stand
    message: str
    commit: str
    """Commit that the cluster has taken over; empty: none."""
    since: datetime
    chart: str = ""
    simulated: bool = False
