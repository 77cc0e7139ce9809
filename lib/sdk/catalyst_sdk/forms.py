"""Forms: what a document of a custom resource may say, field by field, and how the same stands in the API.

A manifest has camelCase keys, `ttlSeconds: 20`, `rto: 60s` and words such as `dns-quorum`; the API has snake_case fields,
durations and enums. A form is the table between the two: it reads a manifest, with every fault at once and each at the path
of its field, and carries it over in both directions. What needs more than one field is no matter of a form.

A fault never shows the value of a field that is not known: people put secrets into the wrong place.
"""

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

from .decisions import Violation

SPAN = re.compile(r"^[0-9]{1,9}[smhd]$")
_UNITS = {"s": 1, "m": 60, "h": 3600, "d": 86400}
_STEP = re.compile(r"^([^\[]+)(\[\d+\])?$")


class Kind(Protocol):
    """What one value may be."""

    def read(self, value: Any, path: str, faults: list[Violation]) -> Any:
        """The value as it is meant: spans as seconds, words in their one spelling; None, and a fault more, where it is wrong."""

    def to_api(self, value: Any) -> Any:
        """A value that was read, as proto JSON has it."""

    def from_api(self, value: Any) -> Any:
        """The way back, to what a manifest says."""


@dataclass(frozen=True, slots=True)
class Text:
    """Text of at most `most` characters that matches `pattern` as a whole."""

    pattern: str = ""
    most: int = 253
    what: str = "text"

    def read(self, value: Any, path: str, faults: list[Violation]) -> Any:
        if not isinstance(value, str):
            return _wrong(faults, path, f"{self.what} is expected", "type")
        if len(value) > self.most:
            return _wrong(faults, path, f"is longer than {self.most} characters", "length")
        if self.pattern and not re.fullmatch(self.pattern, value):
            return _wrong(faults, path, f"{value[:60]!r} is not {self.what} ({self.pattern})", "pattern")
        return value

    def to_api(self, value: Any) -> Any:
        return value

    def from_api(self, value: Any) -> Any:
        return value


@dataclass(frozen=True, slots=True)
class Words:
    """One word of a list; `prefix` and the word in capitals are the enum's name.

    same   other spellings that are taken
    """

    prefix: str
    words: tuple[str, ...]
    same: Mapping[str, str] = field(default_factory=dict)

    def read(self, value: Any, path: str, faults: list[Violation]) -> Any:
        word = self.same.get(value, value) if isinstance(value, str) else None
        if word not in self.words:
            return _wrong(faults, path, f"{str(value)[:60]!r} is none of {', '.join(self.words)}", "word")
        return word

    def to_api(self, value: Any) -> Any:
        return self.prefix + value.upper().replace("-", "_")

    def from_api(self, value: Any) -> Any:
        return str(value).removeprefix(self.prefix).lower().replace("_", "-")


@dataclass(frozen=True, slots=True)
class Flag:
    """True or false."""

    def read(self, value: Any, path: str, faults: list[Violation]) -> Any:
        return value if isinstance(value, bool) else _wrong(faults, path, "true or false is expected", "type")

    def to_api(self, value: Any) -> Any:
        return value

    def from_api(self, value: Any) -> Any:
        return value


@dataclass(frozen=True, slots=True)
class Number:
    """A whole number within bounds."""

    low: int
    high: int

    def read(self, value: Any, path: str, faults: list[Violation]) -> Any:
        if not isinstance(value, int) or isinstance(value, bool):
            return _wrong(faults, path, "a whole number is expected", "type")
        if not self.low <= value <= self.high:
            return _wrong(faults, path, f"{value} is not within {self.low} to {self.high}", "range")
        return value

    def to_api(self, value: Any) -> Any:
        return value

    def from_api(self, value: Any) -> Any:
        return value


@dataclass(frozen=True, slots=True)
class Seconds:
    """A number of seconds within bounds; a duration in the API."""

    low: float
    high: float

    def read(self, value: Any, path: str, faults: list[Violation]) -> Any:
        if not isinstance(value, int | float) or isinstance(value, bool):
            return _wrong(faults, path, "a number of seconds is expected", "type")
        if not self.low <= value <= self.high:  # nor is nan
            return _wrong(faults, path, f"{value:g} s is not within {self.low:g} to {self.high:g}", "range")
        return value

    def to_api(self, value: Any) -> Any:
        return _duration(value)

    def from_api(self, value: Any) -> Any:
        seconds = _seconds(value)
        return int(seconds) if seconds == int(seconds) else seconds


