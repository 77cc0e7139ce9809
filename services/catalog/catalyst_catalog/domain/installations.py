"""Applications that stand, as `environment` tells of them: what was made from which version.

Invariants
  newest word   an Application is as its highest version says, in whatever order events arrive;
  gone is gone  what was removed counts no more, also where an older word comes late.
"""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Installation:
    """One Application."""

    application: str
    """Resource name, `environments/{env}/applications/{app}`."""
    organization: str
    environment: str
    """Resource name."""
    blueprint: str
    """Resource name."""
    version: str
    digest: str
    number: int
    """Version of the Application at which this was told."""
    is_removed: bool = False


def told(known: Installation | None, now: Installation) -> Installation | None:
    """What is written of it after a word about it; None: the word is old."""
    return now if known is None or known.number < now.number else None
