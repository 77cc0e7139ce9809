"""How often a slot may move by itself, until a person has looked.

Bars automatic moves only: what a person starts, and approves, is free.
"""

from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Move:
    """A move of the slot: when (seconds, any one clock), from and to which region, and whether a person started it."""

    at: float
    source: str
    target: str
    automatic: bool = True


@dataclass(frozen=True, slots=True)
class Bounds:
    """min_interval  seconds for which a region that lost the slot does not get it back by itself
    most, window  automatic moves in so many seconds"""

    min_interval: float = 3600.0
    most: int = 2
    window: float = 86_400.0


USUAL = Bounds()


def bar(moves: Sequence[Move], target: str, bounds: Bounds, now: float, acknowledged_at: float = 0.0) -> str:
    """Why `target` may not take the slot by itself now; empty: it may.

    acknowledged_at   when a person last said that the moves were seen; older ones do not count
    """
    recent = [move for move in moves if move.automatic and move.at > acknowledged_at]
    lost = [move for move in recent if move.source == target and now - move.at < bounds.min_interval]
    if lost:
        since = now - lost[-1].at
        return f"{target} lost the slot {since:.0f} s ago, and does not take it back within {bounds.min_interval:.0f} s"
    counted = sum(now - move.at < bounds.window for move in recent)
    if counted >= bounds.most:
        return f"the slot has moved by itself {counted} times within {bounds.window:.0f} s, the limit is {bounds.most}"
    return ""
