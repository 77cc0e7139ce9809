"""What stands against a wish, as a form shows it: a sentence above, and each violation at its field."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

import grpc
from catalyst_mesh.access import CallDenied
from catalyst_mesh.errors import Explained, explain
from catalyst_sdk import Refused

from .. import problems

REFUSALS = (grpc.aio.AioRpcError, Refused)
"""What an action catches to show its form again; anything else is the frame's to tell."""

_WORDS = {"must be at least 1 characters": "is missing", "value is required": "is missing"}
"""What rules of the contract say of a field that was left empty, as people say it."""


@dataclass(frozen=True, slots=True)
class Faults:
    """Sentences by the field that they speak of; those of no field stand in `message`."""

    message: str = ""
    reason: str = ""
    fields: Mapping[str, str] = field(default_factory=dict)

    @classmethod
    def of(cls, error: Exception, *, under: tuple[str, ...] = ()) -> "Faults":
        """The faults that a refusal tells.

        under   beginnings of the contract's paths that the form leaves out, `sovereign.spec.`; the first that fits
        Raises `error` itself where it says that nobody is signed in, or is a bug: a form cannot mend these.
        """
        said = _said(error)
        if said.code in ("UNAUTHENTICATED", "INTERNAL", "UNKNOWN"):
            raise error
        found: dict[str, str] = {}
        for violation in said.violations:
            begun = next((u for u in under if violation.field.startswith(u)), "")
            name = violation.field.removeprefix(begun)
            said_of = _WORDS.get(violation.description, violation.description)
            found[name] = f"{found[name]}; {said_of}" if name in found else said_of
        return cls(said.message, said.reason, found)

    @classmethod
    def at(cls, **fields: str) -> "Faults":
        """Faults that a page found itself. Double underscores stand for dots."""
        return cls(
            "Some fields need another value.", "", {name.replace("__", "."): text for name, text in fields.items()}
        )

    def get(self, name: str) -> str:
        """What is wrong with a field; empty where nothing is."""
        return self.fields.get(name, "")

    def __iter__(self) -> Iterator[str]:
        return iter(self.fields)

    def __bool__(self) -> bool:
        return bool(self.message or self.fields)


NONE = Faults()


def is_of_no_role(error: Exception) -> bool:
    """Whether a call was refused because the person holds no role that may make it, whatever it is about."""
    return _said(error).reason == CallDenied.reason


def _said(error: Exception) -> Explained:
    if isinstance(error, grpc.aio.AioRpcError):
        return explain(error)
    if isinstance(error, Refused):
        return problems.of_refusal(error)
    raise error
