"""Secrets: a reference that may travel, and a value that refuses to be shown."""

import hmac
from dataclasses import dataclass
from typing import Never


@dataclass(frozen=True, slots=True)
class SecretRef:
    """Names a sealed value. `version` empty = the newest."""

    name: str
    version: str = ""


class Secret:
    """A value that only `reveal()` gives out: not str, repr, format, pickle, iteration or JSON."""

    __slots__ = ("_value",)

    def __init__(self, value: str | bytes) -> None:
        self._value = value.encode() if isinstance(value, str) else value

    def reveal(self) -> str:
        """The value as text."""
        return self._value.decode()

    def reveal_bytes(self) -> bytes:
        """The value as bytes."""
        return self._value

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Secret) and hmac.compare_digest(self._value, other._value)

    def __hash__(self) -> int:
        raise TypeError("a Secret cannot be hashed")

    def __repr__(self) -> str:
        return "Secret(…)"

    __str__ = __repr__

    def __format__(self, spec: str) -> str:
        return repr(self)

    def __reduce__(self) -> Never:
        raise TypeError("a Secret cannot be pickled")