@dataclass(frozen=True, slots=True)
class Span:
    """A span such as `60s`, `15m`, `24h`, `30d`, within bounds of seconds; a duration in the API."""

    low: float = 0
    high: float = 10**9
    units: str = "smhd"

    def read(self, value: Any, path: str, faults: list[Violation]) -> Any:
        if not isinstance(value, str) or not SPAN.match(value) or value[-1] not in self.units:
            text = f"{str(value)[:60]!r} is no span (^[0-9]+({'|'.join(self.units)})$)"
            return _wrong(faults, path, text, "pattern")
        seconds = float(int(value[:-1]) * _UNITS[value[-1]])
        if not self.low <= seconds <= self.high:
            return _wrong(faults, path, f"{value} is not within {self.low:g} to {self.high:g} s", "range")
        return seconds

    def to_api(self, value: Any) -> Any:
        return _duration(value)

    def from_api(self, value: Any) -> Any:
        return f"{_seconds(value):g}s" if _seconds(value) < 10**6 else f"{round(_seconds(value))}s"


@dataclass(frozen=True, slots=True)
class Many:
    """A list.

    unique   no entry twice
    by       field by which entries that are objects must differ
    is_odd   an even number has no more majorities than one less
    """

    of: Kind
    least: int = 0
    most: int = 50
    unique: bool = False
    by: tuple[str, ...] = ()
    is_odd: bool = False

    def read(self, value: Any, path: str, faults: list[Violation]) -> Any:
        if not isinstance(value, Sequence) or isinstance(value, str | bytes):
            return _wrong(faults, path, "a list is expected", "type")
        if not self.least <= len(value) <= self.most:
            faults.append(Violation(path, f"{len(value)} are not {self.least} to {self.most}", "count"))
        elif self.is_odd and len(value) % 2 == 0:
            text = f"{len(value)} is an even number: it survives no more failures than {len(value) - 1}"
            faults.append(Violation(path, text, "odd"))
        read = tuple(self.of.read(one, f"{path}[{i}]", faults) for i, one in enumerate(value))
        faults.extend(self._doubles(read, path))
        return read

    def _doubles(self, read: Sequence[Any], path: str) -> Iterator[Violation]:
        keys: dict[str, Callable[[Any], Any]] = {"": lambda one: one} if self.unique else {}
        keys |= {f".{name}": lambda one, n=name: one.get(n) if isinstance(one, Mapping) else None for name in self.by}  # type: ignore[misc]
        for suffix, key in keys.items():
            first: dict[str, int] = {}
            for i, one in enumerate(read):
                if (value := key(one)) is None:
                    continue
                if (before := first.setdefault(str(value), i)) != i:
                    text = f"{str(value)[:60]!r} stands at [{before}] already"
                    yield Violation(f"{path}[{i}]{suffix}", text, "unique")

    def to_api(self, value: Any) -> Any:
        return [self.of.to_api(one) for one in value]

    def from_api(self, value: Any) -> Any:
        return [self.of.from_api(one) for one in value]


@dataclass(frozen=True, slots=True)
class ByName:
    """An object whose keys are names."""

    of: Kind
    most: int = 50

    def read(self, value: Any, path: str, faults: list[Violation]) -> Any:
        if not isinstance(value, Mapping) or not all(isinstance(key, str) for key in value):
            return _wrong(faults, path, "an object is expected", "type")
        if len(value) > self.most:
            faults.append(Violation(path, f"{len(value)} are more than {self.most}", "count"))
        return {key: self.of.read(one, f"{path}.{key}", faults) for key, one in value.items()}

    def to_api(self, value: Any) -> Any:
        return {key: self.of.to_api(one) for key, one in value.items()}

    def from_api(self, value: Any) -> Any:
        return {key: self.of.from_api(one) for key, one in value.items()}


