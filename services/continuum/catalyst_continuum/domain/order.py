"""Which regions have every acknowledged write: the record and the database, brought into one order step by step.

Invariant
  the record never promises more than the database keeps: a region is made synchronous first and named in the record then; it
  is struck from the record first, and let go by the database then. Whoever takes over may believe the record.
"""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class MakeSync:
    """Have the database wait for these regions, and for no others."""

    regions: frozenset[str]


@dataclass(frozen=True, slots=True)
class Name:
    """Have the record name these regions, and no others."""

    regions: frozenset[str]


Step = MakeSync | Name


def next_step(named: frozenset[str], kept: frozenset[str] | None, wanted: frozenset[str]) -> Step | None:
    """What to do next; None: all is as wanted, or nothing may be done.

    named   regions that the record names
    kept    regions that the database waits for; None: it does not say
    wanted  regions that it shall wait for
    """
    if kept is None:
        # What it keeps is not known; that what is not wanted any more is struck from the record needs no knowledge.
        return Name(named & wanted) if named - wanted else None
    if lost := named - (kept & wanted):
        return Name(named - lost)
    if kept != wanted:
        return MakeSync(wanted)
    return Name(wanted) if named != wanted else None
