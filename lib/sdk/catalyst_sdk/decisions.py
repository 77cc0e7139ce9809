"""How domain code answers: a `Decision`, or a `Refused` that the caller can act upon."""

import string
from dataclasses import dataclass
from datetime import timedelta
from enum import Enum
from typing import ClassVar, Generic, TypeVar

S = TypeVar("S")


class Code(Enum):
    """Canonical status codes, with the numbers of gRPC (google.rpc.Code)."""

    INVALID_ARGUMENT = 3
    DEADLINE_EXCEEDED = 4
    NOT_FOUND = 5
    ALREADY_EXISTS = 6
    PERMISSION_DENIED = 7
    RESOURCE_EXHAUSTED = 8
    FAILED_PRECONDITION = 9
    ABORTED = 10
    UNIMPLEMENTED = 12
    INTERNAL = 13
    UNAVAILABLE = 14
    UNAUTHENTICATED = 16


@dataclass(frozen=True, slots=True)
class Decision(Generic[S]):
    """What a command leads to: the new state, and the facts that others are told, in order."""

    state: S
    events: tuple[object, ...] = ()


@dataclass(frozen=True, slots=True)
class Violation:
    """One bad field of a request: its path, what is wrong, and the rule's name."""

    field: str
    description: str
    rule: str = ""


class Refused(Exception):
    """A refusal that the caller can act upon.

    A subclass sets `code`, `reason` (UPPER_SNAKE, at most 63 characters) and `message`, a template over the metadata. The
    sentence is made from the metadata alone, so machines get every value that people read (AIP-193).
    """

    code: ClassVar[Code] = Code.FAILED_PRECONDITION
    reason: ClassVar[str]
    message: ClassVar[str]
    reasons: ClassVar[tuple[str, ...]] = ()
    """Every reason, where one refusal has several; else `reason` is the only one."""
    field: ClassVar[str] = ""
    """Path of the field that is wrong, where it is always the same one; it needs no violation then."""
    retry_after: ClassVar[timedelta | None] = timedelta(seconds=1)
    """Pause before a next try makes sense; None: waiting does not help. Told with UNAVAILABLE and RESOURCE_EXHAUSTED."""

    def __init__(self, *, violations: tuple[Violation, ...] = (), help_url: str = "", **metadata: object) -> None:
        self.violations = violations
        self.help_url = help_url
        self.metadata = {name: str(value) for name, value in metadata.items()}
        super().__init__(self.sentence)

    @property
    def sentence(self) -> str:
        """The message with its values; text from outside is only ever a value, never the template."""
        known = {name for _, name, _, _ in string.Formatter().parse(self.message) if name}
        return self.message.format(**{name: self.metadata.get(name, "?") for name in known})
