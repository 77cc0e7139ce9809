"""What a demonstration runs on: what is embedded in `catalyst dev`, or real servers beside it."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True)
class Backends:
    """Options of `catalyst dev`, and what is said about them: at the start, and in the last line."""

    options: Sequence[str] = ()
    told: Sequence[str] = ()
    summary: Mapping[str, Any] = field(default_factory=dict)


EMBEDDED = Backends()
REAL = Backends(
    ("--replicas", "2", "--database", "postgres"),
    (
        "real: PostgreSQL, synced to disk; two replicas of each daemon; NATS",
        "not real: DNS is the embedded server, until dev can run PowerDNS; the cloud and the payments are simulated",
    ),
    {"backends": {"database": "postgresql", "replicas": 2, "dns": "embedded", "cloud": "simulated"}},
)
