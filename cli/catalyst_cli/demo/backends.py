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
    ("--replicas", "2", "--database", "postgres", "--dns", "powerdns"),
    (
        "real: PostgreSQL, synced to disk; PowerDNS for the pool; NATS; two replicas of each daemon",
        "not real: the cloud and the payments are simulated; root and top level of the DNS are on the embedded server",
    ),
    {"backends": {"database": "postgresql", "replicas": 2, "dns": "powerdns", "cloud": "simulated"}},
)
