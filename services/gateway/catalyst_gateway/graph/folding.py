"""What the read model knows of the things that people ask for most, as types of their own.

A thing's newest word is rarely all of it: a Sovereign's address was told when it became active, its health later. So what was
told of it by events of its own kind is laid over each other, the newest word on top.

Invariant
  one statement      for all things of a kind in a request, however many fields ask.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from sqlalchemy import ColumnElement, or_

from ..tables import stream_event

Row = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Kind:
    """Where things of a type are found, and of what they are made.

    name      whose readers read it, as in the table of readers
    subjects  beginnings of the subjects whose bodies make it; empty: those of its name
    """

    name: str
    subjects: tuple[str, ...] = ()

    def tells(self) -> ColumnElement[bool]:
        """Whether an event says something of it."""
        begun = self.subjects or (f"catalyst.v1.{self.name}.",)
        return or_(*(stream_event.c.subject.startswith(prefix) for prefix in begun))


APPLICATION = Kind("environment.application")


def folded(events: Iterable[Row]) -> dict[str, Any]:
    """What events say together, told from the oldest to the newest; `state` is the last word of the newest where none is said.

    A field that an event had and the next one of its subject leaves out is empty by then: contracts say nothing of what is empty.
    """
    found: dict[str, Any] = {}
    last: dict[str, Row] = {}
    for event in events:
        subject, body = str(event["subject"]), event["body"]
        emptied = last.get(subject, {}).keys() - body.keys()
        last[subject] = body
        stays = {field: value for field, value in found.items() if field not in emptied}
        found = {**stays, "state": subject.rpartition(".")[2].upper(), **body}
    return found


def by_name(events: Iterable[Row], field: str) -> dict[str, list[Row]]:
    """Events by what each names in a field: those of runs, of plans."""
    found: dict[str, list[Row]] = {}
    for event in events:
        found.setdefault(str(event["body"].get(field, "")), []).append(event)
    return found