@dataclass(frozen=True, slots=True)
class Field:
    """One field of an object: its kind, its path in the API, and whether it must be there."""

    kind: Kind
    api: str
    needed: bool = False


@dataclass(frozen=True, slots=True)
class Form:
    """An object with these fields and no other.

    same      other names of fields
    instead   what is said where no object stands, such as text in the place of a secret's name
    """

    fields: Mapping[str, Field]
    same: Mapping[str, str] = field(default_factory=dict)
    instead: str = "an object is expected"

    def read(self, value: Any, path: str, faults: list[Violation]) -> Any:
        if not isinstance(value, Mapping):
            return _wrong(faults, path, self.instead, "type")
        read: dict[str, Any] = {}
        for key, one in value.items():
            name = self.same.get(key, key)
            if name not in self.fields:
                faults.append(Violation(f"{path}.{key}", "there is no such field", "unknown"))
            elif name in read:
                faults.append(Violation(f"{path}.{key}", f"is {name} by another name, which is there too", "alias"))
            elif one is not None:  # a key without a value is one that is left out
                read[name] = self.fields[name].kind.read(one, f"{path}.{key}", faults)
        for name, known in self.fields.items():
            if known.needed and name not in read:
                faults.append(Violation(f"{path}.{name}", "is required", "required"))
        return {name: one for name, one in read.items() if one is not None}

    def to_api(self, value: Any) -> Any:
        carried: dict[str, Any] = {}
        for name, one in value.items():
            known = self.fields[name]
            *parents, last = known.api.split(".")
            here = carried
            for parent in parents:
                here = here.setdefault(parent, {})
            here[last] = known.kind.to_api(one)
        return carried

    def from_api(self, value: Any) -> Any:
        found = {name: _at(value, known.api) for name, known in self.fields.items()}
        return {name: self.fields[name].kind.from_api(one) for name, one in found.items() if one is not None}


def read(form: Form, document: Any, path: str) -> tuple[dict[str, Any], list[Violation]]:
    """What `document` says by `form`, and everything that is wrong with it; `path` is its own. What is wrong is left out."""
    faults: list[Violation] = []
    return form.read(document, path, faults) or {}, faults


def api_path(form: Form, path: str) -> str:
    """The path in the API of a manifest's field `path`, relative to the form's object. What is not known stays as it is."""
    return ".".join(_walked(form, path.split("."), to_api=True))


def manifest_path(form: Form, path: str) -> str:
    """The way back."""
    return ".".join(_walked(form, path.split("."), to_api=False))


def _walked(kind: Any, steps: list[str], *, to_api: bool) -> Iterator[str]:
    while steps:
        if isinstance(kind, ByName):
            yield steps[0]
            kind, steps = kind.of, steps[1:]
            continue
        taken = _step(kind, steps, to_api=to_api) if isinstance(kind, Form) else None
        if taken is None:
            yield from steps
            return
        name, index, kind, steps = taken
        yield name + index
        if isinstance(kind, Many):
            kind = kind.of


def _step(form: Form, steps: list[str], *, to_api: bool) -> tuple[str, str, Kind, list[str]] | None:
    """The next step's other name, its index, its kind, and what is left."""
    for name, known in form.fields.items():
        there = known.api.split(".")
        length = 1 if to_api else len(there)
        match = [_STEP.match(step) for step in steps[:length]]
        if len(match) < length or not all(match):
            continue
        bare = [one[1] for one in match if one]
        last = match[-1]
        if last is not None and (form.same.get(bare[0], bare[0]) == name if to_api else bare == there):
            return (known.api if to_api else name), last[2] or "", known.kind, steps[length:]
    return None


def _wrong(faults: list[Violation], path: str, text: str, rule: str) -> None:
    faults.append(Violation(path, text, rule))


def _at(value: Any, path: str) -> Any:
    for step in path.split("."):
        value = value.get(step) if isinstance(value, Mapping) else None
    return value


def _duration(seconds: float) -> str:
    whole, _, part = f"{seconds:.9f}".partition(".")
    return f"{whole}.{part}".rstrip("0").rstrip(".") + "s"


def _seconds(duration: Any) -> float:
    return float(str(duration).removesuffix("s"))
