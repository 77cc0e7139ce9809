"""What the read model knows of the things that people ask for most, as types of their own.

A thing's newest word is rarely all of it: a Sovereign's address was told when it became active, its health later. So what was
told of it by events of its own kind is laid over each other, the newest word on top.

Invariants
  the same readers   who reads a type reads it by the row of its kind, whatever of it was told last;
  one statement      for all things of a kind in a request, however many fields ask.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from catalyst_mesh.readers import Reader
from sqlalchemy import ColumnElement, and_, or_, true

from ..tables import stream_event, thing

Row = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Kind:
    """Where things of a type are found, and of what they are made.

    name      whose readers read it, as in the table of readers
    keys      pattern of their keys
    subjects  beginnings of the subjects whose bodies make it; empty: those of its name
    """

    name: str
    keys: str
    subjects: tuple[str, ...] = ()

    def is_mine(self) -> ColumnElement[bool]:
        """Whether a thing is one of these, not something below one."""
        return and_(thing.c.key.like(self.keys), thing.c.key.not_like(f"{self.keys}/%"))

    def tells(self) -> ColumnElement[bool]:
        """Whether an event says something of it."""
        begun = self.subjects or (f"catalyst.v1.{self.name}.",)
        return or_(*(stream_event.c.subject.startswith(prefix) for prefix in begun))

    def is_readable(self, reader: Reader) -> ColumnElement[bool]:
        """Whether a thing is the reader's to read."""
        if self.name in reader.everything:
            return true()
        return thing.c.organization.in_(sorted(org for kind, org in reader.own if kind == self.name))


def folded(events: Iterable[Row]) -> dict[str, Any]:
    """What events say together, told from the oldest to the newest; `state` is the last word of the newest where none is said."""
    found: dict[str, Any] = {}
    for event in events:
        word = str(event["subject"]).rpartition(".")[2].upper()
        found = {**found, "state": word, **event["body"]}
    return found


def by_run(events: Iterable[Row]) -> dict[str, list[Row]]:
    """Events of runs by the run that each names."""
    found: dict[str, list[Row]] = {}
    for event in events:
        found.setdefault(str(event["body"].get("run", "")), []).append(event)
    return found
