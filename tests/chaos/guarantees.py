"""Judges a recorded history of events: which guarantee is broken, and by what.

Guarantees
  ordered    the effects of one aggregate's events happened in the order in which they were told;
  unique     no event had two effects;
  reliable   each event that was told had its effect, and nothing had one that was not told;
  resumable  who followed the stream and came back after each cut saw each event, once, and those of one aggregate in order.
"""

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

Event = tuple[str, int]
"""Aggregate and version."""


@dataclass(frozen=True, slots=True)
class History:
    """What was committed by the daemon, had its effect at the consumer, and reached the follower, each in its order."""

    told: Sequence[Event]
    handled: Sequence[Event]
    followed: Sequence[Event]


def broken(history: History) -> dict[str, str]:
    """The broken guarantees by name, each with its first witness."""
    findings = {
        "ordered": _out_of_order(_first_times(history.handled), history.told),
        "unique": _twice(history.handled),
        "reliable": _missing(history.told, history.handled) or _missing(history.handled, history.told),
        "resumable": _missing(history.told, history.followed)
        or _twice(history.followed)
        or _out_of_order(history.followed, history.told),
    }
    return {name: witness for name, witness in findings.items() if witness}


def _first_times(events: Sequence[Event]) -> list[Event]:
    return list(dict.fromkeys(events))


def _twice(events: Sequence[Event]) -> str:
    return next((f"{event} {count} times" for event, count in Counter(events).items() if count > 1), "")


def _missing(wanted: Sequence[Event], found: Sequence[Event]) -> str:
    there = set(found)
    return next((f"{event} is missing" for event in wanted if event not in there), "")


def _out_of_order(found: Sequence[Event], told: Sequence[Event]) -> str:
    place = {event: number for number, event in enumerate(told)}
    last: dict[str, Event] = {}
    for event in _known(found, place):
        before = last.setdefault(event[0], event)
        if place[event] < place[before]:
            return f"{event} after {before}"
        last[event[0]] = event
    return ""


def _known(found: Sequence[Event], place: dict[Event, int]) -> Iterator[Event]:
    return (event for event in found if event in place)
