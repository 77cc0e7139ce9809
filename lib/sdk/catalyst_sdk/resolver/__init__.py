"""Asking the DNS oneself: from a trust anchor down to an answer or its denial, each link checked.

The one resolver of this house: plugins, daemons and tests ask with it. It never asks a resolver of the machine, keeps no
cache between two questions, and raises nothing for what servers do or do not answer. Needs the extra `resolver`.
"""

from .asking import FAULTS, PATIENCE, PAYLOAD, Bogus, Keys, ask, fault, pick, read_anchor, read_hints, trusted_keys
from .walk import Answer, Cut, Place, Resolver, Security, Unreachable, Zone

__all__ = [
    "FAULTS",
    "PATIENCE",
    "PAYLOAD",
    "Answer",
    "Bogus",
    "Cut",
    "Keys",
    "Place",
    "Resolver",
    "Security",
    "Unreachable",
    "Zone",
    "ask",
    "fault",
    "pick",
    "read_anchor",
    "read_hints",
    "trusted_keys",
]
